"""Results that are written while others are computed: all of them, or none."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import sqlalchemy as sa

from recsys.config.settings import RefreshSettings
from recsys.domain import TopN
from recsys.engine import local
from recsys.errors import StorageError
from recsys.jobs import streaming
from recsys.jobs.columns import user_columns
from recsys.jobs.plan import plan
from recsys.jobs.refresh import refresh
from recsys.jobs.results import ResultWriter
from recsys.jobs.streaming import ResultStream, Stopped
from recsys.jobs.training import ModelResults
from recsys.jobs.training_data import in_this_process
from recsys.storage.runs import results
from recsys.storage.snapshot.matrices import read_snapshot

LISTS = """
SELECT m.name, l.user_id, l.movie_ids, l.scores
FROM recsys_store.user_recommendations AS l JOIN recsys_store.models AS m USING (model_id)
WHERE l.run_id = :run_id ORDER BY 1, 2
"""
PARTITIONS = r"SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ '_run_2$'"


@pytest.fixture
def few():
    return plan(RefreshSettings(models=("popular", "ease", "als"), threads=1))


def lists_of(database, run_id):
    with database.transaction() as connection:
        rows = connection.execute(sa.text(LISTS), {"run_id": run_id})
        return [tuple(row) for row in rows]


def checksums(database):
    with database.transaction() as connection:
        query = "SELECT output_checksum FROM recsys_store.runs ORDER BY run_id"
        return list(connection.scalars(sa.text(query)))


def test_results_do_not_depend_on_the_shards(filled_database, few, monkeypatch):
    refresh(filled_database, few)
    monkeypatch.setattr(local.LocalEngine.__init__, "__defaults__", (1,))
    refresh(filled_database, few)
    assert len(lists_of(filled_database, 1)) > 10
    assert lists_of(filled_database, 2) == lists_of(filled_database, 1)
    first, second = checksums(filled_database)
    assert first == second


@pytest.mark.parametrize("table", ["user_recommendations", "movie_similarities"])
def test_an_error_of_the_database_ends_the_run(refreshed_database, few, monkeypatch, table):
    append = results.append

    def fail(connection, name, *arguments, **named):
        if name == table:
            raise StorageError("the disk is full")
        return append(connection, name, *arguments, **named)

    monkeypatch.setattr(results, "append", fail)
    with pytest.raises(StorageError, match="the disk is full"):
        refresh(refreshed_database, few)
    with refreshed_database.transaction() as connection:
        state = connection.execute(
            sa.text("SELECT state, error FROM recsys_store.runs WHERE run_id = 2")
        ).one()
        assert tuple(state) == ("failed", "the disk is full")
        assert connection.scalars(sa.text(PARTITIONS)).all() == []


def test_a_model_that_fails_leaves_nothing_of_those_before(refreshed_database, few, monkeypatch):
    def fail(*arguments):
        raise ArithmeticError("no")

    monkeypatch.setattr(local.LocalEngine, "rank", fail)
    with pytest.raises(ArithmeticError):
        refresh(refreshed_database, few)
    assert threading.active_count() < 10
    with refreshed_database.transaction() as connection:
        assert connection.scalars(sa.text(PARTITIONS)).all() == []


def one_list(rows):
    return TopN(np.arange(rows + 1), np.zeros(rows, np.int32), np.ones(rows))


def test_a_stream_that_is_given_up_takes_nothing_more(refreshed_database):
    with refreshed_database.snapshot() as connection:
        snapshot = read_snapshot(connection)
    lists = ModelResults(recommendations=one_list(len(snapshot.users)))
    writer = ResultWriter(77, snapshot.users, snapshot.movies, {"ease": 1})
    stream = ResultStream(refreshed_database, writer, user_columns(in_this_process(snapshot)))

    def interrupted():
        with stream:
            stream.write("ease", lists)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not any(lane.thread.is_alive() for lane in stream._lanes)
    with pytest.raises((Stopped, StorageError)):
        stream.write("ease", lists)
    with refreshed_database.transaction() as connection:
        query = r"SELECT count(*) FROM pg_class WHERE relname ~ '_run_77$'"
        assert connection.scalar(sa.text(query)) == 0


def test_a_slow_database_holds_the_computation_back(refreshed_database, monkeypatch):
    with refreshed_database.snapshot() as connection:
        snapshot = read_snapshot(connection)
    go, taken = threading.Event(), []
    writer = ResultWriter(77, snapshot.users, snapshot.movies, {"ease": 1})

    def wait(*arguments):
        taken.append(arguments)
        go.wait(30)
        return 0

    monkeypatch.setattr(writer, "append", wait)
    lists = ModelResults(recommendations=one_list(len(snapshot.users)))
    with ResultStream(
        refreshed_database, writer, user_columns(in_this_process(snapshot))
    ) as stream:
        handed = []

        def hand_over():
            for number in range(streaming.WAITING + 3):
                stream.write("ease", lists)
                handed.append(number)

        thread = threading.Thread(target=hand_over)
        thread.start()
        thread.join(1.0)
        # One is being written, and so many wait.
        assert len(handed) == streaming.WAITING + 1
        go.set()
        thread.join(30)
        stream.close()
        stream.wait()
    assert len(handed) == streaming.WAITING + 3
    assert len(taken) == len(handed) + 1  # and the users of the run
