"""Write numpy columns by binary COPY, in blocks of rows instead of row by row.

The format is described in https://www.postgresql.org/docs/current/sql-copy.html: a header, then for
each row the number of fields and for each field its length and its bytes in network order, then a
trailer. Rows of fixed-length fields share one layout: a block of rows is a structured array.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import psycopg
import sqlalchemy as sa
from numpy.typing import NDArray
from psycopg import sql

from recsys.domain import NO_TIME, Progress

# The signature; the flags and the length of the extension are 0.
HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
CHUNK_ROWS = 1 << 18
CHUNK_VALUES = 1 << 20
"""Rows and elements of an array column encoded at a time: some 10 MB of memory."""
ELEMENT_OIDS = {"int16": 21, "int32": 23, "int64": 20, "float32": 700, "float64": 701}
POSTGRES_EPOCH_S = 946_684_800  # timestamptz counts microseconds from 2000-01-01


class Timestamps:
    """A column of unix seconds, written as `timestamptz`; `NO_TIME` becomes NULL."""

    def __init__(self, seconds: NDArray[np.int64]) -> None:
        self.seconds = seconds

    def __len__(self) -> int:
        return len(self.seconds)

    def __getitem__(self, rows: Any) -> Timestamps:
        return Timestamps(self.seconds[rows])


class Lists:
    """A column of arrays of any lengths: row r is `values[indptr[r]:indptr[r + 1]]`."""

    def __init__(self, indptr: NDArray[np.int64], values: NDArray[Any]) -> None:
        self.indptr = indptr
        self.values = values

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def __getitem__(self, rows: slice) -> Lists:
        # The values are shared: an indptr need not start at 0.
        start, stop, _ = rows.indices(len(self))
        return Lists(self.indptr[start : stop + 1], self.values)

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.diff(self.indptr)

    def matrix(self, rows: NDArray[np.int64] | slice) -> NDArray[Any]:
        """Return rows whose lists are equally long as a matrix."""
        starts = self.indptr[:-1][rows]
        length = self.indptr[1:][rows][:1] - starts[:1]
        return self.values[starts[:, None] + np.arange(length.sum())]


NULLS = np.empty(0)
"""Stands for a column of NULLs, which have no bytes."""
Column = NDArray[Any] | Timestamps | Lists


def driver(connection: sa.Connection) -> psycopg.Connection[Any]:
    """Return the psycopg connection of a SQLAlchemy connection."""
    raw = connection.connection.driver_connection
    assert isinstance(raw, psycopg.Connection)
    return raw


def copy_arrays(
    connection: sa.Connection,
    table: str,
    columns: Mapping[str, Column],
    *,
    freeze: bool = False,
    progress: Progress | None = None,
    chunk_rows: int = CHUNK_ROWS,
) -> int:
    """Append columns of one length to `schema.table` or a temporary table; return the row count.

    The dtypes (int16, int32, int64, float32, float64) must match the table; a matrix
    (rows x f) or `Lists` become an array column. Rows with `Lists` are written by the length of
    their lists, which must be the same in all such columns. `freeze` requires a table created or
    truncated in this transaction; index-only scans then need no vacuum.
    """
    rows = len(next(iter(columns.values())))
    chunk_rows = min(chunk_rows, max(1, CHUNK_VALUES // max(map(_width, columns.values()))))
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary{})").format(
        identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.SQL(", FREEZE") if freeze else sql.SQL(""),
    )
    with driver(connection).cursor().copy(statement) as copy:
        copy.write(HEADER)
        for start in range(0, rows, chunk_rows):
            part = slice(start, start + chunk_rows)
            for block in encode([column[part] for column in columns.values()]):
                copy.write(block)
            if progress:
                progress(min(start + chunk_rows, rows), rows)
        copy.write(TRAILER)
    return rows


def copy_rows(
    connection: sa.Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Append rows of any types, including text."""
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with driver(connection).cursor().copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def copy_ids(connection: sa.Connection, query: str) -> NDArray[np.int32]:
    """Return the rows of a query of one integer column without NULL."""
    with driver(connection).cursor().copy(f"COPY ({query}) TO STDOUT (FORMAT binary)") as copy:
        raw = b"".join(bytes(part) for part in copy)
    # A row is: int16 number of fields, int32 length of the id, int32 id.
    row = np.dtype([("fields", ">i2"), ("length", ">i4"), ("id", ">i4")])
    body = raw[len(HEADER) : len(raw) - len(TRAILER)]
    return np.frombuffer(body, row)["id"].astype(np.int32)


