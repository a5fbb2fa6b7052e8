"""How a person is served, and why."""

from datetime import timedelta

import pytest
import sqlalchemy as sa


def status(connection, user):
    query = sa.text("SELECT * FROM recsys.user_status(:user)")
    return connection.execute(query, {"user": user}).one()


def change(connection, statement):
    connection.execute(sa.text(statement))


def test_status_of_a_user_with_a_stored_list(everything):
    found = status(everything, 1)
    ratings = everything.scalar(sa.text("SELECT count(*) FROM recsys.ratings WHERE user_id = 1"))
    assert (found.status, found.ratings, found.ratings_since_run) == ("personalised", ratings, 0)
    assert (found.run_id, found.explanation) == (1, "run 1 stored a list by ease")
    assert timedelta(0) < found.run_age < timedelta(hours=1)


@pytest.mark.parametrize(
    ("statement", "since"),
    [
        ("SELECT recsys.rate(1, 59, 4), recsys.rate(1, 60, 4)", 2),
        ("UPDATE recsys_store.ratings SET rating = 1 WHERE user_id = 1", 1),
        (
            "DELETE FROM recsys_store.ratings WHERE user_id = 1 AND movie_id = "
            "(SELECT min(movie_id) FROM recsys_store.ratings WHERE user_id = 1)", 1,
        ),
        # With a time long past, as an ingest brings it.
        ("INSERT INTO recsys_store.ratings VALUES (1, 59, 4, '2001-01-01')", 1),
    ],
    ids=["rated twice", "changed", "taken back", "ingested"],
)  # fmt: skip
def test_status_of_a_user_with_newer_ratings(everything, statement, since):
    change(everything, statement)
    found = status(everything, 1)
    assert (found.status, found.ratings_since_run) == ("live", since)
    assert found.explanation == (
        "the ratings have changed since run 1: recommend follows them by ease"
    )
    assert status(everything, 2).status == "personalised"


def test_a_rating_put_back_is_no_change(everything):
    change(everything, "UPDATE recsys_store.ratings SET rating = rating + 1 WHERE user_id = 1")
    assert status(everything, 1).status == "live"
    change(everything, "UPDATE recsys_store.ratings SET rating = rating - 1 WHERE user_id = 1")
    assert (status(everything, 1).status, status(everything, 1).ratings_since_run) == (
        "personalised", 0,
    )  # fmt: skip


def test_undone_ratings_restore_the_status(everything):
    change(everything, "SELECT recsys.rate(81, 59, 4), recsys.rate(81, 60, 4)")
    assert (status(everything, 81).status, status(everything, 81).ratings_since_run) == ("live", 2)
    change(everything, "DELETE FROM recsys_store.ratings WHERE user_id = 81")
    assert (status(everything, 81).status, status(everything, 81).ratings_since_run) == (
        "cold_start", 0,
    )  # fmt: skip


def test_a_user_who_only_tags_is_cold(everything):
    found = status(everything, 81)
    assert (found.status, found.ratings) == ("cold_start", 0)
    assert found.explanation == "has no ratings: recommend gives the chart"


def test_a_user_whose_ratings_lead_nowhere_is_cold(everything):
    change(everything, "DELETE FROM recsys_store.user_recommendations WHERE user_id = 1")
    found = status(everything, 1)
    assert (found.status, found.ratings_since_run) == ("cold_start", 0)
    assert found.explanation.startswith("ease found nothing to recommend to this user")


def test_status_of_an_unknown_user(everything):
    found = status(everything, 4711)
    assert tuple(found)[:3] == ("unknown_user", 0, 0)
    assert found.explanation == "there is no such user: recommend gives the chart"


def test_nothing_published(filled_database):
    with filled_database.transaction() as connection:
        known, unknown = status(connection, 1), status(connection, 4711)
    assert (known.status, known.run_id, known.run_age) == ("cold_start", None, None)
    assert known.ratings > 0
    assert known.explanation == "nothing is published yet: recommend fails"
    assert unknown.status == "unknown_user"


def test_null_is_refused(everything):
    with pytest.raises(sa.exc.DBAPIError) as caught:
        status(everything, None)
    assert caught.value.orig.sqlstate == "22004"


def test_the_status_agrees_with_recommend(everything):
    change(everything, "SELECT recsys.rate(3, 59, 4)")
    expected = {
        "personalised": "stored",
        "live": "live",
        "cold_start": "chart",
        "unknown_user": "chart",
    }
    for user in (1, 2, 3, 81, 4711):
        first = everything.scalar(
            sa.text("SELECT source FROM recsys.recommend(:user, 1)"), {"user": user}
        )
        assert first == expected[status(everything, user).status]
