"""A person is forgotten everywhere, or nothing happens."""

import pytest
import sqlalchemy as sa

from recsys.errors import RefreshBusy, UnknownUser
from recsys.jobs.forget import forget, remembered
from recsys.jobs.refresh import refresh
from recsys.storage.runs import erasure, lock


@pytest.fixture
def two_runs(make_database, everything_template, plan_everything):
    """Every table that is about people has rows about user 1, of two runs."""
    database = make_database(everything_template)
    refresh(database, plan_everything)
    with database.transaction() as connection:
        connection.execute(sa.text("SELECT recsys.block(1, 5), recsys.block(2, 5)"))
    return database


def about_others(database):
    with database.transaction() as connection:
        return {
            f"{table}.{column}": connection.scalar(
                sa.text(f"SELECT count(*) FROM recsys_store.{table} WHERE {column} <> 1")
            )
            for table, column in erasure.keyed_columns(connection)
        }


def test_every_table_with_a_persons_key_is_found(two_runs):
    with two_runs.transaction() as connection:
        found = erasure.keyed_columns(connection)
    assert found == [
        ("blocks", "user_id"),
        ("ratings", "user_id"),
        ("run_users", "user_id"),
        ("tags", "user_id"),
        ("user_factors", "user_id"),
        ("user_recommendations", "user_id"),
        ("user_similarities", "similar_user_id"),
        ("user_similarities", "user_id"),
        ("rating_changes", "user_id"),
        ("users", "user_id"),
    ]


def test_all_rows_of_the_user_go_and_all_others_stay(two_runs):
    before, others = remembered(two_runs, 1), about_others(two_runs)
    assert min(before.values()) > 0
    removed = forget(two_runs, 1)
    # A pair of similar users is one row: it goes once, with the first column that has the person.
    # That their ratings went is a change of them, recorded and gone as well.
    assert removed == {**before, "rating_changes.user_id": 2}
    assert set(remembered(two_runs, 1).values()) == {0}
    left = about_others(two_runs)
    pairs = {"user_similarities.user_id": "user_similarities.similar_user_id"}
    pairs |= {value: key for key, value in pairs.items()}
    assert left == {name: count - before.get(pairs.get(name), 0) for name, count in others.items()}


def test_the_log_keeps_the_counts_and_not_the_person(two_runs):
    removed = forget(two_runs, 1)
    with two_runs.transaction() as connection:
        [entry] = connection.execute(sa.text("SELECT * FROM recsys_store.erasures")).all()
    assert entry.rows == removed
    assert {*entry._fields} == {"erasure_id", "erased_at", "rows", "erased_by"}


def test_an_unknown_user_is_an_error_and_leaves_no_entry(two_runs):
    with pytest.raises(UnknownUser, match=r"^no row is about user 4711$"):
        forget(two_runs, 4711)
    with two_runs.transaction() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM recsys_store.erasures")) == 0


def test_a_refresh_that_runs_keeps_it_out(two_runs):
    """It has read the ratings already, and would write lists for them."""
    before = remembered(two_runs, 1)
    with (
        two_runs.session() as session,
        lock.single_flight(session),
        pytest.raises(RefreshBusy),
    ):
        forget(two_runs, 1)
    assert remembered(two_runs, 1) == before


def test_all_or_nothing(two_runs, monkeypatch):
    before = remembered(two_runs, 1)

    def broken(connection, user_id):
        real(connection, user_id)
        raise RuntimeError("the power went")

    real = erasure.erase
    monkeypatch.setattr(erasure, "erase", broken)
    with pytest.raises(RuntimeError):
        forget(two_runs, 1)
    assert remembered(two_runs, 1) == before


def test_erased_users_are_served_as_new_users(two_runs):
    forget(two_runs, 1)
    with two_runs.transaction() as connection:
        status = connection.scalar(sa.text("SELECT status FROM recsys.user_status(1)"))
        sources = connection.scalars(sa.text("SELECT DISTINCT source FROM recsys.recommend(1)"))
        assert (status, list(sources)) == ("unknown_user", ["chart"])
