"""Refresh: read one snapshot of the ratings, compute the models, write a run, publish it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from recsys.domain import Metric, StoredNetwork, TrainingCurve
from recsys.errors import GateRefused, NothingLoaded, RecsysError, StorageError
from recsys.jobs.background import heartbeat, interruptibly
from recsys.jobs.columns import user_columns
from recsys.jobs.forecast import forecast_of, require_disk
from recsys.jobs.gate import Verdict, Written, check_scores, judge
from recsys.jobs.lists import Lists
from recsys.jobs.orphans import fail_orphans
from recsys.jobs.places import IN_THIS_PROCESS, OpenPlace, Place
from recsys.jobs.plan import DERIVED, Plan, configured, for_loaded, warm_start
from recsys.jobs.progress import Reporter, Silent
from recsys.jobs.publish import drop_pruned, prune
from recsys.jobs.results import ResultWriter
from recsys.jobs.stages import StageClock, code_versions, peak_memory_mb
from recsys.jobs.streaming import ResultStream
from recsys.jobs.training import derived, fit_options, needs_of, training_steps
from recsys.jobs.training_data import Training
from recsys.models.registry import candidates
from recsys.models.shards import OneShard
from recsys.storage.runs import lifecycle, lock, networks, publication, results
from recsys.storage.schema import versions
from recsys.storage.server.engine import Database
from recsys.storage.snapshot import rating_changes

logger = logging.getLogger(__name__)

WITHOUT_RATINGS = ("charts", "content")
"""Families of models that a catalogue without ratings can have."""
Measured = Sequence[tuple[str, Metric]]
"""Figures, each beside the name of its model."""


@dataclass(frozen=True, slots=True)
class RefreshReport:
    run_id: int
    published: bool
    changed: bool
    """False: nothing was computed, the published run is up to date."""
    rows: int
    seconds: float
    metrics: Measured = ()
    overridden: tuple[str, ...] = ()
    """Reasons of the gate against the run, if it was published by force."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ends, once its results are written."""

    publish: bool
    refused: tuple[str, ...]
    """Reasons of the gate against it."""
    force: str | None
    """Reason to publish it anyway."""
    metrics: Measured
    cold_start: str | None
    """The chart for users without ratings."""
    derived: Mapping[str, Mapping[str, Any]]
    """By model the parameters that it left to the data."""
    trained: Mapping[str, TrainingCurve]
    """The epochs of networks, by model."""


def refresh(
    database: Database,
    chosen: Plan,
    *,
    if_changed: bool = False,
    force: str | None = None,
    reporter: Reporter | None = None,
    place: Place = IN_THIS_PROCESS,
) -> RefreshReport:
    """Compute the models of the plan on the current ratings, write them as a run, publish it.

    Only one refresh runs on a database at a time. A run that fails is marked and leaves no
    results. A run that the gate refuses is complete but not published, unless `force` gives the
    reason to publish it anyway. `place` is where models learn. Raises RefreshBusy, DataError
    without ratings, NotEnoughDisk unless forced, RunError if a model fails, GateRefused.
    """
    # Started here, so that the seconds of a run include waiting for the snapshot.
    clock = StageClock(reporter or Silent())
    with single_flight(database) as session:
        chosen = for_loaded(database, chosen)
        with place.opened(database, chosen, clock) as opened:
            return _refresh(database, session, chosen, opened, clock, if_changed, force)


