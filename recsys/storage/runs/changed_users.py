"""Runs of changed users: which users these are, and what is taken over from the run before.

Such a run shares the results of a full run. Its own partitions hold all users whose ratings differ
from those the full run read, so there are never more than two runs to look into.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from recsys.domain import Int32, Int64
from recsys.storage.runs import results
from recsys.storage.schema.tables import STORE
from recsys.storage.snapshot.matrices import WAIT_FOR_INGEST

# From the ratings themselves: triggers may have been disabled while some were written.
CHANGED = """
SELECT
    user_id, coalesce(n.ratings_count, 0), coalesce(n.ratings_hash, 0),
    coalesce(s.ratings_count, 0), n.ratings_hash IS DISTINCT FROM s.ratings_hash,
    coalesce(coalesce(n.ratings_hash, 0) = p.ratings_hash, false)
FROM (
    SELECT
        r.user_id, CAST(count(*) AS integer) AS ratings_count,
        bit_xor(recsys.rating_hash(r.movie_id, r.rating)) AS ratings_hash
    FROM recsys_store.ratings AS r
    GROUP BY r.user_id
) AS n
FULL JOIN (
    SELECT u.user_id, u.ratings_count, u.ratings_hash
    FROM recsys_store.run_users AS u WHERE u.run_id = :shared
) AS s USING (user_id)
FULL JOIN (
    SELECT u.user_id, u.ratings_hash FROM recsys_store.run_users AS u WHERE u.run_id = :previous
) AS p USING (user_id)
WHERE n.ratings_hash IS DISTINCT FROM s.ratings_hash OR p.ratings_hash IS NOT NULL
ORDER BY user_id
"""
COUNTS = """
SELECT
    r.ratings_count,
    (SELECT count(*) FROM recsys_store.users) AS users_count,
    (SELECT count(*) FROM recsys_store.movies) AS movies_count,
    r.output_checksum,
    now() AS snapshot_at
FROM recsys_store.runs AS r
WHERE r.run_id = :shared
"""
TAKE_OVER = """
INSERT INTO {table} (run_id, {columns})
SELECT :run_id, {columns} FROM {previous} AS t WHERE t.user_id = ANY (:users)
"""
# Over the checksum of the shared results and the lists of its own.
CHECKSUM = """
SELECT encode(sha256(convert_to(coalesce(:before, ''), 'UTF8') || coalesce(string_agg(
    sha256(
        convert_to(concat_ws(' ', m.name, t.user_id), 'UTF8')
        || array_send(t.movie_ids) || array_send(t.scores)
    ),
    '' ORDER BY m.name, t.user_id
), '')), 'hex')
FROM {table} AS t
JOIN recsys_store.models AS m ON m.model_id = t.model_id
"""
BY_USER = ("user_factors", "user_recommendations", "user_similarities")
"""Tables of results of users, which a run of changed users has of its own."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Users whose ratings differ from those that the shared run read; user ids ascend."""

    user_ids: Int32
    counts: Int32
    """Number of ratings now; 0 for users who have no ratings any more."""
    hashes: Int64
    """Hash of the ratings now; 0 without ratings."""
    kept: NDArray[np.bool_]
    """Whether the run before has results for the same ratings."""
    returned: int
    """Number of users whose results of the run before no longer hold, but those of the shared."""
    more_ratings: int
    """Number of ratings now less those that the shared run read."""

    @property
    def stale(self) -> int:
        """Return the number of users whose published results do not hold."""
        return int((~self.kept).sum()) + self.returned

    @property
    def to_compute(self) -> Int32:
        """Return the users who need new results."""
        return self.user_ids[~self.kept & (self.counts > 0)]


def find(connection: sa.Connection, shared: int, previous: int | None) -> Changes:
    """Find the users whose ratings changed since a full run; `previous` shares it too.

    The transaction of the connection must be a snapshot.
    """
    connection.execute(sa.text(WAIT_FOR_INGEST))
    rows = connection.execute(sa.text(CHANGED), {"shared": shared, "previous": previous}).all()
    changed = [row for row in rows if row[4]]
    ids, counts, hashes, before, _, kept = zip(*changed, strict=True) if changed else ((),) * 6
    return Changes(
        np.array(ids, np.int32),
        np.array(counts, np.int32),
        np.array(hashes, np.int64),
        np.array(kept, bool),
        len(rows) - len(changed),
        sum(counts) - sum(before),
    )


def facts(connection: sa.Connection, shared: int, changes: Changes) -> dict[str, Any]:
    """Return columns of `runs`: the snapshot's, and the checksum of the shared run."""
    found = connection.execute(sa.text(COUNTS), {"shared": shared}).one()._asdict()
    # Users with an equal hash have as many ratings as before: nothing has to be counted again.
    return {**found, "ratings_count": (found["ratings_count"] or 0) + changes.more_ratings}


def take_over(connection: sa.Connection, previous: int, run_id: int, users: Int32) -> int:
    """Copy the results of some users from the run before into those of a run; return the rows."""
    rows = 0
    for table in BY_USER:
        if table not in results.of_run(connection, previous):
            continue
        if table not in results.of_run(connection, run_id):
            results.create(connection, table, run_id)
        statement = TAKE_OVER.format(
            table=_partition(table, run_id),
            previous=_partition(table, previous),
            columns=", ".join(results.columns(table)),
        )
        given = {"run_id": run_id, "users": users.tolist()}
        rows += connection.execute(sa.text(statement), given).rowcount
    return rows


def checksum(connection: sa.Connection, run_id: int, before: str | None) -> str:
    """Return the checksum of a run, from that of the shared one and its own lists."""
    if "user_recommendations" not in results.of_run(connection, run_id):
        return before or ""
    statement = CHECKSUM.format(table=_partition("user_recommendations", run_id))
    found: str = connection.execute(sa.text(statement), {"before": before}).scalar_one()
    return found


def finish(connection: sa.Connection, run_id: int) -> None:
    """Give the partitions of the run keys, indexes and statistics."""
    for table in results.of_run(connection, run_id):
        results.finish(connection, table, run_id)


def _partition(table: str, run_id: int) -> str:
    return f"{STORE}.{results.partition_name(table, run_id)}"
