"""A refresh that begins while an ingest writes sees all of it or nothing of it."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import sqlalchemy as sa

from recsys.domain import Ratings, SourceMovie
from recsys.storage.load import catalogue, ingests
from recsys.storage.snapshot.matrices import read_snapshot

MOVIES = [
    SourceMovie(7, "Seven", "Seven (1995)", 1995),
    SourceMovie(9, "Nine", "Nine (2009)", 2009),
]
USERS = np.array([3, 4, 5], np.int32)
RATINGS = Ratings(
    np.array([3, 3, 5], np.int32),
    np.array([7, 9, 7], np.int32),
    np.array([4.0, 2.5, 5.0]),
    np.array([10, 20, 30], np.int64),
)
WAITING = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM "
                  "pg_database WHERE datname = current_database())")  # fmt: skip


def wait_until_somebody_waits(database):
    deadline = time.monotonic() + 30
    with database.session() as session:
        while not session.scalar(WAITING):
            assert time.monotonic() < deadline, "no reader waits for the ingest"
            time.sleep(0.02)


def test_a_snapshot_waits_for_the_ingest_and_sees_all_of_it(filled_database):
    def read():
        with filled_database.snapshot() as connection:
            return read_snapshot(connection, {"times"})

    with ThreadPoolExecutor(1) as pool:
        with filled_database.transaction() as connection:
            ingests.clear(connection)
            catalogue.merge_movies(connection, MOVIES)
            catalogue.merge_users(connection, USERS, [])
            catalogue.merge_ratings(connection, RATINGS)
            reading = pool.submit(read)
            wait_until_somebody_waits(filled_database)
        snapshot = reading.result(timeout=30)
    assert snapshot.users.ids.tolist() == [3, 4, 5]
    assert snapshot.movies.ids.tolist() == [7, 9]
    dense = [[4.0, 2.5], [0.0, 0.0], [5.0, 0.0]]
    assert snapshot.interactions.user_items.toarray().tolist() == dense
