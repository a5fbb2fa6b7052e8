"""Merge movies, users, ratings, tags and the tag genome of one edition into the store.

Rows are copied into a temporary table and merged from there, so that loading the same files again
changes nothing. Ratings and genome scores of an empty database are copied directly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import repeat

import numpy as np
import sqlalchemy as sa
from psycopg import sql
from psycopg.errors import NotNullViolation, UniqueViolation

from recsys.domain import NO_TIME, Genome, Int32, Progress, Ratings, SourceMovie, Tags, User
from recsys.errors import DataError, StorageError
from recsys.storage.load import bulk_load
from recsys.storage.load.copy import (
    Column,
    Timestamps,
    copy_arrays,
    copy_rows,
    driver,
    identifier,
)
from recsys.storage.runs import lock
from recsys.storage.snapshot import rating_changes

MOVIES = "recsys_store.movies"
LOADED_EDITION = """
SELECT edition FROM recsys_store.ingests WHERE kind = 'ratings' ORDER BY ingest_id DESC LIMIT 1
"""
# A movie that was created from the keys of ratings has the title `Movie <key>`.
DESCRIBED_MOVIES = """
SELECT movie_id, key FROM recsys_store.movies WHERE original_title <> 'Movie ' || key
"""
STAGED_AS = "CREATE TEMPORARY TABLE {staged} ON COMMIT DROP AS SELECT * FROM {table} WITH NO DATA"
# An upserted row is new when no older version of it was deleted: xmax is 0.
COUNTED = """
WITH done AS ({upsert} RETURNING xmax = 0 AS fresh)
SELECT count(*) FILTER (WHERE fresh), count(*) FILTER (WHERE NOT fresh) FROM done
"""
MERGE_MOVIES = """
INSERT INTO recsys_store.movies AS m
    (movie_id, key, title, original_title, year, imdb_id, tmdb_id, available)
SELECT
    s.movie_id, coalesce(s.key, CAST(s.movie_id AS text)), s.title, s.original_title, s.year,
    s.imdb_id, s.tmdb_id,
    -- Where the source does not tell, what was set before stays.
    coalesce(s.available, o.available, true)
FROM staged_movies AS s
LEFT JOIN recsys_store.movies AS o ON o.movie_id = s.movie_id
ON CONFLICT (movie_id) DO UPDATE SET
    title = excluded.title, original_title = excluded.original_title, year = excluded.year,
    imdb_id = excluded.imdb_id, tmdb_id = excluded.tmdb_id, available = excluded.available
WHERE (m.title, m.original_title, m.year, m.imdb_id, m.tmdb_id, m.available) IS DISTINCT FROM (
    excluded.title, excluded.original_title, excluded.year, excluded.imdb_id, excluded.tmdb_id,
    excluded.available
)
"""
# The lowest free numbers, in the order of the names, so that equal files give equal ids. A sequence
# would lose a number in every transaction that is rolled back, and they are smallint.
ADD_GENRES = """
WITH added AS (
    SELECT s.genre, row_number() OVER (ORDER BY s.genre) AS place
    FROM (SELECT DISTINCT genre FROM staged_genres) AS s
    WHERE NOT EXISTS (SELECT FROM recsys_store.genres AS g WHERE g.name = s.genre)
),
free AS (
    SELECT n AS genre_id, row_number() OVER (ORDER BY n) AS place
    FROM generate_series(1, 32767) AS n
    WHERE NOT EXISTS (SELECT FROM recsys_store.genres AS g WHERE g.genre_id = n)
),
numbered AS (
    INSERT INTO recsys_store.genres (genre_id, name)
    SELECT f.genre_id, a.genre FROM added AS a JOIN free AS f ON f.place = a.place
    RETURNING 1
)
SELECT (SELECT count(*) FROM added) - (SELECT count(*) FROM numbered)
"""
UNUSED_GENRES = """
SELECT EXISTS (
    SELECT FROM recsys_store.genres AS g
    WHERE NOT EXISTS (SELECT FROM recsys_store.movie_genres AS mg WHERE mg.genre_id = g.genre_id)
)
"""
# Charts of kept runs name their genre by its number, without a foreign key.
DROP_UNUSED_GENRES = """
DELETE FROM recsys_store.genres AS g
WHERE NOT EXISTS (SELECT FROM recsys_store.movie_genres AS mg WHERE mg.genre_id = g.genre_id)
  AND g.genre_id NOT IN (
      SELECT c.genre_id FROM recsys_store.movie_charts AS c WHERE c.genre_id IS NOT NULL
  )
