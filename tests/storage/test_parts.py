"""Parts of lists: each is stored once, even if two sessions write it, or one writes it again."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import sqlalchemy as sa

from recsys.storage.load.copy import Lists
from recsys.storage.runs import lifecycle, parts, results

TABLE = "user_recommendations"
MODEL = [{"name": "m", "kind": "personal", "score_meaning": "s", "description": "d"}]
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"


@pytest.fixture
def started(refreshed_database):
    """Return the database, and the run and model that parts are written for."""
    with refreshed_database.transaction() as connection:
        model_id = lifecycle.register_models(connection, MODEL)["m"]
        run_id = lifecycle.begin(
            connection, default_model_id=model_id, seed=1, parameters={}, versions={}
        )
        parts.create(connection, TABLE, run_id)
    return refreshed_database, run_id, model_id


def lists_of(run_id, model_id, *users):
    count = len(users)
    ends = np.arange(count + 1)
    return {
        "run_id": np.full(count, run_id, np.int32),
        "model_id": np.full(count, model_id, np.int16),
        "user_id": np.array(users, np.int32),
        "movie_ids": Lists(ends, np.full(count, 2, np.int32)),
        "scores": Lists(ends, np.full(count, 0.5)),
    }


def users_in(connection, run_id):
    query = f"SELECT user_id FROM recsys_store.{results.partition_name(TABLE, run_id)} ORDER BY 1"
    return list(connection.scalars(sa.text(query)))


def test_a_part_is_written_once(started):
    database, run_id, model_id = started
    first = (model_id, 0)
    for expected in (True, False):
        with database.transaction() as connection:
            columns = lists_of(run_id, model_id, 1, 2)
            assert parts.append(connection, TABLE, run_id, first, columns) is expected
    with database.transaction() as connection:
        assert parts.append(connection, TABLE, run_id, (model_id, 1), lists_of(run_id, model_id, 3))
        # A part without lists counts too.
        assert parts.append(connection, TABLE, run_id, (model_id, 2), lists_of(run_id, model_id))
    with database.transaction() as connection:
        parts.finish(connection, TABLE, run_id, {model_id: 3})
        assert users_in(connection, run_id) == [1, 2, 3]
        marks = sa.text("SELECT to_regclass(:name)")
        name = f"recsys_store.{results.marks_name(run_id)}"
        assert connection.scalar(marks, {"name": name}) is None


def test_missing_parts_are_noticed(started):
    database, run_id, model_id = started
    with database.transaction() as connection:
        parts.append(connection, TABLE, run_id, (model_id, 0), lists_of(run_id, model_id, 1))
    with pytest.raises(AssertionError), database.transaction() as connection:
        parts.finish(connection, TABLE, run_id, {model_id: 2})


@pytest.mark.parametrize("fails", [False, True])
def test_two_tasks_with_one_part_write_it_once(started, fails):
    """The second waits for the first, and writes only if that one was lost before its end."""
    database, run_id, model_id = started
    part, columns = (model_id, 0), lists_of(run_id, model_id, 1, 2)
    wrote = []

    def again():
        with database.transaction() as connection:
            wrote.append(parts.append(connection, TABLE, run_id, part, columns))

    second = threading.Thread(target=again)
    with database.engine.connect() as connection:
        transaction = connection.begin()
        assert parts.append(connection, TABLE, run_id, part, columns)
        second.start()
        for _ in range(1000):
            if connection.scalar(sa.text(WAITING)):
                break
            second.join(0.01)
        else:
            pytest.fail("the second task did not wait")
        if fails:
            transaction.rollback()
        else:
            transaction.commit()
    second.join(30)
    assert wrote == [fails]
    with database.transaction() as connection:
        assert users_in(connection, run_id) == [1, 2]
