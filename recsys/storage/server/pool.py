"""Connection pools for threads and for asyncio tasks."""

from __future__ import annotations

import select
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

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

from recsys.storage.server.address import Address
from recsys.storage.server.failures import translated_errors

WAIT_S = 5.0
"""Seconds that a caller waits for a connection, and a connection for the server."""
MAX_WAITING = 1000
REPEATABLE_READ = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
SERVER_WENT_AWAY = ("57P01", "57P02", "57P05")
"""SQLSTATEs of sessions ended by an administrator, a crash or idle_session_timeout."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A query with %(name)s parameters and its row factory."""

    query: str
    rows: BaseRowFactory[Any]


@dataclass(frozen=True, slots=True)
class PoolOptions:
    size: int = 0
    """Maximum number of connections; 0 opens one per call."""
    timeout_s: float | None = None
    """Statement timeout in seconds; None uses the setting of the role."""
    transaction_pooler: bool = False
    """Whether the URL leads to PgBouncer in transaction mode or similar: a session lasts for one
    transaction, so neither settings nor prepared statements persist."""

    def keywords(self, address: Address) -> dict[str, Any]:
        """Return the arguments of a pool for the database at an address."""
        connect: dict[str, Any] = {"autocommit": True, "application_name": "recsys"}
        connect["connect_timeout"] = int(WAIT_S)
        if self.transaction_pooler:
            connect["prepare_threshold"] = None
        else:
            settings = "-c client_connection_check_interval=2s"
            if self.timeout_s is not None:
                settings += f" -c statement_timeout={max(1, round(self.timeout_s * 1000))}"
            connect["options"] = settings
        return {
            "conninfo": address.conninfo,
            "kwargs": connect,
            "open": False,
            "min_size": min(self.size, 1),
            "max_size": self.size or None,
            "timeout": WAIT_S,
            # Attempts back off exponentially; without this limit they would come minutes apart.
            "reconnect_timeout": WAIT_S,
            "max_waiting": MAX_WAITING,
        }


class _UtcLoader(TimestamptzLoader):
    def load(self, data: Any) -> datetime:
        return super().load(data).astimezone(UTC)


class _Attempts:
    """The connection classes of one pool, which remember why the last attempt failed.

    psycopg_pool connects in the background: a caller who waits in vain would only learn that no
    connection came in time.
    """

    def __init__(self) -> None:
        self.refusal: psycopg.Error | None = None

    @contextmanager
    def watched(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as exc:
            self.refusal = exc
            raise
        self.refusal = None

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Raise the refusal of the server instead of the timeout that follows from it."""
        try:
            yield
        except PoolTimeout as exc:
            if self.refusal is None:
                raise
            # One exception, raised for many callers: its traceback would grow each time.
            raise self.refusal.with_traceback(None) from exc

    def connection_class(self) -> type[psycopg.Connection[Any]]:
        watched = self.watched

        class Watched(psycopg.Connection[Any]):
            @classmethod
            def connect(cls, *args: Any, **kwargs: Any) -> Self:
                with watched():
                    return super().connect(*args, **kwargs)

        return Watched

    def async_connection_class(self) -> type[psycopg.AsyncConnection[Any]]:
        watched = self.watched

        class Watched(psycopg.AsyncConnection[Any]):
            @classmethod
            async def connect(cls, *args: Any, **kwargs: Any) -> Self:
                with watched():
                    return await super().connect(*args, **kwargs)

        return Watched


def _lost(error: psycopg.OperationalError) -> bool:
    """Tell whether the session was lost, so that a retry on another one may succeed."""
    if isinstance(error, PoolTimeout | TooManyRequests | PoolClosed):
        return False
    return error.sqlstate is None or error.sqlstate in SERVER_WENT_AWAY


def _ended(connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> bool:
    """Tell whether the server has ended an idle session, without a round trip.

    A write is safe to send on another connection before it was sent, not after.
    """
    if connection.closed:
        return True
    # A server that was asked nothing has nothing to say but its farewell.
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


class Pool:
    """A pool for threads; driver errors become StorageError."""

    def __init__(self, address: Address, options: PoolOptions) -> None:
        kind = ConnectionPool if options.size else NullConnectionPool
        self._label = address.label
        self._attempts = _Attempts()
        self._pool = kind(
            configure=_configure,
            connection_class=self._attempts.connection_class(),
            **options.keywords(address),
        )

    def close(self) -> None:
        self._pool.close()

    def stats(self) -> dict[str, int]:
        """Return the statistics of psycopg_pool."""
        return self._pool.get_stats()

    def fetch(
        self, statements: Sequence[Statement], values: Mapping[str, Any], *, again: bool
    ) -> list[list[Any]]:
        """Return the rows of each statement; several statements see one snapshot.

        `again` retries once if the connection is lost.
        """
        with translated_errors(self._label), self._attempts.explained():
            if self._pool.closed:
                self._pool.open()
            try:
                return self._fetch(statements, values)
            except psycopg.OperationalError as exc:
                if not _lost(exc):
                    raise
                self._pool.check()  # after a restart of the server all idle connections are dead
                if not again:
                    raise
            return self._fetch(statements, values)

    def _fetch(self, statements: Sequence[Statement], values: Mapping[str, Any]) -> list[list[Any]]:
        # Not connection(): it would also look for a transaction to end, in every call.
        connection = self._pool.getconn()
        while _ended(connection):
            connection.close()
            self._pool.putconn(connection)
            connection = self._pool.getconn()
        try:
            if len(statements) == 1:
                return [_rows(connection, statements[0], values)]
            with connection.transaction():
                connection.execute(REPEATABLE_READ)
                return [_rows(connection, each, values) for each in statements]
        finally:
            self._pool.putconn(connection)


class AsyncPool:
    """A pool for asyncio tasks; driver errors become StorageError."""

    def __init__(self, address: Address, options: PoolOptions) -> None:
        kind = AsyncConnectionPool if options.size else AsyncNullConnectionPool
        self._label = address.label
        self._attempts = _Attempts()
        self._pool = kind(
            configure=_configure_async,
            connection_class=self._attempts.async_connection_class(),
            **options.keywords(address),
        )

    async def close(self) -> None:
        await self._pool.close()

    def stats(self) -> dict[str, int]:
        """Return the statistics of psycopg_pool."""
        return self._pool.get_stats()

    async def fetch(
        self, statements: Sequence[Statement], values: Mapping[str, Any], *, again: bool
    ) -> list[list[Any]]:
        """Return the rows of each statement; several statements see one snapshot.

        `again` retries once if the connection is lost.
        """
        with translated_errors(self._label), self._attempts.explained():
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
        while _ended(connection):
            await connection.close()
            await self._pool.putconn(connection)
            connection = await self._pool.getconn()
        try:
            if len(statements) == 1:
                return [await _rows_async(connection, statements[0], values)]
            async with connection.transaction():
                await connection.execute(REPEATABLE_READ)
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
