"""Export: the catalogue, the ratings and the published lists as files, with keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import sqlalchemy as sa

from recsys.errors import InvalidArgument, MissingDependency
from recsys.files import written_whole
from recsys.jobs.progress import Reporter, Silent
from recsys.storage.schema import versions
from recsys.storage.server.engine import Database
from recsys.storage.snapshot import exports

Writer = Callable[[sa.Connection, str, IO[bytes]], int]


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
    write = _parquet_writer() if parquet else exports.write_csv
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise InvalidArgument(f"{folder} cannot be written: {exc.strerror}") from exc
    with database.transaction() as connection:
        versions.ensure(connection)
    found = []
    with database.snapshot() as connection:
        for name, query in exports.queries(connection).items():
            path = folder / f"{name}.{'parquet' if parquet else 'csv'}"
            reporter.begin(f"write {path.name}")
            with written_whole(path) as file:
                rows = write(connection, query, file)
            found.append(Exported(path, rows, path.stat().st_size))
            reporter.end(f"{rows:,} rows")
    return found


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
        with exports.batches(connection, query) as (columns, batches):
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
