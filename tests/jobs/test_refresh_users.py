"""A run with new lists of changed users: they equal those of a full recomputation."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from recsys.config.settings import RefreshSettings
from recsys.errors import NotPublished, RefreshBusy, RunError
from recsys.jobs.plan import plan
from recsys.jobs.refresh import refresh
from recsys.jobs.refresh_users import refresh_users
from recsys.storage.runs import lock, publication

VERIFIED = "SELECT model, users, stored, missing, extra FROM recsys.verify_lists(NULL, NULL)"
COLUMNS = {
    "movie_similarities": "model_id, movie_id, similar_movie_ids, scores, real_scores",
    "movie_charts": "model_id, genre_id, rank, movie_id, votes, score, mean_rating",
    "user_factors": "model_id, user_id, factors, bias",
    "movie_factors": "model_id, movie_id, factors, bias",
}
DIFFERENT = """
SELECT count(*) FROM (
    (SELECT {columns} FROM recsys_store.{table} WHERE run_id = {a}
     EXCEPT ALL SELECT {columns} FROM recsys_store.{table} WHERE run_id = {b})
    UNION ALL
    (SELECT {columns} FROM recsys_store.{table} WHERE run_id = {b}
     EXCEPT ALL SELECT {columns} FROM recsys_store.{table} WHERE run_id = {a})
) AS d
"""
LISTS = "user_id, movie_ids, scores"
OF = """
SELECT u.user_id, d.name, count(*) FROM recsys_store.user_recommendations AS u
JOIN recsys_store.models AS d USING (model_id)
WHERE run_id = 2 AND user_id IN (1, 2, 3, 900) GROUP BY 1, 2 ORDER BY 1, 2
"""
CHANGES = (
    "SELECT recsys.rate(1, 59, 4)",
    "UPDATE recsys_store.ratings SET rating = 1 WHERE user_id = 2 AND movie_id = ("
    "SELECT min(movie_id) FROM recsys_store.ratings WHERE user_id = 2)",
    "DELETE FROM recsys_store.ratings WHERE user_id = 3",
    "SELECT recsys.rate(900, 1, 5)",
)


def rows_of(database, query):
    with database.transaction() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


def change(database, *statements):
    with database.transaction() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


@pytest.fixture
def changed(refreshed_database):
    """1 rates a movie, 2 rates one otherwise, 3 takes all back, 900 is new."""
    change(refreshed_database, *CHANGES)
    return refreshed_database


@pytest.fixture(scope="module")
def after_template(template_from_refreshed, plan_all):
    with template_from_refreshed("users") as database:
        change(database, *CHANGES)
        refresh_users(database, plan_all)
        yield database.engine.url.database


@pytest.fixture
def after(make_database, after_template):
    """A database of the test's own with the changes, and run 2 made of them."""
    return make_database(after_template)


def test_lists_are_those_of_a_whole_recomputation(changed, plan_all):
    report = refresh_users(changed, plan_all)
    assert (report.run_id, report.published, report.changed) == (2, True, True)
    verified = rows_of(changed, VERIFIED)
    assert [(row[0], row[1], *row[3:]) for row in verified] == [
        ("ease", 80, 0, 0), ("item_knn", 80, 0, 0),
    ]  # fmt: skip
    # All else is as it was.
    for table, columns in COLUMNS.items():
        query = DIFFERENT.format(table=table, columns=columns, a=1, b=2)
        assert rows_of(changed, query) == [(0,)], table


def test_changed_users_get_new_lists_and_the_others_keep_theirs(after, plan_all):
    same = "user_id NOT IN (1, 2, 3, 900)"
    kept = DIFFERENT.format(
        table="user_recommendations", columns=f"model_id, {LISTS}", a=f"1 AND {same}",
        b=f"2 AND {same}",
    )  # fmt: skip
    assert rows_of(after, kept) == [(0,)]
    found = {(user, model) for user, model, _ in rows_of(after, OF)}
    # Of models whose lists do not follow from similarities there is none, nor of who has no rating.
    assert found == {(user, model) for user in (1, 2, 900) for model in ("ease", "item_knn")}
    for user in (1, 2, 900):
        [first] = rows_of(after, f"SELECT DISTINCT source, run_id FROM recsys.recommend({user})")
        assert first == ("stored", 2)
        sources = rows_of(after, f"SELECT source FROM recsys.recommend({user}, 1, 'als')")
        assert sources == [("live",)]


def test_ratings_that_passed_the_triggers_by_are_found(refreshed_database, plan_all):
    change(
        refreshed_database,
        "ALTER TABLE recsys_store.ratings DISABLE TRIGGER USER",
        "DELETE FROM recsys_store.ratings WHERE user_id = 1 AND movie_id < 30",
        "ALTER TABLE recsys_store.ratings ENABLE TRIGGER USER",
    )
    report = refresh_users(refreshed_database, plan_all)
    assert (report.run_id, report.changed) == (2, True)
    found = [(row[0], *row[3:]) for row in rows_of(refreshed_database, VERIFIED)]
    assert found == [("ease", 0, 0), ("item_knn", 0, 0)]


