"""A refresh that is cut off: before its publish nothing stays, after it everything does."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import sqlalchemy as sa

from recsys.config.settings import RefreshSettings
from recsys.errors import StorageError
from recsys.jobs import refresh as refresh_job
from recsys.jobs.plan import plan
from recsys.jobs.refresh import refresh
from recsys.storage.runs import lifecycle, publication, results
from recsys.storage.runs.lifecycle import Stage

CUT_OFF = [KeyboardInterrupt(), SystemExit(143), StorageError("the connection broke")]
RUNS = "SELECT run_id, state, error, pruned_at IS NULL FROM recsys_store.runs ORDER BY run_id"
PUBLISHED = "SELECT run_id FROM recsys_store.published"
STAGES = "SELECT stage FROM recsys_store.run_stages WHERE run_id = 2 ORDER BY position"
PARTITIONS = r"SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname ~ '_run_2$'"
FACTS = {
    "snapshot_at": datetime(2026, 1, 2, tzinfo=UTC),
    "ratings_count": 3,
    "users_count": 2,
    "movies_count": 1,
    "snapshot_checksum": "in",
    "output_checksum": "out",
    "peak_memory_mb": 7,
}


def reason(error):
    return str(error) if isinstance(error, StorageError) else "it was stopped by a signal"


def rows_of(database, query):
    with database.transaction() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


@pytest.fixture
def few():
    """A plan that is quick to compute and may be published."""
    names = ("most_rated", "top_rated", "ease")
    return plan(RefreshSettings(models=names, threads=1))


def cut_off(monkeypatch, step, error, *, after):
    """Let a step of the refresh end in `error`, before it does anything or when it is done."""
    real = getattr(refresh_job, step)

    def broken(*arguments):
        if after:
            real(*arguments)
        raise error

    monkeypatch.setattr(refresh_job, step, broken)


@pytest.mark.parametrize("error", CUT_OFF, ids=lambda error: type(error).__name__)
def test_the_published_run_survives_later_failures(refreshed_database, few, monkeypatch, error):
    cut_off(monkeypatch, "_finish", error, after=True)
    with pytest.raises(type(error)):
        refresh(refreshed_database, few)
    assert rows_of(refreshed_database, RUNS) == [
        (1, "complete", None, True),
        (2, "complete", None, True),
    ]
    assert rows_of(refreshed_database, PUBLISHED) == [(2,)]
    names = [*few.parameters["models"]]
    assert rows_of(refreshed_database, STAGES) == [
        (name,) for name in ("read", *names, "gate", "write")
    ]
    lists = rows_of(
        refreshed_database,
        "SELECT DISTINCT model, run_id FROM recsys.recommendations WHERE user_id = 1",
    )
    assert lists == [("ease", 2)]
    # The lock is free again and nothing is taken for an orphan.
    monkeypatch.undo()
    assert refresh(refreshed_database, few, if_changed=True).run_id == 2
    assert rows_of(refreshed_database, PUBLISHED) == [(2,)]


@pytest.mark.parametrize("error", CUT_OFF, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    ("step", "after", "done"),
    [
        ("_compute", False, ["read"]),
        ("_compute", True, ["read", "top_rated", "most_rated", "ease"]),
        ("_write", True, ["read", "top_rated", "most_rated", "ease", "gate", "write"]),
        ("_finish", False, ["read", "top_rated", "most_rated", "ease", "gate", "write"]),
    ],
    ids=["before computing", "before writing", "after writing", "before publishing"],
)
def test_an_interrupted_run_leaves_its_stages_and_no_results(
    refreshed_database, few, monkeypatch, step, after, done, error
):
    cut_off(monkeypatch, step, error, after=after)
    with pytest.raises(type(error)):
        refresh(refreshed_database, few)
    assert rows_of(refreshed_database, RUNS) == [
        (1, "complete", None, True),
        (2, "failed", reason(error), False),
    ]
    assert [name for (name,) in rows_of(refreshed_database, STAGES)] == done
    assert rows_of(refreshed_database, PARTITIONS) == [(0,)]
    assert rows_of(refreshed_database, PUBLISHED) == [(1,)]


def test_an_interrupt_in_the_publish_transaction_undoes_it(refreshed_database, few, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(refresh_job.publication, "publish", interrupt)
    with pytest.raises(KeyboardInterrupt):
        refresh(refreshed_database, few)
    stopped = (2, "failed", "it was stopped by a signal", False)
    assert rows_of(refreshed_database, RUNS)[1] == stopped
    assert len(rows_of(refreshed_database, STAGES)) == 6
    assert rows_of(refreshed_database, PARTITIONS) == [(0,)]
    assert rows_of(refreshed_database, PUBLISHED) == [(1,)]


def test_a_published_run_is_no_failure_because_old_ones_cannot_go(
    refreshed_database, few, monkeypatch
):
    def rain(*_):
        raise StorageError("it rained")

    monkeypatch.setattr(refresh_job, "prune", rain)
    report = refresh(refreshed_database, few)
    assert (report.run_id, report.published) == (2, True)
    assert rows_of(refreshed_database, RUNS)[1] == (2, "complete", None, True)


@pytest.mark.parametrize("ended", ["complete", "failed"])
def test_a_run_that_has_ended_cannot_fail(connection, ended):
    stages = [Stage("read", datetime(2026, 1, 2, tzinfo=UTC), 0.25, 100, 90)]
    run_id = lifecycle.begin(
        connection, default_model_id=None, seed=1, parameters={}, versions={"recsys": "1"}
    )
    connection.execute(sa.text("INSERT INTO recsys_store.users (user_id, key) VALUES (1, '1')"))
    model = {"name": "a", "kind": "personal", "score_meaning": "s", "description": "d"}
    results.create(connection, "user_factors", run_id)
    factors = {
        "run_id": np.array([run_id], np.int32),
        "model_id": np.array([lifecycle.register_models(connection, [model])["a"]], np.int16),
        "user_id": np.array([1], np.int32),
        "factors": np.ones((1, 2), np.float32),
    }
    results.append(connection, "user_factors", run_id, factors)
    results.finish(connection, "user_factors", run_id)
    if ended == "complete":
        results.attach(connection, run_id)
        lifecycle.complete(connection, run_id, stages, FACTS)
    else:
        lifecycle.fail(connection, run_id, "first", stages)
    query = sa.text("SELECT * FROM recsys_store.runs WHERE run_id = :id")
    before = connection.execute(query, {"id": run_id}).one()
    lifecycle.fail(connection, run_id, "second", stages)
    assert connection.execute(query, {"id": run_id}).one() == before
    assert (before.state, before.error) == (ended, None if ended == "complete" else "first")
    count = connection.scalar(sa.text("SELECT count(*) FROM recsys_store.user_factors"))
    assert count == (1 if ended == "complete" else 0)


# --- what is published may be pruned; what is kept ---


def test_a_pruned_run_does_not_count_as_unchanged(refreshed_database, plan_all):
    assert not refresh(refreshed_database, plan_all, if_changed=True).changed
    with refreshed_database.transaction() as connection:
        results.drop(connection, 1)
    report = refresh(refreshed_database, plan_all, if_changed=True)
    assert (report.changed, report.run_id) == (True, 2)
    assert rows_of(refreshed_database, PUBLISHED) == [(2,)]


def complete_runs(connection, count):
    numbers = []
    for _ in range(count):
        run_id = lifecycle.begin(
            connection, default_model_id=None, seed=1, parameters={}, versions={}
        )
        lifecycle.complete(connection, run_id, [], FACTS)
        numbers.append(run_id)
    return numbers


def test_retention_keeps_the_newest_runs_and_the_published_one(connection):
    one, two, three, four, five = complete_runs(connection, 5)
    assert publication.beyond_retention(connection, 2) == [one, two, three]
    publication.publish(connection, two)
    assert publication.beyond_retention(connection, 1) == [one, three, four]
    assert publication.beyond_retention(connection, 2) == [one, three]
    assert publication.beyond_retention(connection, 4) == [one]
    assert publication.beyond_retention(connection, 5) == []
    publication.publish(connection, five)
    assert publication.beyond_retention(connection, 1) == [one, two, three, four]


def test_retention_counts_complete_runs_that_have_results(connection):
    one, two, three, _ = complete_runs(connection, 4)
    results.drop(connection, three)
    running = lifecycle.begin(connection, default_model_id=None, seed=1, parameters={}, versions={})
    failed = lifecycle.begin(connection, default_model_id=None, seed=1, parameters={}, versions={})
    lifecycle.fail(connection, failed, "it rained")
    assert publication.beyond_retention(connection, 2) == [one]
    assert publication.beyond_retention(connection, 1) == [one, two]
    assert {three, running, failed}.isdisjoint(publication.beyond_retention(connection, 0))


def test_a_run_for_trying_out_is_kept_even_where_one_run_is(refreshed_database, plan_all):
    settings = replace(plan_all.settings, keep_runs=1)
    tried = [refresh(refreshed_database, plan(settings, ["top_rated"])).run_id for _ in range(2)]
    assert tried == [2, 3]
    assert rows_of(refreshed_database, RUNS) == [
        (1, "complete", None, True),
        (2, "complete", None, False),
        (3, "complete", None, True),
    ]
    assert rows_of(refreshed_database, PUBLISHED) == [(1,)]
    assert rows_of(
        refreshed_database, "SELECT count(*) > 0 FROM recsys_store.movie_charts WHERE run_id = 3"
    ) == [(True,)]


# --- plans and times ---


def test_a_run_begins_before_its_first_stage_and_lasts_as_long_as_all(refreshed_database):
    [(run_began, seconds, first_began, together)] = rows_of(
        refreshed_database,
        """
        SELECT r.started_at, r.seconds, min(s.started_at), sum(s.seconds)
        FROM recsys.runs AS r JOIN recsys.run_stages AS s USING (run_id)
        GROUP BY r.run_id, r.started_at, r.seconds
        """,
    )
    assert run_began <= first_began
    assert seconds >= together > 0