"""
DROP_MOVIE_GENRES = """
DELETE FROM recsys_store.movie_genres AS mg
USING staged_movie_ids AS i
WHERE mg.movie_id = i.movie_id
  AND NOT EXISTS (
      SELECT FROM staged_genres AS s
      JOIN recsys_store.genres AS g ON g.name = s.genre
      WHERE s.movie_id = mg.movie_id AND g.genre_id = mg.genre_id
  )
"""
ADD_MOVIE_GENRES = """
INSERT INTO recsys_store.movie_genres (movie_id, genre_id)
SELECT s.movie_id, g.genre_id
FROM staged_genres AS s
JOIN recsys_store.genres AS g ON g.name = s.genre
ON CONFLICT DO NOTHING
"""
# A file without an attribute does not erase the stored one.
MERGE_USERS = """
INSERT INTO recsys_store.users AS u (user_id, key, age, gender, occupation, zip_code)
SELECT user_id, coalesce(key, CAST(user_id AS text)), age, gender, occupation, zip_code
FROM staged_users
ON CONFLICT (user_id) DO UPDATE SET
    -- NULL, an error, if the id was given to another key since it was looked up.
    key = CASE WHEN u.key = excluded.key THEN u.key END,
    age = coalesce(excluded.age, u.age), gender = coalesce(excluded.gender, u.gender),
    occupation = coalesce(excluded.occupation, u.occupation),
    zip_code = coalesce(excluded.zip_code, u.zip_code)
WHERE (u.key, u.age, u.gender, u.occupation, u.zip_code)
    IS DISTINCT FROM (
        excluded.key, coalesce(excluded.age, u.age), coalesce(excluded.gender, u.gender),
        coalesce(excluded.occupation, u.occupation), coalesce(excluded.zip_code, u.zip_code)
    )
"""
# The later rating wins; without both times, the one in the file.
UPDATE_RATINGS = """
UPDATE recsys_store.ratings AS r
SET rating = s.rating, rated_at = coalesce(s.rated_at, r.rated_at)
FROM staged_ratings AS s
WHERE r.user_id = s.user_id AND r.movie_id = s.movie_id
  AND (r.rating, r.rated_at) IS DISTINCT FROM (s.rating, coalesce(s.rated_at, r.rated_at))
  AND (s.rated_at IS NULL OR r.rated_at IS NULL OR s.rated_at >= r.rated_at)
"""
INSERT_RATINGS = """
INSERT INTO recsys_store.ratings (user_id, movie_id, rating, rated_at)
SELECT s.user_id, s.movie_id, s.rating, s.rated_at
FROM staged_ratings AS s
WHERE NOT EXISTS (
    SELECT FROM recsys_store.ratings AS r
    WHERE r.user_id = s.user_id AND r.movie_id = s.movie_id
)
ON CONFLICT DO NOTHING
"""
STAGED_TAGS = """
CREATE TEMPORARY TABLE staged_tags (user_id integer, movie_id integer, tag text, at bigint)
ON COMMIT DROP
"""
MERGE_TAGS = """
INSERT INTO recsys_store.tags (user_id, movie_id, tag, tagged_at)
SELECT DISTINCT ON (movie_id, user_id, tag) user_id, movie_id, tag, to_timestamp(at)
FROM staged_tags
ORDER BY movie_id, user_id, tag, at
ON CONFLICT DO NOTHING
"""
MERGE_GENOME_TAGS = """
INSERT INTO recsys_store.genome_tags AS t (tag_id, tag)
SELECT tag_id, tag FROM staged_genome_tags
ON CONFLICT (tag_id) DO UPDATE SET tag = excluded.tag WHERE t.tag <> excluded.tag
"""
MERGE_GENOME_SCORES = """
INSERT INTO recsys_store.genome_scores AS g (movie_id, tag_id, relevance)
SELECT movie_id, tag_id, relevance FROM staged_genome_scores
ON CONFLICT (movie_id, tag_id) DO UPDATE SET relevance = excluded.relevance
WHERE g.relevance <> excluded.relevance
"""


@dataclass(frozen=True, slots=True)
class Counts:
    """Row counts of a merge."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.inserted + other.inserted,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
            self.removed + other.removed,
        )


def loaded_edition(connection: sa.Connection) -> str | None:
    """Return the loaded edition, None if there is none."""
    edition: str | None = connection.scalar(sa.text(LOADED_EDITION))
    return edition


