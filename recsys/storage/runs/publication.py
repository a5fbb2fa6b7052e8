"""The published run, and the retention of the results of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from recsys.domain import Metric
from recsys.errors import RunError, UnknownRun
from recsys.storage.schema.tables import runs as tables

# The newest runs stay, the published one at any age, those still computing, and with each of these
# the run whose results it shares.
BEYOND_RETENTION = """
WITH standing AS (
    SELECT run_id, shared_run_id, state FROM recsys_store.runs
    WHERE state <> 'failed' AND pruned_at IS NULL
), kept AS (
    (
        SELECT run_id, shared_run_id FROM standing WHERE state = 'complete'
        ORDER BY run_id DESC LIMIT :keep
    )
    UNION
    SELECT run_id, shared_run_id FROM standing
    WHERE state = 'running' OR run_id IN (SELECT run_id FROM recsys_store.published)
)
SELECT run_id FROM standing
WHERE state = 'complete'
  AND run_id NOT IN (SELECT run_id FROM kept)
  AND run_id NOT IN (SELECT shared_run_id FROM kept WHERE shared_run_id IS NOT NULL)
ORDER BY run_id
"""


def publish(
    connection: sa.Connection, run_id: int, *, action: str = "publish", reason: str | None = None
) -> None:
    """Point readers to a run from the commit on, and log the publication.

    Raises RunError for a run that is not complete, whose results were dropped, or that holds only
    some of the models.
    """
    run = _locked(connection, run_id)
    why = _unpublishable(run)
    if run and not why and run.shared_run_id is not None:
        shared = _unpublishable(_locked(connection, run.shared_run_id))
        why = shared and f"it shares the results of run {run.shared_run_id}: {shared}"
    if why:
        kind = RunError if run else UnknownRun
        raise kind(f"run {run_id} cannot be published: {why}", hint="recsys.runs holds every run")
    connection.execute(
        tables.publications.insert().values(run_id=run_id, action=action, reason=reason)
    )
    pointer = insert(tables.published).values(run_id=run_id)
    connection.execute(
        pointer.on_conflict_do_update(index_elements=["only_row"], set_={"run_id": run_id})
    )


def _locked(connection: sa.Connection, run_id: int) -> Any:
    """Return a run; it stays locked until the commit, so that its results are not dropped."""
    columns = tables.runs.c
    return connection.execute(
        sa.select(
            columns.state, columns.pruned_at, columns.kind, columns.scope, columns.shared_run_id
        )
        .where(columns.run_id == run_id)
        .with_for_update()
    ).one_or_none()


def _unpublishable(run: Any) -> str | None:
    """Return why a run cannot be published, None if it can."""
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
    """Return the reasons of the gate against a run."""
    column = sa.select(tables.runs.c.refused).where(tables.runs.c.run_id == run_id)
    found: str | None = connection.scalar(column)
    return found


def published_before(connection: sa.Connection) -> tuple[int | None, int]:
    """Return the run that is published and the one it replaced, until the transaction ends.

    A rollback undoes a publication, so the next rollback leads to the run before the one it led to.
    Raises RunError if there is none.
    """
    # One at a time: two concurrent rollbacks go back two publications.
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
            "no run was published before the published run",
            hint="recsys.runs holds every run; publish one by its id",
        )
    return standing[-1], earlier[-1]


@dataclass(frozen=True, slots=True)
class PublishedFigures:
    """Row counts and metrics of the published run."""

    run_id: int
    rows: Mapping[str, int]
    """Rows of each model."""
    metrics: Sequence[tuple[str, Metric]]
    """Figures, each beside the name of its model."""

    def metric(self, model: str, protocol: str, name: str) -> Metric | None:
        """Return one metric over all users, None if it was not measured."""
        wanted = (model, protocol, name, "all")
        found = (m for of, m in self.metrics if (of, m.protocol, m.name, m.segment) == wanted)
        return next(found, None)


def published_figures(connection: sa.Connection) -> PublishedFigures | None:
    """Return the row counts and metrics of the published run, None if there is none."""
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
    """Return the row of the published run, None if there is none."""
    return connection.execute(
        sa.select(tables.runs).join(
            tables.published, tables.published.c.run_id == tables.runs.c.run_id
        )
    ).one_or_none()


def beyond_retention(connection: sa.Connection, keep: int) -> list[int]:
    """Return the runs whose results may go: all but the `keep` newest and the published one.

    Results that these share stay too. A run comes after the one that it shares results of.
    """
    return list(connection.scalars(sa.text(BEYOND_RETENTION), {"keep": keep}))


def mark_pruned(connection: sa.Connection, run_id: int) -> bool:
    """Mark the results of a run as dropped; return whether it was marked.

    A published run is not, nor is one whose results another run shares.
    """
    run = connection.execute(
        sa.select(tables.runs.c.pruned_at).where(tables.runs.c.run_id == run_id).with_for_update()
    ).one()
    published = connection.scalar(
        sa.select(sa.func.count()).where(tables.published.c.run_id == run_id)
    )
    columns = tables.runs.c
    sharing = connection.scalar(
        sa.select(sa.func.count()).where(
            columns.shared_run_id == run_id,
            columns.state != "failed",
            columns.pruned_at.is_(None),
        )
    )
    if published or sharing or run.pruned_at is not None:
        return False
    connection.execute(
        tables.runs.update()
        .where(tables.runs.c.run_id == run_id)
        .values(pruned_at=sa.func.clock_timestamp())
    )
    return True
