"""Our models beside those of implicit, Surprise and LensKit, on the same splits, in one go.

    pip install 'recsys[benchmarks]'
    python tests/benchmarks/beside_libraries.py --data FOLDER [--repeats 3] [--only ease] [--json]

FOLDER holds ml-100k. Lists of 10 are measured by the protocol recommenders-ml100k, on the split
that the recommenders library draws from `u.data`; predicted ratings by ml100k-u1. Metrics are ours
for all. Every model has a process of its own; medians of the repeats count. What is missing is
named.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from bench_server import bench_server, in_own_process
from beside_parts import LISTS, RATINGS, Answer, Contestant, K, Task

from recsys.domain import Interactions
from recsys.errors import RecsysError
from recsys.evaluation.protocols import Material, protocol_named
from recsys.evaluation.ranking import ranking_figures
from recsys.evaluation.rating import rating_errors, rmse, user_mean_fallback
from recsys.evaluation.splits import rows_of
from recsys.jobs.evaluate import positions
from recsys.jobs.ingest import ingest
from recsys.jobs.stages import peak_memory_mb, reset_peak_memory
from recsys.jobs.training import train_of
from recsys.storage.server.engine import Database
from recsys.storage.snapshot.matrices import Snapshot, read_snapshot

PROTOCOLS = {"lists": ("recommenders-ml100k", "u.data"), "ratings": ("ml100k-u1", "u1.test")}


@dataclass(frozen=True)
class Row:
    project: str
    model: str
    figure: str
    value: float
    train_seconds: float
    seconds: float
    peak_mb: int
    """Highest resident memory of the process."""
    added_mb: int
    """The memory beyond that of the imported library and the ratings."""


def read(folder: Path) -> Snapshot:
    with bench_server(None) as server:
        database = Database(server.url_of(server.migrated()))
        ingest(database, folder)
        with database.snapshot() as connection:
            return read_snapshot(connection, {"attributes"})


def task_of(snapshot: Snapshot, folder: Path, kind: str) -> Task:
    name, file = PROTOCOLS[kind]
    pairs = positions(folder / file, snapshot)
    data: Interactions = snapshot.interactions
    split = next(protocol_named(name).splits(Material(data.user_items, None, pairs, pairs)))
    return Task(train_of(data, split), split)


def measure(kind: str, place: int, task: Task, repeats: int) -> Row | str:
    """Run one contestant in this process; return the error that stops it."""
    warnings.simplefilter("ignore")  # of other libraries, about themselves
    contestant = (LISTS if kind == "lists" else RATINGS)[place]
    try:
        trial = contestant.prepare(task)
        reset_peak_memory()
        before = peak_memory_mb()
        answers = [trial() for _ in range(repeats)]
        peak = peak_memory_mb()
    except Exception as exc:  # another library's, of any kind
        return f"{type(exc).__name__}: {exc}"
    figure, value = figure_of(answers[-1], task)
    return Row(
        contestant.project,
        contestant.model,
        figure,
        value,
        statistics.median(answer.train_seconds for answer in answers),
        statistics.median(answer.seconds for answer in answers),
        peak,
        peak - before,
    )


def figure_of(answer: Answer, task: Task) -> tuple[str, float]:
    """Measure everybody by the same code; predictions are cut to the scale, unknown ones filled."""
    split = task.split
    if answer.lists is not None:
        figures = ranking_figures(answer.lists, split.test, split.train, K)
        return f"ndcg@{K}", float(figures.values["ndcg"].mean())
    assert answer.predicted is not None
    predicted = np.clip(answer.predicted, split.train.data.min(), split.train.data.max())
    fallback = user_mean_fallback(split.train, rows_of(split.test))
    return "rmse", rmse(rating_errors(predicted, split.test.data, fallback).errors)


def compare(folder: Path, repeats: int, only: Sequence[str]) -> list[Row]:
    snapshot = read(folder)
    rows = []
    for kind, contestants in (("lists", LISTS), ("ratings", RATINGS)):
        task = task_of(snapshot, folder, kind)
        for place, contestant in enumerate(contestants):
            if only and contestant.model.split(",")[0] not in only:
                continue
            if missing(contestant):
                continue
            found = in_own_process(measure, kind, place, task, repeats)
            if isinstance(found, Row):
                rows.append(found)
                tell(f"{found.project} {found.model}: {found.figure} {found.value:.4f}")
            else:
                tell(f"{contestant.project} {contestant.model} failed: {found}")
    return rows


def missing(contestant: Contestant) -> bool:
    if find_spec(contestant.package):
        return False
    what = contestant.project if contestant.project != "recsys" else contestant.package
    tell(f"{contestant.model}: not installed: pip install {what}")
    return True


def table(rows: Sequence[Row]) -> str:
    lines = []
    for figure, asked in ((f"ndcg@{K}", "recommend s"), ("rmse", "predict s")):
        those = sorted((row for row in rows if row.figure == figure), key=lambda row: row.value)
        those = those[::-1] if figure != "rmse" else those
        heads = f"{'train s':>10}{asked:>13}{figure:>9}{'peak MiB':>10}{'added MiB':>11}"
        lines += ["", f"{'library':<17}{'model':<24}{heads}"]
        lines += [
            f"{row.project:<17}{row.model:<24}{row.train_seconds:>10.2f}{row.seconds:>13.2f}"
            f"{row.value:>9.4f}{row.peak_mb:>10,}{row.added_mb:>11,}"
            for row in those
        ]
    libraries = sorted({row.project for row in rows})
    lines += ["", ", ".join(f"{library} {version(library)}" for library in libraries)]
    return "\n".join(lines)


def tell(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of ml-100k")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", default="", help="models as the table names them, as a,b")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    try:
        rows = compare(asked.data, asked.repeats, [name for name in asked.only.split(",") if name])
    except RecsysError as exc:
        raise SystemExit(f"error: {exc}") from exc
    text = json.dumps([asdict(row) for row in rows], indent=2) if asked.json else table(rows)
    sys.stdout.write(text.strip("\n") + "\n")


if __name__ == "__main__":
    main()
