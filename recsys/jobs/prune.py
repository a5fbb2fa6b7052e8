"""Drop the results of old runs; their parameters, stages and metrics stay."""

from __future__ import annotations

import logging

import sqlalchemy as sa

from recsys.errors import StorageError
from recsys.storage.runs import publication, results
from recsys.storage.server.engine import Database

logger = logging.getLogger(__name__)

WAIT_FOR_READERS = "SET lock_timeout = '10s'"
LOCK_NOT_AVAILABLE = "55P03"


def prune(database: Database, keep: int) -> list[int]:
    """Drop the results of all but the published and the `keep` newest runs; return the runs.

    Readers of other runs do not wait. If a run is read for longer than the lock timeout, the rest
    of its results is dropped the next time.
    """
    with database.transaction() as connection:
        # Marked in a transaction of its own: from its commit on no rollback can publish them.
        candidates = publication.beyond_retention(connection, keep)
        pruned = [run_id for run_id in candidates if publication.mark_pruned(connection, run_id)]
    with database.transaction() as connection:
        # Includes runs of an earlier pruning that was interrupted or timed out.
        to_drop = results.of_pruned_runs(connection)
    for run_id in to_drop:
        try:
            with database.session() as session:
                session.execute(sa.text(WAIT_FOR_READERS))
                results.detach_and_drop(session, run_id)
        except StorageError as exc:
            if exc.sqlstate != LOCK_NOT_AVAILABLE:
                raise
            logger.warning("run %d is being read; its results are dropped later", run_id)
    return pruned
