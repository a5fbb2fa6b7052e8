"""Which run readers see: published by hand, or taken back."""

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
    """The run that readers saw before; None: none."""


def publish(
    database: Database, run_id: int, *, reason: str | None = None, force: bool = False
) -> Publication:
    """Publish a complete run whose results are here.

    Raises RunError where it cannot be, GateRefused where the gate refused it and `force` is not
    set.
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
    """Publish the run that was published before the present one; again, the one before that.

    Raises RunError where there is none or its results were dropped.
    """
    _ensure_schema(database)
    with database.transaction() as connection:
        replaced, earlier = publication.published_before(connection)
        publication.publish(connection, earlier, action="rollback", reason=reason)
    return Publication(earlier, replaced)


def _ensure_schema(database: Database) -> None:
    """Check it before: what publishes is as short as can be, and this reads our files."""
    with database.transaction() as connection:
        versions.ensure(connection)
