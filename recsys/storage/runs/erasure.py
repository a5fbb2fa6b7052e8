"""Erase a user from every table with a user id, as the system catalogue lists them."""

from __future__ import annotations

import sqlalchemy as sa
from psycopg import sql

from recsys.domain import number_of_key
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
  AND a.attname ~ '(^|_)user_ids?$'
-- Referenced tables go last; before them the changes that triggers write as ratings go.
ORDER BY c.relname = 'users', c.relname = 'rating_changes', c.relname, a.attname
"""
ARRAYS = """
SELECT a.attname FROM pg_attribute AS a
JOIN pg_type AS t ON t.oid = a.atttypid
WHERE a.attrelid = CAST(:table AS regclass) AND NOT a.attisdropped AND t.typcategory = 'A'
ORDER BY a.attnum
"""
# What a network learned about one user cannot be cut out of it.
WHOLE = ("networks",)
DELETE_HOLDING = """
WITH gone AS (DELETE FROM {table} WHERE {user} = ANY ({column}) RETURNING 1)
SELECT count(*) FROM gone
"""
USER = "SELECT key, user_id FROM recsys_store.users WHERE key = :key OR user_id = :number"
COUNT = "SELECT count(*) FROM {table} WHERE {column} = {user}"
COUNT_LISTS = "SELECT count(*) FROM {table} WHERE {user} = ANY ({column})"
DELETE = """
WITH gone AS (DELETE FROM {table} WHERE {column} = {user} RETURNING 1) SELECT count(*) FROM gone
"""
CUT_OUT = """
WITH gone AS (
    DELETE FROM {table} WHERE {column} = ARRAY[{user}] RETURNING 1
), cut AS (
    UPDATE {table} SET {arrays}
    WHERE {user} = ANY ({column}) AND cardinality({column}) > 1
    RETURNING 1
)
SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM cut)
"""
# The arrays of a list are parallel: each loses the place of the user.
WITHOUT = """
{array} = {array}[:array_position({column}, {user}) - 1]
    || {array}[array_position({column}, {user}) + 1:]
"""


def user_of(connection: sa.Connection, key: str) -> tuple[int | None, str | None]:
    """Return the id of a user by key, or that of a number which is no key.

    If the number is the id of a user with another key, return that key instead.
    """
    rows = connection.execute(sa.text(USER), {"key": key, "number": number_of_key(key)})
    found = {row.key: row.user_id for row in rows}
    if key in found or not found:
        return found.get(key, number_of_key(key)), None
    return None, next(iter(found))


def keyed_columns(connection: sa.Connection) -> list[tuple[str, str]]:
    """Return the tables and columns that hold the id of a user, or an array of ids."""
    rows = connection.execute(sa.text(KEYED), {"schema": STORE})
    return [(table, column) for table, column in rows]


def count(connection: sa.Connection, user_id: int) -> dict[str, int]:
    """Return by `table.column` the number of rows of a user, and of lists that hold the user."""
    return _each(connection, user_id, COUNT, COUNT_LISTS, COUNT_LISTS)


def erase(connection: sa.Connection, user_id: int) -> dict[str, int]:
    """Remove a user from all tables, in every kept run; log and return the numbers of rows.

    Rows of the user are deleted, and networks with weights of the user. The user is cut out of the
    lists of others.
    """
    removed = _each(connection, user_id, DELETE, CUT_OUT, DELETE_HOLDING)
    connection.execute(tables.erasures.insert().values(rows=removed))
    return removed


def _each(
    connection: sa.Connection, user_id: int, one: str, many: str, whole: str
) -> dict[str, int]:
    """Run a statement on each column that holds an id, another on each that holds arrays of ids.

    `whole` is the one for arrays in rows that cannot be cut.
    """
    found = {}
    for table, column in keyed_columns(connection):
        parts: dict[str, sql.Composable] = {
            "table": sql.Identifier(STORE, table),
            "column": sql.Identifier(column),
            "user": sql.Literal(user_id),
        }
        statement = one
        if table in WHOLE:
            statement = whole
        elif column.endswith("_ids"):
            statement = many
            names = connection.scalars(sa.text(ARRAYS), {"table": f"{STORE}.{table}"})
            parts["arrays"] = sql.SQL(", ").join(
                sql.SQL(WITHOUT).format(array=sql.Identifier(name), **parts) for name in names
            )
        row = driver(connection).execute(sql.SQL(statement).format(**parts)).fetchone()
        assert row is not None
        found[f"{table}.{column}"] = int(row[0])
    return found
