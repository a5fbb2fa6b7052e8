import os
import re
import socket
import time
from datetime import UTC, datetime

import numpy as np
import pytest
import sqlalchemy as sa

from recsys.errors import RefreshBusy, RunError
from recsys.storage.runs import lifecycle, lock, publication, results
from recsys.storage.runs.lifecycle import Stage

MODELS = [
    {"name": "a", "kind": "chart", "score_meaning": "s", "description": "d"},
    {"name": "b", "kind": "personal", "score_meaning": "t", "description": "e"},
]
RUN = sa.text("SELECT * FROM recsys_store.runs WHERE run_id = :run_id")
STAGES = [
    Stage("read", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), 0.25, 100, 90),
    Stage("ease", datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC), 1.5, 10, 95),
]
FACTS = {
    "snapshot_at": datetime(2026, 1, 2, tzinfo=UTC),
    "ratings_count": 3,
    "users_count": 2,
    "movies_count": 1,
    "snapshot_checksum": "in",
    "output_checksum": "out",
    "peak_memory_mb": 7,
}


def begin(connection, **values):
    defaults = {"default_model_id": None, "seed": 1, "parameters": {}, "versions": {}}
    return lifecycle.begin(connection, **(defaults | values))


def row(connection, run_id):
    return connection.execute(RUN, {"run_id": run_id}).mappings().one()


def write_factors(connection, run_id, model_id):
    connection.execute(
        sa.text(
            "INSERT INTO recsys_store.users (user_id, key) VALUES (1, '1') ON CONFLICT DO NOTHING"
        )
    )
    results.create(connection, "user_factors", run_id)
    columns = {
        "run_id": np.array([run_id], np.int32),
        "model_id": np.array([model_id], np.int16),
        "user_id": np.array([1], np.int32),
        "factors": np.ones((1, 2), np.float32),
    }
    results.append(connection, "user_factors", run_id, columns)
    results.finish(connection, "user_factors", run_id)


def log(connection):
    query = "SELECT run_id, action, reason FROM recsys_store.publications ORDER BY publication_id"
    return [tuple(entry) for entry in connection.execute(sa.text(query))]


# --- models ---


def test_models_keep_their_numbers_and_waste_none(connection):
    first = lifecycle.register_models(connection, MODELS)
    for _ in range(3):
        assert lifecycle.register_models(connection, MODELS) == first
    new = {"name": "c", "kind": "chart", "score_meaning": "s", "description": "d"}
    assert lifecycle.register_models(connection, [new]) == {"c": max(first.values()) + 1}


def test_a_model_is_described_again(connection):
    lifecycle.register_models(connection, MODELS)
    lifecycle.register_models(connection, [MODELS[0] | {"description": "better"}])
    query = "SELECT name, kind, score_meaning, description FROM recsys_store.models ORDER BY 1"
    assert [tuple(model) for model in connection.execute(sa.text(query))] == [
        ("a", "chart", "s", "better"),
        ("b", "personal", "t", "e"),
    ]


# --- a run's life ---


def test_a_run_begins_as_running_and_names_its_process(connection):
    model_id = lifecycle.register_models(connection, MODELS)["b"]
    run_id = begin(
        connection, default_model_id=model_id, seed=5, parameters={"k": [1]}, versions={"x": "1"}
    )
    found = row(connection, run_id)
    assert (found["state"], found["finished_at"], found["error"]) == ("running", None, None)
    assert (found["seed"], found["parameters"], found["versions"]) == (5, {"k": [1]}, {"x": "1"})
    assert found["default_model_id"] == model_id
    assert found["backend"] == f"{socket.gethostname()}:{os.getpid()}"


def test_a_complete_run_has_its_stages_its_facts_and_its_results(connection):
    model_id = lifecycle.register_models(connection, MODELS)["b"]
    run_id = begin(connection)
    write_factors(connection, run_id, model_id)
    results.attach(connection, run_id)
    lifecycle.complete(connection, run_id, STAGES, FACTS)
    found = row(connection, run_id)
    assert (found["state"], found["error"], found["pruned_at"]) == ("complete", None, None)
    assert {key: found[key] for key in FACTS} == FACTS
    assert found["finished_at"] >= found["started_at"]
    query = (
        "SELECT position, stage, started_at, seconds, rows, peak_memory_mb "
        "FROM recsys_store.run_stages ORDER BY 1"
    )
    assert [tuple(stage) for stage in connection.execute(sa.text(query))] == [
        (1, "read", STAGES[0].started_at, 0.25, 100, 90),
        (2, "ease", STAGES[1].started_at, 1.5, 10, 95),
    ]
    attached = sa.text("SELECT run_id, user_id, factors FROM recsys_store.user_factors")
    assert [tuple(factors) for factors in connection.execute(attached)] == [(run_id, 1, [1, 1])]


