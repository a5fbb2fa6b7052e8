"""The locks that only one refresh and one ingest of a database hold.

They are locks on objects of the store. Any role may take an advisory lock, a reader too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from recsys.errors import RefreshBusy, StorageError
from recsys.storage.server import blockers

REFRESH, INGEST = "recsys_store.refresh_lock", "recsys_store.ingest_lock"
"""Views on no table: only their owner may lock them, and VACUUM does not wait for them."""
# EXCLUSIVE, because an ACCESS EXCLUSIVE lock takes a transaction id and thereby holds VACUUM back.
LOCK = "LOCK TABLE {name} IN EXCLUSIVE MODE NOWAIT"
# In READ COMMITTED an idle transaction has no snapshot, which would hold VACUUM back too.
BEGIN = sa.text("BEGIN ISOLATION LEVEL READ COMMITTED")
ROLLBACK = sa.text("ROLLBACK")
# transaction_timeout is new in PostgreSQL 17.
HOLD_FOR_HOURS = sa.text("""
SELECT set_config(name, '0', true) FROM pg_settings
WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout')
""")
HEARTBEAT_S = 5.0
SILENCE = timedelta(seconds=12 * HEARTBEAT_S)
"""A refresh without a heartbeat for this long has probably lost its machine."""
WHO_RUNS = sa.text("""
SELECT run_id, backend, started_at, now() - heartbeat_at AS silence FROM recsys_store.runs
WHERE state = 'running' ORDER BY run_id DESC LIMIT 1
""")


@contextmanager
def single_flight(session: sa.Connection) -> Iterator[None]:
    """Hold the lock that only one refresh of a database has; `session` is in autocommit.

    The lock is that of a transaction, which stays open: the server releases it when the session
    ends, also after a crash. Raises RefreshBusy, which names the holder and the time.
    """
    session.execute(BEGIN)
    try:
        hold_for_hours(session)
        keep_refreshes_out(session)
        yield
    finally:
        # Without its session the lock is gone already.
        with suppress(DBAPIError):
            session.execute(ROLLBACK)


def hold_for_hours(connection: sa.Connection) -> None:
    """Turn off the server's time limits for this transaction, which lasts as long as a refresh."""
    connection.execute(HOLD_FOR_HOURS)


def keep_refreshes_out(connection: sa.Connection) -> None:
    """Hold the lock of a refresh until the transaction ends; raises RefreshBusy if one runs."""
    if not try_to_keep_refreshes_out(connection):
        raise _busy(connection)


def try_to_keep_refreshes_out(connection: sa.Connection) -> bool:
    """Hold the lock of a refresh until the transaction ends; return False if one runs."""
    return _try(connection, REFRESH)


def keep_ingests_out(connection: sa.Connection) -> None:
    """Hold the lock of an ingest until the transaction ends; raises StorageError if one runs."""
    if not _try(connection, INGEST):
        who = blockers.of_lock(connection, INGEST)
        raise StorageError(
            f"another ingest is running on this database{who and ', in '}{who}",
            hint="run it again when that has ended",
        )


def _try(connection: sa.Connection, name: str) -> bool:
    """Take a lock until the transaction ends, unless another session has it."""
    connection.exec_driver_sql("SAVEPOINT before_lock")
    try:
        connection.exec_driver_sql(LOCK.format(name=name))
    except DBAPIError as exc:
        if getattr(exc.orig, "sqlstate", None) != blockers.LOCK_NOT_AVAILABLE:
            raise
        connection.exec_driver_sql("ROLLBACK TO SAVEPOINT before_lock")
        return False
    connection.exec_driver_sql("RELEASE SAVEPOINT before_lock")
    return True


def _busy(connection: sa.Connection) -> RefreshBusy:
    holder = connection.execute(WHO_RUNS).one_or_none()
    if holder is None:
        who = blockers.of_lock(connection, REFRESH)
        who = f"it has just begun, or an ingest replaces the data{who and ', in '}{who}"
        return RefreshBusy(f"another refresh is running: {who}", hint="wait for it to end")
    who = f"run {holder.run_id} by {holder.backend} since {blockers.in_utc(holder.started_at)}"
    hint = "wait for it to end"
    if holder.silence is not None and holder.silence > SILENCE:
        who += f", not heard of for {holder.silence.total_seconds():,.0f} s"
        hint = "its machine may be gone: end its session with pg_terminate_backend"
    return RefreshBusy(f"another refresh is running: {who}", hint=hint)


def confirm_lock(session: sa.Connection) -> None:
    """Raise the driver's error unless the session that holds the lock is still there."""
    session.execute(sa.text("SELECT 1"))
