"""Erase a user from every table with a user id, as the system catalogue lists them."""

from __future__ import annotations

import sqlalchemy as sa
from psycopg import sql

from recsys.storage.load.copy import driver
from recsys.storage.schema.tables import STORE
from recsys.storage.schema.tables import runs as tables

# Attached partitions are reached through their parents; detached ones count as tables.
KEYED = """
SELECT c.relname, a.attname
FROM pg_class AS c
JOIN pg_attribute AS a ON a.attrelid = c.oid
WHERE c.relnamespace = CAST(:schema AS regnamespace)
  AND c.relkind IN ('r', 'p')
  AND NOT c.relispartition
  AND NOT a.attisdropped
  AND a.attname ~ '(^|_)user_id$'
-- Referenced tables go last; before them the changes that triggers write as ratings go.
ORDER BY c.relname = 'users', c.relname = 'rating_changes', c.relname, a.attname
"""


def keyed_columns(connection: sa.Connection) -> list[tuple[str, str]]:
    """Return the tables and columns that hold a user id."""
    rows = connection.execute(sa.text(KEYED), {"schema": STORE})
    return [(table, column) for table, column in rows]


def count(connection: sa.Connection, user_id: int) -> dict[str, int]:
    """Return the number of rows of a user by `table.column`."""
    return _each(connection, user_id, "SELECT count(*) FROM {} WHERE {} = {}")


def erase(connection: sa.Connection, user_id: int) -> dict[str, int]:
    """Remove all rows of a user, in every kept run; log and return their numbers."""
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