def test_a_failed_run_records_the_reason_and_has_no_results(connection):
    model_id = lifecycle.register_models(connection, MODELS)["b"]
    run_id = begin(connection)
    write_factors(connection, run_id, model_id)
    lifecycle.fail(connection, run_id, "it rained")
    found = row(connection, run_id)
    assert (found["state"], found["error"]) == ("failed", "it rained")
    assert found["pruned_at"] is not None
    assert found["finished_at"] is not None
    name = f"recsys_store.user_factors_run_{run_id}"
    assert connection.scalar(sa.text("SELECT to_regclass(:name)"), {"name": name}) is None


# --- publishing ---


def test_publishing_moves_the_pointer_and_logs_it(connection):
    first, second = begin(connection), begin(connection)
    for run_id in (first, second):
        lifecycle.complete(connection, run_id, STAGES, FACTS)
    assert publication.published_run(connection) is None
    for run_id in (first, second):
        publication.publish(connection, run_id)
        assert publication.published_run(connection).run_id == run_id
    publication.publish(connection, first, action="rollback", reason="second is worse")
    assert publication.published_run(connection).run_id == first
    assert log(connection) == [
        (first, "publish", None),
        (second, "publish", None),
        (first, "rollback", "second is worse"),
    ]
    pointers = sa.text("SELECT only_row, run_id FROM recsys_store.published")
    assert [tuple(pointer) for pointer in connection.execute(pointers)] == [(True, first)]


def make_failed(connection):
    run_id = begin(connection)
    lifecycle.fail(connection, run_id, "x")
    return run_id


def make_pruned(connection):
    run_id = begin(connection)
    lifecycle.complete(connection, run_id, STAGES, FACTS)
    results.drop(connection, run_id)
    return run_id


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (begin, "it is running"),
        (make_failed, "it is failed"),
        (make_pruned, r"its results were dropped on \d{4}-\d\d-\d\d \d\d:\d\d UTC"),
        (lambda _: 4711, "it does not exist"),
    ],
    ids=["running", "failed", "pruned", "unknown"],
)
def test_unsuitable_runs_cannot_be_published(connection, make, why):
    good = begin(connection)
    lifecycle.complete(connection, good, STAGES, FACTS)
    publication.publish(connection, good)
    run_id = make(connection)
    with pytest.raises(RunError) as caught:
        publication.publish(connection, run_id)
    assert re.fullmatch(f"run {run_id} cannot be published: {why}", str(caught.value))
    assert caught.value.hint == "recsys.runs holds every run"
    assert publication.published_run(connection).run_id == good
    assert log(connection) == [(good, "publish", None)]


# --- single flight ---


def test_a_second_refresh_is_told_which_run_holds_the_lock(database):
    with database.session() as first, lock.single_flight(first):
        with database.transaction() as connection:
            run_id = begin(connection)
            started = row(connection, run_id)["started_at"]
        with (
            pytest.raises(RefreshBusy) as caught,
            database.session() as second,
            lock.single_flight(second),
        ):
            pytest.fail("the lock was had twice")
    backend = f"{socket.gethostname()}:{os.getpid()}"
    since = f"{started:%Y-%m-%d %H:%M:%S} UTC"
    assert (
        str(caught.value) == f"another refresh is running: run {run_id} by {backend} since {since}"
    )
    assert (caught.value.hint, caught.value.exit_code) == ("wait for it to end", 4)


def test_a_refresh_without_a_run_is_reported_too(database):
    with database.transaction() as connection:
        # Times are told in UTC wherever the server is.
        name = connection.scalar(sa.text("SELECT current_database()"))
        connection.execute(sa.text(f"ALTER DATABASE {name} SET TimeZone = 'Asia/Tokyo'"))
    about = "SELECT pid, usename, xact_start AT TIME ZONE 'UTC' FROM pg_stat_activity"
    with database.session() as first, lock.single_flight(first):
        who = first.execute(sa.text(f"{about} WHERE pid = pg_backend_pid()")).one()
        with (
            pytest.raises(RefreshBusy) as caught,
            database.session() as second,
            lock.single_flight(second),
        ):
            pytest.fail("the lock was had twice")
    pid, role, since = who
    assert str(caught.value) == (
        "another refresh is running: it has just begun, or an ingest replaces the data, "
        f"in session {pid} of {role} (recsys) since {since:%Y-%m-%d %H:%M:%S} UTC"
    )


