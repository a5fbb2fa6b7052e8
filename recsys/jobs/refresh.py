"""From ratings to published recommendations: one snapshot in, one run out."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from recsys.algorithms.registry import MODELS, FitOptions, ModelSpec, make_config
from recsys.domain import ModelOutput
from recsys.errors import ConfigError, RecsysError, RunError, StorageError
from recsys.jobs.outputs import OutputWriter
from recsys.jobs.progress import Reporter, Silent
from recsys.jobs.prune import prune
from recsys.jobs.stages import StageClock, code_versions, peak_memory_mb
from recsys.settings import RefreshSettings
from recsys.storage import matrices, runs, schema
from recsys.storage.engine import Database
from recsys.storage.matrices import Snapshot

logger = logging.getLogger(__name__)

COLD_START_CHART = "most_rated"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a refresh computes, checked."""

    specs: tuple[ModelSpec, ...]
    configs: dict[str, Any]
    settings: RefreshSettings
    publish: bool

    @property
    def parameters(self) -> dict[str, Any]:
        return {
            "models": {spec.name: asdict(self.configs[spec.name]) for spec in self.specs},
            "neighbours": self.settings.neighbours,
            "list_length": self.settings.list_length,
            "default_model": self.settings.default_model,
        }


@dataclass(frozen=True, slots=True)
class RefreshReport:
    run_id: int
    published: bool
    changed: bool
    """False: nothing was computed, the published run is still true."""
    rows: int
    seconds: float


def plan(
    settings: RefreshSettings, models: Sequence[str] | None = None, *, publish: bool = True
) -> Plan:
    """Check names and parameters of the models to refresh.

    A choice of models is for trying out and is not published. Raises ConfigError.
    """
    names = tuple(dict.fromkeys(models)) if models else settings.models
    for name in {*names, *settings.parameters}:
        if name not in MODELS:
            raise ConfigError(f"unknown model {name!r}", hint=f"models: {', '.join(MODELS)}")
    publish = publish and models is None
    if publish and COLD_START_CHART not in names:
        raise ConfigError(
            f"{COLD_START_CHART} is not among the models to publish",
            hint="people without ratings are served from it: add it to [refresh] models",
        )
    default = MODELS.get(settings.default_model)
    if publish and (default is None or default.kind != "personal"):
        raise ConfigError(
            f"default_model {settings.default_model!r} gives no personal lists",
            hint="take one such as ease or als",
        )
    specs = tuple(spec for name, spec in MODELS.items() if name in names)
    configs = {s.name: make_config(s, settings.parameters.get(s.name, {})) for s in specs}
    return Plan(specs, configs, settings, publish)


def refresh(
    database: Database,
    chosen: Plan,
    *,
    if_changed: bool = False,
    reporter: Reporter | None = None,
) -> RefreshReport:
    """Compute the models of the plan on the current ratings, write them as a run, publish it.

    Only one refresh runs on a database at a time. A run that fails is marked so and leaves no
    results. Raises RefreshBusy, DataError without ratings, RunError where a model fails.
    """
    clock = StageClock(reporter or Silent())
    with database.session() as session, _single_flight(database, session):
        snapshot = _read(database, chosen, clock)
        if if_changed and (current := _unchanged(database, chosen, snapshot)) is not None:
            return RefreshReport(current, True, False, 0, clock.total_seconds)
        run_id = _begin(database, chosen, clock.started_at)
        with _failing_run(database, run_id, clock):
            outputs = _compute(chosen, snapshot, clock)
            writer = OutputWriter(run_id, snapshot, _model_ids(database, chosen))
            rows = _write(database, writer, outputs, clock)
            runs.confirm_lock(session)
            _finish(database, chosen, snapshot, writer, clock)
        _prune(database, chosen.settings.keep_runs)
    logger.info("run %d: %d rows in %.1f s", run_id, rows, clock.total_seconds)
    return RefreshReport(run_id, chosen.publish, True, rows, clock.total_seconds)


def _prune(database: Database, keep: int) -> None:
    try:
        prune(database, keep)
    except StorageError as exc:
        # The run is published; old ones can go the next time.
        logger.warning("results of old runs stay: %s", exc)


@contextmanager
def _single_flight(database: Database, session: sa.Connection) -> Iterator[None]:
    with database.transaction() as connection:
        schema.ensure(connection)
    with runs.single_flight(session):
        with database.transaction() as connection:
            for orphan in runs.fail_orphans(connection):
                logger.warning("run %d was left unfinished; its results are dropped", orphan)
        yield


