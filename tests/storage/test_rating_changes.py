"""The hashes of ratings follow every kind of change."""

import numpy as np
import pytest
import sqlalchemy as sa

from recsys.config.settings import RefreshSettings
from recsys.domain import IdMap
from recsys.jobs.ingest import ingest
from recsys.jobs.plan import plan
from recsys.jobs.refresh import refresh
from recsys.storage.snapshot import rating_changes

CHARTS = RefreshSettings(threads=1)
OUT_OF_STEP = """
SELECT user_id, n.ratings_count, n.ratings_hash, c.ratings_count, c.ratings_hash
FROM (
    SELECT user_id, count(*) AS ratings_count,
        bit_xor(recsys.rating_hash(movie_id, rating)) AS ratings_hash
    FROM recsys_store.ratings GROUP BY user_id
) AS n
FULL JOIN (
    SELECT user_id, sum(ratings_count) AS ratings_count, bit_xor(ratings_hash) AS ratings_hash
    FROM recsys_store.rating_changes GROUP BY user_id
    HAVING (sum(ratings_count), bit_xor(ratings_hash)) <> (0, 0)
) AS c USING (user_id)
WHERE (n.ratings_count, n.ratings_hash) IS DISTINCT FROM (c.ratings_count, c.ratings_hash)
ORDER BY user_id
"""
ROWS = "SELECT user_id, count(*) FROM recsys_store.rating_changes GROUP BY 1 ORDER BY 1"


def do(database, *statements):
    with database.transaction() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


def asked(database, query):
    with database.transaction() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


def test_a_bulk_load_leaves_one_row_for_each_user(filled_database):
    assert asked(filled_database, OUT_OF_STEP) == []
    users = asked(
        filled_database, "SELECT DISTINCT user_id, 1 FROM recsys_store.ratings ORDER BY 1"
    )
    assert asked(filled_database, ROWS) == users
    assert len(users) == 80


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO recsys_store.ratings SELECT 81, movie_id, 3.5, now() FROM recsys_store.movies",
        "UPDATE recsys_store.ratings SET rating = 5.5 - rating WHERE user_id < 9",
        "UPDATE recsys_store.ratings SET user_id = 81 WHERE user_id = 1",
        "DELETE FROM recsys_store.ratings WHERE movie_id % 2 = 0",
        "DELETE FROM recsys_store.ratings",
        "TRUNCATE recsys_store.ratings",
        "INSERT INTO recsys_store.ratings VALUES (1, 1, 4), (1, 2, 4.5), (2, 1, 3) "
        "ON CONFLICT (user_id, movie_id) DO UPDATE SET rating = excluded.rating",
        "MERGE INTO recsys_store.ratings AS r USING (VALUES (3, 1), (3, 2), (3, 60)) AS v (u, m) "
        "ON r.user_id = v.u AND r.movie_id = v.m WHEN MATCHED THEN UPDATE SET rating = 1 "
        "WHEN NOT MATCHED THEN INSERT VALUES (v.u, v.m, 2, NULL)",
    ],
)
def test_every_statement_is_recorded(filled_database, statement):
    before = asked(filled_database, "SELECT * FROM recsys_store.ratings ORDER BY 1, 2")
    do(filled_database, statement)
    assert asked(filled_database, "SELECT * FROM recsys_store.ratings ORDER BY 1, 2") != before
    assert asked(filled_database, OUT_OF_STEP) == []


def test_unchanged_ratings_leave_no_row(filled_database):
    rows = asked(filled_database, ROWS)
    do(
        filled_database,
        "UPDATE recsys_store.ratings SET rated_at = now()",
        "INSERT INTO recsys_store.ratings TABLE recsys_store.ratings ON CONFLICT DO NOTHING",
        "DELETE FROM recsys_store.ratings WHERE user_id = 999",
    )
    assert asked(filled_database, ROWS) == rows


def test_files_that_are_loaded_on_top_are_recorded(filled_database, write_edition, tmp_path):
    ratings = [f"{user},{movie},1.5,1700000000" for user in range(70, 95) for movie in (1, 2, 3)]
    movies = [f'{movie},"Film {movie}, The ({1950 + movie})",Drama' for movie in (1, 2, 3)]
    before = asked(filled_database, ROWS)
    counts = ingest(
        filled_database, write_edition(tmp_path / "ml-small-made-up", ratings, movies)
    ).counts
    assert counts.inserted + counts.updated > 0
    assert asked(filled_database, OUT_OF_STEP) == []
    assert len(asked(filled_database, ROWS)) > len(before)


