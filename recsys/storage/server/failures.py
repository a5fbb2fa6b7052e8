"""Translate errors of the driver into StorageError, without a password in the message."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from recsys.errors import SchemaOutdated, StorageError

DATA_EXCEPTION = "22000"
NOT_REACHED = "is the server running, and are host, port, user and database right?"
POOLER = "A pooler as PgBouncer needs `transaction_pooler=True`"
STOPPED = "the server was stopped or ended the session; try again when it runs"
TOO_MANY_CONNECTIONS = "53300"
# libpq keeps the text of a refused connection and drops its SQLSTATE.
NO_MORE = re.compile("too many clients|too many connections|connection slots are reserved")
FREE_A_SLOT = (
    "close idle sessions (pg_stat_activity lists them), raise max_connections of the server or the "
    "CONNECTION LIMIT of the role or database, or put a pooler in front; then try again"
)
NO_SUCH_OBJECT = ("42P01", "3F000", "42883")  # table, schema, function
HINTS = {
    "42P01": "the schema is missing or outdated: upgrade it",
    "3F000": "the schema is missing: create it by an upgrade",
    "42883": "the SQL contract is missing or outdated: upgrade it",
    "42501": "this role lacks the privilege; connect as a role that has it, as recsys_job for jobs",
    "25006": (
        "the server is a standby, or the session is read-only: connect to the primary; with "
        "several hosts in the URL, target_session_attrs=read-write finds it"
    ),
    "53100": "the disk of the database is full; make room and try again",
    "57P01": STOPPED,
    "57014": (
        "statement_timeout or a cancel request stopped the statement; a role that runs jobs "
        "has no limit after ALTER ROLE ... SET statement_timeout = 0"
    ),
    "40001": "another transaction changed the same data at the same time; try again",
    "55P03": "another transaction holds a lock that this one needs; try again when it has ended",
}
LOST_HINTS = {
    "57P05": (
        "idle_session_timeout ended the session; try again, or exempt the role by "
        "ALTER ROLE ... SET idle_session_timeout = 0"
    ),
    "25P03": (
        "idle_in_transaction_session_timeout ended the session; exempt a role that runs jobs by "
        "ALTER ROLE ... SET idle_in_transaction_session_timeout = 0"
    ),
}


@contextmanager
def translated_errors(label: str) -> Iterator[None]:
    """Turn errors of psycopg into StorageError."""
    try:
        yield
    except psycopg.Error as exc:
        raise storage_error(exc, label) from exc


def storage_error(error: psycopg.Error, label: str, *, lost: bool | None = None) -> StorageError:
    """Return the error to raise; `lost` says that an open connection broke, if that is known."""
    primary, state = _primary_message(error), error.sqlstate
    if isinstance(error, psycopg.DataError) and state is None:
        # The driver itself rejected a value, for example a text with a NUL character.
        state = DATA_EXCEPTION
        return StorageError(f"psycopg refused: {primary}", sqlstate=state, primary=primary)
    if state in LOST_HINTS or (_was_lost(error) if lost is None else lost):
        message = f"the connection to {label} was lost: {primary}"
        hint = LOST_HINTS.get(state or "", STOPPED)
        return StorageError(message, hint=hint, sqlstate=state, primary=primary)
    if accepts_no_more(error):
        said = primary.rpartition("FATAL:")[2].strip()
        message = f"{label} accepts no more connections: {said}"
        state = TOO_MANY_CONNECTIONS
        return StorageError(message, hint=FREE_A_SLOT, sqlstate=state, primary=said)
    if state is None:
        hint = f"{NOT_REACHED}. {POOLER}" if isinstance(error, PoolTimeout) else NOT_REACHED
        return StorageError(f"no connection to {label}: {primary}", hint=hint, primary=primary)
    kind = SchemaOutdated if state in NO_SUCH_OBJECT else StorageError
    return kind(
        f"PostgreSQL refused ({state}): {primary}",
        hint=HINTS.get(state) or error.diag.message_hint,
        sqlstate=state,
        primary=primary,
    )


def accepts_no_more(error: psycopg.Error) -> bool:
    """Tell whether a connection was refused because of a limit on their number."""
    if error.sqlstate is not None:
        return error.sqlstate == TOO_MANY_CONNECTIONS
    return isinstance(error, psycopg.OperationalError) and bool(NO_MORE.search(str(error)))


def _was_lost(error: psycopg.Error) -> bool:
    """Tell whether an open connection broke, as opposed to one that never opened."""
    # Only a failed attempt to connect has a pgconn.
    never_open = (PoolTimeout, TooManyRequests, PoolClosed, psycopg.errors.ConnectionTimeout)
    return (
        isinstance(error, psycopg.OperationalError)
        and not isinstance(error, never_open)
        and error.sqlstate is None
        and error.pgconn is None
    )


def _primary_message(error: psycopg.Error) -> str:
    # An error of the driver itself has no diagnostics, only a text of several lines.
    text = error.diag.message_primary or str(error)
    return text.strip().splitlines()[0] if text.strip() else type(error).__name__
