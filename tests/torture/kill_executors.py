"""Kill executors of a Spark cluster while a refresh works; its lists stay right, each once.

    python tests/torture/kill_executors.py [--data FOLDER] [--kills 10] [--seed 1] [--home FOLDER]

Without data some are made up. Refreshes in this process for comparison, then on a master and two
workers of one core, whose executors are killed with SIGKILL: one in each phase (read, sums, rank,
write), others at random times. The run must be equal to the first one by EXCEPT ALL both ways, or
fail and leave nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import nullcontext
from pathlib import Path

import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from generate import generate
from spark_cluster import Cluster, executors, kill, spark_cluster

from recsys.config.settings import RefreshSettings
from recsys.jobs.ingest import ingest
from recsys.jobs.plan import plan
from recsys.jobs.refresh import refresh
from recsys.storage.schema import versions
from recsys.storage.server.engine import Database, open_database

MODELS = ("most_rated", "popular", "content_genres", "item_knn", "ease", "slist")
COLUMNS = {
    "movie_similarities": "model_id, movie_id, similar_movie_ids, scores, real_scores",
    "user_recommendations": "model_id, user_id, movie_ids, scores, source_model_ids",
    "movie_charts": "model_id, rank, genre_id, movie_id, votes, score, mean_rating",
    "run_users": "user_id, ratings_count, ratings_hash",
}
LEFT = r"SELECT relname FROM pg_class WHERE relname ~ ('_run_' || :run || '$') AND relkind = 'r'"
WRITING = """
SELECT count(*) FROM pg_stat_activity
WHERE query LIKE 'COPY%user_recommendations%' AND state <> 'idle'
"""


def differences(database: Database, one: int, other: int) -> dict[str, int]:
    """Count the rows that only one of two runs has."""
    found = {}
    with database.transaction() as connection:
        for table, columns in COLUMNS.items():
            select = f"SELECT {columns} FROM recsys_store.{table} WHERE run_id = {{}}"
            query = f"SELECT count(*) FROM ({select} EXCEPT ALL {select}) AS d"
            found[table] = sum(
                int(connection.scalar(sa.text(query.format(*pair))) or 0)
                for pair in ((one, other), (other, one))
            )
    return found


def start(database: Database, cluster: Cluster, folder: Path) -> subprocess.Popen[str]:
    (folder / "recsys.toml").write_text(
        f'[refresh]\nmodels = {list(MODELS)}\ndefault_model = "ease"\nmemory_mb = 256\n'
        f'[engine]\nkind = "spark"\nmaster = "{cluster.master}"\npython = "{sys.executable}"\n'
        "shard_ratings = 20_000\n[engine.properties]\n"
        # One executor after the other is lost here, by no fault of the application.
        '"spark.task.maxFailures" = "100"\n"spark.locality.wait" = "0"\n'
    )
    return subprocess.Popen(
        [sys.executable, "-m", "recsys", "--log-format", "json", "refresh"],
        cwd=folder,
        env={**os.environ, "RECSYS_HOME": str(folder), "RECSYS_DATABASE_URL": database.url},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


class Killer(threading.Thread):
    """Kills executors: when a stage has ended, while lists are written, at random times."""

    def __init__(self, database: Database, cluster: Cluster, kills: int, seed: int) -> None:
        super().__init__(daemon=True)
        self.killed: list[str] = []
        self._cluster = cluster
        self._database, self._kills, self._random = database, kills, random.Random(seed)
        self.stage = "start"
        self.ended: set[str] = set()
        self.over = threading.Event()

    def run(self) -> None:
        wanted = ["spark", "read", "popular", "writing", "item_knn", "ease", "content_genres"]
        while not self.over.is_set() and len(self.killed) < self._kills:
            phase = wanted[len(self.killed)] if len(self.killed) < len(wanted) else "random"
            if phase == "random":
                self.over.wait(self._random.uniform(0.5, 3))
            elif phase == "writing":
                self._until(self._writing)
            else:
                self._until(lambda phase=phase: phase in self.ended)
                self.over.wait(self._random.uniform(0.1, 0.8))
            found = executors(self._cluster)
            if found and not self.over.is_set():
                kill(self._random.choice(found))
                self.killed.append(f"{phase} ({self.stage})")

    def _until(self, there: object, seconds: float = 60) -> None:
        ends = time.monotonic() + seconds
        while not there() and not self.over.is_set() and time.monotonic() < ends:  # type: ignore[operator]
            self.over.wait(0.02)

    def _writing(self) -> bool:
        with self._database.transaction() as connection:
            return bool(connection.scalar(sa.text(WRITING)))


def torture(data: Path | None, home: Path, kills: int, seed: int) -> None:
    with open_database(home, None) as database, spark_cluster() as cluster:
        with database.transaction() as connection:
            versions.upgrade(connection)
            loaded = connection.scalar(sa.text("SELECT count(*) FROM recsys_store.ratings"))
        if not loaded:
            if data is None:
                data = home / "generated"
                generate(data, 700, 1_500, 60_000, 1)
            ingest(database, data)
        here = refresh(
            database, plan(RefreshSettings(models=MODELS, default_model="ease", memory_mb=256))
        )
        with tempfile.TemporaryDirectory() as folder:
            running = start(database, cluster, Path(folder))
            killer = Killer(database, cluster, kills, seed)
            killer.start()
            assert running.stdout is not None
            lines = []
            for line in running.stdout:
                lines.append(line)
                if '"stage"' in line:
                    killer.stage = json.loads(line)["stage"]
                    killer.ended.add(killer.stage)
            killer.over.set()
            killer.join()
        code = running.wait()
        say(f"{len(killer.killed)} executors killed: {', '.join(killer.killed)}; exit code {code}")
        with database.transaction() as connection:
            run, state, error = connection.execute(
                sa.text("SELECT run_id, state, error FROM recsys.runs ORDER BY run_id DESC LIMIT 1")
            ).one()
            left = connection.scalars(sa.text(LEFT), {"run": str(run)}).all()
        if code == 0:
            found = differences(database, here.run_id, run)
            say(f"run {run} is {state}; rows that differ from run {here.run_id}: {found}")
            assert run > here.run_id
            assert not any(found.values())
        else:
            say(f"run {run} is {state}: {error}; left: {left}")
            sys.stdout.write("".join(lines[-5:]))
            assert state == "failed"
            assert left == []


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with (
        nullcontext(str(arguments.home)) if arguments.home else tempfile.TemporaryDirectory()
    ) as home:
        Path(home).chmod(0o755)  # as root the server runs as a user of its own
        torture(arguments.data, Path(home), arguments.kills, arguments.seed)


if __name__ == "__main__":
    main()
