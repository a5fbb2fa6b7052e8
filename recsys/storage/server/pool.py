"""Connections kept open for those who ask often: many threads, or many tasks, share a few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg.rows import BaseRowFactory
from psycopg.types.datetime import TimestamptzLoader
from psycopg_pool import (
    AsyncConnectionPool,
    AsyncNullConnectionPool,
    ConnectionPool,
    NullConnectionPool,
    PoolClosed,
    PoolTimeout,
    TooManyRequests,
)

from recsys.storage.server.engine import sqlalchemy_url, translated_errors

WAIT_S = 5.0
"""How long a caller waits for a connection, and a connection for the server."""
MAX_WAITING = 1000
ONE_STATE = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
SERVER_WENT_AWAY = ("57P01", "57P02")
"""SQLSTATEs of a session that an administrator or a crash has ended."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A query with %(name)s for its values, and what to make of a row."""

    query: str
    rows: BaseRowFactory[Any]


@dataclass(frozen=True, slots=True)
class PoolOptions:
    size: int = 0
    """Connections kept at most; 0 keeps none and opens one for each call."""
    timeout_s: float | None = None
    """Seconds after which the server gives up a statement; None: what the role has."""
    transaction_pooler: bool = False
    """Whether the address is that of PgBouncer or its like, which lends a session for one
    transaction only: nothing may be kept in it, neither settings nor prepared statements."""

    def keywords(self, url: str) -> dict[str, Any]:
        """Return the arguments of a pool for the database at `url`."""
        connect: dict[str, Any] = {"autocommit": True, "application_name": "recsys"}
        connect["connect_timeout"] = int(WAIT_S)
        if self.transaction_pooler:
            connect["prepare_threshold"] = None
        else:
            settings = "-c client_connection_check_interval=2s"
            if self.timeout_s is not None:
                settings += f" -c statement_timeout={max(1, round(self.timeout_s * 1000))}"
            connect["options"] = settings
        address = sqlalchemy_url(url).set(drivername="postgresql")
        return {
            "conninfo": address.render_as_string(hide_password=False),
            "kwargs": connect,
            "open": False,
            "min_size": min(self.size, 1),
            "max_size": self.size or None,
            "timeout": WAIT_S,
            # Attempts come ever less often: after a minute without a server, a minute apart.
            "reconnect_timeout": WAIT_S,
            "max_waiting": MAX_WAITING,
        }


class _UtcLoader(TimestamptzLoader):
    def load(self, data: Any) -> datetime:
        return super().load(data).astimezone(UTC)


def _lost(error: psycopg.OperationalError) -> bool:
    """Tell whether the session went away, and the same statement may do on another."""
    if isinstance(error, PoolTimeout | TooManyRequests | PoolClosed):
        return False
    return error.sqlstate is None or error.sqlstate in SERVER_WENT_AWAY


class Pool:
    """Connections for threads; raises StorageError as storage/engine.py does."""

    def __init__(self, url: str, label: str, options: PoolOptions) -> None:
        kind = ConnectionPool if options.size else NullConnectionPool
        self._label = label
        self._pool = kind(configure=_configure, **options.keywords(url))

    def close(self) -> None:
        self._pool.close()

    def stats(self) -> dict[str, int]:
        """Return how many connections there are and who waits, as psycopg_pool names them."""
        return self._pool.get_stats()

    def fetch(
        self, statements: Sequence[Statement], values: Mapping[str, Any], *, again: bool
    ) -> list[list[Any]]:
        """Return the rows of each statement, of several those of one state of the database.

        `again`: ask once more where the connection is lost on the way.
        """
        with translated_errors(self._label):
            if self._pool.closed:
                self._pool.open()
            try:
                return self._fetch(statements, values)
            except psycopg.OperationalError as exc:
                if not _lost(exc):
                    raise
                self._pool.check()  # the others will be lost as well
                if not again:
                    raise
            return self._fetch(statements, values)

    def _fetch(self, statements: Sequence[Statement], values: Mapping[str, Any]) -> list[list[Any]]:
        # Lent and given back by hand: connection() would look for a transaction to end as well.
        connection = self._pool.getconn()
        try:
            if len(statements) == 1:
                return [_rows(connection, statements[0], values)]
            with connection.transaction():
                connection.execute(ONE_STATE)
                return [_rows(connection, each, values) for each in statements]
        finally:
            self._pool.putconn(connection)


class AsyncPool:
    """Connections for the tasks of an event loop; otherwise as Pool."""

    def __init__(self, url: str, label: str, options: PoolOptions) -> None:
        kind = AsyncConnectionPool if options.size else AsyncNullConnectionPool
        self._label = label
        self._pool = kind(configure=_configure_async, **options.keywords(url))

    async def close(self) -> None:
        await self._pool.close()

    def stats(self) -> dict[str, int]:
        """As Pool.stats."""
        return self._pool.get_stats()

    async def fetch(
        self, statements: Sequence[Statement], values: Mapping[str, Any], *, again: bool
    ) -> list[list[Any]]:
        """As Pool.fetch."""
        with translated_errors(self._label):
            if self._pool.closed:
                await self._pool.open()
            try:
                return await self._fetch(statements, values)
            except psycopg.OperationalError as exc:
                if not _lost(exc):
                    raise
                await self._pool.check()
                if not again:
                    raise
            return await self._fetch(statements, values)

    async def _fetch(
        self, statements: Sequence[Statement], values: Mapping[str, Any]
    ) -> list[list[Any]]:
        connection = await self._pool.getconn()
        try:
            if len(statements) == 1:
                return [await _rows_async(connection, statements[0], values)]
            async with connection.transaction():
                await connection.execute(ONE_STATE)
                return [await _rows_async(connection, each, values) for each in statements]
        finally:
            await self._pool.putconn(connection)


def _configure(connection: psycopg.Connection[Any]) -> None:
    connection.adapters.register_loader("timestamptz", _UtcLoader)


async def _configure_async(connection: psycopg.AsyncConnection[Any]) -> None:
    connection.adapters.register_loader("timestamptz", _UtcLoader)


def _rows(
    connection: psycopg.Connection[Any], statement: Statement, values: Mapping[str, Any]
) -> list[Any]:
    cursor = connection.cursor(row_factory=statement.rows)
    return cursor.execute(statement.query, values).fetchall()


async def _rows_async(
    connection: psycopg.AsyncConnection[Any], statement: Statement, values: Mapping[str, Any]
) -> list[Any]:
    cursor = connection.cursor(row_factory=statement.rows)
    await cursor.execute(statement.query, values)
    return await cursor.fetchall()
