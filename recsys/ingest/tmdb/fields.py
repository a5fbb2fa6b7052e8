"""Parse the cells of The Movies Dataset into typed values."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

from recsys.domain import MovieMetadata, Person
from recsys.ingest.reading.characters import without_controls
from recsys.ingest.tmdb.files import BadRow
from recsys.ingest.tmdb.python_literals import parse_literal

MOVIE_COLUMNS = ("id", "title")
"""Columns that a file must have."""
MORE_MOVIE_COLUMNS = (
    "belongs_to_collection",
    "budget",
    "genres",
    "imdb_id",
    "original_language",
    "original_title",
    "overview",
    "popularity",
    "poster_path",
    "release_date",
    "revenue",
    "runtime",
    "tagline",
    "vote_average",
    "vote_count",
)
"""Columns that a file may lack: the features that need them are then empty."""
KEYWORD_COLUMNS = ("id", "keywords")
CREDIT_COLUMNS = ("cast", "crew", "id")

LEADING_CAST = 10

_INT32 = 2**31 - 1
_INT64 = 2**63 - 1
_WHOLE = re.compile(r"\s*([0-9]{1,19})(?:\.0*)?\s*", re.ASCII)
_IMDB = re.compile(r"\s*(?:tt)?([0-9]{1,10})\s*", re.ASCII)
_NO_OVERVIEW = frozenset(
    {"no overview", "no overview found", "no overview yet", "no movie overview available"}
)


class CastMember(NamedTuple):
    order: int
    """The billing in the file, from 0; not necessarily unique within a movie."""
    person: Person
    character: str | None


def movie(row: Mapping[str, str]) -> MovieMetadata:
    """Parse one row of movies_metadata.csv; invalid optional cells become None.

    Raises `BadRow` if the id is invalid or if both titles are empty.
    """
    title = text(row["title"]) or text(row["original_title"])
    tmdb_id = movie_id(row["id"])
    if title is None:
        raise BadRow("no title")
    return MovieMetadata(
        tmdb_id=tmdb_id,
        imdb_id=imdb_id(row["imdb_id"]),
        title=title,
        overview=overview(row["overview"]),
        tagline=text(row["tagline"]),
        release_date=iso_date(row["release_date"]),
        # 0 stands for an unknown value, here and in budget and revenue.
        runtime=number(row["runtime"], most=_INT32) or None,
        original_language=text(row["original_language"]),
        vote_average=number(row["vote_average"], most=10),
        vote_count=whole(row["vote_count"], most=_INT32),
        popularity=number(row["popularity"]),
        budget=whole(row["budget"]) or None,
        revenue=whole(row["revenue"]) or None,
        poster_path=poster_path(row["poster_path"]),
        collection=collection(row["belongs_to_collection"]),
        genres=genres(row["genres"]),
    )


def keywords(row: Mapping[str, str]) -> tuple[int, dict[int, str]]:
    """Parse one row of keywords.csv: the movie id and its keywords by id.

    Raises `BadRow` if the id or the list is invalid; blank keywords are left out.
    """
    tmdb_id = movie_id(row["id"])
    found: dict[int, str] = {}
    for entry in entries(row, "keywords"):
        name = entry_text(entry, "keywords", "name")
        if name is not None:
            found.setdefault(entry_id(entry, "keywords"), name)
    return tmdb_id, found


def credits_of(row: Mapping[str, str]) -> tuple[int, list[CastMember], list[Person]]:
    """Parse one row of credits.csv: the movie id, its leading cast by order, its directors.

    Raises `BadRow` if the id or a list is invalid; people without a name are left out.
    """
    tmdb_id = movie_id(row["id"])
    directors = [
        Person(entry_id(entry, "crew"), name)
        for entry in entries(row, "crew")
        if entry.get("job") == "Director" and (name := entry_text(entry, "crew", "name"))
    ]
    return tmdb_id, _leading_cast(entries(row, "cast")), directors


def _leading_cast(found: list[dict[object, object]]) -> list[CastMember]:
    leading = []
    for place, entry in enumerate(found):
        order = entry.get("order")
        if type(order) is not int or order < 0:
            order = place
        if order < LEADING_CAST and (name := entry_text(entry, "cast", "name")):
            character = entry_text(entry, "cast", "character")
            leading.append(CastMember(order, Person(entry_id(entry, "cast"), name), character))
    return sorted(leading, key=lambda member: member.order)


def entries(row: Mapping[str, str], column: str) -> list[dict[object, object]]:
    """Parse a cell that holds a stringified list of dicts; raise `BadRow` for any other."""
    try:
        found = parse_literal(row[column])
    except ValueError as exc:
        raise BadRow(f"{column}: {exc}") from exc
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise BadRow(f"{column}: not a list of entries")
    return found


def entry_id(entry: Mapping[object, object], column: str) -> int:
    found = entry.get("id")
    if type(found) is int and 0 < found <= _INT32:
        return found
    raise BadRow(f"{column}: an entry whose id is not a number: {found!r:.50}")


def entry_text(entry: Mapping[object, object], column: str, key: str) -> str | None:
    found = entry.get(key)
    if not isinstance(found, str):
        return None
    # An escape sequence can produce characters that are invalid in the bytes of the file.
    if not found.isascii() and any("\ud800" <= c <= "\udfff" for c in found):
        raise BadRow(f"{column}: half a character in {key}")
    if "\0" in found:
        raise BadRow(f"{column}: a NUL byte in {key}")
    return text(found)


def movie_id(cell: str) -> int:
    found = whole(cell, most=_INT32)
    if not found:
        raise BadRow(f"id is not a number: {cell!r:.50}")
    return found


def text(cell: str) -> str | None:
    """Return a text without control characters, which should not cost a movie its metadata."""
    return without_controls(cell).strip() or None


def whole(cell: str, most: int = _INT64) -> int | None:
    """Parse a count; `160.0`, from a float column, is accepted."""
    match = _WHOLE.fullmatch(cell)
    found = int(match[1]) if match else None
    return found if found is not None and found <= most else None


def number(cell: str, most: float = math.inf) -> float | None:
    """Parse a finite number in [0, most]."""
    try:
        found = float(cell.replace("_", "?"))  # float() would accept 1_000
    except ValueError:
        return None
    return found if 0 <= found <= most and math.isfinite(found) else None


def imdb_id(cell: str) -> int | None:
    match = _IMDB.fullmatch(cell)
    found = int(match[1]) if match else 0
    return found if 0 < found <= _INT32 else None


def iso_date(cell: str) -> str | None:
    cell = cell.strip()
    if len(cell) != 10 or cell[4] != "-" or cell[7] != "-":
        return None  # fromisoformat() would accept 19951030 and 1995-W44-1
    try:
        return date.fromisoformat(cell).isoformat()
    except ValueError:
        return None


def overview(cell: str) -> str | None:
    """Parse a summary; placeholders are dropped, as they would make unrelated movies similar."""
    found = text(cell)
    return None if found and found.rstrip(".").lower() in _NO_OVERVIEW else found


def poster_path(cell: str) -> str | None:
    return cell if cell.startswith("/") and cell.isprintable() else None


def genres(cell: str) -> tuple[str, ...]:
    """Parse the names of the genres; a cell that is not a list costs the movie its genres only."""
    try:
        found = entries({"genres": cell or "[]"}, "genres")
        names = (entry_text(entry, "genres", "name") for entry in found)
        return tuple(dict.fromkeys(name for name in names if name))
    except BadRow:
        return ()


def collection(cell: str) -> str | None:
    """Parse the name of the series that the movie belongs to."""
    try:
        found = parse_literal(cell) if cell else None
        if isinstance(found, dict):
            return entry_text(found, "belongs_to_collection", "name")
    except (ValueError, BadRow):
        pass
    return None
