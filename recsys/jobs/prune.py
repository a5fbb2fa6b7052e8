"""Drop the results of old runs; what is known of the runs themselves stays."""

from __future__ import annotations

import logging

from recsys.errors import StorageError
from recsys.storage import results, runs
from recsys.storage.engine import Database

logger = logging.getLogger(__name__)

LOCK_NOT_AVAILABLE = "55P03"


def prune(database: Database, keep: int) -> list[int]:
    """Drop results beyond the `keep` newest runs, never the published one's; return the runs.

    A run that somebody reads right now is left for the next time.
    """
    with database.transaction() as connection:
        candidates = runs.beyond_retention(connection, keep)
    dropped = []
    for run_id in candidates:
        try:
            with database.transaction() as connection:
                results.wait_briefly(connection)
                results.drop(connection, run_id)
        except StorageError as exc:
            if exc.sqlstate != LOCK_NOT_AVAILABLE:
                raise
            logger.warning("run %d is being read; its results stay until the next time", run_id)
        else:
            dropped.append(run_id)
    return dropped