def described_movies(connection: sa.Connection) -> dict[str, int]:
    """Return the ids of the movies from movies files by key, without those only rated."""
    rows = connection.execute(sa.text(DESCRIBED_MOVIES))
    return {key: movie_id for movie_id, key in rows}


def genre_ids(connection: sa.Connection) -> dict[str, int]:
    """Return the genre ids by name."""
    rows = connection.execute(sa.text("SELECT name, genre_id FROM recsys_store.genres"))
    return {name: genre_id for name, genre_id in rows}


def merge_movies(
    connection: sa.Connection, movies: Sequence[SourceMovie], keys: Sequence[str] | None = None
) -> Counts:
    """Insert and update movies with their genres and links; other movies do not change.

    `keys` has the key of each; without them the ids are the keys.
    """
    with _staged(connection, "staged_movies", MOVIES):
        columns = (
            "movie_id", "title", "original_title", "year", "imdb_id", "tmdb_id", "available",
        )  # fmt: skip
        rows = (
            (key, *(getattr(movie, column) for column in columns))
            for key, movie in zip(repeat(None) if keys is None else keys, movies, strict=False)
        )
        copy_rows(connection, "staged_movies", ("key", *columns), rows)
        # Building the search index once takes a third of the time of extending it row by row.
        first = bulk_load.is_empty(connection, MOVIES)
        with bulk_load.without_indexes(connection, MOVIES) if first else nullcontext():
            counts = _upsert(connection, MERGE_MOVIES, len(movies))
    _merge_genres(connection, movies)
    connection.execute(sa.text("ANALYZE recsys_store.movies"))
    return counts


def merge_users(
    connection: sa.Connection,
    ids: Int32,
    described: Sequence[User],
    keys: Sequence[str] | None = None,
) -> Counts:
    """Insert users by id and update the attributes of those described.

    `keys` has the key of each of `ids`, which are then all users; without them the ids are the
    keys. Raises StorageError if another session added users with these ids or keys meanwhile.
    """
    key_of = dict(zip(ids.tolist(), keys, strict=True)) if keys is not None else {}
    with _staged(connection, "staged_users", "recsys_store.users"):
        columns = ("user_id", "age", "gender", "occupation", "zip_code")
        rows = (
            (key_of.get(user.user_id), *(getattr(user, column) for column in columns))
            for user in described
        )
        copy_rows(connection, "staged_users", ("key", *columns), rows)
        known = np.array([user.user_id for user in described], np.int32)
        bare = np.setdiff1d(ids, known).astype(np.int32)
        if keys is None:
            copy_arrays(connection, "staged_users", {"user_id": bare})
        else:
            with_keys = ((id_, key_of[id_]) for id_ in bare.tolist())
            copy_rows(connection, "staged_users", ("user_id", "key"), with_keys)
        try:
            counts = _upsert(connection, MERGE_USERS, len(bare) + len(known))
        except sa.exc.IntegrityError as exc:
            if not isinstance(exc.orig, UniqueViolation | NotNullViolation):
                raise
            raise StorageError(
                "another session added users with these ids meanwhile", hint="run it again"
            ) from exc
    connection.execute(sa.text("ANALYZE recsys_store.users"))
    return counts


def merge_ratings(
    connection: sa.Connection, ratings: Ratings, progress: Progress | None = None
) -> Counts:
    """Insert and update ratings; a stored rating that is newer stays."""
    columns: dict[str, Column] = {
        "user_id": ratings.user_ids,
        "movie_id": ratings.movie_ids,
        "rating": ratings.values,
        "rated_at": Timestamps(ratings.rated_at),
    }
    if bulk_load.is_empty(connection, "recsys_store.ratings"):
        rows = bulk_load.fill(connection, "recsys_store.ratings", columns, progress)
        rating_changes.record_all(connection)
        return Counts(inserted=rows)
    with _staged(connection, "staged_ratings", "recsys_store.ratings"):
        copy_arrays(connection, "staged_ratings", columns, progress=progress)
        # Autovacuum never analyzes temporary tables, and the joins need statistics.
        connection.execute(sa.text("ANALYZE staged_ratings"))
        updated = connection.execute(sa.text(UPDATE_RATINGS)).rowcount
        inserted = connection.execute(sa.text(INSERT_RATINGS)).rowcount
    connection.execute(sa.text("ANALYZE recsys_store.ratings"))
    return Counts(inserted, updated, len(ratings) - inserted - updated)