def _refresh(
    database: Database,
    session: sa.Connection,
    chosen: Plan,
    place: OpenPlace,
    clock: StageClock,
    if_changed: bool,
    force: str | None,
) -> RefreshReport:
    snapshot = _read(database, chosen, place, clock)
    if if_changed and (current := _unchanged(database, chosen, snapshot)) is not None:
        # A pruning that was interrupted is finished here too.
        prune_quietly(database, chosen.settings.keep_runs)
        return RefreshReport(current, True, False, 0, clock.total_seconds)
    # Found out now, not after hours of computing.
    if force is None and database.folder is not None:
        item_counts = snapshot.shards.catalogue.item_counts
        assert item_counts is not None
        require_disk(forecast_of(database, chosen, snapshot.counts, item_counts))
    run_id, model_ids = _begin(database, chosen, clock.started_at)
    with failing_run(database, run_id, clock), heartbeat(database, run_id):
        writer = ResultWriter(run_id, snapshot.users, snapshot.movies, model_ids)
        with (
            place.lists(database, snapshot, writer) as lists,
            ResultStream(database, writer, user_columns(snapshot)) as stream,
        ):
            # In a thread: the main thread must hear SIGTERM while LAPACK works for minutes.
            previous = _previous(database, chosen, snapshot)
            computed = interruptibly(
                lambda: _compute(chosen, snapshot, previous, lists, stream, clock)
            )
            stream.close()
            verdict = _judge(database, chosen, snapshot, computed.written, clock)
            published = chosen.publish and (not verdict.reasons or force is not None)
            rows = _write(database, lists, stream, clock)
        # A lost session has lost the lock: another refresh may publish meanwhile.
        lock.confirm_lock(session)
        metrics = [*computed.metrics, *verdict.figures]
        cold_start = _cold_start(chosen, computed.written)
        ending = Ending(
            published,
            verdict.reasons,
            force,
            metrics,
            cold_start,
            computed.derived,
            computed.trained,
        )
        _finish(database, session, chosen, snapshot, writer, ending, clock)
    prune_quietly(database, chosen.settings.keep_runs)

    logger.info("run %d: %d rows in %.1f s", run_id, rows, clock.total_seconds)
    if chosen.publish and not published:
        raise GateRefused(
            f"run {run_id} is not published: {'; '.join(verdict.reasons)}",
            hint="the published run stays",
        )
    seconds = clock.total_seconds
    return RefreshReport(run_id, published, True, rows, seconds, tuple(metrics), verdict.reasons)


def _judge(
    database: Database,
    chosen: Plan,
    snapshot: Training,
    written: Mapping[str, Written],
    clock: StageClock,
) -> Verdict:
    """Apply the gate to a run that is to be published."""
    if not chosen.publish or not chosen.settings.gate.enabled:
        return Verdict(())
    with database.transaction() as connection:
        published = publication.published_figures(connection)
    return interruptibly(lambda: judge(chosen, snapshot, written, published, clock))


def prune_quietly(database: Database, keep: int) -> None:
    """Drop the results of old runs; log a failure instead of raising it."""
    try:
        prune(database, keep)
    except StorageError as exc:
        # The run is published; old ones can go the next time.
        logger.warning("results of old runs stay: %s", exc)


@contextmanager
def single_flight(database: Database) -> Iterator[sa.Connection]:
    """Take the lock of refreshes; yield the session that holds it.

    Runs of processes that died are marked as failed first.
    """
    with database.session() as session:
        with database.transaction() as connection:
            versions.ensure(connection)
        with lock.single_flight(session):
            with database.transaction() as connection:
                fail_orphans(connection)
            yield session


def _read(database: Database, chosen: Plan, place: OpenPlace, clock: StageClock) -> Training:
    needs = needs_of(chosen.specs, chosen.configs)
    with clock.stage("read") as done, place.reading(database) as connection:
        snapshot = place.read(connection, needs, clock)
        _require_ratings(chosen, snapshot)
        done(snapshot.shards.ratings, "ratings")
        unrecorded = rating_changes.find_missing(
            connection, snapshot.users, snapshot.counts, snapshot.ratings_hashes
        )
    # After the snapshot, which is read-only: ratings written past the triggers are recorded too,
    # or their users would be taken for unchanged.
    with database.transaction() as connection:
        rating_changes.record(connection, unrecorded)
        rating_changes.compact(connection)
    return snapshot


def _require_ratings(chosen: Plan, snapshot: Training) -> None:
    """Raise NothingLoaded without ratings, unless all models can do without."""
    learning = [spec.name for spec in chosen.specs if spec.family not in WITHOUT_RATINGS]
    if learning and not snapshot.shards.ratings:
        raise NothingLoaded(
            "there are no ratings in the database",
            hint=f"load some, or leave {learning[0]} and others that learn from them out of "
            "[refresh] models; charts and content models need none",
        )


