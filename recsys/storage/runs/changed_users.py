"""Derive a run from the published one: copy its results, recompute lists of changed users.

Everything happens in the database, in one transaction with one snapshot.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from recsys.storage.runs import results
from recsys.storage.schema.tables import STORE
from recsys.storage.snapshot.matrices import WAIT_FOR_INGEST

# From the ratings themselves: triggers may have been disabled while some were written.
CHANGED = """
SELECT user_id, n.ratings_count, n.ratings_hash
FROM (
    SELECT
        r.user_id, CAST(count(*) AS integer) AS ratings_count,
        bit_xor(recsys.rating_hash(r.movie_id, r.rating)) AS ratings_hash
    FROM recsys_store.ratings AS r
    GROUP BY r.user_id
) AS n
FULL JOIN (
    SELECT u.user_id, u.ratings_hash FROM recsys_store.run_users AS u WHERE u.run_id = :base
) AS s USING (user_id)
WHERE n.ratings_hash IS DISTINCT FROM s.ratings_hash
"""
# Sums must add up in the order of a full run, along the keys, to give equal digits.
PLANNED_OTHERWISE = (
    "enable_seqscan", "enable_bitmapscan", "enable_sort", "enable_hashjoin", "enable_mergejoin",
    "jit",
)  # fmt: skip
BY_KEYS = "; ".join(f"SET LOCAL {name} = off" for name in PLANNED_OTHERWISE)
UNCHANGED = "WHERE NOT EXISTS (SELECT FROM changed_users AS c WHERE c.user_id = t.user_id)"
LISTS = """
INSERT INTO {child} (run_id, model_id, user_id, movie_ids, scores)
SELECT :run_id, m.model_id, c.user_id, l.movie_ids, l.scores
FROM changed_users AS c
CROSS JOIN recsys_store.models AS m
CROSS JOIN LATERAL (
    SELECT array_agg(r.movie_id ORDER BY r.rank), array_agg(r.score ORDER BY r.rank)
    FROM recsys.recomputed_list(:base, m.model_id, m.scoring, c.user_id, :length) AS r
) AS l (movie_ids, scores)
WHERE m.scoring IN ('sum', 'mean_product') AND m.name = ANY (:models)
  AND l.movie_ids IS NOT NULL
"""
USERS = """
INSERT INTO {child} (run_id, user_id, ratings_count, ratings_hash)
SELECT :run_id, user_id, ratings_count, ratings_hash
FROM changed_users WHERE ratings_hash IS NOT NULL
"""
FACTS = """
SELECT
    (SELECT count(*) FROM recsys_store.ratings) AS ratings_count,
    (SELECT count(*) FROM recsys_store.users) AS users_count,
    (SELECT count(*) FROM recsys_store.movies) AS movies_count,
    now() AS snapshot_at
"""
# Over the checksum of the other results and the new lists.
CHECKSUM = """
SELECT encode(sha256(convert_to(concat_ws(
    E'\n', CAST(:before AS text),
    string_agg(
        concat_ws(' ', m.name, t.user_id, t.movie_ids, t.scores), E'\n' ORDER BY m.name, t.user_id
    )
), 'UTF8')), 'hex')
FROM {child} AS t
JOIN changed_users AS c ON c.user_id = t.user_id
JOIN recsys_store.models AS m ON m.model_id = t.model_id
"""


def count(connection: sa.Connection, base: int) -> int:
    """Count the users whose ratings changed since a run read them."""
    connection.execute(sa.text(WAIT_FOR_INGEST))
    query = sa.text(f"SELECT count(*) FROM ({CHANGED}) AS changed")
    return connection.scalar(query, {"base": base}) or 0


def find(connection: sa.Connection, base: int) -> None:
    """Store the users whose ratings changed since a run in a temporary table."""
    connection.execute(sa.text(WAIT_FOR_INGEST))
    table = f"CREATE TEMPORARY TABLE changed_users ON COMMIT DROP AS {CHANGED}"
    connection.execute(sa.text(table), {"base": base})


def write_lists(
    connection: sa.Connection, base: int, run_id: int, models: list[str], length: int
) -> int:
    """Write the lists of the changed users from the similarities of run `base`; return the rows.

    Only models whose lists follow from similarities have lists for these users.
    """
    for table in ("user_recommendations", "run_users"):
        results.create(connection, table, run_id)
    connection.exec_driver_sql(BY_KEYS)
    given = {"base": base, "run_id": run_id, "models": models, "length": length}
    child = results.partition_name("user_recommendations", run_id)
    rows = connection.execute(_on(LISTS, child), given).rowcount
    connection.execute(_on(USERS, results.partition_name("run_users", run_id)), {"run_id": run_id})
    return rows


def take_over(connection: sa.Connection, base: int, run_id: int) -> Iterator[int]:
    """Copy all other results of run `base`, table by table; yield the rows of each."""
    for table in results.of_run(connection, base):
        own = table in ("user_recommendations", "run_users")
        if not own:
            results.create(connection, table, run_id)
        names = ", ".join(results.columns(table))
        statement = (
            f"INSERT INTO {{child}} (run_id, {names}) SELECT :run_id, {names} "
            f"FROM {STORE}.{results.partition_name(table, base)} AS t {UNCHANGED if own else ''}"
        )
        child = results.partition_name(table, run_id)
        yield connection.execute(_on(statement, child), {"run_id": run_id}).rowcount


def finish(connection: sa.Connection, run_id: int) -> None:
    """Give the partitions of the run keys, indexes and statistics."""
    for table in results.of_run(connection, run_id):
        results.finish(connection, table, run_id)


def facts(connection: sa.Connection, run_id: int, before: str) -> dict[str, Any]:
    """Return the counts of the data and the checksum of the output, based on that of its base."""
    child = results.partition_name("user_recommendations", run_id)
    checksum = connection.scalar(_on(CHECKSUM, child), {"before": before})
    return {**connection.execute(sa.text(FACTS)).one()._asdict(), "output_checksum": checksum}


def _on(statement: str, child: str) -> sa.TextClause:
    return sa.text(statement.replace("{child}", f"{STORE}.{child}"))
