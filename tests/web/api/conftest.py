"""The app behind a real server on a free port, over the made-up edition."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
import uvloop

from recsys import AsyncRecommender
from recsys.storage.server.engine import Database
from recsys.storage.server.pool import PoolOptions
from recsys.web.app import create_app
from recsys.web.server.limits import Limits
from recsys.web.server.server import LimitedServer

TOKEN = "only-of-the-tests"
Serving = Callable[..., AbstractContextManager[httpx.Client]]


@pytest.fixture(scope="session")
def serving() -> Serving:
    """Serve a database within a `with` block that yields a client."""

    @contextmanager
    def serve(
        database: Database,
        token: str | None = TOKEN,
        options: PoolOptions | None = None,
        limits: Limits | None = None,
    ) -> Iterator[httpx.Client]:
        started = threading.Event()
        with socket.create_server(("127.0.0.1", 0)) as listening:
            servers: list[LimitedServer] = []

            async def run() -> None:
                async with AsyncRecommender(database, options=options) as recommender:
                    app = create_app(recommender, token=token)
                    servers.append(LimitedServer(app, limits=limits))
                    started.set()
                    await servers[0].serve([listening])

            thread = threading.Thread(target=lambda: uvloop.run(run()))
            thread.start()
            assert started.wait(10)
            url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            try:
                with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
                    yield client
            finally:
                servers[0].should_exit = True
                thread.join()

    return serve


@pytest.fixture(scope="session")
def http(serving: Serving, edition_database: Database) -> Iterator[httpx.Client]:
    """A client of the edition with run 1 published, for reading only."""
    with serving(edition_database) as client:
        yield client


@pytest.fixture
def writable(serving: Serving, refreshed_database: Database) -> Iterator[httpx.Client]:
    """A client with the token, of a database of the test's own."""
    with serving(refreshed_database, options=PoolOptions(2)) as client:
        client.headers["Authorization"] = f"Bearer {TOKEN}"
        yield client


@pytest.fixture
def contract(edition_database: Database) -> Callable[..., list[dict[str, Any]]]:
    """Select rows of the contract as JSON values."""

    def select(query: str, **values: Any) -> list[dict[str, Any]]:
        with edition_database.snapshot() as connection:
            found = connection.execute(sa.text(query), values).mappings()
            return [{name: _json_value(value) for name, value in row.items()} for row in found]

    return select


def _json_value(value: Any) -> Any:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
