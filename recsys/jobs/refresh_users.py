"""Refresh the results of users whose ratings changed since a run; it shares all others."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from recsys.domain import TopN
from recsys.errors import NotPublished, RunError
from recsys.jobs.background import heartbeat
from recsys.jobs.plan import Plan, as_derived, configured, for_loaded
from recsys.jobs.progress import Reporter, Silent
from recsys.jobs.refresh import (
    RefreshReport,
    attach,
    failing_run,
    logger,
    prune_quietly,
    single_flight,
)
from recsys.jobs.restore import Restored, restore
from recsys.jobs.stages import StageClock, code_versions, peak_memory_mb
from recsys.jobs.training import fit_options
from recsys.jobs.user_results import write_user_results
from recsys.storage.runs import changed_users, lifecycle, lock, publication, stored_models
from recsys.storage.runs.changed_users import Changes
from recsys.storage.server.engine import Database

CARRIED_OVER = (
    "default_model_id", "cold_start_model_id", "rating_model_id", "live_model_id", "max_age",
    "rating_min", "rating_max",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Computed:
    """A run that is computed and not written yet."""

    run_id: int
    previous: int | None
    """The run before, if it shares the same full run."""
    model_ids: dict[str, int]
    changes: Changes
    restored: Restored
    lists: dict[str, TopN]
    facts: dict[str, Any]


def refresh_users(
    database: Database, chosen: Plan, *, reporter: Reporter | None = None
) -> RefreshReport:
    """Write a run with new results of users whose ratings changed, and publish it.

    The run shares all other results of the last full run. Lists of models that add up similarities
    equal a full recomputation from the published ones. Users are folded into the factors of movies.
    Raises RefreshBusy, NotPublished, RunError if the settings differ from those of the published
    run.
    """
    clock = StageClock(reporter or Silent())
    with single_flight(database) as session:
        chosen = for_loaded(database, chosen)
        base = _base(database, chosen)
        with ExitStack() as running:
            computed = _compute(database, chosen, base, running, clock)
            if computed is not None:
                rows, checksum = _write(database, computed, clock)
                carried = {name: getattr(base, name) for name in CARRIED_OVER}
                facts = {**computed.facts, **carried, "output_checksum": checksum}
                lock.confirm_lock(session)
                _finish(database, session, computed.run_id, facts, clock, publish=chosen.publish)
        # Without a change, too: a pruning that was interrupted is finished.
        prune_quietly(database, chosen.settings.keep_runs)
    if computed is None:
        return RefreshReport(base.run_id, True, False, 0, clock.total_seconds)
    return RefreshReport(computed.run_id, chosen.publish, True, rows, clock.total_seconds)


def _base(database: Database, chosen: Plan) -> Any:
    """Return the published run; raise RunError if its settings differ from the plan."""
    with database.transaction() as connection:
        base = publication.published_run(connection)
    if base is None:
        raise NotPublished("nothing is published yet", hint="a whole refresh comes first")
    if configured(base.parameters) != chosen.parameters or base.seed != chosen.settings.seed:
        raise RunError(
            f"run {base.run_id} has other settings than recsys.toml",
            hint="a whole refresh uses the new settings",
        )
    return base


def _begin(database: Database, base: Any, shared: int, clock: StageClock) -> int:
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
            shared_run_id=shared,
        )


def _compute(
    database: Database, chosen: Plan, base: Any, running: ExitStack, clock: StageClock
) -> Computed | None:
    """Find the changed users, begin a run and compute their results; None if there are none.

    `running` marks the run as failed on any error until it is closed.
    """
    shared = base.shared_run_id or base.run_id
    # A run that shares another one is the run before, which shares it as well.
    previous = base.run_id if base.shared_run_id else None
    with database.snapshot() as connection:
        with clock.stage("read") as done:
            changes = changed_users.find(connection, shared, previous)
            done(changes.stale, "changed users")
        if not changes.stale:
            return None
        run_id = _begin(database, base, shared, clock)
        running.enter_context(failing_run(database, run_id, clock))
        running.enter_context(heartbeat(database, run_id))
        stored = stored_models.of_run(connection, shared)
        with clock.stage("models") as done:
            derived = as_derived(chosen, base.parameters)
            restored = restore(stored, derived, changes.to_compute)
            done(len(restored.models), "models")
        with clock.stage("lists") as done:
            lists = _lists(chosen, restored)
            done(sum(map(len, lists.values())), "rows")
        facts = changed_users.facts(connection, shared, changes)
    # The snapshot has ended: attaching the results waits for statements that read other runs.
    return Computed(run_id, previous, stored.model_ids, changes, restored, lists, facts)


def _lists(chosen: Plan, restored: Restored) -> dict[str, TopN]:
    """Make the lists of every personal model that was restored."""
    options, n = fit_options(chosen.settings), chosen.settings.list_length
    return {
        spec.name: restored.models[spec.name].rank(restored.rows, n, options)
        for spec in chosen.specs
        if spec.kind == "personal" and spec.name in restored.models
    }


def _write(database: Database, computed: Computed, clock: StageClock) -> tuple[int, str]:
    """Write the results into detached partitions, and index them; return rows and checksum."""
    run_id, changes = computed.run_id, computed.changes
    with database.transaction() as connection:
        with clock.stage("write") as done:
            rows = write_user_results(
                connection, run_id, computed.model_ids, changes, computed.restored, computed.lists
            )
            if computed.previous:
                kept = changes.user_ids[changes.kept]
                rows += changed_users.take_over(connection, computed.previous, run_id, kept)
            done(rows, "rows")
        with clock.stage("index") as done:
            changed_users.finish(connection, run_id)
            done(rows, "rows")
        before = computed.facts["output_checksum"]
        return rows, changed_users.checksum(connection, run_id, before)


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
    facts = {**facts, "peak_memory_mb": peak_memory_mb()}
    with database.transaction() as connection:
        lifecycle.complete(connection, run_id, clock.stages, facts)
        if publish:
            publication.publish(connection, run_id)
    logger.info("run %d attached in %.3f s", run_id, time.monotonic() - started)
