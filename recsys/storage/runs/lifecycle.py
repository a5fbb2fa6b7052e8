"""Runs: begun, recorded stage by stage, completed or failed, and published by one pointer."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError

from recsys.domain import Metric
from recsys.errors import RefreshBusy, RunError
from recsys.storage.runs import results
from recsys.storage.schema.tables import runs as tables

# The newest runs stay, and the published one whatever its age.
BEYOND_RETENTION = """
SELECT run_id FROM (
    SELECT run_id FROM recsys_store.runs
    WHERE state = 'complete' AND pruned_at IS NULL
    ORDER BY run_id DESC
    OFFSET :keep
) AS older
WHERE run_id NOT IN (SELECT run_id FROM recsys_store.published)
ORDER BY run_id
"""
TRY_LOCK = sa.text("SELECT pg_try_advisory_lock(hashtext('recsys refresh'))")
TRY_LOCK_FOR_TRANSACTION = sa.text("SELECT pg_try_advisory_xact_lock(hashtext('recsys refresh'))")
UNLOCK = sa.text("SELECT pg_advisory_unlock(hashtext('recsys refresh'))")
HEARTBEAT_S = 5.0
SILENCE = timedelta(seconds=12 * HEARTBEAT_S)
"""Without a heartbeat for so long something is wrong with whoever runs a refresh."""
WHO_RUNS = sa.text("""
SELECT run_id, backend, started_at, now() - heartbeat_at AS silence FROM recsys_store.runs
WHERE state = 'running' ORDER BY run_id DESC LIMIT 1
""")
# What is before its run, or no refresh, is known by its session only.
WHO_HOLDS = sa.text("""
SELECT a.pid, a.usename, coalesce(a.xact_start, a.backend_start) AS since
FROM pg_locks AS l
JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
  AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
  AND (CAST(l.classid AS bigint) << 32 | CAST(l.objid AS bigint)) = hashtext('recsys refresh')
""")


@dataclass(frozen=True, slots=True)
class Stage:
    name: str
    started_at: datetime
    seconds: float
    rows: int
    peak_memory_mb: int


@contextmanager
def single_flight(session: sa.Connection) -> Iterator[None]:
    """Hold the lock that only one refresh of a database has; `session` is in autocommit.

    The server frees it when the session ends, however it ends. Raises RefreshBusy, naming who
    holds it since when.
    """
    if not session.scalar(TRY_LOCK):
        raise _busy(session)
    try:
        yield
    finally:
        # Without its session the lock is gone already.
        with suppress(DBAPIError):
            session.execute(UNLOCK)


def keep_refreshes_out(connection: sa.Connection) -> None:
    """Hold the lock of a refresh until the transaction ends; raises RefreshBusy if one runs."""
    if not connection.scalar(TRY_LOCK_FOR_TRANSACTION):
        raise _busy(connection)


def _busy(connection: sa.Connection) -> RefreshBusy:
    holder = connection.execute(WHO_RUNS).one_or_none()
    if holder is None:
        who = f"it has just begun, or an ingest replaces the data{_session_that_holds(connection)}"
        return RefreshBusy(f"another refresh is running: {who}", hint="wait for it to end")
    who = f"run {holder.run_id} by {holder.backend} since {_in_utc(holder.started_at)}"
    hint = "wait for it to end"
    if holder.silence is not None and holder.silence > SILENCE:
        who += f", not heard of for {holder.silence.total_seconds():,.0f} s"
        hint = "its machine may be gone: end its session with pg_terminate_backend"
    return RefreshBusy(f"another refresh is running: {who}", hint=hint)


def _session_that_holds(connection: sa.Connection) -> str:
    """Return what the server tells of it, which to another role may be less."""
    found = connection.execute(WHO_HOLDS).one_or_none()
    if found is None:
        return ""
    since = "" if found.since is None else f" since {_in_utc(found.since)}"
    return f", in session {found.pid} of {found.usename}{since}"


def _in_utc(when: datetime) -> str:
    # A session has the time zone of its server.
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def confirm_lock(session: sa.Connection) -> None:
    """Raise the driver's error unless the session that holds the lock is still there."""
    session.execute(sa.text("SELECT 1"))


