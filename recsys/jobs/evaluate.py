"""Evaluate models on held-out ratings: split, fit, measure, store the figures."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recsys.domain import Int32, Interactions, Metric, TrainingCurve, UserRows
from recsys.errors import EvaluationError
from recsys.evaluation.figures import averaged, measure_ranking, measure_ratings
from recsys.evaluation.protocols import Material, Pairs, Protocol
from recsys.evaluation.ranking import Scale
from recsys.evaluation.rating import user_mean_fallback
from recsys.evaluation.results import Evaluated, EvaluationReport
from recsys.evaluation.splits import Split, rows_of
from recsys.ingest.csv.pairs import read_pairs
from recsys.jobs.background import interruptibly
from recsys.jobs.held_out import HeldOut, held_out_by, require_sharded
from recsys.jobs.places import IN_THIS_PROCESS, Place
from recsys.jobs.plan import DERIVED, Plan, for_loaded
from recsys.jobs.progress import Reporter, Silent
from recsys.jobs.stages import StageClock, code_versions, peak_memory_mb, reset_peak_memory
from recsys.jobs.training import (
    ModelResults,
    TrainingStep,
    derived,
    fit_options,
    needs_of,
    train_of,
    training_steps,
)
from recsys.jobs.training_data import Training
from recsys.models.base import FitOptions
from recsys.models.shards import Shards
from recsys.numerics.prediction import predict_ratings
from recsys.storage.runs import lifecycle
from recsys.storage.schema import versions
from recsys.storage.server.engine import Database
from recsys.storage.snapshot import matrices
from recsys.storage.snapshot.matrices import Snapshot

logger = logging.getLogger(__name__)


def evaluate(
    database: Database,
    chosen: Plan,
    protocol: Protocol,
    *,
    seed: int,
    split_file: Path | None = None,
    reporter: Reporter | None = None,
    place: Place = IN_THIS_PROCESS,
) -> EvaluationReport:
    """Measure the models of the plan by a protocol and store the figures as a run of their own.

    Models learn nothing from test ratings: neither their values, nor their existence, nor their
    times, and no tags. `place` is where models learn. `split_file` names the ratings that the
    protocol splits by: the test ratings
    that a data set comes with, or all ratings in the order in which they draw random numbers.
    Raises EvaluationError if the protocol cannot be followed.
    """
    clock = StageClock(reporter or Silent())
    with database.transaction() as connection:
        versions.ensure(connection)
    chosen = for_loaded(database, chosen)
    if place is not IN_THIS_PROCESS:
        require_sharded(protocol)
    with place.opened(database, chosen, clock) as opened:
        needs = needs_for(chosen, protocol)
        with clock.stage("read") as done, opened.reading(database) as connection:
            read = opened.read(connection, needs, clock)
            done(read.shards.ratings, "ratings")
        if read.shards.whole is None:
            evaluated, left_out = interruptibly(
                lambda: measure_shards(chosen, read.shards, protocol, seed, clock)
            )
        else:
            data = read.shards.whole
            pairs = positions(split_file, read) if split_file else None
            splits = protocol.splits(Material(data.user_items, data.rated_at, pairs, pairs), seed)
            evaluated, left_out = measure(chosen, data, protocol, splits, seed, clock)
    if not evaluated:
        raise EvaluationError(
            f"protocol {protocol.name} measures none of these models: {', '.join(left_out)}"
        )
    run_id = _store(database, chosen, protocol, seed, read, evaluated, clock)
    ranked = sorted(evaluated, key=lambda one: _order(protocol, one))
    return EvaluationReport(
        run_id, protocol, seed, tuple(ranked), tuple(left_out), clock.total_seconds
    )


def read_for_evaluation(
    database: Database, chosen: Plan, protocol: Protocol, clock: StageClock
) -> Snapshot:
    """Read a snapshot into this process, as an evaluation needs it."""
    needs = needs_for(chosen, protocol)
    with clock.stage("read") as done, database.snapshot() as connection:
        snapshot = matrices.read_snapshot(connection, needs, progress=clock.advance)
        done(snapshot.interactions.user_items.nnz, "ratings")
    return snapshot


def needs_for(chosen: Plan, protocol: Protocol) -> set[str]:
    """Return the data to read: without tags of users, which may belong to test ratings."""
    needs: set[str] = set(needs_of(chosen.specs, chosen.configs))
    needs |= {"times"} if "times" in protocol.needs else set()
    # A tag may have been given with the rating that is tested.
    return {"untagged_texts" if need == "texts" else need for need in needs}


def positions(file: Path, snapshot: Snapshot | Training) -> Pairs:
    """Return the positions of the users and movies of a file of ratings.

    Raises DataError for a file without ratings, EvaluationError for ids not in the database.
    """
    users, movies = read_pairs(file)
    both: list[Int32] = []
    for ids, known, what in ((users, snapshot.users, "user"), (movies, snapshot.movies, "movie")):
        found = np.searchsorted(known.ids, ids).astype(np.int32)
        # searchsorted may point behind the last id.
        found = np.minimum(found, len(known) - 1)
        strange = ids[known.ids[found] != ids]
        if len(strange):
            raise EvaluationError(
                f"{file}: {what} {strange[0]} is not in the database",
                hint="ingest the data set the file belongs to",
            )
        both.append(found)
    return both[0], both[1]


def measure(
    chosen: Plan,
    data: Interactions,
    protocol: Protocol,
    splits: Iterator[Split],
    seed: int,
    clock: StageClock,
) -> tuple[list[Evaluated], list[str]]:
    """Fit every model on the train part of each split and measure it on the test part."""
    parts: dict[str, list[_Part]] = {spec.name: [] for spec in chosen.specs}
    options = fit_options(chosen.settings, clock.told)
    # As long as a refresh makes them, so that its time and its hybrids are measured.
    n = max(chosen.settings.list_length, protocol.k)
    for number, split in enumerate(splits, 1):
        train = train_of(data, split)
        for step in training_steps(chosen.specs, chosen.configs, train, options):
            name = step.spec.name
            with clock.stage(name if number == 1 else f"{name}, split {number}") as done:
                part = _fit_and_measure(
                    step, train, options, n, protocol, split, seed, data.rating_range
                )
                parts[name].append(part)
                done(len(part.metrics), "figures")
    evaluated = [_together(name, found) for name, found in parts.items()]
    measured = [one for one in evaluated if one.metrics]
    return measured, [one.model for one in evaluated if not one.metrics]


def measure_shards(
    chosen: Plan, shards: Shards, protocol: Protocol, seed: int, clock: StageClock
) -> tuple[list[Evaluated], list[str]]:
    """Measure every model where the shards are, on ratings that are held out of each."""
    held = HeldOut(shards, held_out_by(protocol, shards, seed))
    options, parts = fit_options(chosen.settings), {}
    n, train = max(chosen.settings.list_length, protocol.k), held.train
    scale = shards.catalogue.rating_range
    raters = int(np.count_nonzero(train.rows(lambda shard: np.diff(shard.user_items.indptr))))
    for step in training_steps(chosen.specs, chosen.configs, train, options):
        name = step.spec.name
        with clock.stage(name) as done:
            configured, started = step.config, time.monotonic()
            model = step.fit()
            fitted = time.monotonic() - started
            metrics: tuple[Metric, ...] = ()
            if protocol.kind in ("ranking", "both"):
                metrics += held.ranking(protocol, model, n, options, raters, seed)
            ranked = time.monotonic() - started - fitted
            predicts = step.spec.prediction is not None and not (scale and scale[0] == scale[1])
            if protocol.kind in ("rating", "both") and predicts:
                metrics += held.ratings(protocol, model, train, seed)
            followed = derived(configured, step.config)
            parts[name] = _Part(metrics, fitted, ranked, peak_memory_mb(), followed)
            done(len(metrics), "figures")
    evaluated = [_together(name, [part]) for name, part in parts.items()]
    measured = [one for one in evaluated if one.metrics]
    return measured, [one.model for one in evaluated if not one.metrics]


@dataclass(frozen=True, slots=True)
class _Part:
    metrics: tuple[Metric, ...]
    train_seconds: float
    recommend_seconds: float
    peak_memory_mb: int
    derived: Mapping[str, Any]
    training: TrainingCurve | None = None


def _together(model: str, parts: Sequence[_Part]) -> Evaluated:
    return Evaluated(
        model,
        averaged([part.metrics for part in parts]),
        sum(part.train_seconds for part in parts),
        sum(part.recommend_seconds for part in parts),
        max(part.peak_memory_mb for part in parts),
        parts[0].derived,
        parts[0].training,
    )


def _fit_and_measure(
    step: TrainingStep,
    train: Interactions,
    options: FitOptions,
    n: int,
    protocol: Protocol,
    split: Split,
    seed: int,
    scale: Scale | None,
) -> _Part:
    # The peak of this model alone, where the system can tell.
    reset_peak_memory()
    configured = step.config
    started = time.monotonic()
    model = step.fit()
    train_seconds, recommend_seconds = time.monotonic() - started, 0.0
    metrics: tuple[Metric, ...] = ()
    if protocol.kind in ("ranking", "both"):
        started = time.monotonic()
        lists = model.rank(UserRows.all(train.user_items, train.rated_at), n, options)
        recommend_seconds = time.monotonic() - started
        metrics += measure_ranking(protocol, lists, split, train.item_genres, seed, scale)
    # Interactions are all alike: there is nothing to predict.
    predicts = step.spec.prediction is not None and not (scale and scale[0] == scale[1])
    if protocol.kind in ("rating", "both") and predicts:
        users, items = rows_of(split.test), split.test.indices
        predicted = predict_ratings(train, model.fitted, users, items)
        fallback = user_mean_fallback(split.train, users)
        metrics += measure_ratings(protocol, predicted, fallback, split, seed)
    followed = derived(configured, step.config)
    training = ModelResults(model.fitted).training
    return _Part(metrics, train_seconds, recommend_seconds, peak_memory_mb(), followed, training)


def _order(protocol: Protocol, one: Evaluated) -> tuple[float, str]:
    if protocol.kind == "rating":
        return one.figure("rmse") or np.inf, one.model
    return -(one.figure(f"ndcg@{protocol.k}") or 0.0), one.model


def _store(
    database: Database,
    chosen: Plan,
    protocol: Protocol,
    seed: int,
    read: Training,
    evaluated: Sequence[Evaluated],
    clock: StageClock,
) -> int:
    with database.transaction() as connection:
        ids = lifecycle.register_models(connection, chosen.descriptions)
        parameters: Mapping[str, Any] = {
            **chosen.parameters,
            # Only the measured models: the parameters of the others explain no figure.
            "models": {one.model: asdict(chosen.configs[one.model]) for one in evaluated},
            DERIVED: {one.model: one.derived for one in evaluated if one.derived},
            "protocol": protocol.name,
        }
        run_id = lifecycle.record_evaluation(
            connection,
            clock.stages,
            {
                "started_at": clock.started_at,
                "seed": seed,
                "parameters": parameters,
                "versions": code_versions(connection),
                "snapshot_at": read.taken_at,
                "ratings_count": read.shards.ratings,
                "users_count": len(read.users),
                "movies_count": len(read.movies),
                "snapshot_checksum": read.checksum,
                "peak_memory_mb": max(one.peak_memory_mb for one in evaluated),
            },
        )
        numbered = [(ids[one.model], metric) for one in evaluated for metric in _figures(one)]
        lifecycle.record_metrics(connection, run_id, numbered)
        trainings = [(ids[one.model], one.training) for one in evaluated if one.training]
        lifecycle.record_epochs(connection, run_id, trainings)
    logger.info("run %d: %d models by %s", run_id, len(evaluated), protocol.name)
    return run_id


def _figures(one: Evaluated) -> Iterator[Metric]:
    """Yield the figures of a model, its time and memory among them."""
    yield from one.metrics
    protocol, n = one.metrics[0].protocol, one.metrics[0].n
    yield Metric(protocol, "train_seconds", one.train_seconds, n)
    yield Metric(protocol, "recommend_seconds", one.recommend_seconds, n)
    yield Metric(protocol, "peak_memory_mb", float(one.peak_memory_mb), n)
