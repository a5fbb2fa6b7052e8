"""A person is forgotten everywhere, or nothing happens."""

import pytest
import sqlalchemy as sa
from store import entries, rows_of

from recsys.errors import RefreshBusy, UnknownUser
from recsys.jobs.forget import forget, remembered
from recsys.jobs.refresh import refresh
from recsys.storage.runs import erasure, lock


@pytest.fixture
def two_runs(make_database, everything_template, plan_all):
    """Every table that is about people has rows about user 1, of two runs."""
    database = make_database(everything_template)
    refresh(database, plan_all)
    with database.transaction() as connection:
        connection.execute(sa.text("SELECT recsys.block(1, 5), recsys.block(2, 5)"))
        columns = "(user_id, rows_count, rows_hash, ratings_count, ratings_hash)"
        rows = "VALUES (1, 2, 3, 4, 5), (2, 2, 3, 4, 5)"
        connection.execute(sa.text(f"INSERT INTO recsys_store.source_users {columns} {rows}"))
    return database


def about_others(database):
    """Count by column the ids of other users, in lists too."""
    with database.transaction() as connection:
        return {
            f"{table}.{column}": connection.scalar(
                sa.text(
                    f"SELECT count(*) FROM (SELECT {ids_in(column)} AS id "
                    f"FROM recsys_store.{table}) AS t WHERE id <> 1"
                )
            )
            for table, column in erasure.keyed_columns(connection)
        }


def ids_in(column):
    return f"unnest({column})" if column.endswith("_ids") else column


def test_every_table_with_a_persons_key_is_found(two_runs):
    with two_runs.transaction() as connection:
        found = erasure.keyed_columns(connection)
    assert found == [
        ("blocks", "user_id"),
        ("networks", "user_ids"),
        ("ratings", "user_id"),
        ("run_users", "user_id"),
        ("source_users", "user_id"),
        ("tags", "user_id"),
        ("user_factors", "user_id"),
        ("user_recommendations", "user_id"),
        ("user_similarities", "similar_user_ids"),
        ("user_similarities", "user_id"),
        ("rating_changes", "user_id"),
        ("users", "user_id"),
    ]


def test_all_rows_of_the_user_go_and_all_others_stay(two_runs):
    before, others = remembered(two_runs, 1), about_others(two_runs)
    assert min(before.values()) > 0
    lists = f"SELECT * FROM {entries('user_similarities')} AS t WHERE similar_user_id <> 1"
    [(similar_to_them,)] = rows_of(two_runs, f"SELECT count(*) FROM ({lists} AND user_id = 1) AS t")
    pairs = f"SELECT user_id, similar_user_id, score, common_ratings FROM ({lists}) AS t "
    pairs += "WHERE user_id <> 1 ORDER BY run_id, model_id, user_id, rank"
    expected = rows_of(two_runs, pairs)
    removed = forget(two_runs, 1)
    # That their ratings went is a change of them, recorded and gone as well.
    assert removed == {**before, "rating_changes.user_id": 2}
    assert set(remembered(two_runs, 1).values()) == {0}
    # Of the lists of others they are cut out, and those others stay in place.
    others["user_similarities.similar_user_ids"] -= similar_to_them
    # What a network learned about them cannot be cut out of it.
    assert others.pop("networks.user_ids") == 80
    others["networks.user_ids"] = 0
    assert about_others(two_runs) == others
    assert rows_of(two_runs, pairs) == expected


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
