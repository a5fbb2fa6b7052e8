"""Publish a run by hand, roll back to the run before it, drop the results of old runs."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from recsys.errors import GateRefused, RunError, StorageError
from recsys.storage.runs import publication, results
from recsys.storage.schema import versions
from recsys.storage.server import blockers
from recsys.storage.server.engine import Database

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Publication:
    run_id: int
    replaced: int | None
    """The run that was published before, None if there was none."""


def publish(
    database: Database, run_id: int, *, reason: str | None = None, force: bool = False
) -> Publication:
    """Publish a complete run that has its results.

    Raises RunError if it cannot be published, GateRefused if the gate refused it and `force` is
    not set.
    """
    _ensure_schema(database)
    with database.transaction() as connection:
        before = publication.published_run(connection)
        if before is not None and before.run_id == run_id:
            raise RunError(f"run {run_id} is published already")
        refused = publication.refused(connection, run_id)
        if refused and not force:
            raise GateRefused(
                f"run {run_id} was refused by the gate: {refused}",
                hint="the published run stays",
            )
        publication.publish(connection, run_id, reason=reason)
    return Publication(run_id, before.run_id if before is not None else None)


def rollback(database: Database, *, reason: str | None = None) -> Publication:
    """Publish the run that the published one replaced; repeated calls go further back.

    Raises RunError if there is none or its results were dropped.
    """
    _ensure_schema(database)
    with database.transaction() as connection:
        replaced, earlier = publication.published_before(connection)
        publication.publish(connection, earlier, action="rollback", reason=reason)
    return Publication(earlier, replaced)


def prune(database: Database, keep: int) -> list[int]:
    """Drop the results of all but the published and the `keep` newest runs; return the runs.

    A run whose results one of these shares stays as well.
    Readers of other runs do not wait. If a run is read for longer than the lock timeout, the rest
    of its results is dropped the next time.
    """
    with database.transaction() as connection:
        # Marked in a transaction of its own: from its commit on no rollback can publish them.
        candidates = publication.beyond_retention(connection, keep)
        # The newest first: a run that another one still shares is not marked.
        newest_first = reversed(candidates)
        pruned = [run_id for run_id in newest_first if publication.mark_pruned(connection, run_id)]
    drop_pruned(database)
    return sorted(pruned)


def drop_pruned(database: Database) -> None:
    """Drop what is left of the results of pruned and failed runs."""
    with database.transaction() as connection:
        # Includes runs of an earlier pruning that was interrupted or timed out.
        to_drop = results.of_pruned_runs(connection)
    for run_id in to_drop:
        try:
            with database.session() as session:
                blockers.limit_waits(session, scope="SESSION")
                results.detach_and_drop(session, run_id)
        except StorageError as exc:
            if exc.sqlstate != blockers.LOCK_NOT_AVAILABLE:
                raise
            logger.warning("results of run %d are dropped later: %s", run_id, exc)


def _ensure_schema(database: Database) -> None:
    """Check the schema in a transaction of its own."""
    # It reads files of the package, and the publishing transaction holds locks.
    with database.transaction() as connection:
        versions.ensure(connection)
