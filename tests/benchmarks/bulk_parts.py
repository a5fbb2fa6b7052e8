"""The measurements of `bulk_paths`, one process each; all return seconds and peak memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import sqlalchemy as sa
from generate import generate

from recsys.domain import Neighbours, RankedLists, TopN
from recsys.jobs.columns import RUN_USERS, user_columns
from recsys.jobs.ingest import ingest
from recsys.jobs.progress import Silent
from recsys.jobs.results import ResultWriter
from recsys.jobs.stages import StageClock, code_versions, peak_memory_mb
from recsys.jobs.training import ModelResults
from recsys.jobs.training_data import in_this_process
from recsys.storage.runs import lifecycle, publication, results
from recsys.storage.server.engine import Database
from recsys.storage.snapshot.matrices import Snapshot, read_snapshot

LENGTH = 100
"""Neighbours of a movie, recommendations of a user."""
COPY = "columns, checksum, COPY"
COPY_ALONE = f"{COPY}: COPY alone"


@dataclass
class Measured:
    """Seconds by step, the rows they were for, and the peak memory of the process in MiB."""

    seconds: dict[str, float] = field(default_factory=dict)
    rows: int = 0
    peak_memory_mb: int = 0
    total: float = 0.0

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        begun = time.monotonic()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - begun

    def ended(self, rows: int, total: float) -> Measured:
        self.rows, self.total, self.peak_memory_mb = rows, total, peak_memory_mb()
        return self


AFTER_LAST_ROW = {
    "read files": "read files: last block, duplicates",
    "write ratings": "write ratings: keys, indexes, analyse",
}


class IngestSteps:
    """Split the time of an ingest at the reports of its progress."""

    def __init__(self, measured: Measured) -> None:
        self._spent = measured.seconds
        self._stage, self._since = "", time.monotonic()

    def begin(self, stage: str) -> None:
        self._stage = stage

    def advance(self, done: int, total: int) -> None:
        # Each of several files reports its end: the times between two ends add up.
        if done == total:
            self._mark(self._stage)

    def end(self, note: str) -> None:
        self._mark(AFTER_LAST_ROW.get(self._stage, self._stage))

    def close(self) -> None:
        self._mark("record and commit")

    def _mark(self, step: str) -> None:
        now = time.monotonic()
        self._spent[step] = self._spent.get(step, 0.0) + now - self._since
        self._since = now


def make_data(folder: Path, users: int, movies: int, ratings: int, seed: int) -> None:
    """Generate the data unless it is there; a generation that was interrupted leaves none."""
    if folder.exists():
        return
    fresh = folder.with_name(f"{folder.name}.new")
    generate(fresh, users, movies, ratings, seed)
    fresh.rename(folder)


def run_ingest(url: str, folder: Path) -> Measured:
    """Ingest into the migrated, empty database at `url`."""
    measured, database = Measured(), Database(url)
    begun, steps = time.monotonic(), IngestSteps(measured)
    report = ingest(database, folder, reporter=steps)
    steps.close()
    return measured.ended(report.rows_read, time.monotonic() - begun)


def run_snapshot(url: str) -> Measured:
    """Read the data of a refresh: ids, matrix, genres, checksum."""
    begun = time.monotonic()
    with Database(url).snapshot() as connection:
        snapshot = read_snapshot(connection)
    return Measured().ended(snapshot.interactions.user_items.nnz, time.monotonic() - begun)


def run_pandas(url: str, rows: int) -> Measured:
    """Read a number of ratings as most programs do."""
    query = sa.text("SELECT user_id, movie_id, rating FROM recsys_store.ratings LIMIT :rows")
    begun = time.monotonic()
    with Database(url).engine.connect() as connection:
        table = pd.read_sql(query, connection, params={"rows": rows})
    return Measured().ended(len(table), time.monotonic() - begun)


def run_results(url: str, users: int, seed: int) -> Measured:
    """Write, index, attach and publish the lists of a run, made up: one similarity, two personal.

    Takes the steps of `recsys.jobs.refresh` without its models.
    """
    measured, database, clock = Measured(), Database(url), StageClock(Silent())
    with database.snapshot() as connection:
        snapshot = read_snapshot(connection)
    computed = _computed(snapshot, users, seed)
    run_id, model_ids = _begin(database, list(computed), seed)
    writer = ResultWriter(run_id, snapshot.users, snapshot.movies, model_ids)
    append = results.append

    def timed_append(*arguments: Any) -> int:
        with measured.step(COPY_ALONE):
            return append(*arguments)

    begun = time.monotonic()
    with database.transaction() as connection:
        with (
            measured.step(COPY),
            mock.patch.object(results, "append", timed_append),
            clock.stage("write") as done,
        ):
            rows = writer.append(
                connection, RUN_USERS, None, user_columns(in_this_process(snapshot))
            )
            for name, found in computed.items():
                for table, columns in writer.tables_of(found, {}):
                    rows += writer.append(connection, table, name, columns)
            done(rows, "rows")
        with measured.step("keys, indexes, analyse"):
            writer.finish(connection)
        finished = time.monotonic()
    measured.seconds["commit"] = time.monotonic() - finished
    with measured.step("attach and publish"), database.transaction() as connection:
        results.attach(connection, run_id)
        facts = {"output_checksum": writer.checksum, "peak_memory_mb": peak_memory_mb()}
        lifecycle.complete(connection, run_id, clock.stages, facts)
        publication.publish(connection, run_id)
    # A list is one row of many entries.
    entries = sum(each.rows for each in computed.values())
    return measured.ended(entries, time.monotonic() - begun)


def _begin(database: Database, names: list[str], seed: int) -> tuple[int, dict[str, int]]:
    described = [
        {"name": name, "kind": "personal", "score_meaning": "none", "description": "benchmark"}
        for name in names
    ]
    with database.transaction() as connection:
        model_ids = lifecycle.register_models(connection, described)
        run_id = lifecycle.begin(
            connection,
            default_model_id=model_ids[names[0]],
            seed=seed,
            parameters={},
            versions=code_versions(connection),
        )
    return run_id, model_ids


def _computed(snapshot: Snapshot, users: int, seed: int) -> dict[str, ModelResults]:
    rng = np.random.default_rng(seed)
    movies = len(snapshot.movies)
    near = _lists(rng, movies, movies, movies)
    # The position after its own, at the least: no movie is its own neighbour.
    owners = np.repeat(np.arange(movies), LENGTH)
    others = (owners + 1 + near.indices % (movies - 1)) % movies
    neighbours = Neighbours(near.indptr, others.astype(np.int32), near.scores)
    lists = [_lists(rng, len(snapshot.users), users, movies) for _ in range(2)]
    first, second = (TopN(part.indptr, part.indices, part.scores) for part in lists)
    return {
        "bench_item": ModelResults(neighbours=neighbours, recommendations=first),
        "bench_other": ModelResults(recommendations=second),
    }


def _lists(rng: np.random.Generator, rows: int, filled: int, items: int) -> RankedLists:
    """Return a full list for each of the first `filled` of `rows`, without any meaning."""
    lengths = np.where(np.arange(rows) < filled, LENGTH, 0)
    indptr = np.concatenate(([0], np.cumsum(lengths)))
    scores = -np.sort(-rng.random((int(lengths.sum()) // LENGTH, LENGTH)), axis=1).ravel()
    return RankedLists(indptr, rng.integers(0, items, indptr[-1], np.int32), scores)