def merge_tags(connection: sa.Connection, tags: Tags) -> Counts:
    """Insert tags; of equal tags by one user on one movie, the earliest is kept."""
    connection.execute(sa.text(STAGED_TAGS))
    times = (None if at == NO_TIME else at for at in tags.tagged_at.tolist())
    rows = zip(tags.user_ids.tolist(), tags.movie_ids.tolist(), tags.tags, times, strict=True)
    copy_rows(connection, "staged_tags", ("user_id", "movie_id", "tag", "at"), rows)
    inserted = connection.execute(sa.text(MERGE_TAGS)).rowcount
    connection.execute(sa.text("DROP TABLE staged_tags"))
    connection.execute(sa.text("ANALYZE recsys_store.tags"))
    return Counts(inserted=inserted, unchanged=len(tags) - inserted)


def merge_genome(connection: sa.Connection, genome: Genome) -> Counts:
    """Insert and update the tags and scores of the tag genome."""
    with _staged(connection, "staged_genome_tags", "recsys_store.genome_tags"):
        names = zip(genome.tag_ids.tolist(), genome.names, strict=True)
        copy_rows(connection, "staged_genome_tags", ("tag_id", "tag"), names)
        tags = _upsert(connection, MERGE_GENOME_TAGS, len(genome.names))
    columns: dict[str, Column] = {
        "movie_id": genome.score_movie_ids,
        "tag_id": genome.score_tag_ids,
        "relevance": genome.relevance,
    }
    if bulk_load.is_empty(connection, "recsys_store.genome_scores"):
        rows = bulk_load.fill(connection, "recsys_store.genome_scores", columns)
        return tags + Counts(inserted=rows)
    with _staged(connection, "staged_genome_scores", "recsys_store.genome_scores"):
        rows = copy_arrays(connection, "staged_genome_scores", columns)
        return tags + _upsert(connection, MERGE_GENOME_SCORES, rows)


def _merge_genres(connection: sa.Connection, movies: Sequence[SourceMovie]) -> None:
    """Replace the genres of these movies."""
    pairs = ((movie.movie_id, genre) for movie in movies for genre in movie.genres)
    connection.execute(
        sa.text(
            "CREATE TEMPORARY TABLE staged_genres (movie_id integer, genre text) ON COMMIT DROP"
        )
    )
    connection.execute(
        sa.text("CREATE TEMPORARY TABLE staged_movie_ids (movie_id integer) ON COMMIT DROP")
    )
    copy_rows(connection, "staged_genres", ("movie_id", "genre"), pairs)
    ids = np.array([movie.movie_id for movie in movies], np.int32)
    copy_arrays(connection, "staged_movie_ids", {"movie_id": ids})
    connection.execute(sa.text("ANALYZE staged_genres, staged_movie_ids"))
    without_number = connection.scalar(sa.text(ADD_GENRES))
    if without_number:
        raise DataError(
            f"no number is left for {without_number:,} of the new genres: a database holds 32,767",
            hint="--replace drops the loaded data with its genres",
        )
    for statement in (DROP_MOVIE_GENRES, ADD_MOVIE_GENRES):
        connection.execute(sa.text(statement))
    connection.execute(sa.text("DROP TABLE staged_genres, staged_movie_ids"))
    connection.execute(sa.text("ANALYZE recsys_store.genres, recsys_store.movie_genres"))


def drop_unused_genres(connection: sa.Connection) -> None:
    """Drop genres that neither a movie nor a chart of a kept run has.

    They stay during a refresh, whose charts may name them.
    """
    if connection.scalar(sa.text(UNUSED_GENRES)) and lock.try_to_keep_refreshes_out(connection):
        connection.execute(sa.text(DROP_UNUSED_GENRES))


@contextmanager
def _staged(connection: sa.Connection, staged: str, table: str) -> Iterator[None]:
    """Make a temporary table of the same columns, without any of the constraints."""
    run = driver(connection).execute
    names = {"staged": identifier(staged), "table": identifier(table)}
    run(sql.SQL(STAGED_AS).format(**names))
    yield
    run(sql.SQL("DROP TABLE {staged}").format(**names))


def _upsert(connection: sa.Connection, upsert: str, rows: int) -> Counts:
    inserted, updated = connection.execute(sa.text(COUNTED.format(upsert=upsert))).one()
    return Counts(inserted, updated, rows - inserted - updated)
