"""What each user's ratings hash to, kept in `rating_changes` by triggers on `ratings`.

bit_xor over a user's rows is bit_xor of `recsys.rating_hash` over the ratings, so that one lookup
tells whether a run has read them as they are. Rows are only added, whoever rates at the same time,
and added up here now and then.
"""

from __future__ import annotations

import numpy as np
import sqlalchemy as sa

from recsys.domain import IdMap, Int64
from recsys.storage.load.copy import copy_arrays

SOME = 8
"""Rows a user may have before they are added up."""
RECORD_ALL = """
INSERT INTO recsys_store.rating_changes (user_id, ratings_count, ratings_hash)
SELECT r.user_id, count(*), bit_xor(recsys.rating_hash(r.movie_id, r.rating))
FROM recsys_store.ratings AS r
GROUP BY r.user_id
ORDER BY r.user_id
"""
RECORDED = """
SELECT user_id, sum(ratings_count), bit_xor(ratings_hash)
FROM recsys_store.rating_changes
GROUP BY user_id
"""
ADD_UP = """
WITH many AS (
    SELECT user_id FROM recsys_store.rating_changes GROUP BY user_id HAVING count(*) > :some
), parts AS (
    DELETE FROM recsys_store.rating_changes AS c USING many AS m WHERE c.user_id = m.user_id
    RETURNING c.user_id, c.ratings_count, c.ratings_hash
)
INSERT INTO recsys_store.rating_changes (user_id, ratings_count, ratings_hash)
SELECT user_id, sum(ratings_count), bit_xor(ratings_hash) FROM parts GROUP BY user_id
"""


def record_all(connection: sa.Connection) -> None:
    """Record ratings that were loaded past the triggers into an empty table."""
    connection.execute(sa.text("DELETE FROM recsys_store.rating_changes"))
    connection.execute(sa.text(RECORD_ALL))
    connection.execute(sa.text("ANALYZE recsys_store.rating_changes"))


def missing(
    connection: sa.Connection, users: IdMap, counts: Int64, hashes: Int64
) -> dict[str, Int64]:
    """Return the changes that were not recorded, as where triggers were off, as columns.

    `counts` and `hashes`, (users,), are of the ratings as the same state of the database has them.
    """
    rows = connection.execute(sa.text(RECORDED)).all()
    owners = np.array([row[0] for row in rows], np.int64)
    known = np.isin(owners, users.ids)
    places = np.searchsorted(users.ids, owners[known])
    more, other = counts.astype(np.int64), hashes.copy()
    more[places] -= np.array([row[1] for row in rows], np.int64)[known]
    other[places] ^= np.array([row[2] for row in rows], np.int64)[known]
    wrong = (more != 0) | (other != 0)
    return {
        "user_id": users.ids[wrong],
        "ratings_count": more[wrong].astype(np.int32),
        "ratings_hash": other[wrong],
    }


def record(connection: sa.Connection, changes: dict[str, Int64]) -> None:
    """Add changes, whatever was recorded since they were found missing."""
    copy_arrays(connection, "recsys_store.rating_changes", changes)


def add_up(connection: sa.Connection) -> None:
    """Put one row in the place of many of the same user; nobody waits."""
    connection.execute(sa.text(ADD_UP), {"some": SOME})
