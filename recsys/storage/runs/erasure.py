"""Forget a person: every table with their id, found in the catalogue."""

from __future__ import annotations

import sqlalchemy as sa
from psycopg import sql

from recsys.storage.load.copy import driver
from recsys.storage.schema.tables import STORE
from recsys.storage.schema.tables import runs as tables

# Partitions are reached through their parents; one that stands alone belongs to nobody yet.
KEYED = """
SELECT c.relname, a.attname
FROM pg_class AS c
JOIN pg_attribute AS a ON a.attrelid = c.oid
WHERE c.relnamespace = CAST(:schema AS regnamespace)
  AND c.relkind IN ('r', 'p')
  AND NOT c.relispartition
  AND NOT a.attisdropped
  AND a.attname ~ '(^|_)user_id$'
-- What others refer to goes last, before it what triggers write as ratings go.
ORDER BY c.relname = 'users', c.relname = 'rating_changes', c.relname, a.attname
"""


def keyed_columns(connection: sa.Connection) -> list[tuple[str, str]]:
    """Return tables and columns that say whom a row is about."""
    rows = connection.execute(sa.text(KEYED), {"schema": STORE})
    return [(table, column) for table, column in rows]


def count(connection: sa.Connection, user_id: int) -> dict[str, int]:
    """Return how many rows about a person each table and column has, `table.column`."""
    return _each(connection, user_id, "SELECT count(*) FROM {} WHERE {} = {}")


def erase(connection: sa.Connection, user_id: int) -> dict[str, int]:
    """Remove all rows about a person, in every kept run; return how many of each, and log them."""
    removed = _each(
        connection,
        user_id,
        "WITH gone AS (DELETE FROM {} WHERE {} = {} RETURNING 1) SELECT count(*) FROM gone",
    )
    connection.execute(tables.erasures.insert().values(rows=removed))
    return removed


def _each(connection: sa.Connection, user_id: int, statement: str) -> dict[str, int]:
    found = {}
    for table, column in keyed_columns(connection):
        query = sql.SQL(statement).format(
            sql.Identifier(STORE, table), sql.Identifier(column), sql.Literal(user_id)
        )
        row = driver(connection).execute(query).fetchone()
        assert row is not None
        found[f"{table}.{column}"] = int(row[0])
    return found
