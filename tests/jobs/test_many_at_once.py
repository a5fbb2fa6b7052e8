"""Concurrent refreshes: one runs, all others exit with 4 and name it."""

import os
import re
import subprocess
import sys

import pytest
import sqlalchemy as sa

pytestmark = pytest.mark.slow

CONFIG = '[refresh]\nmodels = ["most_rated", "ease"]\nthreads = 1\n'
# Ten processes of `recsys refresh`; they share what importing it takes.
TEN = """
import os, sys
from recsys.cli.app import main
import recsys.jobs.refresh, recsys.jobs.refresh_users

sys.argv = ["recsys", "refresh"]
for number in range(10):
    if os.fork() == 0:
        os.dup2(os.open(f"{number}.err", os.O_CREAT | os.O_WRONLY), 2)
        main()
for _ in range(10):
    _, status = os.wait()
    print(os.waitstatus_to_exitcode(status), flush=True)
"""
HELD = re.compile(
    r"error: another refresh is running: "
    r"(run 1 by \S+:\d+|it has just begun, or an ingest replaces the data, "
    r"in session \d+ of \w+ \(recsys\)) "
    r"since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\nhint: wait for it to end\n"
)


@pytest.fixture
def ten(filled_database, tmp_path):
    (tmp_path / "recsys.toml").write_text(CONFIG)
    environment = {
        **os.environ,
        "RECSYS_DATABASE_URL": filled_database.url,
        "RECSYS_CONFIG": str(tmp_path / "recsys.toml"),
        # Should two run, neither waits for us for ever.
        "PGOPTIONS": "-c lock_timeout=60s",
    }

    def start():
        return subprocess.Popen(
            [sys.executable, "-c", TEN],
            cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    return start


def test_one_of_ten_runs_and_nine_learn_who_does(ten, filled_database, tmp_path):
    with filled_database.transaction() as connection:
        # The one that runs comes as far as its results, and waits there for the others to end.
        connection.execute(sa.text("LOCK TABLE recsys_store.movie_charts"))
        processes = ten()
        assert [int(processes.stdout.readline()) for _ in range(9)] == [4] * 9
    out, _ = processes.communicate(timeout=60)
    assert (int(out), processes.returncode) == (0, 0)
    told = sorted((tmp_path / f"{number}.err").read_text() for number in range(10))
    [winner] = [text for text in told if not HELD.fullmatch(text)]
    assert "Run 1 is published" in winner
    with filled_database.transaction() as connection:
        found = connection.execute(sa.text("SELECT run_id, state, published FROM recsys.runs"))
        assert [tuple(row) for row in found] == [(1, "complete", True)]
