"""Mark runs as failed whose process died before it could do so itself."""

from __future__ import annotations

import logging

import sqlalchemy as sa

from recsys.errors import RefreshBusy, StorageError
from recsys.storage.runs import lifecycle, lock
from recsys.storage.server.engine import Database

logger = logging.getLogger(__name__)


def clear_orphans(database: Database) -> list[int]:
    """Mark runs without a living process as failed; return them.

    Does nothing without a schema, or if the role may only read.
    """
    try:
        with database.transaction() as connection:
            # Checked first: the lock below makes a refresh that starts meanwhile fail.
            if not lifecycle.any_running(connection):
                return []
        # No refresh holds the lock, so no process computes the runs that say so.
        with (
            database.session() as session,
            lock.single_flight(session),
            database.transaction() as connection,
        ):
            return fail_orphans(connection)
    except (RefreshBusy, StorageError) as exc:
        logger.debug("orphans are not looked for: %s", exc)
        return []


def fail_orphans(connection: sa.Connection) -> list[int]:
    """Mark all running runs as failed; the caller holds the lock of refreshes."""
    orphans = lifecycle.fail_orphans(connection)
    for run_id in orphans:
        logger.warning("run %d was left unfinished; its results are dropped", run_id)
    return orphans
