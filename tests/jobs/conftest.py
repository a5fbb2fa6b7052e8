"""Fixtures of the job tests: the whole store as text, and processes to kill half-way."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa

from recsys.storage.server.engine import Database

TABLES = sa.text("""
SELECT c.oid::regclass::text FROM pg_class AS c
WHERE c.relnamespace = 'recsys_store'::regnamespace AND c.relkind IN ('r', 'p') ORDER BY 1
""")


@pytest.fixture(scope="session")
def contents() -> Callable[[Database], dict[str, list[str]]]:
    """Return every row of every table of the store, partitions by themselves too."""

    def read(database: Database) -> dict[str, list[str]]:
        with database.snapshot() as connection:
            return {
                table: list(
                    connection.scalars(sa.text(f"SELECT t::text FROM {table} AS t ORDER BY 1"))
                )
                for table in connection.scalars(TABLES)
            }

    return read


class OtherProcess:
    """Python that prints `here` when it has come so far, and then waits to be killed."""

    def __init__(self, code: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "here\n"

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate(timeout=30)


@pytest.fixture
def start_other() -> Iterator[Callable[..., OtherProcess]]:
    started: list[OtherProcess] = []

    def start(code: str, *arguments: str) -> OtherProcess:
        started.append(OtherProcess(code, *arguments))
        return started[-1]

    yield start
    for other in started:
        other.kill()


@pytest.fixture(scope="session")
def wait_until_alone() -> Callable[[Database], None]:
    """Wait until the server has noticed that the killed process is gone."""

    def wait(database: Database) -> None:
        others = sa.text("""
            SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()
              AND backend_type = 'client backend'
        """)
        for _ in range(200):
            with database.session() as session:
                if session.scalar(others) == 0:
                    return
                session.execute(sa.text("SELECT pg_sleep(0.05)"))
        raise AssertionError("the killed process's session did not end")

    return wait
