"""Open the database, embedded or external, and translate the errors of the driver."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from recsys.errors import ConfigError, SchemaOutdated, StorageError
from recsys.storage.server.embedded import EmbeddedServer

MINIMUM_VERSION = 15
# Otherwise the server continues a long query after its client has died, and keeps its locks.
CHECK_CLIENT_IS_CONNECTED = "SET LOCAL client_connection_check_interval = '2s'"
STARTING_UP = "57P03"
DATA_EXCEPTION = "22000"
WAIT_FOR_STARTUP_S = 60
URL_FORM = (
    "it looks like postgresql://user:password@host:5432/database; "
    "special characters in the password are percent-encoded, as %40 for @"
)


class Database:
    """An open database: its URL and its transactions."""

    def __init__(self, url: str, *, reuse_connections: bool = False) -> None:
        self.url = url
        # Between the steps of a job a server may have restarted: a kept connection is tried first.
        kept: dict[str, Any] = {"max_overflow": -1, "pool_pre_ping": True}
        self.engine = sa.create_engine(
            sqlalchemy_url(url),
            connect_args={"application_name": "recsys", "connect_timeout": 10},
            **(kept if reuse_connections else {"poolclass": sa.NullPool}),
        )

    @property
    def label(self) -> str:
        """The URL without its password, for messages."""
        url = sqlalchemy_url(self.url).set(drivername="postgresql")
        return url.difference_update_query(["password", "sslpassword"]).render_as_string()

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """Yield a connection in a transaction; commit at the end, roll back on any error."""
        with translated_errors(self.label), self.engine.begin() as connection:
            connection.execute(sa.text("SET LOCAL TimeZone = 'UTC'"))
            connection.execute(sa.text(CHECK_CLIENT_IS_CONNECTED))
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        """Yield a connection in a read-only transaction that sees one snapshot."""
        with self.transaction() as connection:
            connection.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
            yield connection

    @contextmanager
    def session(self) -> Iterator[sa.Connection]:
        """Yield a connection in autocommit mode, for session-level locks."""
        with translated_errors(self.label), self.engine.connect() as connection:
            try:
                yield connection.execution_options(isolation_level="AUTOCOMMIT")
            finally:
                # Closed, not kept for reuse: settings and locks of a session end with it.
                connection.invalidate()


@contextmanager
def open_database(
    home: Path, url: str | None, *, reuse_connections: bool = False
) -> Iterator[Database]:
    """Yield the database at `url`, or the embedded one under `home`, which runs meanwhile.

    With `reuse_connections`, successive transactions share a connection until the end. Raises
    ConfigError for an invalid URL, StorageError if the server cannot be reached or is older than
    PostgreSQL 15.
    """
    with nullcontext(url) if url else EmbeddedServer(home).running() as reachable:
        database = Database(reachable, reuse_connections=reuse_connections)
        try:
            _check_version(database)
            yield database
        finally:
            database.engine.dispose()


def server_version(connection: sa.Connection) -> str:
    """Return the version of PostgreSQL, as 18.4."""
    return str(connection.scalar(sa.text("SHOW server_version"))).split()[0]


def database_bytes(connection: sa.Connection) -> int:
    """Return the size of the database on disk."""
    return int(connection.scalar(sa.text("SELECT pg_database_size(current_database())")) or 0)


def sqlalchemy_url(url: str) -> sa.URL:
    """Return the URL for SQLAlchemy with psycopg; as for libpq, but with one host only."""
    try:
        parsed = sa.make_url(re.sub("^postgres://", "postgresql://", url))
    except (ArgumentError, ValueError) as exc:
        raise ConfigError(
            "the database URL cannot be read",
            hint=URL_FORM,
        ) from exc
    if parsed.get_backend_name() != "postgresql":
        raise ConfigError(
            f"the database URL is for {parsed.get_backend_name()}, not PostgreSQL", hint=URL_FORM
        )
    return parsed.set(drivername="postgresql+psycopg")


def split_password(url: str) -> tuple[str, str | None]:
    """Return the URL without its password, and the password."""
    parsed = sqlalchemy_url(url).set(drivername="postgresql")
    # libpq also accepts the password as a parameter of the query.
    given = parsed.query.get("password")
    public = parsed.difference_update_query(["password", "sslpassword"])
    public = sa.URL.create(
        public.drivername,
        public.username,
        None,
        public.host,
        public.port,
        public.database,
        public.query,
    )
    return public.render_as_string(), parsed.password or (given if isinstance(given, str) else None)


@contextmanager
def translated_errors(label: str) -> Iterator[None]:
    """Turn errors of the driver and of SQLAlchemy into StorageError, without a password in it."""
    try:
        yield
    except (psycopg.Error, SQLAlchemyError) as exc:
        raise _storage_error(exc, label) from exc


def _storage_error(exc: Exception, label: str) -> StorageError:
    driver = exc.orig if isinstance(exc, DBAPIError) else exc
    if not isinstance(driver, psycopg.Error):
        return StorageError(f"the database layer failed: {exc}")
    primary, state = _primary_message(driver), driver.sqlstate
    if isinstance(driver, psycopg.DataError) and state is None:
        # The driver itself rejected a value, for example a text with a NUL character.
        state = DATA_EXCEPTION
        return StorageError(f"psycopg refused: {primary}", sqlstate=state, primary=primary)
    if _was_lost(exc):
        message = f"the connection to {label} was lost: {primary}"
        return StorageError(message, hint=STOPPED, sqlstate=state, primary=primary)
    if state is None:
        hint = f"{NOT_REACHED}. {POOLER}" if isinstance(driver, PoolTimeout) else NOT_REACHED
        return StorageError(f"no connection to {label}: {primary}", hint=hint, primary=primary)
    kind = SchemaOutdated if state in NO_SUCH_OBJECT else StorageError
    return kind(
        f"PostgreSQL refused ({state}): {primary}",
        hint=HINTS.get(state) or driver.diag.message_hint,
        sqlstate=state,
        primary=primary,
    )


def _was_lost(exc: Exception) -> bool:
    """Tell whether an open connection broke, as opposed to one that never opened."""
    if isinstance(exc, DBAPIError):
        return exc.connection_invalidated
    # SQLAlchemy does not see errors inside a COPY. Only a failed attempt to connect has a pgconn.
    never_open = (PoolTimeout, TooManyRequests, PoolClosed, psycopg.errors.ConnectionTimeout)
    return (
        isinstance(exc, psycopg.OperationalError)
        and not isinstance(exc, never_open)
        and exc.sqlstate is None
        and exc.pgconn is None
    )


NOT_REACHED = "is the server running, and are host, port, user and database right?"
POOLER = "A pooler as PgBouncer needs `transaction_pooler=True`"
STOPPED = "the server was stopped or ended the session; try again when it runs"
NO_SUCH_OBJECT = ("42P01", "3F000", "42883")  # table, schema, function
HINTS = {
    "42P01": "the schema is missing or outdated: upgrade it",
    "3F000": "the schema is missing: create it by an upgrade",
    "42883": "the SQL contract is missing or outdated: upgrade it",
    "42501": "this role lacks the privilege; connect as a role that has it, as recsys_job for jobs",
    "53100": "the disk of the database is full; make room and try again",
    "57P01": STOPPED,
    "57014": (
        "statement_timeout or a cancel request stopped the statement; a role that runs jobs "
        "has no limit after ALTER ROLE ... SET statement_timeout = 0"
    ),
    "40001": "another transaction changed the same data at the same time; try again",
    "55P03": "another transaction holds a lock that this one needs; try again when it has ended",
}


def _primary_message(error: psycopg.Error) -> str:
    # An error of the driver itself has no diagnostics, only a text of several lines.
    text = error.diag.message_primary or str(error)
    return text.strip().splitlines()[0] if text.strip() else type(error).__name__


def _check_version(database: Database) -> None:
    version = _wait_for_version(database)
    if version < MINIMUM_VERSION * 10_000:
        raise StorageError(
            f"{database.label} is PostgreSQL {version // 10_000}",
            hint=f"PostgreSQL {MINIMUM_VERSION} or newer is required",
        )


def _wait_for_version(database: Database) -> int:
    deadline = time.monotonic() + WAIT_FOR_STARTUP_S
    while True:
        try:
            with database.engine.connect() as connection:
                return int(connection.scalar(sa.text("SHOW server_version_num")) or 0)
        except DBAPIError as exc:
            # A server in crash recovery answers, but accepts no connection yet.
            starting = getattr(exc.orig, "sqlstate", None) == STARTING_UP or (
                "starting up" in str(exc.orig) or "not yet accepting" in str(exc.orig)
            )
            if not starting or time.monotonic() > deadline:
                raise _storage_error(exc, database.label) from exc
        time.sleep(0.2)
