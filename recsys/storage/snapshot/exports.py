"""Read the catalogue, the ratings and the published lists with keys, for files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import psycopg
import sqlalchemy as sa

from recsys.storage.load.copy import driver

TIME = "to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
MOVIES = """
SELECT m.movie_key AS movie_id, m.title, m.year, array_to_string(m.genres, '|') AS genres,
    m.imdb_id, m.tmdb_id
FROM recsys.movies AS m ORDER BY m.movie_id
"""
RATINGS = f"""
SELECT r.user_key AS user_id, r.movie_key AS movie_id, r.rating AS {{value}},
    {TIME.format("r.rated_at")} AS timestamp
FROM recsys.ratings AS r ORDER BY r.user_id, r.movie_id
"""
TAGS = f"""
SELECT u.key AS user_id, m.key AS movie_id, t.tag, {TIME.format("t.tagged_at")} AS timestamp
FROM recsys_store.tags AS t
JOIN recsys_store.users AS u ON u.user_id = t.user_id
JOIN recsys_store.movies AS m ON m.movie_id = t.movie_id
ORDER BY t.user_id, t.movie_id, t.tag COLLATE "C"
"""
RECOMMENDATIONS = """
SELECT r.model, r.user_key AS user_id, CAST(r.rank AS integer) AS rank, r.movie_key AS movie_id,
    r.title, r.score, r.source_model
FROM recsys.recommendations AS r ORDER BY r.model COLLATE "C", r.user_id, r.rank
"""
SIMILAR_MOVIES = """
SELECT s.model, s.movie_key AS movie_id, CAST(s.rank AS integer) AS rank,
    s.similar_movie_key AS similar_movie_id, s.similar_title, s.score
FROM recsys.similar_movies AS s ORDER BY s.model COLLATE "C", s.movie_id, s.rank
"""
CHARTS = """
SELECT c.chart, c.genre, CAST(c.rank AS integer) AS rank, c.movie_key AS movie_id, c.title,
    c.score, CAST(c.votes AS bigint) AS votes, c.mean_rating
FROM recsys.charts AS c ORDER BY c.chart COLLATE "C", c.genre COLLATE "C" NULLS FIRST, c.rank
"""
IMPLICIT = """
SELECT coalesce((
    SELECT i.feedback = 'implicit' FROM recsys.ingests AS i
    WHERE i.kind = 'ratings' ORDER BY i.ingest_id DESC LIMIT 1
), false)
"""
BATCH_ROWS = 50_000


def queries(connection: sa.Connection) -> dict[str, str]:
    """Return the query of each file, by its name."""
    # A reader adds up counts of interactions, and takes ratings as they are.
    value = "count" if connection.scalar(sa.text(IMPLICIT)) else "rating"
    return {
        "movies": MOVIES,
        "ratings": RATINGS.format(value=value),
        "tags": TAGS,
        "recommendations": RECOMMENDATIONS,
        "similar_movies": SIMILAR_MOVIES,
        "charts": CHARTS,
    }


def write_csv(connection: sa.Connection, query: str, file: IO[bytes]) -> int:
    """Write the rows of a query as CSV with a header; return their number."""
    statement = f"COPY ({query}) TO STDOUT (FORMAT csv, HEADER)".encode()
    cursor = driver(connection).cursor()
    with cursor.copy(statement) as copy:
        for block in copy:
            file.write(block)
    return cursor.rowcount


@contextmanager
def batches(
    connection: sa.Connection, query: str
) -> Iterator[tuple[list[tuple[str, str]], Iterator[list[tuple[Any, ...]]]]]:
    """Yield name and type of each column, and the rows in batches, read as they are asked for."""
    own = driver(connection)
    with own.cursor("exported") as cursor:
        cursor.execute(query.encode())
        columns = [
            (column.name, _type_name(own, column.type_code)) for column in cursor.description or ()
        ]

        def read() -> Iterator[list[tuple[Any, ...]]]:
            while batch := cursor.fetchmany(BATCH_ROWS):
                yield batch

        yield columns, read()


def _type_name(connection: psycopg.Connection[Any], oid: int) -> str:
    found = connection.adapters.types.get(oid)
    name = found.name if found is not None else "text"
    return "text" if name in ("varchar", "bpchar") else name