def test_the_lock_is_free_after_the_block_even_after_an_error(database):
    with database.session() as session:
        with pytest.raises(ZeroDivisionError), lock.single_flight(session):
            raise ZeroDivisionError
        with database.session() as other, lock.single_flight(other):
            pass


def test_the_lock_is_free_after_the_session_is_cut_off(database):
    with database.session() as session, lock.single_flight(session):
        pid = session.connection.driver_connection.info.backend_pid
        with database.session() as other:
            other.execute(sa.text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
            with lock.single_flight(other):
                pass


def test_the_lock_holds_no_vacuum_back_and_no_timeout_ends_it(database):
    held = "SELECT backend_xid, backend_xmin, state FROM pg_stat_activity WHERE pid = :pid"
    with database.transaction() as connection:
        name = connection.scalar(sa.text("SELECT current_database()"))
        for setting in (
            "idle_in_transaction_session_timeout = '50ms'",
            "default_transaction_isolation = 'repeatable read'",
        ):
            connection.execute(sa.text(f"ALTER DATABASE {name} SET {setting}"))
    with database.session() as session, lock.single_flight(session):
        pid = session.connection.driver_connection.info.backend_pid
        time.sleep(0.2)
        with database.session() as other:
            found = other.execute(sa.text(held), {"pid": pid}).one()
            # VACUUM of all tables does not wait for the lock.
            other.execute(sa.text("SET lock_timeout = '1s'"))
            other.execute(sa.text("ANALYZE"))
        assert tuple(found) == (None, None, "idle in transaction")
        lock.confirm_lock(session)


def test_databases_of_one_server_do_not_lock_each_other(make_database, template):
    one, other = make_database(template), make_database(template)
    with (
        one.session() as first,
        other.session() as second,
        lock.single_flight(first),
        lock.single_flight(second),
    ):
        pass


def test_orphans_are_marked_and_their_results_dropped(database):
    with database.transaction() as connection:
        model_id = lifecycle.register_models(connection, MODELS)["b"]
        complete, orphan, bare = begin(connection), begin(connection), begin(connection)
        for run_id in (complete, orphan):
            write_factors(connection, run_id, model_id)
        results.attach(connection, complete)
        lifecycle.complete(connection, complete, STAGES, FACTS)
        publication.publish(connection, complete)
    with database.transaction() as connection:
        assert sorted(lifecycle.fail_orphans(connection)) == [orphan, bare]
        assert lifecycle.fail_orphans(connection) == []
    with database.transaction() as connection:
        for run_id in (orphan, bare):
            found = row(connection, run_id)
            assert found["state"] == "failed"
            assert found["error"] == "its process ended without finishing the run"
        names = sa.text("SELECT relname FROM pg_class WHERE relname ~ '^user_factors_run'")
        assert connection.scalars(names).all() == [f"user_factors_run_{complete}"]
        assert publication.published_run(connection).run_id == complete


def test_retention_keeps_what_kept_runs_share(connection):
    def users_run(shared):
        sharing = {"base_run_id": shared, "shared_run_id": shared}
        return begin(connection, scope="users", **sharing)

    first, second = begin(connection), begin(connection)
    for run_id in (first, second):
        lifecycle.complete(connection, run_id, STAGES, FACTS)
    failed, sharing, running = users_run(second), users_run(first), users_run(second)
    lifecycle.fail(connection, failed, "it rained")
    lifecycle.complete(connection, sharing, STAGES, FACTS)
    # The newest shares the first run, and one that computes shares the second.
    assert publication.beyond_retention(connection, 1) == []
    assert not publication.mark_pruned(connection, first)
    assert not publication.mark_pruned(connection, second)
    lifecycle.fail(connection, running, "it rained")
    assert publication.beyond_retention(connection, 1) == [second]
    publication.publish(connection, second)
    assert publication.mark_pruned(connection, sharing)
    assert publication.beyond_retention(connection, 1) == [first]
    assert publication.mark_pruned(connection, first)


def test_retention_keeps_the_newest_and_the_published_run(connection):
    numbers = [begin(connection) for _ in range(5)]
    for run_id in numbers:
        lifecycle.complete(connection, run_id, STAGES, FACTS)
    publication.publish(connection, numbers[1])
    assert publication.beyond_retention(connection, 3) == [numbers[0]]
    assert publication.beyond_retention(connection, 1) == [numbers[0], numbers[2], numbers[3]]
    assert publication.beyond_retention(connection, 5) == []
