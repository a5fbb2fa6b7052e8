"""Drop the results of old runs; what is known of the runs themselves stays."""

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
    """Drop results beyond the `keep` newest runs, never the published one's; return the runs.

    Readers of other runs do not wait. Of a run that somebody reads for long, what is left is
    dropped the next time.
    """
    with database.transaction() as connection:
        candidates = publication.beyond_retention(connection, keep)
        pruned = [run_id for run_id in candidates if publication.mark_pruned(connection, run_id)]
    with database.transaction() as connection:
        to_drop = results.of_pruned_runs(connection)
    for run_id in to_drop:
        try:
            with database.session() as session:
                session.execute(sa.text(WAIT_FOR_READERS))
                results.detach_and_drop(session, run_id)
        except StorageError as exc:
            if exc.sqlstate != LOCK_NOT_AVAILABLE:
                raise
            logger.warning("run %d is being read; its results go the next time", run_id)
    return pruned
