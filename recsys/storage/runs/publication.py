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

# The newest runs stay, and the published one at any age.
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


def publish(
    connection: sa.Connection, run_id: int, *, action: str = "publish", reason: str | None = None
) -> None:
    """Point readers to a run from the commit on, and log the publication.

    Raises RunError for a run that is not complete, whose results were dropped, or that holds only
    some of the models.
    """
    columns = tables.runs.c
    run = connection.execute(
        # Locked until the commit, so that no pruning drops the results meanwhile.
        sa.select(columns.state, columns.pruned_at, columns.kind, columns.scope)
        .where(columns.run_id == run_id)
        .with_for_update()
    ).one_or_none()
    why = _unpublishable(run)
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
    """Return the runs whose results may go: all but the `keep` newest and the published one."""
    return list(connection.scalars(sa.text(BEYOND_RETENTION), {"keep": keep}))


def mark_pruned(connection: sa.Connection, run_id: int) -> bool:
    """Mark the results of a run as dropped unless it is published; return whether it was marked."""
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
