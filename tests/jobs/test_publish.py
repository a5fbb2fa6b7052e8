"""Publishing by hand, rolling back, and dropping old results while people read."""

import threading
from dataclasses import replace

import pytest
import sqlalchemy as sa
from store import rows_of

from recsys.config.settings import GateSettings, RefreshSettings
from recsys.errors import GateRefused, RunError
from recsys.jobs.plan import plan
from recsys.jobs.publish import Publication, prune, publish, rollback
from recsys.jobs.refresh import refresh
from recsys.jobs.refresh_users import refresh_users
from recsys.storage.runs import publication, results

LOG = "SELECT run_id, action, reason FROM recsys.publications ORDER BY publication_id"
PARTITIONS = r"""
SELECT DISTINCT CAST(substring(relname FROM '_run_(\d+)$') AS integer) FROM pg_class
WHERE relkind = 'r' AND relname ~ '_run_\d+$' ORDER BY 1
"""
SEEN = "SELECT DISTINCT run_id FROM recsys.recommendations"


@pytest.fixture(scope="module")
def few():
    settings = RefreshSettings(models=("most_rated", "ease"), threads=1, keep_runs=10)
    return plan(replace(settings, gate=GateSettings(enabled=False)))


@pytest.fixture(scope="module")
def four_runs_template(template_from_refreshed, few):
    with template_from_refreshed("four") as database:
        for _ in range(3):
            refresh(database, few)
        yield database.engine.url.database


@pytest.fixture
def four_runs(make_database, four_runs_template):
    """A database of the test in which runs 1 to 4 were published one after the other."""
    return make_database(four_runs_template)


def test_a_rollback_goes_one_back_and_twice_two(four_runs):
    assert rollback(four_runs, reason="4 is worse") == Publication(3, 4)
    assert rows_of(four_runs, SEEN) == [(3,)]
    assert rollback(four_runs) == Publication(2, 3)
    assert rollback(four_runs) == Publication(1, 2)
    with pytest.raises(RunError, match="no run was published before the published run"):
        rollback(four_runs)
    assert rows_of(four_runs, LOG) == [
        (1, "publish", None), (2, "publish", None), (3, "publish", None), (4, "publish", None),
        (3, "rollback", "4 is worse"), (2, "rollback", None), (1, "rollback", None),
    ]  # fmt: skip
    assert rows_of(four_runs, SEEN) == [(1,)]


def test_a_rollback_does_not_return_to_a_run_rolled_back(four_runs):
    rollback(four_runs)
    assert publish(four_runs, 1, reason="once more") == Publication(1, 3)
    assert rollback(four_runs) == Publication(3, 1)
    assert rollback(four_runs) == Publication(2, 3)


def test_a_rollback_of_what_was_published_twice(four_runs):
    publish(four_runs, 2)
    publish(four_runs, 4)
    assert [rollback(four_runs).run_id for _ in range(5)] == [2, 4, 3, 2, 1]


def test_a_rollback_to_a_run_whose_results_are_gone_changes_nothing(four_runs):
    assert prune(four_runs, 1) == [1, 2, 3]
    with pytest.raises(RunError, match=r"^run 3 cannot be published: its results were dropped on"):
        rollback(four_runs)
    assert rows_of(four_runs, SEEN) == [(4,)]
    assert len(rows_of(four_runs, LOG)) == 4


def test_two_rollbacks_at_once_go_two_back(four_runs):
    with four_runs.transaction() as connection:
        _, earlier = publication.published_before(connection)
        second = threading.Thread(target=rollback, args=(four_runs,))
        second.start()
        publication.publish(connection, earlier, action="rollback")
    second.join()
    assert rows_of(four_runs, SEEN) == [(2,)]


def test_nothing_published_cannot_be_rolled_back(filled_database):
    with pytest.raises(RunError, match="no run was published before"):
        rollback(filled_database)


@pytest.mark.parametrize(
    ("run_id", "why"),
    [(4, "run 4 is published already"), (9, "run 9 cannot be published: it does not exist")],
)
def test_unsuitable_runs_cannot_be_published_by_hand(four_runs, run_id, why):
    with pytest.raises(RunError) as caught:
        publish(four_runs, run_id)
    assert str(caught.value) == why
    assert len(rows_of(four_runs, LOG)) == 4