def test_the_run_records_its_base_and_its_data(after, plan_all):
    facts = """
        SELECT kind, scope, base_run_id, state, default_model_id = live_model_id,
            ratings_count = (SELECT count(*) FROM recsys_store.ratings), snapshot_checksum,
            output_checksum <> (SELECT output_checksum FROM recsys_store.runs WHERE run_id = 1)
        FROM recsys_store.runs WHERE run_id = 2
    """
    assert rows_of(after, facts) == [("refresh", "users", 1, "complete", True, True, None, True)]
    stages = "SELECT stage FROM recsys.run_stages WHERE run_id = 2 ORDER BY position"
    assert rows_of(after, stages) == [("read",), ("lists",), ("take over",), ("index",)]


def test_the_same_changes_give_the_same_checksum(after, plan_all):
    checksum = "SELECT output_checksum FROM recsys.runs WHERE run_id IN (2, 3)"
    change(after, "UPDATE recsys_store.published SET run_id = 1")
    refresh_users(after, plan_all)
    [one, other] = rows_of(after, checksum)
    assert one == other


def test_a_second_one_builds_on_the_first_and_names_the_whole_run(after, plan_all):
    change(after, "SELECT recsys.rate(4, 59, 5)")
    assert refresh_users(after, plan_all).run_id == 3
    scopes = "SELECT run_id, scope, base_run_id FROM recsys_store.runs ORDER BY run_id"
    assert rows_of(after, scopes) == [(1, "full", None), (2, "users", 1), (3, "users", 1)]
    assert all(row[3:] == (0, 0) for row in rows_of(after, VERIFIED))
    # The gate compares the next whole refresh with the whole run before.
    with after.transaction() as connection:
        figures = publication.published_figures(connection)
    assert (figures.run_id, bool(figures.rows), bool(figures.metrics)) == (3, True, True)
    assert refresh(after, plan_all, if_changed=True).changed


def test_nothing_changed_is_no_run(refreshed_database, plan_all):
    report = refresh_users(refreshed_database, plan_all)
    assert (report.run_id, report.changed) == (1, False)
    assert rows_of(refreshed_database, "SELECT count(*) FROM recsys.runs") == [(1,)]


def test_unsuitable_base_runs_are_refused(filled_database, refreshed_database, plan_all):
    with pytest.raises(NotPublished):
        refresh_users(filled_database, plan_all)
    with pytest.raises(RunError, match=r"^run 1 has other settings than recsys"):
        refresh_users(refreshed_database, plan(RefreshSettings(models=("ease", "most_rated"))))
    with pytest.raises(RunError, match=r"^run 1 has other settings than recsys"):
        refresh_users(
            refreshed_database, replace(plan_all, settings=replace(plan_all.settings, seed=5))
        )
    with (
        refreshed_database.session() as session,
        lock.single_flight(session),
        pytest.raises(RefreshBusy),
    ):
        refresh_users(refreshed_database, plan_all)


def test_it_may_be_held_back(changed, plan_all):
    assert not refresh_users(changed, replace(plan_all, publish=False)).published
    assert rows_of(changed, "SELECT run_id FROM recsys.runs WHERE published") == [(1,)]


def test_one_that_fails_leaves_nothing(changed, plan_all, monkeypatch):
    from recsys.storage.runs import changed_users

    def broken(*arguments):
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(changed_users, "finish", broken)
    with pytest.raises(RuntimeError):
        refresh_users(changed, plan_all)
    assert rows_of(changed, "SELECT state, error FROM recsys.runs WHERE run_id = 2") == [
        ("failed", "the disk is full")
    ]
    left = r"SELECT count(*) FROM pg_class WHERE relname ~ '_run_2$'"
    assert rows_of(changed, left) == [(0,)]


# --- the proof itself ---


@pytest.mark.parametrize(
    ("wrong", "missing", "extra"),
    [
        ("movie_ids = trim_array(movie_ids, 1), scores = trim_array(scores, 1)", 1, 0),
        ("scores[1] = scores[1] + 1e-9", 1, 1),
        ("movie_ids = movie_ids || movie_ids[1], scores = scores || scores[1]", 0, 1),
    ],
    ids=["a row lacks", "a score is off", "a row is there twice"],
)  # fmt: skip
def test_one_wrong_row_is_seen(refreshed_database, wrong, missing, extra):
    [(model_id,)] = rows_of(
        refreshed_database, "SELECT model_id FROM recsys_store.models WHERE name = 'ease'"
    )
    change(
        refreshed_database,
        f"UPDATE recsys_store.user_recommendations_run_1 SET {wrong} "
        f"WHERE user_id = 1 AND model_id = {model_id}",
    )
    found = {row[0]: row[3:] for row in rows_of(refreshed_database, VERIFIED)}
    assert found == {"ease": (missing, extra), "item_knn": (0, 0)}


def test_changed_users_are_left_out_and_a_sample_suffices(changed):
    assert {row[:2] for row in rows_of(changed, VERIFIED)} == {("ease", 77), ("item_knn", 77)}
    sample = rows_of(changed, "SELECT users, missing + extra FROM recsys.verify_lists(1, 5)")
    assert sample == [(5, 0), (5, 0)]