def _unchanged(database: Database, chosen: Plan, snapshot: Training) -> int | None:
    """Return the published run if it has the same input, parameters, seed and code."""
    with database.transaction() as connection:
        published = publication.published_run(connection)
        versions = code_versions(connection)
    wanted = (snapshot.checksum, chosen.parameters, chosen.settings.seed, versions)
    if (
        published is None
        or published.pruned_at is not None
        or wanted
        != (
            published.snapshot_checksum,
            configured(published.parameters),
            published.seed,
            published.versions,
        )
    ):
        return None
    run_id: int = published.run_id
    return run_id


def _begin(database: Database, chosen: Plan, started_at: datetime) -> tuple[int, dict[str, int]]:
    """Write the run and register its models; return the number of the run and of each model."""
    with database.transaction() as connection:
        ids = lifecycle.register_models(connection, chosen.descriptions)
        run_id = lifecycle.begin(
            connection,
            started_at=started_at,
            default_model_id=ids.get(chosen.default_model),
            seed=chosen.settings.seed,
            parameters=chosen.parameters,
            versions=code_versions(connection),
            scope="full" if chosen.whole else "models",
        )
    return run_id, ids


@contextmanager
def failing_run(database: Database, run_id: int, clock: StageClock) -> Iterator[None]:
    """Mark the run as failed on any error, a Ctrl-C included."""
    try:
        yield
    except BaseException as exc:
        # The first error is the one to report, even if the database is gone.
        with suppress(RecsysError), database.transaction() as connection:
            lifecycle.fail(connection, run_id, _reason(exc), clock.stages)
        with suppress(RecsysError):
            drop_pruned(database)
        raise


def attach(database: Database, session: sa.Connection, run_id: int) -> None:
    """Attach the results of a run, so that every statement planned from now on can read them.

    `session` is in autocommit.
    """
    # Committed before publication: a statement planned before the attachment would otherwise follow
    # the new pointer into partitions it does not know, and find nothing.
    with database.transaction() as connection:
        results.attach(connection, run_id)
    results.outlast_planned(session)


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return "it was stopped by a signal"
    return str(error) or type(error).__name__