def test_a_run_of_some_models_is_never_published(refreshed_database):
    settings = RefreshSettings(threads=1)
    tried = refresh(refreshed_database, plan(settings, ["ease"])).run_id
    with pytest.raises(RunError, match=r"it has only some of the models$"):
        publish(refreshed_database, tried)


def test_a_whole_run_that_was_held_back_can_be_published(refreshed_database, few):
    held = refresh(refreshed_database, replace(few, publish=False))
    assert (held.published, rows_of(refreshed_database, SEEN)) == (False, [(1,)])
    assert publish(refreshed_database, held.run_id) == Publication(2, 1)
    assert rows_of(refreshed_database, SEEN) == [(2,)]


def test_a_refused_run_needs_force(four_runs):
    with four_runs.transaction() as connection:
        statement = "UPDATE recsys_store.runs SET refused = 'too short' WHERE run_id = 2"
        connection.execute(sa.text(statement))
    with pytest.raises(GateRefused, match=r"^run 2 was refused by the gate: too short$") as caught:
        publish(four_runs, 2)
    assert caught.value.exit_code == 3
    assert publish(four_runs, 2, reason="I know", force=True).run_id == 2
    assert rows_of(four_runs, LOG)[-1] == (2, "publish", "I know")


# --- dropping ---


def test_pruning_drops_all_but_the_newest_and_the_published(four_runs):
    publish(four_runs, 1)
    assert prune(four_runs, 2) == [2]
    assert rows_of(four_runs, PARTITIONS) == [(1,), (3,), (4,)]
    assert prune(four_runs, 2) == []
    assert prune(four_runs, 1) == [2 + 1]
    assert rows_of(four_runs, SEEN) == [(1,)]


def test_readers_of_other_runs_do_not_wait_for_a_pruning(four_runs):
    """A transaction that stays open reads run 2 while it is dropped."""
    with four_runs.engine.connect() as old, four_runs.engine.connect() as new:
        old.execute(sa.text("SELECT * FROM recsys_store.user_recommendations WHERE run_id = 2"))
        pruning = threading.Thread(target=prune, args=(four_runs, 2))
        pruning.start()
        new.execute(sa.text("SET statement_timeout = '2s'"))
        for _ in range(20):
            assert {tuple(row) for row in new.execute(sa.text(SEEN))} == {(4,)}
            new.rollback()
            new.execute(sa.text("SELECT pg_sleep(0.02)"))
        assert pruning.is_alive()
        old.rollback()
        pruning.join(20)
    assert not pruning.is_alive()
    assert rows_of(four_runs, PARTITIONS) == [(3,), (4,)]


@pytest.mark.parametrize("next_one", ["prune", "refresh", "refresh_users"])
def test_the_next_pruning_finishes_an_interrupted_one(four_runs, few, monkeypatch, next_one):
    def interrupted(session, run_id):
        with four_runs.engine.connect() as reader:
            reader.execute(sa.text("SELECT * FROM recsys_store.movie_charts WHERE run_id = 1"))
            session.execute(sa.text("SET lock_timeout = '200ms'"))
            real(session, run_id)

    real = results.detach_and_drop
    monkeypatch.setattr(results, "detach_and_drop", interrupted)
    assert prune(four_runs, 3) == [1]
    assert (1,) in rows_of(four_runs, PARTITIONS)
    pending = rows_of(four_runs, "SELECT count(*) FROM pg_inherits WHERE inhdetachpending")
    assert pending == [(1,)]
    monkeypatch.undo()
    chosen = replace(few, settings=replace(few.settings, keep_runs=3))
    # Nothing has changed, so that a refresh computes nothing.
    match next_one:
        case "prune":
            assert prune(four_runs, 3) == []
        case "refresh":
            assert not refresh(four_runs, chosen, if_changed=True).changed
        case "refresh_users":
            assert not refresh_users(four_runs, chosen).changed
    assert rows_of(four_runs, PARTITIONS) == [(2,), (3,), (4,)]
    assert rows_of(four_runs, SEEN) == [(4,)]
