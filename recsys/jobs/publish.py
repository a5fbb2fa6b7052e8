"""Publish a run by hand, or roll back to the run published before."""

from __future__ import annotations

from dataclasses import dataclass

from recsys.errors import GateRefused, RunError
from recsys.storage.runs import publication
from recsys.storage.schema import versions
from recsys.storage.server.engine import Database


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


def _ensure_schema(database: Database) -> None:
    """Check the schema in a transaction of its own."""
    # It reads files of the package, and the publishing transaction holds locks.
    with database.transaction() as connection:
        versions.ensure(connection)
