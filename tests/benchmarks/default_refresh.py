"""Ingest and a refresh of the default models: how long, how much memory, how much disk.

    python tests/benchmarks/default_refresh.py [--data FOLDER] [--ratings N] [--users N]
        [--movies N] [--python OTHER] [--keep FOLDER]

Ingests FOLDER, or ratings made up with the numbers given, into an embedded server in a temporary
home, or under `--keep`, and refreshes. Each of the two works in a process of its own, whose peak
memory is printed, beside what `recsys refresh --dry-run` predicts in an empty database. `--python`
is the interpreter of another installation of recsys, which does the same first, for a comparison in
one run.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from bench_server import in_own_process
from generate import generate

from recsys.config.settings import RefreshSettings
from recsys.jobs.ingest import ingest
from recsys.jobs.plan import plan
from recsys.jobs.refresh import refresh
from recsys.jobs.stages import peak_memory_mb
from recsys.storage.schema import versions
from recsys.storage.server.engine import Database, open_database

STAGES = """
SELECT stage, CAST(seconds AS float8), rows, peak_memory_mb FROM recsys.run_stages
ORDER BY run_id, position
"""
METRICS = """
SELECT model, metric, value, protocol FROM recsys.run_metrics ORDER BY model, protocol
"""
SIZES = """
SELECT pg_database_size(current_database()), recsys.run_size(max(run_id)),
    pg_total_relation_size('recsys_store.ratings'), max(run_id)
FROM recsys.runs
"""
DATABASE = ("read", "write", "index")
"""Stages in which the refresh waits for the database."""


def run_ingest(url: str, data: Path) -> dict[str, Any]:
    begun = time.monotonic()
    report = ingest(Database(url), data, edition="benchmark")
    seconds = time.monotonic() - begun
    return {"seconds": seconds, "rows": report.rows_read, "peak": peak_memory_mb()}


def run_refresh(url: str) -> dict[str, Any]:
    database = Database(url)
    begun = time.monotonic()
    refresh(database, plan(RefreshSettings()))
    return {"seconds": time.monotonic() - begun, "peak": peak_memory_mb()}


def measure(data: Path, home: Path) -> None:
    """Print what ingest and refresh take."""
    with open_database(home, None) as database:
        with database.transaction() as connection:
            versions.upgrade(connection)
        loaded = in_own_process(run_ingest, database.url, data)
        say(f"ingest {loaded['rows']:,} rows: {loaded['seconds']:.1f} s, {loaded['peak']:,} MiB")
        told = predicted(database)
        done = in_own_process(run_refresh, database.url)
        with database.snapshot() as connection:
            stages = [tuple(row) for row in connection.execute(sa.text(STAGES))]
            metrics = [tuple(row) for row in connection.execute(sa.text(METRICS))]
            whole, run, ratings, _ = connection.execute(sa.text(SIZES)).one()
    say(f"{'stage':<16}{'predicted':>10}{'seconds':>9}{'rows':>14}{'peak MiB':>10}")
    for stage, seconds, rows, peak in stages:
        before = f"{told[stage]:.1f}" if stage in told else "-"
        say(f"{stage:<16}{before:>10}{seconds:>9.1f}{rows:>14,}{peak:>10,}")
    waited = sum(seconds for stage, seconds, _, _ in stages if stage in DATABASE)
    say(
        f"refresh: {done['seconds']:.1f} s, {done['peak']:,} MiB, "
        f"{waited / done['seconds']:.0%} of it waiting for the database"
    )
    say(f"disk: database {mib(whole)}, of it run {mib(run)} and ratings {mib(ratings)}")
    if told:
        say(
            f"predicted: {told['all']:.1f} s, {mib(told['memory'])} of memory, "
            f"run {mib(told['disk'])}"
        )
    for model, metric, value, protocol in metrics:
        say(f"{model:<12}{metric:<8}{value:.4f}  {protocol}")


def predicted(database: Database) -> dict[str, float]:
    """Return the seconds of each stage that are predicted, and the bytes; earlier versions: {}."""
    with suppress(ImportError):
        forecast = import_module("recsys.jobs.forecast").forecast
        found = forecast(database, plan(RefreshSettings()))
        seconds = {stage.stage: stage.seconds for stage in found.stages}
        return {**seconds, "all": found.seconds, "memory": found.memory, "disk": found.disk}
    return {}


def mib(size: float) -> str:
    return f"{size / 2**20:,.0f} MiB"


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--ratings", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=6_000)
    parser.add_argument("--movies", type=int, default=4_000)
    parser.add_argument("--python", type=Path, help="of another installation of recsys")
    parser.add_argument("--keep", type=Path, help="folder for the server, which stays")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="recsys-bench-") as folder:
        Path(folder).chmod(0o755)  # as root the server runs as a user of its own
        data = arguments.data
        if data is None:
            data = Path(folder) / "generated"
            generate(data, arguments.users, arguments.movies, arguments.ratings, 1)
        if arguments.python is not None:
            say(f"--- {arguments.python}")
            subprocess.run([arguments.python, __file__, "--data", data], check=True)
            say(f"--- {sys.executable}")
        home = nullcontext(arguments.keep or Path(folder) / "home")
        with home as place:
            measure(data, place)


if __name__ == "__main__":
    main()
