"""Read Parquet files. Needs the extra `parquet`."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recsys.errors import DataError, MissingDependency
from recsys.ingest.reading.intake import Block, Intake
from recsys.ingest.reading.sources import Entry, readable, source_file

if TYPE_CHECKING:
    from types import ModuleType

MAGIC = b"PAR1"
_ROWS = 1 << 16


@dataclass(frozen=True, slots=True)
class ParquetRows:
    """Reads these columns as columns separated by tabs; others are skipped."""

    names: tuple[str, ...]

    def __call__(self, intake: Intake, entry: Entry) -> Iterator[Block]:
        # Parquet is not read from start to end, so the checksum needs a pass of its own.
        intake.files.append(source_file(entry))
        arrow = _arrow(entry.name)
        with readable(entry.name), entry.open() as stream:
            try:
                yield from self._blocks(intake, entry, arrow, stream)
            except arrow.ArrowException as exc:
                raise _damaged(entry, exc) from exc

    def _blocks(
        self, intake: Intake, entry: Entry, arrow: ModuleType, stream: Any
    ) -> Iterator[Block]:
        from pyarrow import csv, parquet

        file = parquet.ParquetFile(stream)
        columns = list(dict.fromkeys(self.names))
        total, row = file.metadata.num_rows, 1
        for batch in file.iter_batches(_ROWS, columns=columns):
            table = arrow.table(
                {
                    str(place): _plain(arrow, batch.column(name))
                    for place, name in enumerate(self.names)
                }
            )
            written = io.BytesIO()
            options = csv.WriteOptions(include_header=False, delimiter="\t")
            csv.write_csv(table, written, options)
            yield Block(written.getvalue(), row)
            row += batch.num_rows
            if intake.progress is not None:
                intake.progress(entry.size * (row - 1) // max(1, total), entry.size)


def names_in(entry: Entry) -> tuple[str, ...]:
    """Return the names of the columns. Raises MissingDependency without the extra."""
    arrow = _arrow(entry.name)
    from pyarrow import parquet

    with readable(entry.name), entry.open() as stream:
        try:
            names = tuple(parquet.ParquetFile(stream).schema_arrow.names)
        except arrow.ArrowException as exc:
            raise _damaged(entry, exc) from exc
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{entry.name} has two columns {twice}", hint="Give each its own name.")
    return names


def _plain(arrow: ModuleType, column: Any) -> Any:
    """Return a column of texts or numbers; times become seconds."""
    from pyarrow import compute

    types = arrow.types
    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if types.is_timestamp(column.type) or types.is_date(column.type):
        return compute.cast(compute.cast(column, arrow.timestamp("s"), safe=False), arrow.int64())
    if types.is_nested(column.type):
        return arrow.nulls(len(column), arrow.string())
    # Quotes and line breaks are legal in a text; the writer quotes them.
    return column if types.is_floating(column.type) else compute.cast(column, arrow.string())


def _arrow(name: str) -> ModuleType:
    try:
        import pyarrow
    except ImportError as exc:
        raise MissingDependency(
            f"{name} is a Parquet file, and pyarrow is not installed",
            hint="install recsys with the extra parquet: pip install 'recsys[parquet]'",
        ) from exc
    module: ModuleType = pyarrow
    return module


def _damaged(entry: Entry, exc: Exception) -> DataError:
    return DataError(
        f"{entry.name} cannot be read as Parquet: {exc}",
        hint="Get it again if it is damaged. Keys are texts in UTF-8, or numbers.",
    )
