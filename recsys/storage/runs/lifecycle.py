"""The life cycle of a run: begin, record stages, complete or fail."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from recsys.domain import Metric, TrainingCurve
from recsys.storage.runs import results
from recsys.storage.schema.tables import runs as tables


@dataclass(frozen=True, slots=True)
class Stage:
    name: str
    started_at: datetime
    seconds: float
    rows: int
    peak_memory_mb: int


def any_running(connection: sa.Connection) -> bool:
    """Return whether a run is in state `running`, its process alive or not."""
    running = sa.select(sa.func.count()).where(tables.runs.c.state == "running")
    return bool(connection.scalar(running))


def fail_orphans(connection: sa.Connection) -> list[int]:
    """Mark all running runs as failed and return them; the caller holds the lock of refreshes."""
    running = tables.runs.c.state == "running"
    orphans = list(connection.scalars(sa.select(tables.runs.c.run_id).where(running)))
    for run_id in orphans:
        fail(connection, run_id, "its process ended without finishing the run")
    return orphans


def register_models(connection: sa.Connection, described: list[dict[str, Any]]) -> dict[str, int]:
    """Insert or update models by name from their columns; return the ids by name."""
    names = [model["name"] for model in described]
    known = set(connection.scalars(sa.select(tables.models.c.name)))
    # ON CONFLICT would draw a number for every known model; they are smallint.
    for model in described:
        if model["name"] not in known:
            connection.execute(tables.models.insert().values(model))
        else:
            same_name = tables.models.c.name == model["name"]
            changed = sa.or_(
                *(tables.models.c[column].is_distinct_from(model[column]) for column in model)
            )
            connection.execute(tables.models.update().where(same_name, changed).values(model))
    rows = connection.execute(
        sa.select(tables.models.c.name, tables.models.c.model_id).where(
            tables.models.c.name.in_(names)
        )
    )
    return {name: model_id for name, model_id in rows}


def begin(
    connection: sa.Connection,
    *,
    started_at: datetime | None = None,
    default_model_id: int | None,
    seed: int,
    parameters: Mapping[str, Any],
    versions: Mapping[str, str],
    scope: str = "full",
    base_run_id: int | None = None,
    shared_run_id: int | None = None,
) -> int:
    """Write a run in state `running`, begun now or at `started_at`, and return its id."""
    statement = tables.runs.insert().values(
        state="running",
        scope=scope,
        base_run_id=base_run_id,
        shared_run_id=shared_run_id,
        heartbeat_at=sa.func.clock_timestamp(),
        started_at=started_at or sa.func.now(),
        default_model_id=default_model_id,
        seed=seed,
        parameters=parameters,
        versions=versions,
        backend=_backend(),
    )
    run_id: int = connection.execute(statement.returning(tables.runs.c.run_id)).scalar_one()
    return run_id


def beat(connection: sa.Connection, run_id: int) -> None:
    """Record that the process of a run is alive."""
    connection.execute(
        tables.runs.update()
        .where(tables.runs.c.run_id == run_id, tables.runs.c.state == "running")
        .values(heartbeat_at=sa.func.clock_timestamp())
    )


def _backend() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def complete(
    connection: sa.Connection, run_id: int, stages: Sequence[Stage], facts: Mapping[str, Any]
) -> None:
    """Mark a run with attached results as complete; `facts` are columns of `runs`."""
    _record_stages(connection, run_id, stages)
    _end(connection, run_id, {"state": "complete", **facts})


def record_evaluation(
    connection: sa.Connection, stages: Sequence[Stage], facts: Mapping[str, Any]
) -> int:
    """Write a finished evaluation and return its id; `facts` are columns of `runs`."""
    statement = tables.runs.insert().values(
        kind="evaluation",
        state="complete",
        backend=_backend(),
        finished_at=sa.func.clock_timestamp(),
        pruned_at=sa.func.clock_timestamp(),  # there are no results to keep
        **facts,
    )
    run_id: int = connection.execute(statement.returning(tables.runs.c.run_id)).scalar_one()
    _record_stages(connection, run_id, stages)
    return run_id


def record_metrics(
    connection: sa.Connection, run_id: int, metrics: Iterable[tuple[int, Metric]]
) -> None:
    """Write the metrics of a run, each with the id of its model."""
    rows = [
        {
            "run_id": run_id,
            "model_id": model_id,
            "protocol": metric.protocol,
            "metric": metric.name,
            "segment": metric.segment,
            "value": metric.value,
            "ci_low": metric.ci_low,
            "ci_high": metric.ci_high,
            "n": metric.n,
        }
        for model_id, metric in metrics
    ]
    if rows:
        connection.execute(tables.run_metrics.insert(), rows)


def record_epochs(
    connection: sa.Connection, run_id: int, trainings: Iterable[tuple[int, TrainingCurve]]
) -> None:
    """Write the epochs of the networks of a run, each with the id of its model."""
    rows = [
        {
            "run_id": run_id,
            "model_id": model_id,
            "epoch": number,
            "loss": epoch.loss,
            "metric": None if epoch.validation is None else training.metric,
            "validation": epoch.validation,
            "seconds": epoch.seconds,
        }
        for model_id, training in trainings
        for number, epoch in enumerate(training.epochs, 1)
    ]
    if rows:
        connection.execute(tables.training_epochs.insert(), rows)


def fail(connection: sa.Connection, run_id: int, error: str, stages: Sequence[Stage] = ()) -> None:
    """Mark a run as failed and drop its results; a run that has ended meanwhile stays.

    Results that are attached already are left to the next pruning, which no reader waits for.
    """
    state = sa.select(tables.runs.c.state).where(tables.runs.c.run_id == run_id)
    if connection.scalar(state.with_for_update()) != "running":
        return
    results.drop(connection, run_id, attached=False)
    _record_stages(connection, run_id, stages)
    _end(connection, run_id, {"state": "failed", "error": error})


def _record_stages(connection: sa.Connection, run_id: int, stages: Sequence[Stage]) -> None:
    rows = [
        {
            "run_id": run_id,
            "position": position,
            "stage": stage.name,
            "started_at": stage.started_at,
            "seconds": stage.seconds,
            "rows": stage.rows,
            "peak_memory_mb": stage.peak_memory_mb,
        }
        for position, stage in enumerate(stages, 1)
    ]
    if rows:
        connection.execute(tables.run_stages.insert(), rows)


def _end(connection: sa.Connection, run_id: int, values: Mapping[str, Any]) -> None:
    connection.execute(
        tables.runs.update()
        .where(tables.runs.c.run_id == run_id)
        .values(finished_at=sa.func.clock_timestamp(), **values)
    )
