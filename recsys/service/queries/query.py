"""A query of the SQL contract: its statements, its result type and the errors it may raise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import starmap
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from psycopg.rows import scalar_row, tuple_row

from recsys.errors import (
    InvalidArgument,
    NotPublished,
    RecsysError,
    RunError,
    StorageError,
    UnknownModel,
    UnknownMovie,
    UnknownRun,
)
from recsys.service.types import MovieRef, UserRef
from recsys.storage.server.pool import Statement

if TYPE_CHECKING:
    import pandas as pd

Row = TypeVar("Row")
Result = TypeVar("Result")

NO_CONTRACT = ("3F000", "42P01")  # no such schema, no such view
FIRST_STEPS = "load ratings, and publish a refresh of them"
REFUSED: Mapping[str | None, type[RecsysError]] = {
    "22004": InvalidArgument,  # NULL
    "22023": InvalidArgument,  # an invalid argument
    "22003": InvalidArgument,  # outside the rating scale, or outside the type
    "22P02": InvalidArgument,  # no value of its type, raised by PostgreSQL itself
    "22000": InvalidArgument,  # a character that no text can hold
    "22P05": InvalidArgument,  # the same, in JSON
    "P0002": UnknownMovie,
    "55000": NotPublished,
    "RS001": UnknownRun,  # no such run
    "RS002": UnknownModel,  # the run has no such model or chart
    "RS003": InvalidArgument,  # no such genre
    "RS004": RunError,  # the run has no results
}
"""The error that each SQLSTATE of the contract stands for."""
HINTS = {NotPublished: FIRST_STEPS, UnknownMovie: "search for its title to find its id"}


# How an argument of SQL reads that names a user or a movie.
PLACES = {
    ("user", int): "CAST(%(user_id)s AS integer)",
    ("user", str): "recsys.asked_user(CAST(%(user_id)s AS text))",
    ("movie", int): "CAST(%(movie_id)s AS integer)",
    ("movie", str): "recsys.asked_movie(CAST(%(movie_id)s AS text))",
}


def by(query: str, **named: UserRef | MovieRef) -> str:
    """Fill in `{user}` and `{movie}` of a query: an `int` is an id, a `str` a key."""
    return query.format(
        **{place: PLACES[place, str if isinstance(of, str) else int] for place, of in named.items()}
    )


def shown(of: UserRef | MovieRef) -> str:
    """Return an id as it is and a key in quotes, as the messages of the contract have them."""
    return str(of) if not isinstance(of, str) or of.isdecimal() else repr(of[:100])


class Rows(list[Row]):
    """A list of rows that knows their type, so that an empty one still has columns."""

    def __init__(self, kind: type[Row], rows: Sequence[Row] = ()) -> None:
        super().__init__(rows)
        self.kind = kind

    def to_pandas(self) -> pd.DataFrame:
        """Return the rows as a data frame whose columns have the names of the contract."""
        import pandas as pd

        names = list(self.kind.__annotations__)
        columns = {name: [getattr(row, name) for row in self] for name in names}
        # Without rows pandas would infer a numeric dtype, and .str would fail on it.
        return pd.DataFrame(columns, columns=names, dtype=None if self else object)


@dataclass(frozen=True)
class Query(Generic[Result]):
    """Statements that read one snapshot of the database, and how their rows become a result."""

    statements: Sequence[Statement]
    params: Mapping[str, Any]
    parse: Callable[[list[list[Any]]], Result]
    """Builds the result from the rows of each statement; may raise an error that they show."""
    writes: bool = False
    check_if_empty: Query[None] | None = None
    """Run if the result is None or has no rows; raises if the arguments explain that."""

    def error(self, failure: StorageError, *, empty: bool) -> RecsysError:
        """Translate a database error; `empty` says that the schema is not installed."""
        if empty:
            return NotPublished("the database is empty", hint=FIRST_STEPS)
        kind = REFUSED.get(failure.sqlstate)
        if kind is None:
            return failure
        return kind(failure.primary or str(failure), hint=HINTS.get(kind, failure.hint))


def rows(
    kind: type[Row],
    query: str,
    params: Mapping[str, Any],
    check_if_empty: Query[None] | None = None,
) -> Query[Rows[Row]]:
    """Query rows of one type, a frozen dataclass with a field per column, in the same order."""

    def parse(found: list[list[Any]]) -> Rows[Row]:
        # psycopg makes tuples in C; a row factory would be called from Python for each row.
        return Rows(kind, list(starmap(kind, found[0])))

    statement = Statement(query, tuple_row)
    return Query([statement], params, parse, check_if_empty=check_if_empty)


def row(
    kind: type[Row],
    query: str,
    params: Mapping[str, Any],
    missing: Callable[[], RecsysError] | None = None,
) -> Query[Row]:
    """Query a single row; `missing` makes the error to raise if there is none."""

    def parse(found: list[list[Any]]) -> Row:
        if missing is not None and not found[0]:
            raise missing()
        return kind(*found[0][0])

    return Query([Statement(query, tuple_row)], params, parse)


def is_empty() -> Query[bool]:
    """Query whether the schema of the SQL contract is missing."""
    query = "SELECT to_regnamespace('recsys') IS NULL"
    return Query([Statement(query, scalar_row)], {}, lambda found: bool(found[0][0]))
