"""`rate` and `block`: the writes of an application."""

import pytest
import sqlalchemy as sa

RATE = "SELECT recsys.rate(:user, :movie, CAST(:rating AS float8))"
BLOCK = "SELECT recsys.block(:user, :movie, CAST(:until AS timestamptz))"
RATING = sa.text("""
SELECT rating, rated_at BETWEEN transaction_timestamp() AND clock_timestamp()
FROM recsys_store.ratings WHERE (user_id, movie_id) = (:user, :movie)
""")
NO_MOVIE = ("P0002", "there is no movie 4711")


def call(connection, query, **values):
    return connection.execute(sa.text(query), {"user": 1, "movie": 60, **values})


def refused(connection, query, **values):
    with pytest.raises(sa.exc.DBAPIError) as caught:
        call(connection, query, **values)
    return caught.value.orig.sqlstate, caught.value.orig.diag.message_primary


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"user": None}, ("22004", "user_id must not be NULL")),
        ({"user": -1}, ("22023", "user_id must be 0 or more, not -1")),
        ({"movie": None}, ("22004", "movie_id must not be NULL")),
        ({"movie": 4711}, NO_MOVIE),
    ],
)
def test_missing_users_and_movies_are_refused(published, values, said):
    with published.begin_nested() as savepoint:
        assert refused(published, RATE, rating=4.0, **values) == said
        savepoint.rollback()
    assert refused(published, BLOCK, until=None, **values) == said


@pytest.mark.parametrize("rating", ["NaN", "Infinity", "-Infinity", "0", "5.5", "-1", "1e308"])
@pytest.mark.parametrize("known", [True, False], ids=["scale", "no scale"])
def test_ratings_outside_the_scale_are_refused(published, connection, rating, known):
    if not known:
        connection.execute(
            sa.text(
                "INSERT INTO recsys_store.movies (movie_id, key, title, original_title) "
                "VALUES (60, '60', 'F', 'F')"
            )
        )
        if rating in {"0", "5.5", "-1"}:
            call(connection, RATE, rating=rating)
            return
    said = refused(published if known else connection, RATE, rating=rating)
    value = {"1e308": "1e+308"}.get(rating, rating)
    assert said == ("22003", f"rating {value} is outside the scale")


def test_no_rating_is_refused(published):
    assert refused(published, RATE, rating=None) == ("22004", "rating must not be NULL")


def test_the_same_rating_once_more_changes_nothing(published):
    call(published, RATE, rating=4.5)
    stored = "SELECT rated_at FROM recsys_store.ratings WHERE (user_id, movie_id) = (1, 60)"
    before = published.execute(
        sa.text(
            "UPDATE recsys_store.ratings SET rated_at = '2020-01-01' "
            "WHERE (user_id, movie_id) = (1, 60) RETURNING rated_at"
        )
    ).scalar_one()
    call(published, RATE, rating=4.5)
    assert published.scalar(sa.text(stored)) == before


@pytest.mark.parametrize("user", [1, 4711], ids=["known", "new"])
def test_a_rating_is_kept_in_place_of_an_earlier_one(published, user):
    for rating in (4.5, 2.0):
        call(published, RATE, user=user, rating=rating)
        found = published.execute(RATING, {"user": user, "movie": 60}).all()
        assert found == [(rating, True)]


def test_ratings_of_two_at_once_are_those_of_the_later(refreshed_database):
    """The second waits for the first, and neither fails."""
    with refreshed_database.transaction() as first:
        call(first, RATE, user=4711, rating=4.5)
        with refreshed_database.engine.connect() as second:
            second.execute(sa.text("SET lock_timeout = '50ms'"))
            with pytest.raises(sa.exc.DBAPIError) as caught:
                call(second, RATE, user=4711, rating=1.0)
        assert caught.value.orig.sqlstate == "55P03"
    with refreshed_database.transaction() as second:
        call(second, RATE, user=4711, rating=1.0)
    with refreshed_database.transaction() as connection:
        assert connection.execute(RATING, {"user": 4711, "movie": 60}).one()[0] == 1.0


def test_a_block_is_kept_and_lifted(published):
    recommended = sa.text("SELECT count(*) FROM recsys.recommend(1, 1000) WHERE movie_id = 60")
    counts = []
    for until in (None, "now", "tomorrow", "yesterday", "infinity", "-infinity"):
        call(published, BLOCK, until=until)
        counts.append(published.scalar(recommended))
    assert counts == [0, 1, 0, 1, 0, 1]
    assert published.scalar(sa.text("SELECT count(*) FROM recsys_store.blocks")) == 1


def test_a_rollback_discards_ratings_and_blocks(published):
    for query, values in ((RATE, {"rating": 4.0}), (BLOCK, {"until": None})):
        with published.begin_nested() as savepoint:
            call(published, query, user=4711, **values)
            savepoint.rollback()
    assert published.scalar(sa.text("SELECT count(*) FROM recsys_store.blocks")) == 0
    known = "SELECT count(*) FROM recsys_store.users WHERE user_id = 4711"
    assert published.scalar(sa.text(known)) == 0
