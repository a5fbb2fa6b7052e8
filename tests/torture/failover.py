"""Kill the primary under `recsys serve`, promote its standby, and measure what clients see.

.venv/bin/python tests/torture/failover.py --clients 8 --rounds 3
"""

from __future__ import annotations

import argparse
import itertools
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock
from urllib.parse import quote

import httpx
import psycopg

from recsys.config.settings import GateSettings, RefreshSettings
from recsys.jobs.ingest import ingest
from recsys.jobs.plan import plan
from recsys.jobs.refresh import refresh
from recsys.sample.files import write_sample
from recsys.storage.server import embedded
from recsys.storage.server.embedded import DATABASE, SUPERUSER, EmbeddedServer
from recsys.storage.server.engine import Database

TOKEN = "only-of-this-script"
CONFIG = '[refresh]\nmodels = ["most_rated", "ease"]\nthreads = 1\n[gate]\nenabled = false\n'
CHOSEN = plan(
    RefreshSettings(models=("most_rated", "ease"), threads=1, gate=GateSettings(enabled=False))
)
READERS = range(1, 31)
"""Users whose lists are read; others rate, so that these lists stay the same."""
WRITERS = range(101, 131)
SERVING = re.compile(r"Serving on (http://\S+) - Ctrl-C ends it\.")
REPLICATION = {"wal_level": "replica", "max_wal_senders": "4"}
CAUGHT_UP = """
SELECT count(*) FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_lsn()
"""


# --- two servers ---


@dataclass
class Pair:
    """A primary and its standby."""

    primary: EmbeddedServer
    standby: EmbeddedServer

    @property
    def url(self) -> str:
        """Names both servers; leads to the one that accepts writes."""
        hosts = ",".join(quote(str(s.paths.socket_dir)) for s in (self.primary, self.standby))
        return f"postgresql://{SUPERUSER}@/{DATABASE}?host={hosts}&target_session_attrs=read-write"

    def wait_until_caught_up(self) -> None:
        with psycopg.connect(self.primary.url, autocommit=True) as connection:
            while connection.execute(CAUGHT_UP).fetchall() != [(1,)]:
                time.sleep(0.05)

    def kill_primary(self) -> None:
        pid = int((self.primary.paths.data / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, signal.SIGKILL)

    def promote(self) -> None:
        self.standby._run("pg_ctl", "promote", "-w", "-s", "-D", self.standby.paths.data)


@contextmanager
def home() -> Iterator[EmbeddedServer]:
    folder = Path(tempfile.mkdtemp(prefix="recsys-failover-"))
    folder.chmod(0o755)
    server = EmbeddedServer(folder)
    try:
        yield server
    finally:
        # A server that was killed leaves its file behind.
        server.stop(force=True)
        shutil.rmtree(server.paths.socket_dir, ignore_errors=True)
        shutil.rmtree(folder)


@contextmanager
def pair() -> Iterator[Pair]:
    """Start a primary with the sample published, and a standby that follows it synchronously."""
    settings = {**embedded.server_settings(), **REPLICATION}
    with (
        mock.patch.object(embedded, "server_settings", return_value=settings),
        home() as primary,
        home() as standby,
    ):
        primary.start()
        fill(Database(primary.url), primary.paths.root)
        follow(standby, primary)
        yield Pair(primary, standby)


def fill(database: Database, folder: Path) -> None:
    ingest(database, write_sample(folder / "sample"))
    refresh(database, CHOSEN)


def follow(standby: EmbeddedServer, primary: EmbeddedServer) -> None:
    """Copy the primary and let the copy follow; commits wait for it from then on."""
    standby.paths.make_for_server(standby.paths.data)
    standby._run(
        *("pg_basebackup", "-D", standby.paths.data, "--write-recovery-conf", "--checkpoint=fast"),
        *("-h", primary.paths.socket_dir, "-U", SUPERUSER),
    )
    standby.start()
    with psycopg.connect(primary.url, autocommit=True) as connection:
        # After the copy: a promoted server would wait for a standby of its own.
        connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        connection.execute("ALTER SYSTEM SET synchronous_commit = 'remote_apply'")
        connection.execute("SELECT pg_reload_conf()")


# --- commands ---


def environment(url: str, folder: Path) -> dict[str, str]:
    config = folder / "recsys.toml"
    config.write_text(CONFIG)
    given = {"RECSYS_DATABASE_URL": url, "RECSYS_CONFIG": str(config), "RECSYS_API_TOKEN": TOKEN}
    return {**os.environ, **given}


def run(url: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "recsys", *arguments],
        env=environment(url, folder), capture_output=True, text=True, timeout=300,
    )  # fmt: skip


