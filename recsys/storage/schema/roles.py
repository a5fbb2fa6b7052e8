"""Least-privilege roles: `sql/roles.sql`, and whether it has been run on a database."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from psycopg import sql

from recsys.storage.load.copy import driver
from recsys.storage.schema import resources
from recsys.storage.schema.migration_lock import one_at_a_time
from recsys.storage.schema.tables import STORE
from recsys.storage.server import blockers

OWNER = "recsys_owner"
MAY_WRITE_LARGE_OBJECTS = """
SELECT has_function_privilege('recsys_reader', 'pg_catalog.lo_from_bytea(oid, bytea)', 'EXECUTE')
"""
WHOSE_STORE = "SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = :store"


def apply(connection: sa.Connection) -> None:
    """Create the roles that are missing and grant each its privileges, and no others."""
    script = (resources.folder("sql") / "roles.sql").read_text(encoding="utf-8")
    # A migration may run too: two containers start at the same time.
    one_at_a_time(connection)
    blockers.limit_waits(connection)
    # Without parameters psycopg sends the text as it is: `%` means nothing.
    connection.exec_driver_sql(script, execution_options={"no_parameters": True})


def may_write_large_objects(connection: sa.Connection) -> bool:
    """Return whether readers may, because no superuser has applied the roles."""
    return bool(connection.scalar(sa.text(MAY_WRITE_LARGE_OBJECTS)))


def set_passwords(connection: sa.Connection, passwords: Mapping[str, str]) -> None:
    """Give roles their passwords, hashed here: the log of the server may show statements."""
    raw = driver(connection)
    for role, password in passwords.items():
        hashed = raw.pgconn.encrypt_password(
            password.encode(), role.encode(), b"scram-sha-256"
        ).decode()
        statement = sql.SQL("ALTER ROLE {} PASSWORD {}")
        raw.execute(statement.format(sql.Identifier(role), sql.Literal(hashed)))


def are_applied(connection: sa.Connection) -> bool:
    """Return whether the database has been given to the roles."""
    return bool(connection.scalar(sa.text(WHOSE_STORE), {"store": STORE}) == OWNER)
