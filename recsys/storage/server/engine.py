"""Open the database for jobs: transactions and sessions by SQLAlchemy."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from recsys.errors import ConfigError, StorageError
from recsys.storage.server import blockers, failures
from recsys.storage.server.address import (
    CONNECT_S,
    URL_FORM,
    Address,
    require_encoding,
    require_version,
    running_at,
)

# Otherwise the server continues a long query after its client has died, and keeps its locks.
CHECK_CLIENT_IS_CONNECTED = "SET LOCAL client_connection_check_interval = '2s'"
# A session that holds a lock is idle while a job computes.
STAY = "SET idle_session_timeout = 0"
WAIT_FOR_SLOT_S = 60
"""Time that a job waits for another connection while the server accepts no more of them."""


class Database(Address):
    """An open database: its address and its transactions."""

    def __init__(
        self, url: str, folder: Path | None = None, *, reuse_connections: bool = False
    ) -> None:
        super().__init__(url, folder)
        self.patient = False
        """Whether to wait for a connection while the server accepts no more of them."""
        # Between the steps of a job a server may have restarted: a kept connection is tried first.
        kept: dict[str, Any] = {"max_overflow": -1, "pool_pre_ping": True}
        self.engine = sa.create_engine(
            sqlalchemy_url(url),
            connect_args={"application_name": "recsys", "connect_timeout": CONNECT_S},
            **(kept if reuse_connections else {"poolclass": sa.NullPool}),
        )
        sa.event.listen(self.engine, "do_connect", self._connect)

    def _connect(self, dialect: Any, record: Any, args: Any, keywords: Any) -> Any:
        deadline = time.monotonic() + WAIT_FOR_SLOT_S
        while True:
            try:
                connection = dialect.connect(*args, **keywords)
                break
            except psycopg.OperationalError as exc:
                full = failures.accepts_no_more(exc)
                if not (self.patient and full) or time.monotonic() > deadline:
                    raise
            time.sleep(0.2)
        try:
            # Before SQLAlchemy reads its first text.
            require_encoding(connection, self)
        except StorageError:
            connection.close()
            raise
        return connection

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """Yield a connection in a transaction; commit at the end, roll back on any error."""
        with self._named_blockers(), self.engine.begin() as connection:
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
        """Yield a connection in autocommit mode, for transactions of the caller's own."""
        with self._named_blockers(), self.engine.connect() as connection:
            try:
                connection = connection.execution_options(isolation_level="AUTOCOMMIT")
                connection.execute(sa.text(STAY))
                yield connection
            finally:
                # Closed, not kept for reuse: settings and locks of a session end with it.
                connection.invalidate()

    @contextmanager
    def _named_blockers(self) -> Iterator[None]:
        """Translate errors; if a lock was waited for in vain, name the sessions that hold it."""
        try:
            with translated_errors(self.label):
                yield
        except StorageError as exc:
            if exc.sqlstate != blockers.LOCK_NOT_AVAILABLE:
                raise
            with translated_errors(self.label), self.engine.begin() as connection:
                # Of their own sessions none is left: the failed one has been closed.
                holders = blockers.of_tables(connection)[: blockers.NAMED]
            if not holders:
                raise
            raise StorageError(
                "waited in vain for a lock on tables that are in use by "
                + ", ".join(map(blockers.describe, holders)),
                hint=f"end that transaction, or its session with SELECT pg_terminate_backend("
                f"{holders[0].pid}), and try again",
                sqlstate=exc.sqlstate,
                primary=exc.primary,
            ) from exc


@contextmanager
def open_database(
    home: Path, url: str | None, *, reuse_connections: bool = False
) -> Iterator[Database]:
    """Yield the database at `url`, or the embedded one under `home`, which runs meanwhile.

    With `reuse_connections`, successive transactions share a connection until the end. Raises
    ConfigError for an invalid URL, StorageError if the server cannot be reached or is older than
    PostgreSQL 15, or for a database in SQL_ASCII.
    """
    with running_at(home, url) as address:
        database = Database(address.url, address.folder, reuse_connections=reuse_connections)
        try:
            require_version(database, lambda: _version(database))
            # A command that cannot begin fails at once; a job may have computed for hours.
            database.patient = True
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
    """Return the URL for SQLAlchemy with psycopg."""
    parameters = dict(Address(url).parameters)
    if "," in parameters.get("host", ""):
        # SQLAlchemy reads several hosts only from the query.
        return sa.URL.create(
            "postgresql+psycopg",
            parameters.pop("user", None),
            parameters.pop("password", None),
            database=parameters.pop("dbname", None),
            query=parameters,
        )
    try:
        parsed = sa.make_url(re.sub("^postgres://", "postgresql://", url))
    except (ArgumentError, ValueError):
        raise ConfigError("the database URL cannot be read", hint=URL_FORM) from None
    return parsed.set(drivername="postgresql+psycopg")


@contextmanager
def translated_errors(label: str) -> Iterator[None]:
    """Turn errors of the driver and of SQLAlchemy into StorageError, without a password in it."""
    try:
        with failures.translated_errors(label):
            yield
    except DBAPIError as exc:
        if not isinstance(exc.orig, psycopg.Error):
            raise StorageError(f"the database layer failed: {exc}") from exc
        raise failures.storage_error(exc.orig, label, lost=exc.connection_invalidated) from exc
    except SQLAlchemyError as exc:
        raise StorageError(f"the database layer failed: {exc}") from exc


def _version(database: Database) -> int:
    try:
        with database.engine.connect() as connection:
            return int(connection.scalar(sa.text("SHOW server_version_num")) or 0)
    except DBAPIError as exc:
        raise exc.orig or exc from exc
