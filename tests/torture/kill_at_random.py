"""Kill refreshes and ingests at random moments, and check the remains each time.

.venv/bin/python tests/torture/kill_at_random.py --kills 100
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from recsys.storage.server.embedded import EmbeddedServer
from recsys.storage.server.engine import Database

CONFIG = '[refresh]\nmodels = ["most_rated", "ease", "als"]\n[models.als]\niterations = 3\n'
PUBLISHED = """
SELECT p.run_id, r.state, r.output_checksum,
    (SELECT md5(string_agg(concat_ws(' ', user_id, model, rank, movie_id, score), '|'
        ORDER BY user_id, model, rank)) FROM recsys.recommendations),
    (SELECT md5(string_agg(concat_ws(' ', movie_id, model, rank, similar_movie_id, score), '|'
        ORDER BY movie_id, model, rank)) FROM recsys.similar_movies)
FROM recsys_store.published AS p JOIN recsys_store.runs AS r USING (run_id)
"""
RATINGS = "SELECT count(*), coalesce(sum(movie_id * 7 + user_id), 0) FROM recsys_store.ratings"
ORPHANS = "SELECT count(*) FROM recsys_store.runs WHERE state = 'running'"
PARTITIONS = r"""
SELECT count(*) FROM pg_class AS c
WHERE c.relnamespace = 'recsys_store'::regnamespace AND c.relkind = 'r'
  AND c.relname ~ '_run_\d+$' AND (
      NOT c.relispartition OR NOT EXISTS (
          SELECT FROM recsys_store.runs AS r
          WHERE r.state = 'complete' AND r.pruned_at IS NULL
            AND CAST(r.run_id AS text) = substring(c.relname FROM '_run_(\d+)$')
      )
  )
"""
LOCKS = """
SELECT count(*) FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation
WHERE c.relname IN ('refresh_lock', 'ingest_lock')
"""
STARTING_S = 0.5
"""Time that Python needs to start."""


@dataclass(frozen=True)
class Place:
    """A database, and how commands are run on it."""

    database: Database
    environment: dict[str, str]
    folder: Path

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "recsys", *arguments],
            env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def run(self, *arguments: str) -> float:
        """Run a command that has to succeed; return the seconds it took."""
        began = time.monotonic()
        code = self.start(*arguments).wait(300)
        assert code == 0, f"recsys {' '.join(arguments)} ended with exit code {code}"
        return time.monotonic() - began

    def row(self, query: str) -> tuple[object, ...]:
        with self.database.transaction() as connection:
            return tuple(connection.execute(sa.text(query)).one())


def place(database: Database, folder: Path) -> Place:
    (folder / "recsys.toml").write_text(CONFIG)
    environment = {
        **os.environ,
        "RECSYS_DATABASE_URL": database.url,
        "RECSYS_CONFIG": str(folder / "recsys.toml"),
    }
    return Place(database, environment, folder)


def edition(folder: Path, people: int, seed: int) -> Path:
    """Write ratings of a number of people; a larger set contains the smaller ones."""
    draw = random.Random(seed)
    lines = ["userId,movieId,rating,timestamp"]
    for user in range(1, people + 1):
        for movie in sorted(draw.sample(range(1, 300), 40)):
            lines.append(f"{user},{movie},{draw.randint(1, 10) / 2},{10**9 + user}")
    path = folder / f"ratings-{people}.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def killed(process: subprocess.Popen[bytes], after: float) -> str:
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return "killed"
    return "was done"


def _moment(draw: random.Random, lasts: float) -> float:
    """Return a moment of a command that takes so long, Python's start left out."""
    return STARTING_S + draw.random() * max(0.1, lasts - STARTING_S)


def settle(of: Place) -> None:
    """Wait until the server notices the dead client, and let the next command clean up."""
    for _ in range(300):
        if of.row(LOCKS) == (0,):
            break
        time.sleep(0.05)
    of.run("runs", "prune")
    assert of.row(LOCKS) == (0,), "a lock is left"
    assert of.row(ORPHANS) == (0,), "a run is left running"
    assert of.row(PARTITIONS) == (0,), "a partition of no run is left"


def kill_refreshes(of: Place, kills: int, draw: random.Random) -> Counter[str]:
    """Kill a number of refreshes; the published run is always a complete one."""
    lasts = of.run("refresh")
    _, state, checksum, lists, similar = of.row(PUBLISHED)
    outcomes: Counter[str] = Counter()
    for _ in range(kills):
        outcomes[killed(of.start("refresh"), _moment(draw, lasts))] += 1
        # The data is the same, so every complete run is: nothing less is ever seen.
        assert of.row(PUBLISHED)[1:] == (state, checksum, lists, similar), "half a run is seen"
        settle(of)
        assert of.row(PUBLISHED)[1:] == (state, checksum, lists, similar), "clearing up took rows"
    of.run("refresh")
    return outcomes


def kill_ingests(of: Place, kills: int, draw: random.Random) -> Counter[str]:
    """Kill a number of growing ingests; each is loaded as a whole or not at all."""
    outcomes: Counter[str] = Counter()
    people = 150
    lasts = 1.5
    for _ in range(kills):
        people += 20
        before = of.row(RATINGS)
        path = str(edition(of.folder, people, seed=1))
        arguments = ("ingest", path, "--edition", "torture")
        outcome = killed(of.start(*arguments), _moment(draw, lasts))
        found = of.row(RATINGS)
        assert found == before or found[0] == people * 40, "half an ingest is there"
        outcomes["was done" if found != before else outcome] += 1
        settle(of)
        lasts = of.run(*arguments)
        assert of.row(RATINGS)[0] == people * 40, "a rating is lost"
    of.run("refresh", "--force", "other data")
    return outcomes


def torture(of: Place, kills: int, seed: int) -> dict[str, Counter[str]]:
    """Half of the kills are of refreshes, half of ingests. Raises AssertionError."""
    draw = random.Random(seed)
    of.run("ingest", str(edition(of.folder, 150, seed=1)), "--edition", "torture")
    return {
        "refresh": kill_refreshes(of, -(-kills // 2), draw),
        "ingest": kill_ingests(of, kills // 2, draw),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as home:
        Path(home).chmod(0o755)
        with EmbeddedServer(Path(home)).running() as url:
            found = torture(place(Database(url), Path(home)), given.kills, given.seed)
    for command, outcomes in found.items():
        sys.stdout.write(f"{command}: {dict(outcomes)}; everything held\n")


if __name__ == "__main__":
    main()