@contextmanager
def serving(url: str, folder: Path) -> Iterator[str]:
    """Run `recsys serve`; yield its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "recsys", "serve", "--port", "0"],
        env=environment(url, folder), stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    line = process.stderr.readline()
    found = SERVING.match(line)
    assert found, line
    # Its log must not fill the pipe.
    threading.Thread(target=process.stderr.read, daemon=True).start()
    try:
        yield found[1]
    finally:
        process.terminate()
        process.wait(30)


def rate(client: httpx.Client, user: int, rating: float) -> httpx.Response:
    return client.put(
        f"/users/{user}/ratings/1",
        json={"rating": rating},
        headers={"Authorization": f"Bearer {TOKEN}"},
    )


# --- clients ---


@dataclass
class Answers:
    """What clients were told, and when."""

    statuses: Counter[str] = field(default_factory=Counter)
    times: list[tuple[float, bool, float]] = field(default_factory=list)
    """Time, success and seconds of each read."""
    confirmed: dict[int, float] = field(default_factory=dict)
    """The last rating of each writer that was confirmed."""
    uncertain: dict[int, float] = field(default_factory=dict)
    """A rating that was sent after it, and may have been stored."""
    wrong: list[str] = field(default_factory=list)

    def gap(self) -> float:
        """Return the longest time without an answered read."""
        good = sorted(at for at, success, _ in self.times if success)
        return max(after - before for before, after in itertools.pairwise(good))


class Clients:
    """Threads that read lists and rate until they are stopped."""

    def __init__(self, address: str, count: int) -> None:
        self.answers = Answers()
        self._address = address
        self._over = threading.Event()
        self._lock = threading.Lock()
        with httpx.Client(base_url=address, trust_env=False) as client:
            self._expected = {user: self._list(client, user).json() for user in READERS}
        works = [self._read] * count + [self._write]
        self._threads = [
            threading.Thread(target=self._work, args=(work, n)) for n, work in enumerate(works)
        ]

    @staticmethod
    def _list(client: httpx.Client, user: int) -> httpx.Response:
        return client.get(f"/users/{user}/recommendations")

    def __enter__(self) -> Answers:
        for thread in self._threads:
            thread.start()
        return self.answers

    def __exit__(self, *error: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _work(self, work, number: int) -> None:  # type: ignore[no-untyped-def]
        turn = number
        with httpx.Client(base_url=self._address, trust_env=False, timeout=60) as client:
            while not self._over.is_set():
                work(client, turn)
                turn += 1
                time.sleep(0.01)

    def _read(self, client: httpx.Client, turn: int) -> None:
        user = READERS[turn % len(READERS)]
        began = time.monotonic()
        answer = self._list(client, user)
        now = time.monotonic()
        with self._lock:
            self.answers.statuses[f"read {answer.status_code}"] += 1
            self.answers.times.append((now, answer.status_code == 200, now - began))
            self._check(answer, [200, 503])
            if answer.status_code == 200 and answer.json() != self._expected[user]:
                self.answers.wrong.append(f"user {user}: {answer.text[:200]}")

    def _write(self, client: httpx.Client, turn: int) -> None:
        user, rating = WRITERS[turn % len(WRITERS)], 1.0 + turn % 9 / 2
        answer = rate(client, user, rating)
        with self._lock:
            self.answers.statuses[f"write {answer.status_code}"] += 1
            self._check(answer, [204, 503])
            if answer.status_code == 204:
                self.answers.confirmed[user] = rating
                self.answers.uncertain.pop(user, None)
            else:
                self.answers.uncertain[user] = rating

    def _check(self, answer: httpx.Response, allowed: Sequence[int]) -> None:
        if answer.status_code not in allowed:
            self.answers.wrong.append(f"{answer.status_code}: {answer.text[:200]}")
        if answer.status_code == 503 and "Retry-After" not in answer.headers:
            self.answers.wrong.append(f"503 without Retry-After: {answer.text[:200]}")


# --- the two scenarios ---


def read_from_standby(servers: Pair) -> str:
    """A server on the standby alone answers reads, and refuses writes. Raises AssertionError."""
    servers.wait_until_caught_up()
    folder, url = servers.standby.paths.root, servers.standby.url
    with (
        serving(servers.primary.url, folder) as primary,
        serving(url, folder) as standby,
        httpx.Client(base_url=standby, trust_env=False) as client,
    ):
        for user in READERS:
            path = f"/users/{user}/recommendations"
            assert client.get(path).json() == httpx.get(primary + path, trust_env=False).json()
        answer = rate(client, WRITERS[0], 4)
        assert answer.status_code == 503, answer.text
        told = str(answer.json()["detail"])
        for arguments in (("refresh",), ("rate", "1", "1", "4"), ("forget", "1")):
            done = run(url, folder, *arguments)
            assert done.returncode == 1, done
            assert "standby" in done.stderr, done.stderr
        # A refresh on the primary reaches the readers of the standby.
        before = client.get("/health/ready").json()["run_id"]
        assert run(servers.primary.url, folder, "refresh").returncode == 0
        servers.wait_until_caught_up()
        time.sleep(2.1)  # /health/ready is cached for two seconds
        after = client.get("/health/ready").json()["run_id"]
        assert after == before + 1
    return told


@dataclass(frozen=True)
class Failover:
    promoted_s: float
    """Seconds from the kill to the end of the promotion."""
    gap_s: float
    """Longest time without an answered read."""
    after_promotion_s: float
    """Seconds from the end of the promotion to the first answered read."""
    slowest_s: float
    statuses: Counter[str]


def fail_over(servers: Pair, clients: int, pause_s: float) -> Failover:
    """Kill the primary under readers and writers, promote. Raises AssertionError."""
    folder = servers.standby.paths.root
    with serving(servers.url, folder) as address:
        with Clients(address, clients) as answers:
            time.sleep(2)
            killed = time.monotonic()
            servers.kill_primary()
            time.sleep(pause_s)
            servers.promote()
            promoted = time.monotonic()
            time.sleep(8)
        assert answers.wrong == [], answers.wrong[:3]
        recovered = [at for at, success, _ in answers.times if success and at > promoted]
        assert recovered, "no read was answered after the promotion"
        _check_ratings(servers, answers)
        done = run(servers.url, folder, "refresh")
        assert done.returncode == 0, done.stderr
        with httpx.Client(base_url=address, trust_env=False) as client:
            assert rate(client, WRITERS[0], 4).status_code == 204
            time.sleep(2.1)
            found = client.get("/health/ready").json()["run_id"]
            run_id = psycopg.connect(servers.standby.url).execute(
                "SELECT max(run_id) FROM recsys.runs"
            )
            assert [(found,)] == run_id.fetchall()
    return Failover(
        promoted - killed,
        answers.gap(),
        min(recovered) - promoted,
        max(took for _, _, took in answers.times),
        answers.statuses,
    )


def _check_ratings(servers: Pair, answers: Answers) -> None:
    """Every rating that was confirmed is there, or the one that was sent after it."""
    with psycopg.connect(servers.standby.url) as connection:
        query = "SELECT user_id, rating::float FROM recsys.ratings WHERE movie_id = 1"
        found = dict(connection.execute(query).fetchall())
    for user, rating in answers.confirmed.items():
        allowed = {rating, answers.uncertain.get(user, rating)}
        assert found.get(user) in allowed, f"the rating of user {user} is lost"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pause", type=float, default=3, help="seconds from kill to promotion")
    given = parser.parse_args(arguments)
    found = []
    for number in range(given.rounds):
        with ExitStack() as stack:
            servers = stack.enter_context(pair())
            if number == 0:
                sys.stdout.write(f"a write on the standby: {read_from_standby(servers)}\n")
            one = fail_over(servers, given.clients, given.pause)
        found.append(one)
        sys.stdout.write(
            f"promoted {one.promoted_s:.1f} s after the kill; reads answered again "
            f"{one.after_promotion_s:.1f} s later, {one.gap_s:.1f} s without an answer, slowest "
            f"{one.slowest_s:.1f} s; {dict(sorted(one.statuses.items()))}\n"
        )
    later = statistics.median(one.after_promotion_s for one in found)
    sys.stdout.write(
        f"{given.rounds} failovers: reads were answered {later:.1f} s after the promotion in the "
        "median; no wrong answer, no confirmed rating lost\n"
    )


if __name__ == "__main__":
    main()
