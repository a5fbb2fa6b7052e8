"""One snapshot for many sessions, which each read the ratings of some users.

The session that exports a snapshot keeps its transaction open for as long as others may import it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import sqlalchemy as sa

from recsys.domain import IdMap, Int64
from recsys.storage.load.copy import copy_ids
from recsys.storage.runs import lock
from recsys.storage.server.engine import Database
from recsys.storage.snapshot.matrices import MOVIE_IDS, USER_IDS, WAIT_FOR_INGEST

COUNTS = "SELECT user_id, count(*) FROM recsys_store.ratings GROUP BY user_id"
USERS_WITHIN = """
SELECT user_id FROM recsys_store.users WHERE user_id BETWEEN {first:d} AND {last:d} ORDER BY user_id
"""


@contextmanager
def exported(database: Database) -> Iterator[tuple[sa.Connection, str]]:
    """Yield a session in a snapshot and the name by which others import it.

    Meanwhile no ingest that replaces ratings begins: it would empty them under the other sessions.
    """
    with database.snapshot() as connection:
        # First, as it takes the snapshot only after an ingest.
        connection.execute(sa.text(WAIT_FOR_INGEST))
        lock.hold_for_hours(connection)
        yield connection, str(connection.scalar(sa.text("SELECT pg_export_snapshot()")))


@contextmanager
def imported(database: Database, snapshot: str) -> Iterator[sa.Connection]:
    """Yield a session that sees an exported snapshot."""
    with database.engine.connect().execution_options(
        isolation_level="REPEATABLE READ", postgresql_readonly=True
    ) as connection:
        # The statement takes no parameters; the name is one that the server gave.
        assert set(snapshot) <= set("0123456789ABCDEF-"), snapshot
        connection.exec_driver_sql(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
        connection.exec_driver_sql("SET LOCAL TimeZone = 'UTC'")
        yield connection


def ids(connection: sa.Connection) -> tuple[IdMap, IdMap]:
    """Return the users and the movies of a snapshot."""
    return IdMap(copy_ids(connection, USER_IDS)), IdMap(copy_ids(connection, MOVIE_IDS))


def users_within(connection: sa.Connection, first: int, last: int) -> IdMap:
    return IdMap(copy_ids(connection, USERS_WITHIN.format(first=first, last=last)))


def rating_counts(connection: sa.Connection, users: IdMap) -> Int64:
    """Return the number of ratings of each user."""
    rows = np.array(connection.execute(sa.text(COUNTS)).all(), np.int64).reshape(-1, 2)
    counts = np.zeros(len(users), np.int64)
    counts[np.searchsorted(users.ids, rows[:, 0])] = rows[:, 1]
    return counts
