"""The base classes of both recommenders: open the database, keep a pool, run a query."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from recsys.config import settings
from recsys.errors import InvalidArgument, StorageError
from recsys.service.networks import Networks, Step
from recsys.service.queries.query import NO_CONTRACT, Query, Result, is_empty
from recsys.storage.server.address import Address, open_address
from recsys.storage.server.pool import AsyncPool, Pool, PoolOptions

POOL_SIZE = 8
TIMEOUT_S = 30.0
NO_TEXT = "a text holds half of a surrogate pair, which is no character"

Opened = TypeVar("Opened", bound="AsyncSession")


class Session:
    """A pool of connections to one database, for any number of threads."""

    def __init__(
        self,
        address: Address,
        owned: ExitStack | None = None,
        options: PoolOptions | None = None,
    ) -> None:
        # Holds the embedded server if this session opened it; the caller stops its own server.
        self._owned = owned or ExitStack()
        self._pool = Pool(address, options or PoolOptions())
        self._networks = Networks()

    @classmethod
    def connect(
        cls,
        url: str | None = None,
        *,
        pool_size: int = POOL_SIZE,
        timeout_s: float | None = TIMEOUT_S,
        transaction_pooler: bool = False,
    ) -> Self:
        """Open the database at `url`, else at RECSYS_DATABASE_URL, else the embedded server.

        The pool keeps up to `pool_size` connections; with 0 each call opens its own. A query that
        takes longer than `timeout_s` seconds fails. Set `transaction_pooler` if the URL is that of
        PgBouncer in transaction mode; the statement_timeout of the role applies then. Raises
        ConfigError for an invalid URL and StorageError if the server does not answer.
        """
        owned = ExitStack()
        address = owned.enter_context(_address(url))
        return cls(address, owned, PoolOptions(pool_size, timeout_s, transaction_pooler))

    def close(self) -> None:
        """Close the connections; the embedded server stops with its last user."""
        # Connections first: the server below may stop with its last user.
        self._pool.close()
        self._owned.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def pool_stats(self) -> dict[str, int]:
        """Return the counters of the connection pool, named as in psycopg_pool."""
        return self._pool.stats()

    def _run(self, query: Query[Result]) -> Result:
        # A write may be committed when its connection breaks, so only reads are repeated.
        try:
            found = self._pool.fetch(query.statements, query.params, again=not query.writes)
        except StorageError as exc:
            # A relation is missing from an empty database, but also from an outdated schema.
            empty = exc.sqlstate in NO_CONTRACT and self._run(is_empty())
            raise query.error(exc, empty=empty) from exc
        except UnicodeEncodeError as exc:
            raise InvalidArgument(NO_TEXT) from exc
        result = query.parse(found)
        # Checked only now, so that a query with rows costs one round trip.
        if query.check_if_empty is not None and (result is None or result == []):
            self._run(query.check_if_empty)
        return result

    def _follow(self, steps: Generator[Step, Any, Result]) -> Result:
        """Take one step after the other; return the result of the last."""
        done: Any = None
        while True:
            try:
                step = steps.send(done)
            except StopIteration as end:
                result: Result = end.value
                return result
            done = self._run(step) if isinstance(step, Query) else step()


class AsyncSession:
    """A pool of connections to one database, for the tasks of one event loop."""

    def __init__(
        self,
        address: Address,
        owned: ExitStack | None = None,
        options: PoolOptions | None = None,
    ) -> None:
        self._pool = AsyncPool(address, options or PoolOptions())
        self._networks = Networks()
        self._owned = owned or ExitStack()

    @classmethod
    def connect(
        cls,
        url: str | None = None,
        *,
        pool_size: int = POOL_SIZE,
        timeout_s: float | None = TIMEOUT_S,
        transaction_pooler: bool = False,
    ) -> Connecting[Self]:
        """Open the database at `url`, else at RECSYS_DATABASE_URL, else the embedded server.

        Use `async with AsyncRecommender.connect() as recommender`, or `await` the result and close
        it yourself. The pool keeps up to `pool_size` connections; with 0 each call opens its own.
        A query that takes longer than `timeout_s` seconds fails. Set `transaction_pooler` if the
        URL is that of PgBouncer in transaction mode; the statement_timeout of the role applies
        then. Raises ConfigError for an invalid URL and StorageError if the server does not answer.
        """

        async def opened() -> Self:
            owned = ExitStack()
            # Starting the embedded server takes seconds, which would block the event loop.
            address = await asyncio.to_thread(owned.enter_context, _address(url))
            return cls(address, owned, PoolOptions(pool_size, timeout_s, transaction_pooler))

        return Connecting(opened)

    async def close(self) -> None:
        """Close the connections; the embedded server stops with its last user."""
        await self._pool.close()
        # Stopping the embedded server would block the event loop.
        await asyncio.to_thread(self._owned.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def pool_stats(self) -> dict[str, int]:
        """Return the counters of the connection pool, named as in psycopg_pool."""
        return self._pool.stats()

    async def _run(self, query: Query[Result]) -> Result:
        try:
            found = await self._pool.fetch(query.statements, query.params, again=not query.writes)
        except StorageError as exc:
            empty = exc.sqlstate in NO_CONTRACT and await self._run(is_empty())
            raise query.error(exc, empty=empty) from exc
        except UnicodeEncodeError as exc:
            raise InvalidArgument(NO_TEXT) from exc
        result = query.parse(found)
        if query.check_if_empty is not None and (result is None or result == []):
            await self._run(query.check_if_empty)
        return result

    async def _follow(self, steps: Generator[Step, Any, Result]) -> Result:
        """Take one step after the other; return the result of the last."""
        done: Any = None
        while True:
            try:
                step = steps.send(done)
            except StopIteration as end:
                result: Result = end.value
                return result
            # A network computes for up to seconds, which would block the event loop.
            done = await (self._run(step) if isinstance(step, Query) else asyncio.to_thread(step))


# A coroutine alone could not be used in `async with` without a second await.
class Connecting(Generic[Opened]):
    """A session to be opened, by `await` or by `async with`, which also closes it."""

    def __init__(self, open_session: Callable[[], Coroutine[Any, Any, Opened]]) -> None:
        self._open_session = open_session
        self._session: Opened | None = None

    def __await__(self) -> Generator[Any, Any, Opened]:
        return self._open_session().__await__()

    async def __aenter__(self) -> Opened:
        self._session = await self
        return self._session

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()


def _address(url: str | None) -> AbstractContextManager[Address]:
    current = settings.load()
    return open_address(current.home, url or current.database_url)
