"""The lock that only one refresh of a database holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from recsys.errors import RefreshBusy

TRY_LOCK = sa.text("SELECT pg_try_advisory_lock(hashtext('recsys refresh'))")
TRY_LOCK_FOR_TRANSACTION = sa.text("SELECT pg_try_advisory_xact_lock(hashtext('recsys refresh'))")
UNLOCK = sa.text("SELECT pg_advisory_unlock(hashtext('recsys refresh'))")
HEARTBEAT_S = 5.0
SILENCE = timedelta(seconds=12 * HEARTBEAT_S)
"""A refresh without a heartbeat for this long has probably lost its machine."""
WHO_RUNS = sa.text("""
SELECT run_id, backend, started_at, now() - heartbeat_at AS silence FROM recsys_store.runs
WHERE state = 'running' ORDER BY run_id DESC LIMIT 1
""")
# A refresh that has not begun its run, or an ingest, is known by its session only.
WHO_HOLDS = sa.text("""
SELECT a.pid, a.usename, coalesce(a.xact_start, a.backend_start) AS since
FROM pg_locks AS l
JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
  AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
  AND (CAST(l.classid AS bigint) << 32 | CAST(l.objid AS bigint)) = hashtext('recsys refresh')
""")


@contextmanager
def single_flight(session: sa.Connection) -> Iterator[None]:
    """Hold the lock that only one refresh of a database has; `session` is in autocommit.

    The server releases it when the session ends, also after a crash. Raises RefreshBusy, which
    names the holder and the time.
    """
    if not session.scalar(TRY_LOCK):
        raise _busy(session)
    try:
        yield
    finally:
        # Without its session the lock is gone already.
        with suppress(DBAPIError):
            session.execute(UNLOCK)


def keep_refreshes_out(connection: sa.Connection) -> None:
    """Hold the lock of a refresh until the transaction ends; raises RefreshBusy if one runs."""
    if not try_to_keep_refreshes_out(connection):
        raise _busy(connection)


def try_to_keep_refreshes_out(connection: sa.Connection) -> bool:
    """Hold the lock of a refresh until the transaction ends; return False if one runs."""
    return bool(connection.scalar(TRY_LOCK_FOR_TRANSACTION))


def _busy(connection: sa.Connection) -> RefreshBusy:
    holder = connection.execute(WHO_RUNS).one_or_none()
    if holder is None:
        who = f"it has just begun, or an ingest replaces the data{_session_that_holds(connection)}"
        return RefreshBusy(f"another refresh is running: {who}", hint="wait for it to end")
    who = f"run {holder.run_id} by {holder.backend} since {_in_utc(holder.started_at)}"
    hint = "wait for it to end"
    if holder.silence is not None and holder.silence > SILENCE:
        who += f", not heard of for {holder.silence.total_seconds():,.0f} s"
        hint = "its machine may be gone: end its session with pg_terminate_backend"
    return RefreshBusy(f"another refresh is running: {who}", hint=hint)


def _session_that_holds(connection: sa.Connection) -> str:
    """Describe the session that holds the lock; some roles may not see it."""
    found = connection.execute(WHO_HOLDS).one_or_none()
    if found is None:
        return ""
    since = "" if found.since is None else f" since {_in_utc(found.since)}"
    return f", in session {found.pid} of {found.usename}{since}"


def _in_utc(when: datetime) -> str:
    # A session has the time zone of its server.
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def confirm_lock(session: sa.Connection) -> None:
    """Raise the driver's error unless the session that holds the lock is still there."""
    session.execute(sa.text("SELECT 1"))
