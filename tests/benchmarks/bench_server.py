"""A throw-away PostgreSQL for benchmarks, databases on it, and processes to measure in."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any

import psycopg
from psycopg import sql

from recsys.storage.schema import versions
from recsys.storage.server.embedded import EmbeddedServer
from recsys.storage.server.engine import Database, sqlalchemy_url


@dataclass
class Server:
    """A server on which databases are made for a while."""

    url: str
    psql: Path
    _made: list[str] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def create(self, template: str = "template1") -> str:
        """Make a database and return its name."""
        name = f"recsys_bench_{os.getpid()}_{next(self._numbers)}"
        self._made.append(name)
        self._run("CREATE DATABASE {} TEMPLATE {}", name, template)
        return name

    def drop(self, name: str) -> None:
        self._run("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
        self._made.remove(name)

    def drop_all(self) -> None:
        for name in self._made[::-1]:
            self.drop(name)

    def migrated(self) -> str:
        """Make a database with the empty store in it."""
        name = self.create()
        with self.database(name).transaction() as connection:
            versions.upgrade(connection)
        return name

    def database(self, name: str) -> Database:
        return Database(self.url_of(name))

    def url_of(self, name: str) -> str:
        parsed = sqlalchemy_url(self.url).set(drivername="postgresql", database=name)
        return parsed.render_as_string(hide_password=False)

    def checkpoint(self) -> None:
        """Flush earlier writes, so that none happens during the measurement."""
        with (
            suppress(psycopg.errors.InsufficientPrivilege),
            psycopg.connect(self.url, autocommit=True) as connection,
        ):
            connection.execute("CHECKPOINT")

    def timed_psql(self, name: str, command: str) -> float:
        """Run one SQL or backslash command in psql; return the seconds."""
        begun = time.monotonic()
        subprocess.run(
            [self.psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", command, self.url_of(name)],
            check=True,
            stdout=subprocess.DEVNULL,
            env={k: v for k, v in os.environ.items() if not k.startswith("PG")},
        )
        return time.monotonic() - begun

    def _run(self, statement: str, *names: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@contextmanager
def bench_server(url: str | None) -> Iterator[Server]:
    """Yield the server at `url`, or an embedded one in a temporary home; leave nothing behind."""
    signal.signal(signal.SIGTERM, _interrupt)
    with _reachable(url) as server:
        try:
            yield server
        finally:
            server.drop_all()


@contextmanager
def _reachable(url: str | None) -> Iterator[Server]:
    if url:
        yield Server(url, Path(shutil.which("psql") or "psql"))
        return
    home = Path(tempfile.mkdtemp(prefix="recsys-bench-"))
    try:
        # As root the server runs as another user, who must get in.
        home.chmod(0o755)
        embedded = EmbeddedServer(home)
        with embedded.running() as reachable:
            yield Server(reachable, embedded.program("psql"))
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def in_own_process(part: Callable[..., Any], *arguments: Any) -> Any:
    """Run `part` in a fresh process, so that peak memory is its own; return its result."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(sender, part, arguments))
    process.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError:
        raise SystemExit(f"{part.__name__} did not finish") from None
    finally:
        process.terminate()
        process.join()


def _child(sender: Connection, part: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    # Ctrl-C reaches the whole group; the parent ends us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sender.send(part(*arguments))
