"""A refresh of every model at once: how long, how much memory, how many rows.

    python tests/benchmarks/all_models.py [--data FOLDER] [--metadata FOLDER] [--ratings N]
        [--users N] [--movies N] [--without MODELS] [--json]

Ingests FOLDER, or ratings made up with the numbers given, into an embedded server in a temporary
home, and refreshes in a process of its own, whose peak memory is printed, beside the seconds that
`recsys refresh --dry-run` predicts in an empty database.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from bench_server import bench_server, in_own_process
from generate import generate

from recsys.config.settings import RefreshSettings
from recsys.jobs.forecast import forecast
from recsys.jobs.ingest import ingest, ingest_metadata
from recsys.jobs.plan import plan
from recsys.jobs.refresh import refresh
from recsys.models.registry import MODELS
from recsys.storage.server.engine import Database

STAGES = """
SELECT stage, seconds, rows, peak_memory_mb FROM recsys.run_stages ORDER BY run_id, position
"""
METRICS = "SELECT model, protocol, metric, value FROM recsys.run_metrics ORDER BY model, protocol"


def run_refresh(url: str, names: tuple[str, ...]) -> dict[str, Any]:
    database = Database(url)
    begun = time.monotonic()
    report = refresh(database, plan(RefreshSettings(models=names)))
    seconds = time.monotonic() - begun
    with database.snapshot() as connection:
        stages = [tuple(row) for row in connection.execute(sa.text(STAGES))]
        metrics = [tuple(row) for row in connection.execute(sa.text(METRICS))]
    return {"seconds": seconds, "rows": report.rows, "stages": stages, "metrics": metrics}


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    data = arguments.data
    if data is None:
        data = folder / "generated"
        generate(data, arguments.users, arguments.movies, arguments.ratings, 1)
    left_out = arguments.without.split(",")
    names = tuple(name for name in MODELS if name not in left_out)
    with bench_server(None) as server:
        url = server.url_of(server.migrated())
        ingest(Database(url), data, edition="benchmark")
        if arguments.metadata:
            ingest_metadata(Database(url), arguments.metadata)
        told = forecast(Database(url), plan(RefreshSettings(models=names)))
        found: dict[str, Any] = in_own_process(run_refresh, url, names)
    found["predicted"] = {stage.stage: stage.seconds for stage in told.stages}
    return found


def table(found: dict[str, Any]) -> str:
    lines = [f"{'stage':<20}{'predicted':>10}{'seconds':>10}{'rows':>14}{'peak MiB':>10}"]
    for stage, seconds, rows, peak in found["stages"]:
        told = found["predicted"].get(stage, 0.0)
        lines.append(f"{stage:<20}{told:>10.2f}{seconds:>10.2f}{rows:>14,}{peak:>10,}")
    told = sum(found["predicted"].values())
    lines.append(f"{'in all':<20}{told:>10.2f}{found['seconds']:>10.2f}{found['rows']:>14,}")
    for model, protocol, metric, value in found["metrics"]:
        lines.append(f"{model:<12}{metric:<8}{value:.4f}  {protocol}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--metadata", type=Path)
    parser.add_argument("--ratings", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=6_000)
    parser.add_argument("--movies", type=int, default=4_000)
    parser.add_argument("--without", default="", help="models to leave out, as a,b")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="recsys-bench-") as folder:
        found = measure(arguments, Path(folder))
    text = json.dumps(found, indent=2) if arguments.json else table(found)
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
