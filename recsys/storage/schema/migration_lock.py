"""The lock under which one process at a time changes the schema."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from recsys.storage.schema.tables import STORE

VERSION_TABLE = f"{STORE}.alembic_version"
# Alembic makes the same table if it is missing.
CREATE_VERSION_TABLE = f"""
CREATE TABLE IF NOT EXISTS {VERSION_TABLE} (
    version_num varchar(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
)
"""
ALREADY_THERE = {"23505", "42P06", "42P07"}  # unique key, schema, table


def one_at_a_time(connection: sa.Connection) -> None:
    """Hold the lock of migrations until the transaction ends; waits for another one to end.

    It is the lock of the table of versions, which is created, with its schema, if it is missing.
    """
    if connection.scalar(sa.text("SELECT to_regclass(:name)"), {"name": VERSION_TABLE}) is None:
        create_schema(connection, STORE)
        _create(connection, CREATE_VERSION_TABLE)
    connection.exec_driver_sql(f"LOCK TABLE {VERSION_TABLE} IN EXCLUSIVE MODE")


def create_schema(connection: sa.Connection, name: str) -> None:
    """Create a schema if it is missing."""
    # IF NOT EXISTS requires the privilege to create even if the schema exists.
    if not sa.inspect(connection).has_schema(name):
        _create(connection, f"CREATE SCHEMA {name}")


def _create(connection: sa.Connection, statement: str) -> None:
    """Create an object, or wait until another process that does so has committed."""
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(statement)
    except DBAPIError as exc:
        if getattr(exc.orig, "sqlstate", None) not in ALREADY_THERE:
            raise
