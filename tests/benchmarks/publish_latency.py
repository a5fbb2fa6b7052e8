"""Duration and locks of a publication, on ten million ratings with concurrent readers.

    python tests/benchmarks/publish_latency.py [--home HOME] [--times 40] [--readers 2] [--json]

HOME is that of contract_latency.py, filled in the same way. A second run is made by
`refresh --users-only` and dropped at the end. A target that is missed does not fail.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import psycopg
import sqlalchemy as sa
from contract_latency import RATINGS, filled

from recsys.config.settings import RefreshSettings
from recsys.jobs.plan import plan
from recsys.jobs.publish import prune, publish, rollback
from recsys.jobs.refresh_users import refresh_users
from recsys.storage.server.embedded import EmbeddedServer
from recsys.storage.server.engine import Database

READ = (
    "SELECT * FROM recsys.recommend({user}, 10)",
    "SELECT * FROM recsys.recommendations WHERE user_id = {user}",
    "SELECT * FROM recsys.similar({movie}, 10)",
    "SELECT * FROM recsys.top_movies(10)",
    "SELECT * FROM recsys.user_status({user})",
    "SELECT * FROM recsys.explain({user}, {movie})",
)
HELD = """
SELECT c.relname, l.mode FROM pg_locks AS l
JOIN pg_class AS c ON c.oid = l.relation
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE l.granted AND n.nspname IN ('recsys', 'recsys_store') AND c.relkind IN ('r', 'p', 'v')
  AND l.pid {whose}