def _read(database: Database, chosen: Plan, clock: StageClock) -> Snapshot:
    needs = frozenset[str]().union(*(spec.needs for spec in chosen.specs))
    with clock.stage("read") as done, database.snapshot() as connection:
        snapshot = matrices.read_snapshot(connection, needs, progress=clock.advance)
        done(snapshot.interactions.user_items.nnz, "ratings")
    return snapshot


def _unchanged(database: Database, chosen: Plan, snapshot: Snapshot) -> int | None:
    """Return the published run if it has the same input, parameters, seed and code."""
    with database.transaction() as connection:
        published = runs.published_run(connection)
        versions = code_versions(connection)
    wanted = (snapshot.checksum, chosen.parameters, chosen.settings.seed, versions)
    if (
        published is None
        or published.pruned_at is not None
        or wanted
        != (
            published.snapshot_checksum,
            published.parameters,
            published.seed,
            published.versions,
        )
    ):
        return None
    run_id: int = published.run_id
    return run_id


def _begin(database: Database, chosen: Plan, started_at: datetime) -> int:
    ids = _model_ids(database, chosen)
    with database.transaction() as connection:
        return runs.begin(
            connection,
            started_at=started_at,
            default_model_id=ids.get(chosen.settings.default_model),
            seed=chosen.settings.seed,
            parameters=chosen.parameters,
            versions=code_versions(connection),
        )


def _model_ids(database: Database, chosen: Plan) -> dict[str, int]:
    described = [
        {
            "name": spec.name,
            "kind": spec.kind,
            "score_meaning": spec.score_meaning,
            "description": spec.description,
        }
        for spec in chosen.specs
    ]
    with database.transaction() as connection:
        return runs.register_models(connection, described)


@contextmanager
def _failing_run(database: Database, run_id: int, clock: StageClock) -> Iterator[None]:
    """Mark the run as failed on any error, a Ctrl-C included."""
    try:
        yield
    except BaseException as exc:
        with suppress(RecsysError), database.transaction() as connection:
            runs.fail(connection, run_id, str(exc) or type(exc).__name__, clock.stages)
        raise


def _compute(chosen: Plan, snapshot: Snapshot, clock: StageClock) -> dict[str, ModelOutput]:
    options = FitOptions(
        k=chosen.settings.neighbours,
        n=chosen.settings.list_length,
        seed=chosen.settings.seed,
        memory_mb=chosen.settings.memory_mb,
        threads=chosen.settings.threads,
    )
    outputs: dict[str, ModelOutput] = {}
    for spec in chosen.specs:
        config = chosen.configs[spec.name]
        parts = {name: outputs[name] for name in spec.parts(config)}
        data = replace(snapshot.interactions, parts=parts)
        with clock.stage(spec.name) as done:
            try:
                output = spec.fit(data, config, options)
            except RecsysError:
                raise
            except Exception as exc:
                raise RunError(
                    f"model {spec.name} failed: {type(exc).__name__}: {exc}",
                    hint="`recsys -v refresh` shows where; other models can run without it",
                ) from exc
            outputs[spec.name] = output
            done(_rows(output), "rows")
    return outputs


def _rows(output: ModelOutput) -> int:
    all_lists = (output.neighbours, output.user_neighbours, output.recommendations)
    lists = [lists for lists in all_lists if lists is not None]
    return sum(map(len, lists)) + sum(len(chart.items) for chart in output.charts)


def _write(
    database: Database, writer: OutputWriter, outputs: dict[str, ModelOutput], clock: StageClock
) -> int:
    """COPY all outputs into partitions that stand alone, then index them; one transaction."""
    with database.transaction() as connection:
        with clock.stage("write") as done:
            rows = writer.write(connection, outputs, clock.advance)
            done(rows, "rows")
        with clock.stage("index") as done:
            writer.finish(connection)
            done(rows, "rows")
    return rows


def _finish(
    database: Database, chosen: Plan, snapshot: Snapshot, writer: OutputWriter, clock: StageClock
) -> None:
    """Attach, complete and publish in one short transaction."""
    facts = {
        "snapshot_at": snapshot.taken_at,
        "ratings_count": snapshot.interactions.user_items.nnz,
        "users_count": len(snapshot.users),
        "movies_count": len(snapshot.movies),
        "snapshot_checksum": snapshot.checksum,
        "output_checksum": writer.checksum,
        "peak_memory_mb": peak_memory_mb(),
    }
    started = time.monotonic()
    with database.transaction() as connection:
        runs.complete(connection, writer.run_id, clock.stages, facts)
        if chosen.publish:
            runs.publish(connection, writer.run_id)
    word = "published" if chosen.publish else "attached"
    logger.info("run %d %s in %.3f s", writer.run_id, word, time.monotonic() - started)
