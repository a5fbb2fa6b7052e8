"""Read The Movies Dataset (Kaggle, by rounakbanik): TMDB's films, keywords, cast and directors."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from recsys.domain import (
    Credit,
    MetadataSet,
    MovieMetadata,
    Person,
    Progress,
)
from recsys.ingest.reading.intake import Intake
from recsys.ingest.reading.rejects import RejectLimit, Rejects
from recsys.ingest.tmdb import fields
from recsys.ingest.tmdb.files import MetadataFile, metadata_files, row_reader

BLOCK = 1 << 20
"""Smaller than for ratings: parsing takes longer, and progress is reported for each block."""
MOST_DIRECTORS = 1000


def read_metadata(
    path: Path, *, max_unpacked_mb: int | None = None, progress: Progress | None = None
) -> MetadataSet:
    """Read movies_metadata.csv, keywords.csv and credits.csv, those that are present.

    `path` is a folder, a zip with the files at any depth, or one of the files. `progress` is
    called for each file with the bytes read and its size.

    Of several rows of one movie, the row with the most votes counts, and the first of a tie;
    their keywords and credits are merged. An invalid row is rejected and does not fail the load;
    only the first of each file are kept.

    Raises `DataError` if none of the files is found, cannot be read, or lacks columns, if most of
    many rows are invalid, and for an archive that would unpack to more than `max_unpacked_mb`.
    """
    rejects = Rejects(RejectLimit(share=0.5), hint="are these the files of The Movies Dataset?")
    collected = _Collected(Intake(progress, block_size=BLOCK, rejects=rejects))
    with metadata_files(path, max_unpacked_mb) as files:
        for file in files:
            collected.read(file)
    return collected.result()


class _Collected:
    """The values collected from the rows read so far."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._movies: dict[int, MovieMetadata] = {}
        self._keywords: dict[int, str] = {}
        self._movie_keywords: dict[int, dict[int, None]] = {}
        self._people: dict[int, Person] = {}
        self._cast: dict[int, list[fields.CastMember]] = {}
        self._directors: dict[int, dict[int, None]] = {}
        self._duplicates = 0

    def read(self, file: MetadataFile) -> None:
        columns, optional, take = {
            "movies_metadata.csv": (
                fields.MOVIE_COLUMNS, fields.MORE_MOVIE_COLUMNS, self._take_movie,
            ),
            "keywords.csv": (fields.KEYWORD_COLUMNS, (), self._take_keywords),
            "credits.csv": (fields.CREDIT_COLUMNS, (), self._take_credits),
        }[file.entry.name]  # fmt: skip
        with row_reader(file, columns, self._intake, optional) as rows:
            rows.read(take)

    def result(self) -> MetadataSet:
        credits_ = [credit for tmdb_id in self._cast for credit in self._credits(tmdb_id)]
        credited = dict.fromkeys(credit.person_id for credit in credits_)
        return MetadataSet(
            movies=list(self._movies.values()),
            keywords=self._keywords,
            movie_keywords=[(m, k) for m, found in self._movie_keywords.items() for k in found],
            people=[self._people[person_id] for person_id in credited],
            credits=credits_,
            rejected=self._intake.rejects.rows,
            rejected_count=self._intake.rejects.count,
            rows_read=self._intake.rows_read,
            duplicates=self._duplicates,
            files=tuple(self._intake.files),
        )

    def _take_movie(self, row: dict[str, str]) -> None:
        movie = fields.movie(row)
        known = self._movies.setdefault(movie.tmdb_id, movie)
        if known is not movie:
            self._duplicates += 1
            self._movies[movie.tmdb_id] = max(known, movie, key=_votes)

    def _take_keywords(self, row: dict[str, str]) -> None:
        tmdb_id, found = fields.keywords(row)
        self._duplicates += tmdb_id in self._movie_keywords
        self._movie_keywords.setdefault(tmdb_id, {}).update(dict.fromkeys(found))
        for keyword_id, name in found.items():
            self._keywords.setdefault(keyword_id, name)

    def _take_credits(self, row: dict[str, str]) -> None:
        tmdb_id, cast, directors = fields.credits_of(row)
        self._duplicates += tmdb_id in self._cast
        self._cast.setdefault(tmdb_id, []).extend(cast)
        for person in (*(member.person for member in cast), *directors):
            self._people.setdefault(person.person_id, person)
        directing = self._directors.setdefault(tmdb_id, {})
        directing.update((person.person_id, None) for person in directors)

    def _credits(self, tmdb_id: int) -> Iterator[Credit]:
        yield from _cast_credits(tmdb_id, self._cast[tmdb_id])
        # A position is a small integer in the store.
        for position, person_id in enumerate(islice(self._directors[tmdb_id], MOST_DIRECTORS)):
            yield Credit(tmdb_id, person_id, "director", position)


def _votes(movie: MovieMetadata) -> int:
    return -1 if movie.vote_count is None else movie.vote_count


def _cast_credits(tmdb_id: int, cast: list[fields.CastMember]) -> Iterator[Credit]:
    """Yield one credit per person, at the person's order or the next free position."""
    characters: dict[int, dict[str, None]] = {}
    orders: dict[int, int] = {}
    for member in sorted(cast, key=lambda member: member.order):
        person_id = member.person.person_id
        orders.setdefault(person_id, member.order)
        if member.character:
            characters.setdefault(person_id, {})[member.character] = None
    position = -1
    for person_id, order in orders.items():
        position = max(order, position + 1)
        if position < fields.LEADING_CAST:
            character = " / ".join(characters.get(person_id, ())) or None
            yield Credit(tmdb_id, person_id, "cast", position, character)
