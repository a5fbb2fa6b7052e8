"""A question to the SQL contract: what to ask, what its rows become, what its refusals mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import starmap
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from psycopg.rows import scalar_row, tuple_row

from recsys.errors import (
    ConfigError,
    NotPublished,
    RecsysError,
    RunError,
    StorageError,
    UnknownMovie,
)
from recsys.storage.server.pool import Statement

if TYPE_CHECKING:
    import pandas as pd

Row = TypeVar("Row")
Answer = TypeVar("Answer")

NO_CONTRACT = ("3F000", "42P01")  # no such schema, no such view
FIRST_STEPS = "`recsys demo`, or `recsys ingest ml-latest-small` and then `recsys refresh`"
# What the contract means by its SQLSTATEs: NULL, not a value, out of range, no text that
# PostgreSQL could hold; unknown; not there.
REFUSED: Mapping[str | None, type[RecsysError]] = {
    "22004": ConfigError,
    "22023": ConfigError,
    "22003": ConfigError,
    "22P02": ConfigError,
    "22000": ConfigError,
    "P0002": UnknownMovie,
    "55000": NotPublished,
}
REFUSED_OF_RUNS = {**REFUSED, "P0002": RunError, "55000": RunError}
HINTS = {NotPublished: FIRST_STEPS, UnknownMovie: "find its id with `recsys search TITLE`"}


class Rows(list[Row]):
    """The rows of an answer: a list that knows what its columns are."""

    def __init__(self, kind: type[Row], rows: Sequence[Row] = ()) -> None:
        super().__init__(rows)
        self.kind = kind

    def to_pandas(self) -> pd.DataFrame:
        """Return a frame of as many rows, its columns named as the contract's."""
        import pandas as pd

        names = list(self.kind.__annotations__)
        columns = {name: [getattr(row, name) for row in self] for name in names}
        # Of no rows pandas would make numbers, which have no .str.
        return pd.DataFrame(columns, columns=names, dtype=None if self else object)


@dataclass(frozen=True)
class Question(Generic[Answer]):
    """Statements of one state of the database, and what is made of their rows."""

    statements: Sequence[Statement]
    values: Mapping[str, Any]
    answer: Callable[[list[list[Any]]], Answer]
    refused: Mapping[str | None, type[RecsysError]] = field(default_factory=lambda: REFUSED)
    writes: bool = False
    if_nothing: Question[None] | None = None
    """Asked where the answer is None or has no rows: it raises where that is the asker's fault."""

    def error(self, failure: StorageError, *, empty: bool) -> RecsysError:
        """Return what the failure means to who asked; `empty`: nothing of ours is there."""
        if empty:
            return NotPublished("the database is empty", hint=FIRST_STEPS)
        kind = self.refused.get(failure.sqlstate)
        if kind is None:
            return failure
        words = str(failure).partition(": ")[2]
        return kind(words, hint=HINTS.get(kind, failure.hint))


def rows(
    kind: type[Row],
    query: str,
    values: Mapping[str, Any],
    refused: Mapping[str | None, type[RecsysError]] = REFUSED,
    if_nothing: Question[None] | None = None,
) -> Question[Rows[Row]]:
    """Ask for rows of one kind, a frozen dataclass with a field for each column, in their order."""

    def answer(found: list[list[Any]]) -> Rows[Row]:
        # Tuples are made by C, which a factory of rows would be asked from one by one.
        return Rows(kind, list(starmap(kind, found[0])))

    statement = Statement(query, tuple_row)
    return Question([statement], values, answer, refused, if_nothing=if_nothing)


def row(
    kind: type[Row],
    query: str,
    values: Mapping[str, Any],
    missing: Callable[[], RecsysError] | None = None,
) -> Question[Row]:
    """Ask for one row as rows() does; where there may be none, `missing` makes what is raised."""

    def answer(found: list[list[Any]]) -> Row:
        if missing is not None and not found[0]:
            raise missing()
        return kind(*found[0][0])

    return Question([Statement(query, tuple_row)], values, answer)


def is_empty() -> Question[bool]:
    """Ask whether the database has nothing of ours."""
    query = "SELECT to_regnamespace('recsys') IS NULL"
    return Question([Statement(query, scalar_row)], {}, lambda found: bool(found[0][0]))
