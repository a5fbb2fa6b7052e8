"""Let people read while runs are published, rolled back and dropped in a loop.

.venv/bin/python tests/torture/publish_under_readers.py --seconds 60
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psycopg
import sqlalchemy as sa

from recsys.config.settings import GateSettings, RefreshSettings
from recsys.jobs.ingest import ingest
from recsys.jobs.plan import Plan, plan
from recsys.jobs.publish import prune, publish, rollback
from recsys.jobs.refresh import refresh
from recsys.sample.files import write_sample
from recsys.storage.server.embedded import EmbeddedServer
from recsys.storage.server.engine import Database

SETTINGS = RefreshSettings(
    models=("most_rated", "ease"), threads=1, keep_runs=2, gate=GateSettings(enabled=False)
)
# Recommendations and similar movies must be of one run, or publication is not atomic.
JOINED = """
SELECT count(*), count(DISTINCT r.run_id), count(DISTINCT s.run_id),
    count(*) FILTER (WHERE r.run_id <> s.run_id)
FROM recsys.recommendations AS r
JOIN recsys.similar_movies AS s ON s.movie_id = r.movie_id AND s.model = r.model AND s.rank <= 5
WHERE r.user_id = %s AND r.model = 'ease' AND r.rank <= 10
"""
CALLED = "SELECT count(*), count(DISTINCT run_id) FROM recsys.recommend(%s, 10)"
# Autovacuum truncates a table under such a lock, and releases it if another session waits.
BLOCKING = """
SELECT c.relname, a.query FROM pg_locks AS l
JOIN pg_class AS c ON c.oid = l.relation
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.mode = 'AccessExclusiveLock' AND n.nspname IN ('recsys', 'recsys_store')
  AND a.backend_type = 'client backend' AND c.relname !~ '_run_[0-9]+'
"""


@dataclass
class Seen:
    """Observations of the readers and of the watcher of the locks."""

    reads: int = 0
    runs: set[int] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    publications: list[float] = field(default_factory=list)
    """Seconds that each publish transaction took."""


class Readers:
    """A number of connections that read until they are stopped."""

    def __init__(self, url: str, count: int, users: Sequence[int]) -> None:
        self.seen = Seen()
        self._url = url.replace("+psycopg", "")
        self._users = users
        self._over = threading.Event()
        self._lock = threading.Lock()
        works: list[Callable[[psycopg.Connection], None]] = [self._read] * count + [self._watch]
        self._threads = [threading.Thread(target=self._work, args=(work,)) for work in works]

    def __enter__(self) -> Readers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _work(self, work: Callable[[psycopg.Connection], None]) -> None:
        try:
            with psycopg.connect(self._url, autocommit=True) as connection:
                while not self._over.is_set():
                    work(connection)
        except psycopg.Error as exc:
            self._wrong(f"{type(exc).__name__}: {exc}")

    def _read(self, connection: psycopg.Connection) -> None:
        user = self._users[self.seen.reads % len(self._users)]
        rows, lists, similar, mixed = connection.execute(JOINED, [user]).fetchone() or (0,) * 4
        if not rows or (lists, similar, mixed) != (1, 1, 0):
            self._wrong(f"user {user}: {rows} rows, runs {lists} and {similar}, {mixed} mixed")
        called, runs = connection.execute(CALLED, [user]).fetchone() or (0, 0)
        if (called, runs) != (10, 1):
            self._wrong(f"recommend({user}): {called} rows of {runs} runs")
        with self._lock:
            self.seen.reads += 2
        time.sleep(0.01)  # so that others have a turn on few cores

    def _watch(self, connection: psycopg.Connection) -> None:
        for relation, query in connection.execute(BLOCKING):
            self._wrong(f"ACCESS EXCLUSIVE on {relation} by {query}")
        time.sleep(0.002)

    def _wrong(self, what: str) -> None:
        with self._lock:
            self.seen.wrong.append(what)


def publish_in_a_loop(
    database: Database, chosen: Plan, seconds: float, readers: int, users: Sequence[int]
) -> Seen:
    """Publish, roll back and drop runs for so long, while people read."""
    ends = time.monotonic() + seconds
    with Readers(database.url, readers, users) as reading:
        while time.monotonic() < ends:
            run = refresh(database, chosen).run_id
            reading.seen.runs.add(run)
            for step in (partial(rollback, database), partial(publish, database, run)):
                began = time.monotonic()
                step()
                reading.seen.publications.append(time.monotonic() - began)
            prune(database, 2)
    return reading.seen


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--readers", type=int, default=20)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as home:
        Path(home).chmod(0o755)
        with EmbeddedServer(Path(home)).running() as url:
            database = Database(url)
            ingest(database, write_sample(Path(home) / "sample"))
            chosen = plan(SETTINGS)
            refresh(database, chosen)
            with database.transaction() as connection:
                query = "SELECT DISTINCT user_id FROM recsys.recommendations ORDER BY 1 LIMIT 50"
                users = list(connection.scalars(sa.text(query)))
            refresh(database, chosen)
            seen = publish_in_a_loop(database, chosen, given.seconds, given.readers, users)
    median = statistics.median(seen.publications) * 1000
    sys.stdout.write(
        f"{seen.reads:,} reads by {given.readers} readers while {len(seen.runs)} runs were "
        f"published; publishing by hand took {median:.0f} ms in the median; "
        f"{len(seen.wrong)} wrong\n"
    )
    for wrong in seen.wrong[:10]:
        sys.stdout.write(f"{wrong}\n")
    raise SystemExit(bool(seen.wrong))


if __name__ == "__main__":
    main()