@dataclass(slots=True)
class Computed:
    """What is left of the results of all models once they are handed to the database."""

    written: dict[str, Written] = field(default_factory=dict)
    metrics: list[tuple[str, Metric]] = field(default_factory=list)
    derived: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By model the parameters that it left to the data."""
    trained: dict[str, TrainingCurve] = field(default_factory=dict)


def _previous(database: Database, chosen: Plan, snapshot: Training) -> dict[str, StoredNetwork]:
    """Return the networks of the published run that models start from."""
    starting = [name for name, config in chosen.configs.items() if warm_start(config)]
    if not starting:
        return {}
    with database.transaction() as connection:
        published = publication.published_run(connection)
        if published is None:
            return {}
        run_id = published.shared_run_id or published.run_id
        found = {name: networks.read(connection, run_id, name) for name in starting}
    return {
        name: network.placed(snapshot.users, snapshot.movies)
        for name, network in found.items()
        if network is not None
    }


def _compute(
    chosen: Plan,
    snapshot: Training,
    previous: Mapping[str, StoredNetwork],
    lists: Lists,
    stream: ResultStream,
    clock: StageClock,
) -> Computed:
    """Fit model after model and hand over its results, lists of users shard by shard.

    Only these fits start from the `previous` networks: a measured one would know test ratings.
    """
    shards = snapshot.shards
    if previous and shards.whole is not None:
        shards = OneShard(replace(shards.whole, previous=previous))
    options = fit_options(chosen.settings, clock.told)
    n, users = chosen.settings.list_length, len(snapshot.users)
    computed = Computed()
    for step in training_steps(chosen.specs, chosen.configs, shards, options):
        name = step.spec.name
        with clock.stage(name) as done:
            of_model = computed.written[name] = Written()
            model = step.fit()
            if followed := derived(chosen.configs[name], step.config):
                computed.derived[name] = followed
            learned = step.learned(model)
            if chosen.implicit:
                learned = learned.without_means()
            check_scores(name, learned)
            stream.write(name, learned)
            of_model.rows += learned.rows
            computed.metrics += [(name, metric) for metric in learned.metrics]
            if learned.training is not None:
                computed.trained[name] = learned.training
            del learned
            # A chart is the same for every user: SQL leaves out what the user has rated.
            if step.spec.kind == "personal":
                for part in lists.make(model, n, options, stream):
                    of_model.rows += int(part.lengths.sum())
                    of_model.list_lengths.append(part.lengths)
                    clock.advance(part.stop, users)
            done(of_model.rows, "rows")
    return computed


def _cold_start(chosen: Plan, written: Mapping[str, Written]) -> str | None:
    """Return the chart for users without ratings: without times, `trending` has no movies."""
    if chosen.settings.cold_start or not chosen.cold_start:
        return chosen.cold_start
    filled = (name for name in candidates("cold_start") if name in written and written[name].rows)
    return next(filled, chosen.cold_start)


def _write(database: Database, lists: Lists, stream: ResultStream, clock: StageClock) -> int:
    """Wait until all results are written, indexed and committed; return the rows."""
    with clock.stage("write") as done:
        rows = stream.wait() + lists.finish(database)
        done(rows, "rows")
    facts = {"seconds": round(stream.seconds, 3), "rows": rows}
    logger.info(
        "results: %d rows, %.1f s of the database", rows, stream.seconds, extra={"facts": facts}
    )
    return rows


def _finish(
    database: Database,
    session: sa.Connection,
    chosen: Plan,
    snapshot: Training,
    writer: ResultWriter,
    ending: Ending,
    clock: StageClock,
) -> None:
    """Attach the results, then complete and publish the run in one short transaction."""
    catalogue, count = snapshot.shards.catalogue, snapshot.shards.ratings
    low, high = (count and catalogue.rating_range) or (None, None)
    facts = {
        "cold_start_model_id": writer.model_ids.get(ending.cold_start or ""),
        "live_model_id": writer.model_ids.get(chosen.live_model or ""),
        "max_age": timedelta(hours=chosen.settings.max_age_hours),
        "rating_model_id": writer.model_ids.get(chosen.rating_model or ""),
        "rating_min": low,
        "rating_max": high,
        # Users whose ratings change later are folded in on this scale.
        "ratings_mean": catalogue.rating_mean if count else None,
        "ratings_deviation": snapshot.deviation,
        "snapshot_at": snapshot.taken_at,
        "ratings_count": count,
        "users_count": len(snapshot.users),
        "movies_count": len(snapshot.movies),
        "snapshot_checksum": snapshot.checksum,
        "output_checksum": writer.checksum,
        "peak_memory_mb": peak_memory_mb(),
        "refused": "; ".join(ending.refused) or None,
        "parameters": {**chosen.parameters, DERIVED: ending.derived},
    }
    attach(database, session, writer.run_id)
    # Nothing slow until the commit: publication takes milliseconds for a run of any size.
    started = time.monotonic()
    with database.transaction() as connection:
        lifecycle.complete(connection, writer.run_id, clock.stages, facts)
        # The baseline of the gate may not be among the models of the run.
        ids = writer.model_ids
        numbered = [(ids[name], metric) for name, metric in ending.metrics if name in ids]
        lifecycle.record_metrics(connection, writer.run_id, numbered)
        trainings = [(ids[name], training) for name, training in ending.trained.items()]
        lifecycle.record_epochs(connection, writer.run_id, trainings)
        if ending.publish:
            publication.publish(connection, writer.run_id, reason=ending.force)
    word = "published" if ending.publish else "attached"
    seconds = time.monotonic() - started
    facts = {"run_id": writer.run_id, "seconds": round(seconds, 3)}
    logger.info("run %d %s in %.3f s", writer.run_id, word, seconds, extra={"facts": facts})
