"""Refresh the lists of users whose ratings changed since a run; its other results stay."""

from __future__ import annotations

import time
from typing import Any

import sqlalchemy as sa

from recsys.errors import NotPublished, RunError
from recsys.jobs.background import heartbeat
from recsys.jobs.plan import Plan
from recsys.jobs.progress import Reporter, Silent
from recsys.jobs.refresh import (
    RefreshReport,
    attach,
    failing_run,
    logger,
    prune_quietly,
    single_flight,
)
from recsys.jobs.stages import StageClock, code_versions, peak_memory_mb
from recsys.storage.runs import changed_users, lifecycle, lock, publication
from recsys.storage.server.engine import Database

CARRIED_OVER = (
    "default_model_id", "cold_start_model_id", "rating_model_id", "live_model_id", "max_age",
    "rating_min", "rating_max",
)  # fmt: skip


def refresh_users(
    database: Database, chosen: Plan, *, reporter: Reporter | None = None
) -> RefreshReport:
    """Write a run with new lists for users whose ratings changed and publish it.

    The lists equal a full recomputation from the published similarities. Models whose lists do not
    follow from similarities have none for these users, who are served live. Raises RefreshBusy,
    NotPublished, RunError if the settings differ from those of the published run.
    """
    clock = StageClock(reporter or Silent())
    with single_flight(database) as session:
        base = _base(database, chosen)
        with clock.stage("read") as done, database.snapshot() as connection:
            changed = changed_users.count(connection, base.run_id)
            done(changed, "changed users")
        if not changed:
            # A pruning that was interrupted is finished here too.
            prune_quietly(database, chosen.settings.keep_runs)
            return RefreshReport(base.run_id, True, False, 0, clock.total_seconds)
        run_id = _begin(database, base, clock)
        with failing_run(database, run_id, clock), heartbeat(database, run_id):
            rows, facts = _write(database, base, run_id, clock)
            lock.confirm_lock(session)
            _finish(database, session, run_id, facts, clock, publish=chosen.publish)
        prune_quietly(database, chosen.settings.keep_runs)
    return RefreshReport(run_id, chosen.publish, True, rows, clock.total_seconds)


def _base(database: Database, chosen: Plan) -> Any:
    """Return the published run; raise RunError if its settings differ from the plan."""
    with database.transaction() as connection:
        base = publication.published_run(connection)
    if base is None:
        raise NotPublished("nothing is published yet", hint="a whole refresh comes first")
    if base.parameters != chosen.parameters or base.seed != chosen.settings.seed:
        raise RunError(
            f"run {base.run_id} has other settings than recsys.toml",
            hint="a whole refresh uses the new settings",
        )
    return base


def _begin(database: Database, base: Any, clock: StageClock) -> int:
    with database.transaction() as connection:
        return lifecycle.begin(
            connection,
            started_at=clock.started_at,
            default_model_id=base.default_model_id,
            seed=base.seed,
            parameters=base.parameters,
            versions=code_versions(connection),
            scope="users",
            # The full run, even if the published one only took over its results.
            base_run_id=base.base_run_id or base.run_id,
        )


def _write(
    database: Database, base: Any, run_id: int, clock: StageClock
) -> tuple[int, dict[str, Any]]:
    """Write all results of the run from one state of the database; return the rows and facts."""
    with database.transaction() as connection:
        # One snapshot for all statements: lists and the recorded hashes must agree.
        connection.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        with clock.stage("lists") as done:
            changed_users.find(connection, base.run_id)
            rows = changed_users.write_lists(
                connection,
                base.run_id,
                run_id,
                list(base.parameters["models"]),
                base.parameters["list_length"],
            )
            done(rows, "rows")
        with clock.stage("take over") as done:
            rows += sum(changed_users.take_over(connection, base.run_id, run_id))
            done(rows, "rows")
        facts = changed_users.facts(connection, run_id, base.output_checksum)
        with clock.stage("index") as done:
            changed_users.finish(connection, run_id)
            done(rows, "rows")
    carried = {name: getattr(base, name) for name in CARRIED_OVER}
    return rows, {**facts, **carried, "peak_memory_mb": peak_memory_mb()}


def _finish(
    database: Database,
    session: sa.Connection,
    run_id: int,
    facts: dict[str, Any],
    clock: StageClock,
    *,
    publish: bool,
) -> None:
    attach(database, session, run_id)
    started = time.monotonic()
    with database.transaction() as connection:
        lifecycle.complete(connection, run_id, clock.stages, facts)
        if publish:
            publication.publish(connection, run_id)
    logger.info("run %d attached in %.3f s", run_id, time.monotonic() - started)
