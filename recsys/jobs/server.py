"""The server the settings lead to: the embedded one, or somebody's by its URL."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

from recsys.config.settings import Settings
from recsys.errors import ConfigError
from recsys.storage.server.embedded import EmbeddedServer, ServerStatus
from recsys.storage.server.engine import Database, open_database, split_password

__all__ = [
    "Database",
    "configured_database",
    "embedded_server",
    "embedded_status",
    "run_psql",
]


@contextmanager
def configured_database(current: Settings) -> Iterator[Database]:
    """Yield the database of the settings; an embedded server runs for so long."""
    with open_database(current.home, current.database_url, reuse_connections=True) as opened:
        yield opened


def embedded_server(current: Settings) -> EmbeddedServer:
    """Return the embedded server; raises ConfigError where a URL takes its place."""
    if current.database_url:
        raise ConfigError(
            "RECSYS_DATABASE_URL is set, and that server is not ours to start or stop",
            hint="unset it to use the embedded PostgreSQL",
        )
    return EmbeddedServer(current.home)


def embedded_status(current: Settings) -> ServerStatus | None:
    """Return how the embedded server is, None where a URL takes its place."""
    return None if current.database_url else EmbeddedServer(current.home).status()


def run_psql(current: Settings, arguments: Sequence[str]) -> int:
    """Run psql on the database, on our terminal, and return its exit code."""
    server = None if current.database_url else EmbeddedServer(current.home)
    program = str(server.program("psql")) if server else shutil.which("psql")
    if program is None:
        raise ConfigError("psql is not on PATH", hint="install PostgreSQL's client programs")
    with server.running() if server else nullcontext(current.database_url) as address:
        # By the environment: everybody on the machine may read the arguments of a process.
        public, password = split_password(str(address))
        environment = {**os.environ, "PGPASSWORD": password} if password else None
        # Ctrl-C is psql's: it cancels a query there.
        before = signal.signal(signal.SIGINT, lambda number, frame: None)
        try:
            return subprocess.run([program, public, *arguments], env=environment).returncode
        finally:
            signal.signal(signal.SIGINT, before)
