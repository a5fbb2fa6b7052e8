"""Read keys, foreign keys and indexes of a table from the system catalogue."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

# Without check constraints: COPY verifies them row by row, which costs little.
CONSTRAINTS = """
SELECT conname, pg_get_constraintdef(oid), obj_description(oid, 'pg_constraint')
FROM pg_constraint
WHERE conrelid = CAST(:table AS regclass) AND contype IN ('p', 'u', 'f')
-- Foreign keys last: they may want the keys.
ORDER BY contype = 'f', conname
"""
INDEXES = """
SELECT c.relname, pg_get_indexdef(i.indexrelid), obj_description(i.indexrelid, 'pg_class')
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE i.indrelid = CAST(:table AS regclass)
  AND NOT EXISTS (
      SELECT FROM pg_constraint AS k WHERE k.conindid = i.indexrelid AND k.conrelid = i.indrelid
  )
ORDER BY c.relname
"""


@dataclass(frozen=True, slots=True)
class TablePart:
    name: str
    definition: str
    comment: str | None


def constraints(connection: sa.Connection, table: str) -> list[TablePart]:
    """Return primary, unique and foreign keys; `table` is `schema.name`."""
    return _read(connection, CONSTRAINTS, table)


def indexes(connection: sa.Connection, table: str) -> list[TablePart]:
    """Return the indexes that do not belong to a constraint."""
    return _read(connection, INDEXES, table)


def _read(connection: sa.Connection, query: str, table: str) -> list[TablePart]:
    return [TablePart(*row) for row in connection.execute(sa.text(query), {"table": table})]