"""
THEIRS = HELD.format(
    whose="IN (SELECT pid FROM pg_stat_activity WHERE application_name = 'recsys')"
)
WAITING = """
SELECT count(*) FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
WHERE NOT l.granted AND a.application_name = 'reader'
"""
OURS = HELD.format(whose="= pg_backend_pid()")
PAUSE_S = 0.01
"""Pause between two reads: without one the measurement shows the scheduling of cores."""
STRENGTH = (
    "AccessShareLock", "RowShareLock", "RowExclusiveLock", "ShareUpdateExclusiveLock", "ShareLock",
    "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock",
)  # fmt: skip
BLOCKS_READERS = STRENGTH[-1]

Locks = set[tuple[str, str]]
"""Names of relations, each beside a mode."""


@dataclass
class Reads:
    longest_ms: float = 0
    count: int = 0
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Line:
    what: str
    median_ms: float
    longest_ms: float
    transaction_ms: float
    """Median of the last transaction of each step, its commit too."""
    locks: dict[str, list[str]]
    """Relations by the strongest mode in which they were held."""
    blocking: list[str]
    """Those that readers use and that were held in ACCESS EXCLUSIVE mode."""
    waiting: int
    """How often a reader was seen waiting for a lock."""
    reads: int
    longest_read_ms: float
    failed_reads: int


class Bench:
    def __init__(self, database: Database, readers: int) -> None:
        self.database, self.readers = database, readers
        self.url = database.url.replace("+psycopg", "")
        self.locks: Locks = set()
        self.listening, self.waiting = False, 0
        self.began = time.monotonic()
        sa.event.listen(database.engine, "begin", self._note_begin)
        sa.event.listen(database.engine, "commit", self._note_locks)
        with psycopg.connect(self.url) as connection:
            self.run_id, self.movie = connection.execute(
                "SELECT run_id, (SELECT min(movie_id) FROM recsys_store.movies) "
                "FROM recsys_store.published"
            ).fetchone() or (0, 0)
            self.users = [
                row[0]
                for row in connection.execute(
                    "SELECT user_id FROM recsys_store.run_users WHERE run_id = %s "
                    "ORDER BY user_id LIMIT 500",
                    [self.run_id],
                )
            ]

    def _note_begin(self, connection: sa.Connection) -> None:
        self.began = time.monotonic()

    def _note_locks(self, connection: sa.Connection) -> None:
        """Note all that a transaction has locked when it commits: it lets go of nothing before."""
        if self.listening:
            self.locks |= {tuple(row) for row in connection.exec_driver_sql(OURS)}

    @contextmanager
    def reading(self) -> Iterator[Reads]:
        """Let people read."""
        over, seen = threading.Event(), Reads()
        threads = [
            threading.Thread(target=self._read, args=(over, seen, number))
            for number in range(self.readers)
        ]
        for thread in threads:
            thread.start()
        try:
            yield seen
        finally:
            over.set()
            for thread in threads:
                thread.join()

    def _read(self, over: threading.Event, seen: Reads, number: int) -> None:
        try:
            with self.connection("reader") as connection:
                while not over.is_set():
                    user = self.users[(seen.count + number) % len(self.users)]
                    began = time.monotonic()
                    rows = connection.execute(READ[0].format(user=user)).fetchall()
                    seen.longest_ms = max(seen.longest_ms, (time.monotonic() - began) * 1000)
                    seen.count += 1
                    if len(rows) != 10:
                        seen.failures.append(f"user {user} has {len(rows)} rows")
                    time.sleep(PAUSE_S)
        except psycopg.Error as exc:
            seen.failures.append(str(exc))

    def connection(self, name: str) -> psycopg.Connection:
        return psycopg.connect(self.url, autocommit=True, application_name=name)

    def used_by_readers(self) -> set[str]:
        """Return the relations that reading locks."""
        with psycopg.connect(self.url) as connection:
            for query in READ:
                connection.execute(query.format(user=self.users[0], movie=self.movie))
            return {row[0] for row in connection.execute(OURS)}

    @contextmanager
    def watching(self, seen: Locks) -> Iterator[None]:
        """Record waiting sessions from outside, and the locks of commits inside one statement."""
        over = threading.Event()

        def watch() -> None:
            with self.connection("watcher") as connection:
                while not over.is_set():
                    seen.update((row[0], row[1]) for row in connection.execute(THEIRS))
                    [waiting] = connection.execute(WAITING).fetchone() or [0]
                    self.waiting += waiting

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def measured(self, what: str, steps: Sequence[Callable[[], object]]) -> Line:
        """Time consecutive steps, and report their locks."""
        times, transactions = [], []
        used = self.used_by_readers()
        with self.reading() as reads:
            time.sleep(0.2)
            for step in steps:
                began = time.monotonic()
                step()
                ended = time.monotonic()
                times.append((ended - began) * 1000)
                transactions.append((ended - self.began) * 1000)
        # Without the run that is made or dropped, which has no readers.
        used &= self.used_by_readers()
        return Line(
            what,
            statistics.median(times),
            max(times),
            statistics.median(transactions),
            _by_mode(self.locks),
            sorted(name for name, mode in self.locks if mode == BLOCKS_READERS and name in used),
            self.waiting,
            reads.count,
            reads.longest_ms,
            len(reads.failures),
        )

    def noting_locks(self, what: str, steps: Sequence[Callable[[], object]]) -> Line:
        """The same, with the locks noted at each commit and from outside, which takes longer."""
        self.locks, self.waiting, self.listening = set(), 0, True
        try:
            with self.watching(self.locks):
                return self.measured(what, steps)
        finally:
            self.listening = False
            self.locks, self.waiting = set(), 0


def _by_mode(locks: Locks) -> dict[str, list[str]]:
    strongest: dict[str, str] = {}
    for name, mode in sorted(locks, key=lambda lock: STRENGTH.index(lock[1])):
        strongest[name] = mode
    return {
        mode: sorted(name for name, its in strongest.items() if its == mode)
        for mode in STRENGTH
        if mode in strongest.values()
    }


@contextmanager
def one_more_rating(database: Database) -> Iterator[None]:
    """Add one rating."""
    added = (
        "INSERT INTO recsys_store.ratings (user_id, movie_id, rating) "
        "SELECT u.user_id, m.movie_id, 3 FROM "
        "(SELECT min(user_id) AS user_id FROM recsys_store.ratings) AS u, recsys_store.movies AS m "
        "WHERE NOT EXISTS (SELECT FROM recsys_store.ratings AS r "
        "WHERE r.user_id = u.user_id AND r.movie_id = m.movie_id) "
        "ORDER BY m.movie_id DESC LIMIT 1 RETURNING user_id, movie_id"
    )
    with database.transaction() as connection:
        user, movie = connection.exec_driver_sql(added).one()
    try:
        yield
    finally:
        with database.transaction() as connection:
            connection.exec_driver_sql(
                f"DELETE FROM recsys_store.ratings WHERE user_id = {user} AND movie_id = {movie}"
            )


def lines(bench: Bench, times: int) -> Iterator[Line]:
    database, first = bench.database, bench.run_id
    made = plan(RefreshSettings(keep_runs=100))
    with one_more_rating(database):
        step = partial(refresh_users, database, made)
        yield bench.noting_locks("refresh --users-only, all of it", [step])
    with database.transaction() as connection:
        second = connection.exec_driver_sql("SELECT run_id FROM recsys_store.published").scalar()
    assert second is not None
    steps = [partial(publish, database, first), partial(publish, database, second)] * (times // 2)
    yield bench.measured(f"publish, {times} times", steps)
    yield bench.noting_locks("publish, its locks", steps[:4])
    # Each leads back to the other run.
    back = [partial(rollback, database), partial(publish, database, second)] * 2
    yield bench.noting_locks("rollback and publish, their locks", back)
    publish(database, first)
    yield bench.noting_locks("prune of a run", [partial(prune, database, 0)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=Path(tempfile.gettempdir()) / "recsys-latency")
    parser.add_argument("--ratings", type=int, default=RATINGS)
    parser.add_argument("--times", type=int, default=40)
    parser.add_argument("--readers", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    given.home.mkdir(parents=True, exist_ok=True)
    found = []
    with EmbeddedServer(given.home).running() as url:
        database = Database(url)
        filled(database, given.home, given.ratings)
        for line in lines(Bench(database, given.readers), given.times):
            found.append(line)
            if not given.json:
                _tell(line)
    if given.json:
        sys.stdout.write(json.dumps([asdict(line) for line in found], indent=2) + "\n")


def _tell(line: Line) -> None:
    sys.stdout.write(
        f"{line.what:<36}{line.median_ms:10,.1f} {line.longest_ms:10,.1f} ms, transaction "
        f"{line.transaction_ms:,.1f} ms\n    {line.reads:,} reads meanwhile, the longest "
        f"{line.longest_read_ms:,.1f} ms, {line.failed_reads} failed, {line.waiting} waiting; "
        f"held in ACCESS EXCLUSIVE: {', '.join(line.blocking) or 'nothing of readers'}\n"
    )
    for mode, names in line.locks.items():
        sys.stdout.write(f"    {mode:<26}{', '.join(names)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