def identifier(table: str) -> sql.Identifier:
    return sql.Identifier(*table.split("."))


def encode(columns: Sequence[Column]) -> Iterable[bytes]:
    """Yield the rows in binary, those of one layout together.

    A NULL has no bytes, so rows without a time have a layout of their own and come last. So do the
    lists of each length, the shortest first.
    """
    layouts = [_layouts(column) for column in columns if not isinstance(column, np.ndarray)]
    assert all(np.array_equal(each, layouts[0]) for each in layouts), (
        "all lists of a row are equally long"
    )
    different = np.unique(layouts[0]) if layouts else ()
    if len(different) < 2:
        yield _encode([_fixed(column, slice(None)) for column in columns], len(columns[0]))
        return
    for layout in different:
        rows = np.flatnonzero(layouts[0] == layout)
        yield _encode([_fixed(column, rows) for column in columns], len(rows))


def _layouts(column: Timestamps | Lists) -> NDArray[Any]:
    return column.lengths if isinstance(column, Lists) else column.seconds == NO_TIME


def _fixed(column: Column, rows: NDArray[np.int64] | slice) -> NDArray[Any]:
    """Return rows of one layout as an array; an empty float array stands for NULLs."""
    if isinstance(column, Lists):
        return column.matrix(rows)
    if isinstance(column, Timestamps):
        seconds = column.seconds[rows]
        null = len(seconds) and seconds[0] == NO_TIME
        return NULLS if null else (seconds - POSTGRES_EPOCH_S) * 1_000_000
    return column[rows]


def _encode(columns: Sequence[NDArray[Any]], rows: int) -> bytes:
    """Return the rows of arrays of fixed width, (rows,) or (rows x f)."""
    fields: list[tuple[str, Any]] = [("fields", ">i2")]
    for position, column in enumerate(columns):
        fields.append((f"length{position}", ">i4"))
        if column is not NULLS:
            fields.append((f"value{position}", _wire_type(column)))
    block = np.empty(rows, dtype=fields)
    block["fields"] = len(columns)
    for position, column in enumerate(columns):
        if column is NULLS:
            block[f"length{position}"] = -1
            continue
        value = block[f"value{position}"]
        block[f"length{position}"] = value.dtype.itemsize
        _fill(value, column)
    return block.tobytes()


def _wire_type(column: NDArray[Any]) -> np.dtype[Any]:
    scalar = column.dtype.newbyteorder(">")
    if column.ndim == 1:
        return scalar
    # The binary form of a one-dimensional array: header, then length and value of each element.
    element = np.dtype([("length", ">i4"), ("value", scalar)])
    header = [(name, ">i4") for name in ("dimensions", "nulls", "oid", "size", "from")]
    return np.dtype([*header, ("elements", element, (column.shape[1],))])


def _fill(value: NDArray[Any], column: NDArray[Any]) -> None:
    if column.ndim == 1:
        value[:] = column
        return
    value["dimensions"], value["nulls"], value["oid"] = 1, 0, ELEMENT_OIDS[column.dtype.name]
    value["size"], value["from"] = column.shape[1], 1
    value["elements"]["length"] = column.dtype.itemsize
    value["elements"]["value"] = column


def _width(column: Column) -> int:
    """Return the elements of an array column in its longest row; 1 for other columns."""
    if isinstance(column, Lists):
        return int(column.lengths.max(initial=1))
    return max(1, column.shape[1]) if isinstance(column, np.ndarray) and column.ndim == 2 else 1
