"""Export: the catalogue, the ratings and the published lists as files, with keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import sqlalchemy as sa

from recsys.errors import InvalidArgument, MissingDependency
from recsys.files import written_whole
from recsys.jobs.progress import Reporter, Silent
from recsys.storage.load.copy import driver
from recsys.storage.schema import versions
from recsys.storage.server.engine import Database

if TYPE_CHECKING:
    import psycopg

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


@dataclass(frozen=True, slots=True)
class Exported:
    path: Path
    rows: int
    bytes: int


def export(
    database: Database, folder: Path, *, parquet: bool = False, reporter: Reporter | None = None
) -> list[Exported]:
    """Write one file each of movies, ratings, tags, recommendations, similar movies and charts.

    All files show the same state. Each replaces a file of its name when it is complete; other files
    stay. `recsys ingest` reads the folder. Raises InvalidArgument if it cannot be written,
    MissingDependency without the package for Parquet.
    """
    reporter = reporter or Silent()
    write = _parquet_writer() if parquet else _write_csv
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise InvalidArgument(f"{folder} cannot be written: {exc.strerror}") from exc
    with database.transaction() as connection:
        versions.ensure(connection)
    found = []
    with database.snapshot() as connection:
        for name, query in _queries(connection).items():
            path = folder / f"{name}.{'parquet' if parquet else 'csv'}"
            reporter.begin(f"write {path.name}")
            with written_whole(path) as file:
                rows = write(connection, query, file)
            found.append(Exported(path, rows, path.stat().st_size))
            reporter.end(f"{rows:,} rows")
    return found


def _queries(connection: sa.Connection) -> dict[str, str]:
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


def _write_csv(connection: sa.Connection, query: str, file: IO[bytes]) -> int:
    statement = f"COPY ({query}) TO STDOUT (FORMAT csv, HEADER)".encode()
    cursor = driver(connection).cursor()
    with cursor.copy(statement) as copy:
        for block in copy:
            file.write(block)
    return cursor.rowcount


Writer = Callable[[sa.Connection, str, IO[bytes]], int]


def _parquet_writer() -> Writer:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as exc:
        raise MissingDependency(
            "Parquet needs the package pyarrow, which is not installed",
            hint="pip install 'recsys[parquet]', or leave out --parquet",
        ) from exc
    types = {
        "text": pyarrow.string(), "int2": pyarrow.int32(), "int4": pyarrow.int32(),
        "int8": pyarrow.int64(), "float8": pyarrow.float64(),
    }  # fmt: skip

    def write(connection: sa.Connection, query: str, file: IO[bytes]) -> int:
        rows = 0
        with _batches(connection, query) as (columns, batches):
            schema = pyarrow.schema([(name, types[kind]) for name, kind in columns])
            with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
                for batch in batches:
                    arrays = [
                        pyarrow.array(column, kind)
                        for column, kind in zip(zip(*batch, strict=True), schema.types, strict=True)
                    ]
                    writer.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))
                    rows += len(batch)
        return rows

    return write


@contextmanager
def _batches(
    connection: sa.Connection, query: str
) -> Iterator[tuple[list[tuple[str, str]], Iterator[list[tuple[Any, ...]]]]]:
    """Yield name and type of each column, and the rows in batches, read as they are asked for."""
    own = driver(connection)
    with own.cursor("exported") as cursor:
        cursor.execute(query.encode())
        columns = [
            (column.name, _type_name(own, column.type_code)) for column in cursor.description or ()
        ]

        def batches() -> Iterator[list[tuple[Any, ...]]]:
            while batch := cursor.fetchmany(BATCH_ROWS):
                yield batch

        yield columns, batches()


def _type_name(connection: psycopg.Connection[Any], oid: int) -> str:
    found = connection.adapters.types.get(oid)
    name = found.name if found is not None else "text"
    return "text" if name in ("varchar", "bpchar") else name
