"""Maintain the hash of each user's ratings in `rating_changes`, which triggers on `ratings` fill.

bit_xor over the rows of a user equals bit_xor of `recsys.rating_hash` over the user's ratings, so
one lookup tells whether a run has read the current ratings. Triggers only insert rows, so that
concurrent writers never wait for each other; `compact` merges the rows later.
"""

from __future__ import annotations

import numpy as np
import sqlalchemy as sa

from recsys.domain import IdMap, Int64
from recsys.storage.load.copy import copy_arrays

MAX_ROWS_PER_USER = 8
"""A user with more rows than this has them merged into one."""
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
COMPACT = """
WITH many AS (
    SELECT user_id FROM recsys_store.rating_changes GROUP BY user_id HAVING count(*) > :max_rows
), parts AS (
    DELETE FROM recsys_store.rating_changes AS c USING many AS m WHERE c.user_id = m.user_id
    RETURNING c.user_id, c.ratings_count, c.ratings_hash
)
INSERT INTO recsys_store.rating_changes (user_id, ratings_count, ratings_hash)
SELECT user_id, sum(ratings_count), bit_xor(ratings_hash) FROM parts GROUP BY user_id
"""


def record_all(connection: sa.Connection) -> None:
    """Record all ratings after a bulk load, during which the triggers were disabled."""
    connection.execute(sa.text("DELETE FROM recsys_store.rating_changes"))
    connection.execute(sa.text(RECORD_ALL))
    connection.execute(sa.text("ANALYZE recsys_store.rating_changes"))


def find_missing(
    connection: sa.Connection, users: IdMap, counts: Int64, hashes: Int64
) -> dict[str, Int64]:
    """Return unrecorded changes (made while triggers were disabled) as columns.

    `counts` and `hashes`, (users,), must come from the same snapshot as the recorded rows.
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
    """Insert the changes; those recorded meanwhile stay valid, as sums and xor commute."""
    copy_arrays(connection, "recsys_store.rating_changes", changes)


def compact(connection: sa.Connection) -> None:
    """Merge the rows of users with many rows into one each; no writer waits."""
    connection.execute(sa.text(COMPACT), {"max_rows": MAX_ROWS_PER_USER})
