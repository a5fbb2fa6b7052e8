"""Least-privilege roles: `sql/roles.sql`, and whether it has been run on a database."""

from __future__ import annotations

import sqlalchemy as sa

from recsys.storage.schema import resources
from recsys.storage.schema.tables import STORE

OWNER = "recsys_owner"
# The lock of the migrations (alembic/env.py): both may run at the start of two containers.
ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtext('recsys migrations'))"
WHOSE_STORE = "SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = :store"


def apply(connection: sa.Connection) -> None:
    """Create the roles that are missing and grant each its privileges, and no others."""
    script = (resources.folder("sql") / "roles.sql").read_text(encoding="utf-8")
    connection.execute(sa.text(ONE_AT_A_TIME))
    # New queries queue behind a waiting lock request, so it must not wait for long.
    connection.execute(sa.text("SET LOCAL lock_timeout = '10s'"))
    # Without parameters psycopg sends the text as it is: `%` means nothing.
    connection.exec_driver_sql(script, execution_options={"no_parameters": True})


def are_applied(connection: sa.Connection) -> bool:
    """Return whether the database has been given to the roles."""
    return bool(connection.scalar(sa.text(WHOSE_STORE), {"store": STORE}) == OWNER)
