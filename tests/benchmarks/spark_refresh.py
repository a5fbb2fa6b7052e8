"""A refresh on a Spark master and two workers of one core, beside one in this process.

    python tests/benchmarks/spark_refresh.py [--data FOLDER] [--ratings N] [--users N] [--movies N]
        [--models a,b] [--no-gate] [--home FOLDER]

Prints the seconds of the stages side by side, and the rows that only one of the two runs has.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

import sqlalchemy as sa
from generate import generate

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
from spark_cluster import spark_cluster

from recsys.config.settings import EngineSettings, RefreshSettings
from recsys.jobs.cluster.place import SparkPlace
from recsys.jobs.ingest import ingest
from recsys.jobs.plan import plan
from recsys.jobs.refresh import refresh
from recsys.models.registry import DEFAULT_SET
from recsys.storage.schema import versions
from recsys.storage.server.engine import Database, open_database

STAGES = "SELECT stage, seconds FROM recsys.run_stages WHERE run_id = :run ORDER BY position"
COLUMNS = {
    "movie_similarities": "movie_id, similar_movie_ids, scores, real_scores",
    "user_recommendations": "user_id, movie_ids, scores, source_model_ids",
    "movie_charts": "rank, genre_id, movie_id, votes, score, mean_rating",
}
DIFFERENT = """
SELECT m.name, count(*) FROM (
    SELECT model_id, {columns} FROM recsys_store.{table} WHERE run_id = :one
    EXCEPT ALL SELECT model_id, {columns} FROM recsys_store.{table} WHERE run_id = :other
) AS d JOIN recsys_store.models AS m USING (model_id) GROUP BY m.name ORDER BY m.name
"""
FARTHEST = """
WITH scores AS (
    SELECT run_id, model_id, user_id, unnest(movie_ids) AS movie_id, unnest(scores) AS score
    FROM recsys_store.user_recommendations
)
SELECT m.name, max(abs(a.score - b.score)), count(*) FILTER (WHERE a.score IS NULL), count(*)
FROM (SELECT * FROM scores WHERE run_id = :one) AS a
FULL JOIN (SELECT * FROM scores WHERE run_id = :other) AS b USING (model_id, user_id, movie_id)
JOIN recsys_store.models AS m USING (model_id)
GROUP BY m.name HAVING max(abs(a.score - b.score)) > 0 ORDER BY m.name
"""


def ended_children() -> float:
    """Return the CPU seconds of all descendants of this process that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def compare(database: Database, models: tuple[str, ...], *, gate: bool) -> None:
    """Refresh in both ways and print what they took and gave."""
    todo = plan(RefreshSettings(models=models), publish=gate)
    begun = time.process_time()
    here = refresh(database, todo)
    cpu = [time.process_time() - begun]
    begun = time.process_time() + ended_children()
    with spark_cluster() as cluster:
        settings = EngineSettings(kind="spark", master=cluster.master, python=sys.executable)
        there = refresh(database, todo, place=SparkPlace(settings))
    # Master, workers, executors and their Python have ended and are counted.
    cpu.append(time.process_time() + ended_children() - begun)
    with database.transaction() as connection:
        seconds = [
            {
                stage: float(each)
                for stage, each in connection.execute(sa.text(STAGES), {"run": run})
            }
            for run in (here.run_id, there.run_id)
        ]
        say(f"{'stage':<18}{'one process':>13}{'cluster':>10}")
        for stage, took in seconds[1].items():
            say(f"{stage:<18}{seconds[0].get(stage, 0):>13.1f}{took:>10.1f}")
        say(f"{'all':<18}{here.seconds:>13.1f}{there.seconds:>10.1f}")
        say(f"{'CPU, no PostgreSQL':<18}{cpu[0]:>13.1f}{cpu[1]:>10.1f}")
        say(f"cluster / one process: {there.seconds / here.seconds:.2f}, CPU {cpu[1] / cpu[0]:.2f}")
        pair = {"one": here.run_id, "other": there.run_id}
        for table, columns in COLUMNS.items():
            query = sa.text(DIFFERENT.format(table=table, columns=columns))
            alone = [tuple(row) for row in connection.execute(query, pair)]
            back = {"one": there.run_id, "other": here.run_id}
            alone += [tuple(row) for row in connection.execute(query, back)]
            say(f"{table}: rows that only one run has: {alone or 0}")
        for name, farthest, missing, every in connection.execute(sa.text(FARTHEST), pair):
            say(
                f"{name}: scores differ by {farthest:.1e} at most, {missing} of {every} not in both"
            )


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--ratings", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=6_000)
    parser.add_argument("--movies", type=int, default=4_000)
    parser.add_argument("--models", default=",".join(DEFAULT_SET))
    parser.add_argument("--no-gate", action="store_true")
    parser.add_argument("--home", type=Path, help="folder of the server, which stays")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="recsys-bench-") as folder:
        Path(folder).chmod(0o755)  # as root the server runs as a user of its own
        home = arguments.home or Path(folder) / "home"
        with nullcontext(home), open_database(home, None) as database:
            with database.transaction() as connection:
                versions.upgrade(connection)
                loaded = connection.scalar(sa.text("SELECT count(*) FROM recsys_store.ratings"))
            if not loaded:
                data = arguments.data
                if data is None:
                    data = Path(folder) / "generated"
                    size = arguments.users, arguments.movies, arguments.ratings
                    generate(data, *size, 1)
                ingest(database, data, edition="benchmark")
            compare(database, tuple(arguments.models.split(",")), gate=not arguments.no_gate)


if __name__ == "__main__":
    main()
