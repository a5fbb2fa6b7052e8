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
"""Rows encoded at a time: memory for the encoded copy stays at some 10 MB."""
FLOAT4_OID = 700
POSTGRES_EPOCH_S = 946_684_800  # timestamptz counts microseconds from 2000-01-01


class Timestamps:
    """A column of unix seconds, written as `timestamptz`; `NO_TIME` becomes NULL."""

    def __init__(self, seconds: NDArray[np.int64]) -> None:
        self.seconds = seconds


Column = NDArray[Any] | Timestamps


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

    The dtypes (int16, int32, int64, float32, float64) must match the table; a float32 matrix
    (rows x f) becomes a `real[]` column. `freeze` requires a table created or truncated in this
    transaction; index-only scans then need no vacuum.
    """
    rows = len(_first(columns))
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary{})").format(
        identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.SQL(", FREEZE") if freeze else sql.SQL(""),
    )
    with driver(connection).cursor().copy(statement) as copy:
        copy.write(HEADER)
        for start in range(0, rows, chunk_rows):
            part = slice(start, start + chunk_rows)
            for block in encode([_cut(column, part) for column in columns.values()]):
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


def identifier(table: str) -> sql.Identifier:
    return sql.Identifier(*table.split("."))


def encode(columns: Sequence[Column]) -> Iterable[bytes]:
    """Yield the rows in binary; rows without a time come last.

    A NULL has no bytes, so these rows have a layout of their own and need a second array.
    """
    missing = _missing(columns)
    if missing is None or not missing.any():
        yield _encode(columns, null_times=False)
    elif missing.all():
        yield _encode(columns, null_times=True)
    else:
        yield _encode([_cut(c, ~missing) for c in columns], null_times=False)
        yield _encode([_cut(c, missing) for c in columns], null_times=True)


def _encode(columns: Sequence[Column], *, null_times: bool) -> bytes:
    fields: list[tuple[str, Any]] = [("fields", ">i2")]
    for position, column in enumerate(columns):
        fields.append((f"length{position}", ">i4"))
        if not (null_times and isinstance(column, Timestamps)):
            fields.append((f"value{position}", _wire_type(column)))
    block = np.empty(len(_values(columns[0])), dtype=fields)
    block["fields"] = len(columns)
    for position, column in enumerate(columns):
        if null_times and isinstance(column, Timestamps):
            block[f"length{position}"] = -1  # NULL
            continue
        value = block[f"value{position}"]
        block[f"length{position}"] = value.dtype.itemsize
        _fill(value, column)
    return block.tobytes()


def _wire_type(column: Column) -> np.dtype[Any]:
    if isinstance(column, Timestamps):
        return np.dtype(">i8")
    if column.ndim == 1:
        return column.dtype.newbyteorder(">")
    # The binary form of a one-dimensional array: header, then length and value of each element.
    element = np.dtype([("length", ">i4"), ("value", ">f4")])
    header = [(name, ">i4") for name in ("dimensions", "nulls", "oid", "size", "from")]
    return np.dtype([*header, ("elements", element, (column.shape[1],))])


def _fill(value: NDArray[Any], column: Column) -> None:
    if isinstance(column, Timestamps):
        value[:] = (column.seconds - POSTGRES_EPOCH_S) * 1_000_000
    elif column.ndim == 1:
        value[:] = column
    else:
        value["dimensions"], value["nulls"], value["oid"] = 1, 0, FLOAT4_OID
        value["size"], value["from"] = column.shape[1], 1
        value["elements"]["length"] = 4
        value["elements"]["value"] = column


def _missing(columns: Sequence[Column]) -> NDArray[np.bool_] | None:
    times = [column.seconds for column in columns if isinstance(column, Timestamps)]
    assert len(times) < 2, "at most one column of times is supported"
    return times[0] == NO_TIME if times else None


def _values(column: Column) -> NDArray[Any]:
    return column.seconds if isinstance(column, Timestamps) else column


def _first(columns: Mapping[str, Column]) -> NDArray[Any]:
    return _values(next(iter(columns.values())))


def _cut(column: Column, part: slice | NDArray[np.bool_]) -> Column:
    if isinstance(column, Timestamps):
        return Timestamps(column.seconds[part])
    return column[part]
