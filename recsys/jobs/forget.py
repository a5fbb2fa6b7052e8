"""Erase a user from all tables and return a receipt."""

from __future__ import annotations

import logging

from recsys.errors import UnknownUser
from recsys.storage.runs import erasure, lock
from recsys.storage.schema import versions
from recsys.storage.server import blockers
from recsys.storage.server.engine import Database

logger = logging.getLogger(__name__)


def find(database: Database, key: str) -> int | None:
    """Return the id of a user by key, None if no row can be about the user.

    Raises UnknownUser for a number that is no key but the id of a user with another key.
    """
    with database.transaction() as connection:
        versions.ensure(connection)
        user_id, other_key = erasure.user_of(connection, key)
    if other_key is not None:
        raise UnknownUser(
            f"no user has the key {key}",
            hint=f"the user with this id has the key {other_key}, which names them here",
        )
    return user_id


def forget(database: Database, user_id: int) -> dict[str, int]:
    """Remove a user from every table and every kept run; return the rows per column.

    One transaction: all or nothing. Raises UnknownUser if no row holds the user, RefreshBusy.
    """
    with database.transaction() as connection:
        versions.ensure(connection)
        # An application may hold rows of the user in a transaction that it left open.
        blockers.limit_waits(connection)
        # A refresh that has read its snapshot would write the rows of the user again.
        lock.keep_refreshes_out(connection)
        removed = erasure.erase(connection, user_id)
        if not any(removed.values()):
            # Inside the transaction: the rollback also removes the entry in the log.
            raise UnknownUser(f"no row is about user {user_id}")
    logger.info("forgot a user: %s", removed)
    return removed


def remembered(database: Database, user_id: int) -> dict[str, int]:
    """Count the rows of each table that hold the user."""
    with database.transaction() as connection:
        versions.ensure(connection)
        return erasure.count(connection, user_id)
