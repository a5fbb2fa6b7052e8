"""Kill commands that write at random moments, and check what is left each time.

.venv/bin/python tests/torture/kill_at_random.py --kills 1000 --seed 1
"""

from __future__ import annotations

import argparse
import itertools
import logging
import multiprocessing
import os
import random
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

# Before numpy: a thread pool would not survive the fork of a command.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import psycopg
import sqlalchemy as sa
from psycopg import sql

import recsys.cli.app
import recsys.jobs.ingest
import recsys.jobs.refresh
import recsys.jobs.refresh_users
from recsys.models.registry import MODELS
from recsys.storage.load.ingests import KEPT
from recsys.storage.runs import results
from recsys.storage.schema.tables import STORE, catalogue
from recsys.storage.server.embedded import EmbeddedServer

KEPT_RUNS = 3
CONFIG = f"""
[refresh]
models = ["most_rated", "ease", "als"]
keep_runs = {KEPT_RUNS}
list_length = 10
neighbours = 20
threads = 1
[models.als]
factors = 8
iterations = 2
[gate]
enabled = false
"""
MOVIES, RATINGS_EACH, FEWEST_PEOPLE, MOST_PEOPLE = 100, 20, 50, 90
FORK = multiprocessing.get_context("fork")
LONGEST_S = 300
VERIFIED_ROUNDS = 10
RESULTS = [table.name for table in results.TABLES]
DATA = [
    table.name
    for table in vars(catalogue).values()
    if isinstance(table, sa.Table) and table.name not in {*KEPT, "rating_changes"}
]
OTHER_SESSIONS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
WRITING = f"{OTHER_SESSIONS} AND backend_xid IS NOT NULL"
PARTITIONS = r"""
SELECT CAST(substring(c.relname FROM '_run_(\d+)$') AS integer), c.relname, c.relispartition
FROM pg_class AS c
WHERE c.relnamespace = CAST('recsys_store' AS regnamespace) AND c.relkind = 'r'
  AND c.relname ~ '_run_\d+$'
"""
USER_COLUMNS = """
SELECT c.relname, a.attname FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
WHERE c.relnamespace = CAST('recsys_store' AS regnamespace) AND c.relkind IN ('r', 'p')
  AND NOT c.relispartition AND NOT a.attisdropped AND a.attname ~ '(^|_)user_id$'
"""
RUNS = """
SELECT run_id, state, pruned_at IS NOT NULL, scope, shared_run_id, snapshot_checksum, error
FROM recsys_store.runs ORDER BY run_id
"""
POINTER = """
SELECT (SELECT run_id FROM recsys_store.published),
    (SELECT count(*) FROM recsys_store.publications),
    (SELECT run_id FROM recsys_store.publications ORDER BY publication_id DESC LIMIT 1),
    (SELECT count(*) FROM recsys_store.ingests),
    (SELECT count(*) FROM recsys_store.erasures)
"""
RATED = """
INSERT INTO recsys_store.ratings (user_id, movie_id, rating, rated_at)
SELECT u.user_id, m.movie_id, 0.5 + (u.user_id + m.movie_id + %(salt)s) %% 10 / 2.0,
    to_timestamp(10^9)
FROM (SELECT user_id FROM recsys_store.users ORDER BY md5(user_id || %(salt)s::text) LIMIT 5) AS u,
    (SELECT movie_id FROM recsys_store.movies ORDER BY md5(movie_id || %(salt)s::text) LIMIT 2) AS m
ON CONFLICT (user_id, movie_id) DO UPDATE SET rating = excluded.rating, rated_at = excluded.rated_at
"""
LOADED = """
SELECT count(*) FROM unnest(%s::int[], %s::int[], %s::float[]) AS f (user_id, movie_id, rating)
JOIN recsys_store.ratings AS r USING (user_id, movie_id) WHERE r.rating::float = f.rating
"""

logger = logging.getLogger("kills")


@dataclass(frozen=True)
class Run:
    state: str
    pruned: bool
    scope: str
    shared: int | None
    """The run whose results it shows beside its own."""
    input: str | None
    error: str | None
    attached: int
    """Number of its result tables that readers see."""
    detached: int
    digest: str | None
    """Checksum of its results; None unless it is complete and kept."""

    @property
    def kept(self) -> bool:
        return self.state == "complete" and not self.pruned


