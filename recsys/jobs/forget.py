"""Forget a person, with a receipt."""

from __future__ import annotations

import logging

from recsys.errors import UnknownUser
from recsys.storage.runs import erasure, lock
from recsys.storage.schema import versions
from recsys.storage.server.engine import Database

logger = logging.getLogger(__name__)


def forget(database: Database, user_id: int) -> dict[str, int]:
    """Remove a person from every table and every kept run; return the rows of each column.

    One transaction: all or nothing. No refresh may run meanwhile: it would write them anew. Raises
    UnknownUser where no row is about them, RefreshBusy.
    """
    with database.transaction() as connection:
        versions.ensure(connection)
        lock.keep_refreshes_out(connection)
        removed = erasure.erase(connection, user_id)
        if not any(removed.values()):
            raise UnknownUser(f"no row is about user {user_id}")
    logger.info("forgot a user: %s", removed)
    return removed


def remembered(database: Database, user_id: int) -> dict[str, int]:
    """Count the rows about a person that each table has."""
    with database.transaction() as connection:
        versions.ensure(connection)
        return erasure.count(connection, user_id)
