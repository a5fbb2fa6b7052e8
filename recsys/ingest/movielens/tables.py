"""Read the small tables: movies, links, users, tags and names of genome tags."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Generic, TypeVar

import numpy as np

from recsys.domain import Int32, SourceMovie, Tags, User
from recsys.errors import DataError
from recsys.ingest.reading.intake import Block, BlockReader, Intake
from recsys.ingest.reading.numbers import BadField, shown
from recsys.ingest.reading.records import Grammar, Record, read_records
from recsys.ingest.reading.sources import Entry

T = TypeVar("T")
Link = tuple[int, int | None, int | None]
"""Movie id, IMDb id (the number after `tt`), TMDB id."""
Tag = tuple[int, int, str, int]
"""User, movie, tag, unix seconds."""
TagName = tuple[int, str]
MOST_GENRES = 1000
"""Each genre gets charts of its own. MovieLens has 19 genres, and TMDB has 20."""


@dataclass(frozen=True, slots=True)
class Table(Generic[T]):
    """A file and its row parser, which returns one value or raises `BadField`."""

    entry: Entry
    grammar: Grammar
    header: bool
    parse: Callable[[Sequence[str]], T]
    reader: BlockReader | None = None


def read_movies(
    intake: Intake, table: Table[SourceMovie], name: Callable[[int], str] = str
) -> dict[int, SourceMovie]:
    """Return the movies by id; the first of two with the same id counts.

    `name` is how a message names the movie of an id.

    Raises DataError if they have more genres than genres can be.
    """
    movies = _first_of_each(intake, table, lambda movie: movie.movie_id, "movie", name)
    genres = {genre: None for movie in movies.values() for genre in movie.genres}
    if len(genres) > MOST_GENRES:
        some = ", ".join(shown(genre) for genre in islice(genres, 3))
        raise DataError(
            f"{table.entry.name}: {len(genres):,} different genres, such as {some}; "
            f"{MOST_GENRES:,} are allowed",
            hint="Is the column a text or a list of keywords? Genres are separated by | , or ;",
        )
    return movies


def read_users(intake: Intake, table: Table[User]) -> dict[int, User]:
    """Return the users by id; the first of two with the same id counts."""
    return _first_of_each(intake, table, lambda user: user.user_id, "user")


def read_tag_names(intake: Intake, table: Table[TagName]) -> dict[int, str]:
    """Return the genome tags by id; the first of two with the same id counts."""
    named = _first_of_each(intake, table, lambda row: row[0], "tag")
    return {tag_id: name for tag_id, name in named.values()}


def with_links(
    intake: Intake, table: Table[Link], movies: dict[int, SourceMovie], known: Int32
) -> dict[int, SourceMovie]:
    """Return the movies with the ids of the links file; links of unknown movies are rejected.

    Links of `known` movies that are not in `movies` are ignored.
    """
    only_known = frozenset(known.tolist()) - movies.keys()

    def parse(fields: Sequence[str]) -> Link:
        link = table.parse(fields)
        if link[0] not in movies and link[0] not in only_known:
            raise BadField(f"movie {link[0]} is unknown")
        return link

    checked = replace(table, parse=parse)
    links = _first_of_each(intake, checked, lambda link: link[0], "movie")
    linked = {
        movie_id: replace(movies[movie_id], imdb_id=imdb_id, tmdb_id=tmdb_id)
        for movie_id, imdb_id, tmdb_id in links.values()
        if movie_id in movies
    }
    return movies | linked


def read_tags(intake: Intake, table: Table[Tag]) -> Tags:
    """Return the tags as columns in the order of the file; equal rows are merged."""
    tags: dict[Tag, None] = {}
    for _, tag in _rows(intake, table):
        tags.setdefault(tag)
    users, movies, texts, times = zip(*tags, strict=True) if tags else ((), (), (), ())
    user_ids, movie_ids = np.array(users, np.int32), np.array(movies, np.int32)
    return Tags(user_ids, movie_ids, list(texts), np.array(times, np.int64))


def _first_of_each(
    intake: Intake,
    table: Table[T],
    key: Callable[[T], int],
    what: str,
    name: Callable[[int], str] = str,
) -> dict[int, T]:
    kept: dict[int, T] = {}
    lines: dict[int, int] = {}
    for (line, record), row in _rows(intake, table):
        id_ = key(row)
        first = kept.setdefault(id_, row)
        lines.setdefault(id_, line)
        if first != row:
            reason = f"{what} {name(id_)} is described differently on line {lines[id_]}"
            intake.reject(table.entry, line, record.raw, table.grammar.encoding, reason)
    return kept


def _rows(intake: Intake, table: Table[T]) -> Iterator[tuple[tuple[int, Record], T]]:
    """Yield each good row with its line; reject the others."""
    grammar = table.grammar
    for block in _blocks(intake, table):
        # Blocks end with a newline, so the last part is empty.
        for record in read_records(block.data.split(b"\n")[:-1], grammar):
            intake.take(1, len(record.raw) + 1)
            line = block.first_line + record.index
            try:
                yield (line, record), _parse(record, table)
            except BadField as exc:
                intake.reject(table.entry, line, record.raw, grammar.encoding, str(exc))


def _blocks(intake: Intake, table: Table[T]) -> Iterator[Block]:
    if table.reader is not None:
        return table.reader(intake, table.entry)
    return intake.blocks(table.entry, header=table.header, multiline=table.grammar.multiline)


def _parse(record: Record, table: Table[T]) -> T:
    if record.problem is not None:
        raise BadField(record.problem)
    # PostgreSQL cannot store NUL in a text.
    if b"\0" in record.raw:
        raise BadField("a NUL character in the row")
    return table.parse(record.fields)
