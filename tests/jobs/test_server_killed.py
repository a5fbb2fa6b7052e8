"""The server dies under a refresh: an error that says so, and the next command finds all whole.

It always starts a server of its own, even if RECSYS_DATABASE_URL is set.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa
from store import rows_of

from recsys.config.settings import RefreshSettings
from recsys.errors import StorageError
from recsys.jobs.ingest import ingest
from recsys.jobs.orphans import clear_orphans
from recsys.jobs.plan import plan
from recsys.jobs.refresh import refresh
from recsys.storage.server.embedded import EmbeddedServer
from recsys.storage.server.engine import Database, open_database

pytestmark = pytest.mark.slow

CONFIG = '[refresh]\nmodels = ["most_rated", "ease"]\nthreads = 1\n'
FEW = plan(RefreshSettings(models=("most_rated", "ease"), threads=1))
SEEN = """
SELECT run_id, count(*), sum(movie_id * rank), count(DISTINCT user_id)
FROM recsys.recommendations GROUP BY run_id
"""
RATINGS = "SELECT count(*), sum(rating), sum(movie_id) FROM recsys.ratings"
RUNS = "SELECT run_id, state, published, error FROM recsys.runs ORDER BY run_id"
LEFT = r"SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname ~ '_run_2$'"
WAITING = """
SELECT count(*) FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
WHERE NOT l.granted AND l.relation = CAST('recsys_store.movie_charts' AS regclass)
"""


@pytest.fixture
def home(edition):
    """A home with the made-up edition, and run 1 published."""
    # Not pytest's own folder: as root that one is closed to the server's user.
    folder = Path(tempfile.mkdtemp(prefix="recsys-killed-"))
    folder.chmod(0o755)
    (folder / "recsys.toml").write_text(CONFIG)
    with open_database(folder, None) as database:
        ingest(database, edition)
        refresh(database, FEW)
        EmbeddedServer(folder).start()
    yield folder
    server = EmbeddedServer(folder)
    server.stop(force=True)
    shutil.rmtree(server.paths.socket_dir, ignore_errors=True)
    shutil.rmtree(folder)


def start_refresh(home):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("RECSYS_", "PG"))}
    environment |= {"RECSYS_HOME": str(home), "RECSYS_CONFIG": str(home / "recsys.toml")}
    return subprocess.Popen(
        [sys.executable, "-m", "recsys", "refresh"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_a_server_that_is_killed_under_a_refresh(home):
    server = EmbeddedServer(home)
    database = Database(server.url)
    before = rows_of(database, SEEN), rows_of(database, RATINGS)
    with suppress(StorageError), database.transaction() as connection:
        # The refresh comes to its results, and waits there.
        connection.execute(sa.text("LOCK TABLE recsys_store.movie_charts"))
        process = start_refresh(home)
        while rows_of(database, WAITING) != [(1,)]:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
        server._run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", server.paths.data)
    out, told = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    *_, error, hint = told.splitlines()
    assert error.startswith(f"error: the connection to {database.label} was lost: ")
    assert hint == "hint: the server was stopped or ended the session; try again when it runs"
    assert "Traceback" not in told
    assert "psycopg" not in told

    # The next command starts the server, which recovers, and clears up.
    with open_database(home, None) as database:
        assert clear_orphans(database) == [2]
        gone = (2, "failed", False, "its process ended without finishing the run")
        assert rows_of(database, RUNS) == [(1, "complete", True, None), gone]
        assert rows_of(database, LEFT) == [(0,)]
        assert (rows_of(database, SEEN), rows_of(database, RATINGS)) == before
        run_id = refresh(database, FEW).run_id
        assert rows_of(database, RUNS)[-1] == (run_id, "complete", True, None)
        [(_, *lists)], _ = before
        assert rows_of(database, SEEN) == [(run_id, *lists)]
