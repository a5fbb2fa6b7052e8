"""Bound the wait for locks, and name the sessions that hold them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import sqlalchemy as sa

LOCK_TIMEOUT = "10s"
LOCK_NOT_AVAILABLE = "55P03"
NAMED = 3
HOLDERS = """
SELECT DISTINCT a.pid, a.usename, a.application_name, a.xact_start AS since
FROM pg_locks AS l
JOIN pg_stat_activity AS a ON a.pid = l.pid
JOIN pg_class AS c ON c.oid = l.relation
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE l.granted AND l.pid <> pg_backend_pid() AND a.backend_type = 'client backend'
  AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
  AND {held}
ORDER BY since, a.pid
"""
# A lock of jobs is a view, which no other statement waits for.
OF_TABLES = sa.text(
    HOLDERS.format(held="n.nspname IN ('recsys', 'recsys_store') AND c.relkind IN ('r', 'p')")
)
OF_LOCK = sa.text(
    HOLDERS.format(held="l.relation = CAST(:name AS regclass) AND l.mode = 'ExclusiveLock'")
)


def limit_waits(connection: sa.Connection, *, scope: Literal["LOCAL", "SESSION"] = "LOCAL") -> None:
    """Let each wait for a lock fail after 10 s, until the transaction or the session ends.

    New queries queue behind a waiting request for an exclusive lock.
    """
    connection.exec_driver_sql(f"SET {scope} lock_timeout = '{LOCK_TIMEOUT}'")


def of_tables(connection: sa.Connection) -> Sequence[sa.Row[Any]]:
    """Return the sessions with locks on tables of recsys, the oldest transactions first."""
    return connection.execute(OF_TABLES).all()


def of_lock(connection: sa.Connection, name: str) -> str:
    """Describe the session that holds a lock of jobs; empty if it ended meanwhile."""
    found = connection.execute(OF_LOCK, {"name": name}).first()
    return "" if found is None else describe(found)


def describe(holder: sa.Row[Any]) -> str:
    """Return the session with its role and application and the start of its transaction."""
    application = f" ({holder.application_name})" if holder.application_name else ""
    # Other roles may not see since when.
    since = "" if holder.since is None else f" since {in_utc(holder.since)}"
    return f"session {holder.pid} of {holder.usename}{application}{since}"


def in_utc(when: datetime) -> str:
    # A session has the time zone of its server.
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
