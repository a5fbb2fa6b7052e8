"""A server whose `max_connections` are in use: commands, the Python API, jobs in the middle.

It always starts a server of its own, even if RECSYS_DATABASE_URL is set.
"""

import asyncio
import shutil
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import psycopg
import pytest
from store import rows_of

from recsys import AsyncRecommender, Recommender
from recsys.config.settings import RefreshSettings
from recsys.errors import StorageError
from recsys.jobs.ingest import ingest
from recsys.jobs.orphans import clear_orphans
from recsys.jobs.plan import plan
from recsys.jobs.progress import Silent
from recsys.jobs.refresh import refresh
from recsys.storage.server import embedded, engine, pool
from recsys.storage.server.embedded import EmbeddedServer
from recsys.storage.server.engine import open_database

LIMIT = {"max_connections": "8", "superuser_reserved_connections": "0"}
FEW = plan(RefreshSettings(models=("most_rated", "ease"), threads=1))
HINT = (
    "close idle sessions (pg_stat_activity lists them), raise max_connections of the server or the "
    "CONNECTION LIMIT of the role or database, or put a pooler in front; then try again"
)
RUNS = "SELECT run_id, state, published, error FROM recsys.runs ORDER BY run_id"
FIRST_RUN = (1, "complete", True, None)


@pytest.fixture(scope="module")
def home(edition):
    """A home whose server accepts eight connections, with run 1 published."""
    folder = Path(tempfile.mkdtemp(prefix="recsys-full-", dir=Path("/tmp")))
    folder.chmod(0o755)
    settings = embedded.server_settings()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded, "server_settings", lambda: {**settings, **LIMIT, "fsync": "off"})
        with open_database(folder, None) as database:
            ingest(database, edition)
            refresh(database, FEW)
            yield folder
    shutil.rmtree(EmbeddedServer(folder).paths.socket_dir, ignore_errors=True)
    shutil.rmtree(folder)


@pytest.fixture
def url(home):
    return EmbeddedServer(home).url


@pytest.fixture
def opened(home):
    with open_database(home, EmbeddedServer(home).url) as database:
        yield database


def fill(url):
    """Open connections until the server refuses them; return them."""
    taken, refused = [], 0
    # A session that has just been closed may still hold its slot.
    while refused < 3:
        try:
            taken.append(psycopg.connect(url))
        except psycopg.OperationalError:
            refused += 1
            time.sleep(0.02)
    return taken


def release(taken):
    for connection in taken:
        connection.close()


@contextmanager
def full(url):
    taken = fill(url)
    try:
        yield
    finally:
        release(taken)


def message_of(url):
    return (
        f"{engine.Database(url).label} accepts no more connections: sorry, too many clients already"
    )


COMMANDS = [
    "status", "db status", "db upgrade", "recommend 1", "rate 1 1 5", "ingest EDITION", "refresh",
    "refresh --users-only", "runs list", "runs prune", "runs rollback", "forget 1", "evaluate",
    "verify", "serve --port 0",
]  # fmt: skip


@pytest.mark.slow
def test_every_command_names_the_limit_and_works_again_later(recsys, url, edition):
    with full(url):
        told = set()
        for command in COMMANDS:
            words = command.replace("EDITION", str(edition)).split()
            outcome = recsys(*words, RECSYS_DATABASE_URL=url)
            told.add((outcome.code, outcome.out, outcome.err.strip()))
    assert told == {(1, "", f"error: {message_of(url)}\nhint: {HINT}")}
    assert recsys("runs", "list", RECSYS_DATABASE_URL=url).code == 0


def test_the_python_api_names_the_limit_and_recovers(url, monkeypatch):
    monkeypatch.setattr(pool, "WAIT_S", 0.3)
    with full(url), pytest.raises(StorageError) as caught, Recommender.connect(url):
        pytest.fail("a full server was opened")
    assert (str(caught.value), caught.value.hint) == (message_of(url), HINT)
    with Recommender.connect(url) as recommender:
        with full(url), pytest.raises(StorageError) as caught:
            recommender.recommend(1)
        assert (str(caught.value), caught.value.hint) == (message_of(url), HINT)
        assert caught.value.sqlstate == "53300"
        assert len(recommender.recommend(1)) == 10

    async def awaited():
        async with AsyncRecommender.connect(url) as recommender:
            with full(url), pytest.raises(StorageError) as caught:
                await recommender.recommend(1)
            assert (str(caught.value), caught.value.hint) == (message_of(url), HINT)
            return len(await recommender.recommend(1))

    assert asyncio.run(awaited()) == 10


class Filling(Silent):
    """Take all connections when a stage begins, and release them after some seconds."""

    def __init__(self, url, seconds):
        self.url, self.seconds = url, seconds
        self.releasing = None

    def begin(self, stage):
        if stage == "gate":
            taken = fill(self.url)
            self.releasing = Thread(target=self._release, args=(taken,))
            self.releasing.start()

    def _release(self, taken):
        time.sleep(self.seconds)
        release(taken)


def test_a_refresh_waits_for_a_connection_and_is_published(opened, url):
    filling = Filling(url, 0.7)
    found = refresh(opened, FEW, reporter=filling)
    filling.releasing.join()
    assert rows_of(opened, RUNS) == [
        (1, "complete", False, None), (found.run_id, "complete", True, None),
    ]  # fmt: skip
    opened.engine.dispose()


@pytest.mark.slow
def test_a_refresh_that_waited_in_vain_leaves_the_published_run(opened, url, monkeypatch):
    monkeypatch.setattr(engine, "WAIT_FOR_SLOT_S", 0.2)
    before = rows_of(opened, RUNS)
    filling = Filling(url, 1.5)
    with pytest.raises(StorageError) as caught:
        refresh(opened, FEW, reporter=filling)
    assert (str(caught.value), caught.value.hint) == (message_of(url), HINT)
    filling.releasing.join()
    time.sleep(0.1)
    [orphan] = clear_orphans(opened)
    reason = "its process ended without finishing the run"
    assert rows_of(opened, RUNS) == [*before, (orphan, "failed", False, reason)]
    assert refresh(opened, FEW).published
