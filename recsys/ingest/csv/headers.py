"""Detect ratings and movies files of any origin by the names of their columns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath

from recsys.domain import SourceMovie
from recsys.errors import DataError
from recsys.ingest.csv.known import KnownFile, KnownHeader
from recsys.ingest.csv.names import (
    AVAILABLE,
    GENRES,
    MOVIE,
    RATING,
    TITLE,
    USER,
    YEAR,
    YEAR_OF_BOOK,
)
from recsys.ingest.csv.tables import SEPARATORS as SEPARATORS
from recsys.ingest.csv.tables import TableFile, look_at, missing_roles, stem
from recsys.ingest.movielens.dialects import DatasetLayout, RatingsFile
from recsys.ingest.movielens.rows import MovieColumns
from recsys.ingest.movielens.tables import Table
from recsys.ingest.options import DEFAULTS, ColumnNames, ReadOptions
from recsys.ingest.reading.records import Grammar
from recsys.ingest.reading.sources import Entry, Folder

_TABLES = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".parquet", ".dat")
_CATALOGUES = ("movies", "movie", "films", "items", "products", "books", "artists")
_INTERACTIONS = ("interactions", "events", "views", "plays", "orders", "purchases", "clicks")
_LOOKED_AT = 20
_SHOWN = 2
_EXCEL = b"\xd0\xcf\x11\xe0"
_DATE = re.compile(
    r"[-_.]?(?:19|20)[0-9]{2}[-_.]?[0-9]{2}[-_.]?[0-9]{2}"
    r"(?:[-_.T][0-9]{2}[-_.]?[0-9]{2}(?:[-_.]?[0-9]{2})?Z?)?$"
)


def detect_csv(folder: Folder, options: ReadOptions = DEFAULTS) -> DatasetLayout | None:
    """Detect a file with user and movie columns, and a movies file beside it.

    Without a rating column in any of the files, the rows are interactions. Several files are parts
    of one data set if their names differ only by a date.
    """
    # A single file may have any name.
    names = sorted(
        name for name in folder.files if len(folder.files) == 1 or name.endswith(_TABLES)
    )
    tables = {
        name: table
        for name in names
        if (table := look_at(folder.files[name], options.columns)) is not None
    }
    rated = {name: table for name, table in tables.items() if _has_ratings(table, options)}
    if not rated:
        _refuse_empty(folder)
        return None
    explicit = {name: table for name, table in rated.items() if table.role("rating") is not None}
    # Beside ratings, a list of what people want to watch is not what they watched.
    rated = explicit if explicit and not options.implicit else rated
    stems = ("ratings", "rating", *_INTERACTIONS)
    chosen = list(rated) if folder.parts else _preferred(rated, stems, folder.name, "ratings")
    movies = {
        name: found
        for name, table in tables.items()
        if name not in rated and (found := _movies(table)) is not None
    }
    catalogue = movies and _preferred(movies, _CATALOGUES, folder.name, "movies")
    if catalogue and len(catalogue) > 1:
        raise _several(folder.name, "movies", catalogue)
    return _layout(
        [tables[name] for name in chosen], movies[catalogue[0]] if catalogue else None, options
    )


def without_date(name: str) -> str:
    """Return the name of a file without its suffix and without a date at its end."""
    return _DATE.sub("", name) or name


def columns_seen(folders: Sequence[Folder], columns: ColumnNames) -> list[str]:
    """Say for some files which columns they have and which are missing."""
    entries = [entry for folder in folders for entry in folder.files.values()]
    return [text for entry in entries[:_LOOKED_AT] if (text := _seen(entry, columns))][:_SHOWN]


def _seen(entry: Entry, columns: ColumnNames) -> str | None:
    head = entry.head()
    if head.startswith(_EXCEL) or entry.name == "workbook.xml":
        return f"{entry.name} is an Excel workbook: save it as CSV"
    if head.lstrip().startswith(b"["):
        return f"{entry.name} is a JSON array: write one object per line, as jq -c '.[]' does"
    table = look_at(entry, columns)
    if table is None or len(table.names) < 2:
        return None
    names = ", ".join(name[:30] for name in table.names[:12])
    missing = " and ".join(f"{role} (--{role}-column)" for role in missing_roles(table))
    return f"{entry.name} has the columns {names}; none is recognized as {missing}"


def _layout(
    parts: Sequence[TableFile], movies: Table[SourceMovie] | None, options: ReadOptions
) -> DatasetLayout:
    known = parts[0].known
    implicit = options.implicit or parts[0].role("rating") is None
    return DatasetLayout(
        known.name if known is not None else parts[0].kind,
        None if implicit or known is None else known.scale,
        tuple(_ratings(table, implicit=options.implicit) for table in parts),
        movies=movies,
        implicit=implicit,
        unrated=_unrated(known, implicit=implicit),
        all_movies=not (isinstance(known, KnownHeader) and known.some_movies),
        keys_are_titles=isinstance(known, KnownFile) and known.keys_are_titles,
    )


def _unrated(known: KnownFile | KnownHeader | None, *, implicit: bool) -> float | None:
    # An interaction of strength 0 has not taken place.
    if implicit:
        return 0.0
    return known.unrated if isinstance(known, KnownHeader) else None


def _has_ratings(table: TableFile, options: ReadOptions) -> bool:
    if missing_roles(table):
        return False
    if table.role("rating") is not None or options.implicit:
        return True
    # A title beside a user is a review, and a tag is no interaction.
    return table.find((*TITLE, "tag", "tagid")) is None or table.role("strength") is not None


def _refuse_empty(folder: Folder) -> None:
    for name, entry in folder.files.items():
        if (len(folder.files) == 1 or stem(name) == "ratings") and not entry.head():
            raise DataError(f"{entry.name} is empty", hint="Check how the file was made.")


def _preferred(
    found: Mapping[str, object], stems: tuple[str, ...], folder: str, what: str
) -> list[str]:
    """Return the only name, the only match of the first of `stems` that matches, or all parts."""
    names = list(found)
    if len(names) == 1:
        return names
    for prefix in stems:
        exact = [name for name in names if stem(name) == prefix]
        alike = exact or [name for name in names if name.startswith(prefix)]
        if len(alike) == 1 or (alike and _are_parts(alike)):
            return alike
    if _are_parts(names):
        return names
    raise _several(folder, what, names)


def _are_parts(names: Sequence[str]) -> bool:
    """Tell whether the names differ only by the date at their end."""
    stems = {stem(name) for name in names}
    return len({without_date(each) for each in stems}) == 1 and len(stems) == len(names)


def _several(folder: str, what: str, names: Sequence[str]) -> DataError:
    return DataError(
        f"{folder} holds several files that could be the {what}: {', '.join(names)}",
        hint="Give the ratings file itself, or leave only one of them in the folder.",
    )


def _ratings(table: TableFile, *, implicit: bool) -> RatingsFile:
    value = None if implicit else table.role("rating") or table.role("strength")
    roles = [table.role("user"), table.role("movie"), value, table.role("time")]
    # Two roles may name one column, which is read once.
    grammar, places, reader = table.select(tuple(dict.fromkeys(filter(None, roles))))
    position = dict(zip(dict.fromkeys(filter(None, roles)), places, strict=True))
    user, movie, rating, time = (None if role is None else position[role] for role in roles)
    assert user is not None
    assert movie is not None
    return RatingsFile(table.entry, grammar, table.header, user, movie, rating, time, True, reader)


def _movies(table: TableFile) -> Table[SourceMovie] | None:
    catalogue = PurePath(table.entry.name).stem.lower() in _CATALOGUES
    # A column `id` is ambiguous: in TMDB's metadata it is not the movie id of the ratings.
    ids = (*MOVIE, "id") if catalogue else MOVIE
    movie, title = table.find(ids), table.find(TITLE)
    # A title beside a user is a review or a tag, not a movie.
    if movie is None or title is None or table.find(USER) is not None or not table.header:
        return None
    if not catalogue and table.kind == "csv" and table.find(RATING) is not None:
        return None
    year = table.find(YEAR)
    names = (
        movie, title, table.find(GENRES), year or table.find(YEAR_OF_BOOK), table.find(AVAILABLE),
    )  # fmt: skip
    given = tuple(dict.fromkeys(filter(None, names)))
    grammar, places, reader = table.select(given)
    position = dict(zip(given, places, strict=True))
    parse = MovieColumns(
        position[movie],
        position[title],
        position.get(names[2] or ""),
        position.get(names[3] or ""),
        position.get(names[4] or ""),
        lenient=table.kind != "csv" or year is None,
    )
    if reader is None:
        grammar = Grammar(grammar.separator, grammar.columns, quoted=True, multiline=True)
    return Table(table.entry, grammar, table.header, parse, reader)
