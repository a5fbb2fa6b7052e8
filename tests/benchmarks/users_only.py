"""Seconds and size of `refresh --users-only`, beside a full refresh of the same ratings.

    python tests/benchmarks/users_only.py [--ratings N] [--users N] [--movies N] [--changed 100]
        [--rounds 3] [--url URL] [--folder FOLDER] [--json]

Generates and ingests ratings, refreshes all default models, and then changes the ratings of some
users, round after round, each followed by `refresh --users-only`: half of them are users of a round
before. Each job runs in a process of its own, as a command does. The data is kept in FOLDER. A
target that is missed does not fail.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from bench_server import bench_server, in_own_process
from bulk_parts import make_data

from recsys.config.settings import RefreshSettings
from recsys.jobs.ingest import ingest
from recsys.jobs.plan import plan
from recsys.jobs.refresh import refresh
from recsys.jobs.refresh_users import refresh_users
from recsys.storage.server.engine import Database

TARGET_S = 5.5
STAGES = sa.text("SELECT stage, seconds, rows FROM recsys.run_stages WHERE run_id = :run_id")
SIZE = sa.text("SELECT recsys.run_size(:run_id)")
# Two movies that the user has not rated, and another value for one rated before.
CHANGE = sa.text("""
SELECT recsys.rate(u.user_id, m.movie_id, 0.5 + 0.5 * mod(u.user_id + m.movie_id, 10))
FROM unnest(CAST(:users AS integer[])) AS u (user_id)
CROSS JOIN LATERAL (
    (SELECT r.movie_id FROM recsys_store.ratings AS r WHERE r.user_id = u.user_id
     ORDER BY r.movie_id LIMIT 1)
    UNION ALL
    (SELECT v.movie_id FROM recsys_store.movies AS v
     WHERE NOT EXISTS (SELECT FROM recsys_store.ratings AS r
        WHERE r.user_id = u.user_id AND r.movie_id = v.movie_id)
     ORDER BY hashint4(v.movie_id + u.user_id + :round) LIMIT 2)
) AS m
""")
USERS = sa.text("""
SELECT s.user_id FROM (SELECT DISTINCT r.user_id FROM recsys_store.run_users AS r) AS s
ORDER BY hashint4(s.user_id) LIMIT :count OFFSET :start
""")


@dataclass(frozen=True)
class Measured:
    what: str
    seconds: float
    """Of the whole job."""
    stages: dict[str, float]
    bytes: int
    """Of the results of its run."""


def run_full(url: str) -> Measured:
    """Refresh the default models."""
    return _measured(Database(url), "full refresh", refresh)


def run_users(url: str, what: str) -> Measured:
    """Refresh the changed users."""
    return _measured(Database(url), what, refresh_users)


def _measured(database: Database, what: str, job: Any) -> Measured:
    begun = time.monotonic()
    report = job(database, plan(RefreshSettings(keep_runs=100)))
    seconds = time.monotonic() - begun
    with database.transaction() as connection:
        given = {"run_id": report.run_id}
        stages = {stage: took for stage, took, _ in connection.execute(STAGES, given)}
        return Measured(what, seconds, stages, connection.scalar(SIZE, given) or 0)


def run_ingest(url: str, folder: Path) -> None:
    ingest(Database(url), folder)


def measure(url: str, folder: Path, changed: int, rounds: int) -> Iterator[Measured]:
    """Yield the figures of a full refresh and of each round."""
    in_own_process(run_ingest, url, folder)
    yield in_own_process(run_full, url)
    for number in range(rounds):
        with Database(url).transaction() as connection:
            given = {"start": number * changed // 2, "count": changed}
            users = list(connection.scalars(USERS, given))
            connection.execute(CHANGE, {"users": users, "round": number})
        yield in_own_process(run_users, url, f"round {number + 1}, {len(users)} changed users")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--ratings", type=int, default=10_000_000)
    parser.add_argument("--users", type=int, default=60_000)
    parser.add_argument("--movies", type=int, default=20_000)
    parser.add_argument("--changed", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--url", help="a server to make a database on; default: an embedded one")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="recsys-bench-data-") as made:
        folder = chosen.folder or Path(made) / "generated"
        make_data(folder, chosen.users, chosen.movies, chosen.ratings, chosen.seed)
        with bench_server(chosen.url) as server:
            url = server.url_of(server.migrated())
            for each in measure(url, folder, chosen.changed, chosen.rounds):
                _tell(each, as_json=chosen.json)


def _tell(found: Measured, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(asdict(found)) + "\n")
        return
    stages = ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in found.stages.items())
    verdict = ""
    if found.what != "full refresh":
        verdict = " ok" if found.seconds <= TARGET_S else f" missed: target {TARGET_S} s"
    size = found.bytes / 2**20
    sys.stdout.write(f"{found.what}: {found.seconds:.2f} s, {size:,.1f} MiB{verdict}\n  {stages}\n")


if __name__ == "__main__":
    sys.exit(main())