def any_running(connection: sa.Connection) -> bool:
    """Return whether a run is in state `running`, its process alive or not."""
    running = sa.select(sa.func.count()).where(tables.runs.c.state == "running")
    return bool(connection.scalar(running))


def fail_orphans(connection: sa.Connection) -> list[int]:
    """Mark runs whose process ended without a word as failed; return them. Needs the lock."""
    running = tables.runs.c.state == "running"
    orphans = list(connection.scalars(sa.select(tables.runs.c.run_id).where(running)))
    for run_id in orphans:
        fail(connection, run_id, "its process ended without finishing the run")
    return orphans


def register_models(connection: sa.Connection, described: list[dict[str, Any]]) -> dict[str, int]:
    """Write the columns given for each model, its name among them; return their ids by name."""
    names = [model["name"] for model in described]
    known = set(connection.scalars(sa.select(tables.models.c.name)))
    # Only a model that is new may draw a number.
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
) -> int:
    """Write a run in state `running`, begun now or at `started_at`, and return its id."""
    statement = tables.runs.insert().values(
        state="running",
        scope=scope,
        base_run_id=base_run_id,
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
    """Note that the process that computes a run is alive."""
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
    """Attach the run's results and mark it complete; `facts` are columns of `runs`."""
    results.attach(connection, run_id)
    _record_stages(connection, run_id, stages)
    _end(connection, run_id, {"state": "complete", **facts})


def record_evaluation(
    connection: sa.Connection, stages: Sequence[Stage], facts: Mapping[str, Any]
) -> int:
    """Write a run that measured models and is over, and return its id; `facts` are its columns."""
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
    """Write measured figures of a run, each beside the id of its model."""
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


def fail(connection: sa.Connection, run_id: int, error: str, stages: Sequence[Stage] = ()) -> None:
    """Mark a run as failed and drop what it wrote; one that has ended meanwhile stays as it is."""
    state = sa.select(tables.runs.c.state).where(tables.runs.c.run_id == run_id)
    if connection.scalar(state.with_for_update()) != "running":
        return
    results.drop(connection, run_id)
    _record_stages(connection, run_id, stages)
    _end(connection, run_id, {"state": "failed", "error": error})


def publish(
    connection: sa.Connection, run_id: int, *, action: str = "publish", reason: str | None = None
) -> None:
    """Let readers see a run from the commit on, and log that.

    Raises RunError for a run that is not complete, whose results were dropped, or that holds only
    some of the models.
    """
    columns = tables.runs.c
    run = connection.execute(
        # Held until the commit, so that nobody drops the results meanwhile.
        sa.select(columns.state, columns.pruned_at, columns.kind, columns.scope)
        .where(columns.run_id == run_id)
        .with_for_update()
    ).one_or_none()
    why = _unpublishable(run)
    if why:
        hint = "`recsys runs list` shows the runs there are"
        raise RunError(f"run {run_id} cannot be published: {why}", hint=hint)
    connection.execute(
        tables.publications.insert().values(run_id=run_id, action=action, reason=reason)
    )
    pointer = insert(tables.published).values(run_id=run_id)
    connection.execute(
        pointer.on_conflict_do_update(index_elements=["only_row"], set_={"run_id": run_id})
    )


def _unpublishable(run: Any) -> str | None:
    """Return why a run cannot be published, None where it can."""
    if run is None:
        return "it does not exist"
    if run.kind != "refresh":
        return "it is an evaluation"
    if run.state != "complete":
        return f"it is {run.state}"
    if run.pruned_at is not None:
        return f"its results were dropped on {run.pruned_at:%Y-%m-%d %H:%M} UTC"
    return "it has only some of the models" if run.scope == "models" else None


def refused(connection: sa.Connection, run_id: int) -> str | None:
    """Return what the gate had against a run."""
    column = sa.select(tables.runs.c.refused).where(tables.runs.c.run_id == run_id)
    found: str | None = connection.scalar(column)
    return found


def published_before(connection: sa.Connection) -> tuple[int | None, int]:
    """Return the run that is published and the one it replaced, until the transaction ends.

    A rollback undoes a publication: what it led back to was published before what it undid, and
    the one before that is next. Raises RunError where there is none.
    """
    # One at a time: two rollbacks at once are to go two back.
    connection.execute(sa.text("LOCK TABLE recsys_store.publications IN SHARE ROW EXCLUSIVE MODE"))
    log = connection.execute(
        sa.select(tables.publications.c.run_id, tables.publications.c.action).order_by(
            tables.publications.c.publication_id
        )
    )
    standing: list[int | None] = []
    for run_id, action in log:
        if action == "rollback":
            standing.pop()
            while standing[-1] != run_id:
                standing.pop()
        else:
            standing.append(run_id)
    earlier = [run_id for run_id in standing[:-1] if run_id is not None]
    if not earlier:
        raise RunError(
            "nothing was published before what is published now",
            hint="`recsys runs list` shows the runs there are, `recsys runs publish N` takes one",
        )
    return standing[-1], earlier[-1]


@dataclass(frozen=True, slots=True)
class PublishedFigures:
    """What the published run came to."""

    run_id: int
    rows: Mapping[str, int]
    """Rows of each model."""
    metrics: Sequence[tuple[str, Metric]]
    """Figures, each beside the name of its model."""

    def metric(self, model: str, protocol: str, name: str) -> Metric | None:
        """Return one figure over everybody, None where it was not measured."""
        wanted = (model, protocol, name, "all")
        found = (m for of, m in self.metrics if (of, m.protocol, m.name, m.segment) == wanted)
        return next(found, None)


def published_figures(connection: sa.Connection) -> PublishedFigures | None:
    """Return what the published run came to, None when nothing is published."""
    run = published_run(connection)
    if run is None:
        return None
    measured = run.base_run_id or run.run_id
    stages, metrics, models = tables.run_stages.c, tables.run_metrics.c, tables.models.c
    rows = connection.execute(
        sa.select(stages.stage, stages.rows)
        .join(tables.models, models.name == stages.stage)
        .where(stages.run_id == measured)
    )
    figures = connection.execute(
        sa.select(tables.run_metrics, models.name)
        .join(tables.models, models.model_id == metrics.model_id)
        .where(metrics.run_id == measured)
    )
    return PublishedFigures(
        run.run_id,
        {stage: count for stage, count in rows},
        [
            (f.name, Metric(f.protocol, f.metric, f.value, f.n, f.segment, f.ci_low, f.ci_high))
            for f in figures
        ],
    )


def published_run(connection: sa.Connection) -> sa.Row[Any] | None:
    """Return the published run's row, None when nothing is published."""
    return connection.execute(
        sa.select(tables.runs).join(
            tables.published, tables.published.c.run_id == tables.runs.c.run_id
        )
    ).one_or_none()


def beyond_retention(connection: sa.Connection, keep: int) -> list[int]:
    """Return the runs whose results may go: all but the `keep` newest and the published one."""
    return list(connection.scalars(sa.text(BEYOND_RETENTION), {"keep": keep}))


def mark_pruned(connection: sa.Connection, run_id: int) -> bool:
    """Note that the results of a run go, unless it is published or gone; return whether they do."""
    run = connection.execute(
        sa.select(tables.runs.c.pruned_at).where(tables.runs.c.run_id == run_id).with_for_update()
    ).one()
    published = connection.scalar(
        sa.select(sa.func.count()).where(tables.published.c.run_id == run_id)
    )
    if published or run.pruned_at is not None:
        return False
    connection.execute(
        tables.runs.update()
        .where(tables.runs.c.run_id == run_id)
        .values(pruned_at=sa.func.clock_timestamp())
    )
    return True


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
