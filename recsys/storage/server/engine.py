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

from recsys.errors import ConfigError, StorageError
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
    """Return the URL without any password, and the password."""
    parsed = sqlalchemy_url(url).set(drivername="postgresql")
    asked = parsed.query.get("password")
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
    return public.render_as_string(), parsed.password or (asked if isinstance(asked, str) else None)


@contextmanager
def translated_errors(label: str) -> Iterator[None]:
    """Turn what the driver and SQLAlchemy raise into StorageError, without a password in it."""
    try:
        yield
    except (psycopg.Error, SQLAlchemyError) as exc:
        raise _storage_error(exc, label) from exc


def _storage_error(exc: Exception, label: str) -> StorageError:
    driver = exc.orig if isinstance(exc, DBAPIError) else exc
    if not isinstance(driver, psycopg.Error):
        return StorageError(f"the database layer failed: {exc}")
    if isinstance(driver, psycopg.DataError) and driver.sqlstate is None:
        # The driver itself refused a value, as a text with a NUL in it.
        return StorageError(f"psycopg refused: {_first_line(driver)}", sqlstate=DATA_EXCEPTION)
    if _was_lost(exc):
        return StorageError(
            f"the connection to {label} was lost: {_first_line(driver)}",
            hint=STOPPED,
            sqlstate=driver.sqlstate,
        )
    if driver.sqlstate is None:
        return StorageError(
            f"no connection to {label}: {_first_line(driver)}",
            hint="is the server running, and are host, port, user and database right? A pooler as "
            "PgBouncer needs `transaction_pooler=True`"
            if isinstance(driver, PoolTimeout)
            else "is the server running, and are host, port, user and database right?",
        )
    return StorageError(
        f"PostgreSQL refused ({driver.sqlstate}): {_first_line(driver)}",
        hint=HINTS.get(driver.sqlstate) or driver.diag.message_hint,
        sqlstate=driver.sqlstate,
    )


def _was_lost(exc: Exception) -> bool:
    """Tell whether there was a connection, and there is none any more."""
    if isinstance(exc, DBAPIError):
        return exc.connection_invalidated
    # What the driver tells by itself, as of a COPY; of an attempt to connect it has the pgconn.
    never_there = (PoolTimeout, TooManyRequests, PoolClosed, psycopg.errors.ConnectionTimeout)
    return (
        isinstance(exc, psycopg.OperationalError)
        and not isinstance(exc, never_there)
        and exc.sqlstate is None
        and exc.pgconn is None
    )


STOPPED = "the server was stopped or ended the session; when it runs, run the command again"
HINTS = {
    "42P01": "the schema is missing or old: run `recsys db upgrade`",
    "3F000": "the schema is missing: run `recsys db upgrade`",
    "42883": "the contract is missing or old: run `recsys db upgrade`",
    "42501": "this role lacks the right; connect as one that has it, as recsys_job for jobs",
    "53100": "the disk of the database is full; make room and run the command again",
    "57P01": STOPPED,
    "57014": (
        "statement_timeout or a cancel request stopped the statement; a role that runs jobs "
        "has no limit after ALTER ROLE ... SET statement_timeout = 0"
    ),
    "40001": "another command changed the same data at the same time; run it again",
    "55P03": "another command holds a lock this one needs; run it again when that has ended",
}


def _first_line(error: psycopg.Error) -> str:
    text = error.diag.message_primary or str(error)
    return text.strip().splitlines()[0] if text.strip() else type(error).__name__


def _check_version(database: Database) -> None:
    version = _wait_for_version(database)
    if version < MINIMUM_VERSION * 10_000:
        raise StorageError(
            f"{database.label} is PostgreSQL {version // 10_000}",
            hint=f"PostgreSQL {MINIMUM_VERSION} or newer is needed",
        )


def _wait_for_version(database: Database) -> int:
    deadline = time.monotonic() + WAIT_FOR_STARTUP_S
    while True:
        try:
            with database.engine.connect() as connection:
                return int(connection.scalar(sa.text("SHOW server_version_num")) or 0)
        except DBAPIError as exc:
            # A server in crash recovery answers, but not yet with a connection.
            starting = getattr(exc.orig, "sqlstate", None) == STARTING_UP or (
                "starting up" in str(exc.orig) or "not yet accepting" in str(exc.orig)
            )
            if not starting or time.monotonic() > deadline:
                raise _storage_error(exc, database.label) from exc
        time.sleep(0.2)