@dataclass(frozen=True)
class Observed:
    """The database as one snapshot shows it; two equal ones hold the same rows."""

    data: str
    """Checksum of movies, users, ratings and tags."""
    pointer: int | None
    publications: int
    last_publication: int | None
    ingests: int
    erasures: int
    runs: dict[int, Run]

    @property
    def published(self) -> str | None:
        """Checksum of what readers see."""
        return None if self.pointer is None else self.runs[self.pointer].digest

    @property
    def kept(self) -> dict[int, str | None]:
        return {number: run.digest for number, run in self.runs.items() if run.kept}


@dataclass(frozen=True)
class Lasted:
    """The seconds of a command that ran to its end."""

    whole: float
    writing: float
    """From its first write on."""


@dataclass
class Place:
    """A database, and how commands are run on it."""

    url: str
    folder: Path
    connection: psycopg.Connection
    known: dict[int, str | None] = field(default_factory=dict)
    """Checksum of each run when it was first seen complete."""
    of_input: dict[str | None, str | None] = field(default_factory=dict)
    """Checksum of the runs over one snapshot."""
    lasted: dict[tuple[str, ...], list[Lasted]] = field(default_factory=lambda: defaultdict(list))
    """How long commands took that ran to their end."""

    # --- commands ---

    def start(self, *arguments: str) -> Any:
        """Run a command in a fork of this process, which has imported everything."""
        process = FORK.Process(target=self._command, args=(arguments,))
        process.start()
        return process

    def _command(self, arguments: tuple[str, ...]) -> None:
        with open(self.folder / "last-command.log", "w") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        os.environ["RECSYS_DATABASE_URL"] = self.url
        os.environ["RECSYS_CONFIG"] = str(self.folder / "recsys.toml")
        sys.argv = ["recsys", *arguments]
        recsys.cli.app.main()

    def run(self, *arguments: str, code: int = 0) -> Lasted:
        """Run a command that has to end with an exit code; return how long it took."""
        began = time.monotonic()
        process = self.start(*arguments)
        wrote = self.wait_until_writing(process)
        process.join(LONGEST_S)
        found, ended = process.exitcode, time.monotonic()
        if found != code:
            told = (self.folder / "last-command.log").read_text()
            raise AssertionError(f"recsys {' '.join(arguments)}: exit code {found}\n{told}")
        lasted = Lasted(ended - began, ended - (wrote or ended))
        self.lasted[arguments].append(lasted)
        return lasted

    def wait_until_writing(self, process: Any) -> float | None:
        """Return the time when a command first writes; None if it ends before."""
        while process.exitcode is None:
            if self.rows(WRITING) != [(0,)]:
                return time.monotonic()
            time.sleep(0.002)
        return None

    # --- observations ---

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.connection.execute(query, values or None).fetchall()

    def settle(self) -> float:
        """Wait until the server has noticed the dead client; return the seconds."""
        began = time.monotonic()
        while self.rows(OTHER_SESSIONS) != [(0,)]:
            assert time.monotonic() - began < 60, "a session of a killed command stays"
            time.sleep(0.01)
        return time.monotonic() - began

    def observe(self, without: int | None = None) -> Observed:
        """Read everything in one snapshot; the rows of one user can be left out."""
        with self.connection.transaction():
            self.connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            columns = self._user_columns() if without is not None else {}
            chosen = {name: found for name, found in columns.items() if name in DATA}
            data = self._digest({name: name for name in DATA}, chosen, without)
            parts: dict[int, Counter[bool]] = defaultdict(Counter)
            results_of: dict[int, list[str]] = defaultdict(list)
            for number, name, attached in self.rows(PARTITIONS):
                parts[number][attached] += 1
                results_of[number].append(name)
            runs = {}
            for number, state, pruned, scope, shared, of, error in self.rows(RUNS):
                attached, detached = parts[number][True], parts[number][False]
                run = Run(state, pruned, scope, shared, of, error, attached, detached, None)
                if run.kept:
                    standing = set(results_of[number])
                    tables = {
                        t: name
                        for t in RESULTS
                        if (name := results.partition_name(t, number)) in standing
                    }
                    own = self._digest(tables, columns, without)
                    # Runs come by number, so the shared one is known.
                    whole = f"{runs[shared].digest} and {own}" if shared else own
                    run = replace(run, digest=whole)
                runs[number] = run
            [counts] = self.rows(POINTER)
        return Observed(data, *counts, runs)

    def _digest(
        self, tables: dict[str, str], columns: dict[str, list[str]], without: int | None
    ) -> str:
        each = []
        for parent, name in tables.items():
            compared = results.columns(parent) if parent in RESULTS else None
            row = (
                sql.SQL("ROW({})").format(sql.SQL(", ").join(map(sql.Identifier, compared)))
                if compared
                else sql.SQL("t")
            )
            conditions = [
                sql.SQL("{} <> {}").format(sql.Identifier(column), sql.Literal(without))
                for column in columns.get(parent, ())
            ]
            each.append(
                sql.SQL(
                    "(SELECT concat(count(*), ' ', sum(hashtextextended(CAST({} AS text), 0)))"
                    " FROM {} AS t WHERE {})"
                ).format(
                    row,
                    sql.Identifier(STORE, name),
                    sql.SQL(" AND ").join(conditions or [sql.SQL("true")]),
                )
            )
        query = sql.SQL("SELECT concat_ws('|', {})").format(sql.SQL(", ").join(each))
        [(found,)] = self.connection.execute(query).fetchall()
        return str(found)

    def _user_columns(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for table, column in self.rows(USER_COLUMNS):
            found[table].append(column)
        return found

    def rows_of(self, user: int) -> dict[str, int]:
        """Count the rows of every table that hold a user."""
        counts = {}
        for table, columns in self._user_columns().items():
            for column in columns:
                query = sql.SQL("SELECT count(*) FROM {} WHERE {} = {}").format(
                    sql.Identifier(STORE, table), sql.Identifier(column), sql.Literal(user)
                )
                [(counts[f"{table}.{column}"],)] = self.connection.execute(query).fetchall()
        return counts

    # --- what always holds ---

    def check(self, seen: Observed) -> None:
        """Raise AssertionError unless every run is whole or says that it is not."""
        if seen.pointer is not None:
            assert seen.runs[seen.pointer].kept, "the published run is not complete"
        assert seen.pointer == seen.last_publication, "the log does not end with what is published"
        for number, run in seen.runs.items():
            if run.state == "failed":
                assert run.error, f"run {number} failed without a reason"
            if not run.kept:
                continue
            assert run.attached, f"run {number} has no results"
            assert not run.detached, f"run {number} is not whole"
            assert run.shared is None or seen.runs[run.shared].kept, f"run {number} lost a part"
            assert run.digest == self.known.setdefault(number, run.digest), f"run {number} changed"
            if run.scope == "full":
                same = self.of_input.setdefault(run.input, run.digest)
                assert run.digest == same, f"run {number} differs from the others over its snapshot"

    def check_tidy(self, seen: Observed, *, pruned_too: bool) -> None:
        """Raise AssertionError if anything of a command that died is left."""
        self.check(seen)
        for number, run in seen.runs.items():
            assert run.state != "running", f"run {number} is left running"
            if not run.kept:
                # What readers may look at is marked at once, and dropped by the next pruning.
                told = run.pruned and not pruned_too
                assert told or not run.attached + run.detached, f"results of run {number} stay"

    def forget_digests(self) -> None:
        """After rows of kept runs were removed on purpose."""
        self.known.clear()
        self.of_input.clear()


@dataclass(frozen=True)
class Victim:
    """A command to kill, and the checks that only it needs."""

    arguments: tuple[str, ...]
    state: Callable[[Observed, Observed], str]
    """How far it came: from what was seen before and after the kill."""
    finish: Callable[[Observed, Observed], Observed]
    """Run it to the end, or another command if it has done its work; check the result."""
    without: int | None = None
    """A user whose rows may go."""


# --- the commands that are killed ---


def refresh(of: Place, draw: random.Random, *options: str) -> Victim:
    """Readers see the run before or the next one; both are whole."""
    of.connection.execute(RATED, {"salt": draw.randrange(10**6)})

    def state(before: Observed, found: Observed) -> str:
        new = [run for number, run in found.runs.items() if number not in before.runs]
        if not new:
            return "before the run"
        [run] = new
        if run.state == "complete":
            left = any(r.pruned and r.attached + r.detached for r in found.runs.values())
            return "published, old results half dropped" if left else "published"
        if run.attached:
            return "attached"
        return "written" if run.detached else "computing"

    def finish(before: Observed, found: Observed) -> Observed:
        assert found.data == before.data, "a refresh changed ratings"
        if state(before, found).startswith("published"):
            assert found.pointer == max(found.runs), "a complete run is not published"
        else:
            assert found.pointer == before.pointer, "a run is published that is not complete"
        of.run("refresh", *options)
        after = of.observe()
        of.check_tidy(after, pruned_too=True)
        assert found.published in (before.published, after.published), "half a run is seen"
        assert after.data == before.data, "a refresh changed ratings"
        assert after.published != before.published, "the refresh published nothing new"
        return after

    return Victim(("refresh", *options), state, finish)


def refresh_users(of: Place, draw: random.Random) -> Victim:
    return refresh(of, draw, "--users-only")


def ingest(of: Place, draw: random.Random) -> Victim:
    """The files are loaded as a whole or not at all; the published run stays."""
    [(edition,)] = of.rows(
        "SELECT edition FROM recsys_store.ingests ORDER BY ingest_id DESC LIMIT 1"
    )
    return _ingest(of, draw, edition)


def ingest_replace(of: Place, draw: random.Random) -> Victim:
    """The old edition with its run is there, or the new one without a run."""
    return _ingest(of, draw, f"edition-{draw.randrange(10**6)}", "--replace")


def _ingest(of: Place, draw: random.Random, edition: str, *options: str) -> Victim:
    path, rows = write_edition(of.folder, draw.randint(FEWEST_PEOPLE, MOST_PEOPLE), draw)
    arguments = ("ingest", str(path), "--edition", edition, *options)

    def state(before: Observed, found: Observed) -> str:
        return "before the commit" if found.data == before.data else "loaded"

    def finish(before: Observed, found: Observed) -> Observed:
        loaded = found.data != before.data
        assert found.ingests == before.ingests + loaded, "the log of ingests does not fit the data"
        if options and loaded:
            assert found.pointer is None, "a run of the replaced data is published"
        else:
            assert found.kept == before.kept, "an ingest changed results"
            assert found.pointer == before.pointer, "an ingest changed what is published"
        of.run(*arguments)
        after = of.observe()
        of.check_tidy(after, pruned_too=bool(options))
        assert found.data in (before.data, after.data), "half an ingest is there"
        assert of.rows(LOADED, *map(list, zip(*rows, strict=True))) == [(len(rows),)], "rows lack"
        return after

    return Victim(arguments, state, finish)


def publish(of: Place, draw: random.Random) -> Victim:
    """The pointer is on the one run or on the other."""
    _make_runs(of, draw, 2)
    seen = of.observe()
    target = draw.choice([number for number in seen.kept if number != seen.pointer])
    return _move(of, ("runs", "publish", str(target)), target)


def rollback(of: Place, draw: random.Random) -> Victim:
    _make_runs(of, draw, 2)
    seen = of.observe()
    other = next(number for number in seen.kept if number != seen.pointer)
    of.run("runs", "publish", str(other))
    assert seen.pointer is not None
    return _move(of, ("runs", "rollback"), seen.pointer)


def _move(of: Place, arguments: tuple[str, ...], target: int) -> Victim:
    def state(before: Observed, found: Observed) -> str:
        return "before the commit" if found.pointer == before.pointer else "published"

    def finish(before: Observed, found: Observed) -> Observed:
        moved = found.pointer != before.pointer
        assert found.pointer in (before.pointer, target), "another run is published"
        assert found.publications == before.publications + moved, "the log does not fit the pointer"
        assert (found.data, found.kept) == (before.data, before.kept), "more than a pointer changed"
        of.run(*(("runs", "list") if moved else arguments))
        after = of.observe()
        of.check_tidy(after, pruned_too=False)
        assert (after.pointer, after.kept) == (target, before.kept), "another run is published"
        return after

    return Victim(arguments, state, finish)


def prune(of: Place, draw: random.Random) -> Victim:
    """A run has all of its results, or says that they are dropped."""
    _make_runs(of, draw, KEPT_RUNS)
    arguments = ("runs", "prune", "--keep", "1")

    def state(before: Observed, found: Observed) -> str:
        marked = [found.runs[number] for number in before.kept if found.runs[number].pruned]
        if not marked:
            return "before the marks"
        left = sum(run.attached + run.detached for run in marked)
        if not left:
            return "dropped"
        there = sum(
            before.runs[number].attached for number in before.kept if found.runs[number].pruned
        )
        return "marked" if left == there else "half dropped"

    def finish(before: Observed, found: Observed) -> Observed:
        assert found.data == before.data, "a pruning changed ratings"
        assert found.pointer == before.pointer, "a pruning changed what is published"
        of.run(*arguments)
        after = of.observe()
        of.check_tidy(after, pruned_too=True)
        stay = {max(before.kept), before.pointer}
        stay |= {before.runs[number].shared for number in stay if number is not None}
        assert after.kept == {n: digest for n, digest in before.kept.items() if n in stay}
        assert after.pointer == before.pointer, "a pruning changed what is published"
        return after

    return Victim(arguments, state, finish)


def forget(of: Place, draw: random.Random) -> Victim:
    """The person is entirely there or entirely gone, also from every kept run."""
    [(user,)] = of.rows(
        "SELECT user_id FROM recsys_store.users ORDER BY md5(user_id::text || %s) LIMIT 1",
        str(draw.random()),
    )
    there = of.rows_of(user)
    others = of.observe(without=user)
    assert min(there["ratings.user_id"], there["users.user_id"]) > 0

    def state(before: Observed, found: Observed) -> str:
        return "there" if found.erasures == before.erasures else "gone"

    def finish(before: Observed, found: Observed) -> Observed:
        gone = found.erasures != before.erasures
        left = of.rows_of(user)
        assert left == ({name: 0 for name in there} if gone else there), f"half of {user}: {left}"
        _check_others(of.observe(without=user))
        of.run("forget", str(user), code=1 if gone else 0)
        after = of.observe()
        of.forget_digests()
        of.check_tidy(after, pruned_too=False)
        assert not any(of.rows_of(user).values()), "rows of the person are left"
        assert after.erasures == before.erasures + 1
        _check_others(of.observe(without=user))
        return after

    def _check_others(seen: Observed) -> None:
        assert (seen.data, seen.kept) == (others.data, others.kept), "rows of others changed"

    return Victim(("forget", str(user)), state, finish, without=user)


COMMANDS: dict[str, Callable[[Place, random.Random], Victim]] = {
    "ingest": ingest,
    "ingest --replace": ingest_replace,
    "refresh": refresh,
    "refresh --users-only": refresh_users,
    "runs publish": publish,
    "runs rollback": rollback,
    "runs prune": prune,
    "forget": forget,
}


def _make_runs(of: Place, draw: random.Random, count: int) -> None:
    """Refresh until so many complete runs are kept."""
    while len(of.observe().kept) < count:
        of.connection.execute(RATED, {"salt": draw.randrange(10**6)})
        of.run("refresh")


def write_edition(
    folder: Path, people: int, draw: random.Random
) -> tuple[Path, list[tuple[int, int, float]]]:
    """Write ratings of a number of people; return the file and its rows."""
    rows = [
        (user, movie, draw.randint(1, 10) / 2)
        for user in range(1, people + 1)
        for movie in sorted(draw.sample(range(1, MOVIES + 1), RATINGS_EACH))
    ]
    lines = [f"{user},{movie},{rating},{10**9 + user}" for user, movie, rating in rows]
    path = folder / "ratings.csv"
    path.write_text("\n".join(["userId,movieId,rating,timestamp", *lines, ""]))
    return path, rows


# --- the kills ---


@dataclass
class Tally:
    """What was killed, in which state, and how long it took."""

    killed: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    in_time: Counter[str] = field(default_factory=Counter)
    """Commands that ended before they were to be killed; they count as no kill."""
    lasted: dict[str, list[Lasted]] = field(default_factory=lambda: defaultdict(list))
    """How long the commands take that are killed."""
    noticed: list[float] = field(default_factory=list)
    """Seconds until the server had ended the sessions of the dead."""

    @property
    def kills(self) -> int:
        return sum(counts.total() for counts in self.killed.values())

    def lines(self) -> Iterator[str]:
        for command, states in self.killed.items():
            each = ", ".join(f"{count} {state}" for state, count in states.most_common())
            yield f"{command}: {states.total()} killed ({each})"
        if self.noticed:
            median, worst = statistics.median(self.noticed), max(self.noticed)
            yield f"the server ended dead sessions after {median:.2f} s, {worst:.2f} s at most"


def kill_once(of: Place, command: str, draw: random.Random, tally: Tally) -> None:
    """Kill a command once, look at what is left, and run it to the end."""
    if of.observe().pointer is None:
        of.run("refresh")
    victim = COMMANDS[command](of, draw)
    before = of.observe()
    of.check_tidy(before, pruned_too=False)
    recent = tally.lasted[command][-5:] or [Lasted(1.0, 0.5)]
    process = of.start(*victim.arguments)
    # Every other kill is while it writes; before, it imports, connects, reads and computes. Some
    # moments are later than its end, as no two runs of a command take the same time.
    writing = draw.random() < 0.5
    length = statistics.median(each.writing if writing else each.whole for each in recent)
    moment = draw.random() * length * 1.1
    if writing:
        of.wait_until_writing(process)
    process.join(moment)
    in_time = process.exitcode is not None
    process.kill()
    process.join()
    if in_time:
        tally.in_time[command] += 1
    else:
        tally.noticed.append(of.settle())
    found = of.observe()
    if victim.without is None:
        of.check(found)
    state = victim.state(before, found)
    of.lasted.clear()
    victim.finish(before, found)
    tally.lasted[command] += of.lasted[victim.arguments]
    if not in_time:
        tally.killed[command][state] += 1
    logger.info(
        "%d %s %s %.3f s after its %s: %s", tally.kills, command,
        "ended" if in_time else "killed", moment, "first write" if writing else "start", state,
    )  # fmt: skip


def torture(
    of: Place, commands: Sequence[str], kills: int, seconds: float = float("inf"), seed: int = 1
) -> Tally:
    """Kill commands in turn, each at a random moment. Raises AssertionError at a violation."""
    draw, tally = random.Random(seed), Tally()
    (of.folder / "recsys.toml").write_text(CONFIG)
    path, _ = write_edition(of.folder, FEWEST_PEOPLE, draw)
    of.run("ingest", str(path), "--edition", "edition-0")
    ends = time.monotonic() + seconds
    for rounds in itertools.count(1):
        for command in draw.sample(commands, len(commands)):
            kill_once(of, command, draw, tally)
            if tally.kills >= kills or time.monotonic() > ends:
                _verify(of)
                return tally
        if rounds % VERIFIED_ROUNDS == 0:
            _verify(of)
    raise AssertionError("unreachable")


def _verify(of: Place) -> None:
    """Compare the stored lists with lists computed from ratings and similarities."""
    of.run("refresh")
    of.run("verify")


@contextmanager
def place() -> Iterator[Place]:
    """Start a server of its own with an empty database."""
    list(MODELS)  # loads every model, so that no command has to
    with tempfile.TemporaryDirectory() as home:
        Path(home).chmod(0o755)
        with (
            EmbeddedServer(Path(home)).running() as url,
            psycopg.connect(url, autocommit=True) as connection,
        ):
            yield Place(url, Path(home), connection)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", choices=list(COMMANDS), help="kill these only")
    given = parser.parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(message)s")
    began = time.monotonic()
    with place() as of:
        tally = torture(of, given.only or list(COMMANDS), given.kills, given.seconds, given.seed)
    for line in tally.lines():
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(
        f"{tally.kills} kills with seed {given.seed} in {time.monotonic() - began:,.0f} s; "
        f"{tally.in_time.total()} commands ended before their kill; no violation\n"
    )


if __name__ == "__main__":
    main()
