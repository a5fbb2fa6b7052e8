"""Runs whose process ended without a word: marked as failed by whichever command comes next."""

from __future__ import annotations

import logging

import sqlalchemy as sa

from recsys.errors import RefreshBusy, StorageError
from recsys.storage.runs import lifecycle, lock
from recsys.storage.server.engine import Database

logger = logging.getLogger(__name__)


def clear_orphans(database: Database) -> list[int]:
    """Mark runs as failed that are running and that nobody runs; return them.

    Where there is no schema yet, or the role may only read, nothing is done.
    """
    try:
        with database.transaction() as connection:
            if not lifecycle.any_running(connection):
                return []
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
    """Mark them, as the one who holds the lock."""
    orphans = lifecycle.fail_orphans(connection)
    for run_id in orphans:
        logger.warning("run %d was left unfinished; its results are dropped", run_id)
    return orphans