def test_concurrent_ratings_of_one_user_do_not_wait(filled_database):
    with filled_database.engine.connect() as first, filled_database.engine.connect() as second:
        for connection, movie in ((first, 59), (second, 60)):
            connection.execute(sa.text("SET lock_timeout = '1s'"))
            insert = "INSERT INTO recsys_store.ratings VALUES (1, :movie, 3, now())"
            connection.execute(sa.text(insert), {"movie": movie})
        second.commit()
        first.commit()
    assert asked(filled_database, OUT_OF_STEP) == []
    assert asked(filled_database, ROWS)[0] == (1, 3)


def test_changes_rolled_back_are_not_recorded(filled_database):
    before = asked(filled_database, ROWS)
    with filled_database.engine.connect() as connection:
        connection.execute(sa.text("DELETE FROM recsys_store.ratings WHERE user_id = 1"))
        connection.rollback()
    assert (asked(filled_database, ROWS), asked(filled_database, OUT_OF_STEP)) == (before, [])


def test_many_rows_are_added_up_beside_people_who_rate(filled_database):
    other_way_round = "UPDATE recsys_store.ratings SET rating = 5.5 - rating WHERE user_id"
    for _ in range(rating_changes.MAX_ROWS_PER_USER // 2):
        do(filled_database, f"{other_way_round} = 1", f"{other_way_round} IN (1, 2)")
    assert asked(filled_database, ROWS)[:2] == [(1, 9), (2, 5)]
    with filled_database.engine.connect() as other:
        other.execute(
            sa.text("DELETE FROM recsys_store.ratings WHERE user_id = 1 AND movie_id < 20")
        )
        with filled_database.transaction() as connection:
            rating_changes.compact(connection)
        other.commit()
    assert asked(filled_database, ROWS)[:2] == [(1, 2), (2, 5)]
    assert asked(filled_database, OUT_OF_STEP) == []


def test_a_refresh_records_what_passed_the_triggers_by(filled_database):
    do(
        filled_database,
        "ALTER TABLE recsys_store.ratings DISABLE TRIGGER USER",
        "DELETE FROM recsys_store.ratings WHERE user_id = 1",
        "UPDATE recsys_store.ratings SET rating = 0.5 WHERE user_id = 2",
        "INSERT INTO recsys_store.ratings SELECT 81, movie_id, 3.5, now() FROM recsys_store.movies",
        "ALTER TABLE recsys_store.ratings ENABLE TRIGGER USER",
    )
    assert [row[0] for row in asked(filled_database, OUT_OF_STEP)] == [1, 2, 81]
    refresh(filled_database, plan(CHARTS, ["most_rated"]))
    assert asked(filled_database, OUT_OF_STEP) == []


def test_users_outside_the_snapshot_are_not_missing(filled_database):
    with filled_database.transaction() as connection:
        found = rating_changes.find_missing(
            connection, IdMap(np.array([1], np.int32)), np.zeros(1, np.int64), np.zeros(1, np.int64)
        )
        rows = connection.execute(
            sa.text("SELECT ratings_count, ratings_hash FROM recsys_store.rating_changes "
                    "WHERE user_id = 1")
        ).one()  # fmt: skip
    assert {name: column.tolist() for name, column in found.items()} == {
        "user_id": [1], "ratings_count": [-rows[0]], "ratings_hash": [rows[1]],
    }  # fmt: skip


def test_the_hash_of_the_triggers_is_the_contracts(filled_database):
    do(filled_database, "DELETE FROM recsys_store.ratings",
       "DELETE FROM recsys_store.rating_changes",
       "INSERT INTO recsys_store.ratings VALUES (1, 7, 4.5), (2, 60, 0)")  # fmt: skip
    found = asked(
        filled_database,
        "SELECT user_id, ratings_count, ratings_hash FROM recsys_store.rating_changes ORDER BY 1",
    )
    hashes = asked(filled_database, "SELECT recsys.rating_hash(7, 4.5), recsys.rating_hash(60, 0)")
    assert found == [(1, 1, hashes[0][0]), (2, 1, hashes[0][1])]
