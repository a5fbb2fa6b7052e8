"""Withdrawn movies: gone from every answer at once, and back at once."""

import pytest
import sqlalchemy as sa

ANSWERS = {
    "stored": "recommend(1, {n})",
    "stored and filtered": "recommend(1, {n}, genres => '{{Drama,Comedy}}')",
    "live": "recommend(2, {n}, 'item_knn')",
    "substitute": "recommend(2, {n}, 'als')",
    "content": "recommend(2, {n}, 'content_genres')",
    "chart": "recommend(4711, {n})",
    "whole catalogue": "recommend(4711, 1000)",
    "given ratings": """recommend_for('{{"1": 5, "3": 4}}', {n})""",
    "similar": "similar(1, {n})",
    "similar by content": "similar(1, {n}, 'content_genres')",
    "top": "top_movies({n})",
    "top of a genre": "top_movies({n}, 'Drama')",
    "search": "search_movies('film', {n})",
    "search for many": "search_movies('the film', 1)",
}


def answer(connection, name, n):
    query = sa.text(f"SELECT * FROM recsys.{ANSWERS[name].format(n=n)}".replace(":", r"\:"))
    return [row._asdict() for row in connection.execute(query)]


def set_available(connection, movie, available):
    call = sa.text("SELECT recsys.set_available(:movie, :available)")
    connection.execute(call, {"movie": movie, "available": available})


@pytest.fixture
def changed(everything):
    """User 2 has rated since the run."""
    everything.execute(sa.text("SELECT recsys.rate(2, 59, 4)"))
    return everything


@pytest.mark.parametrize("name", ANSWERS)
def test_a_withdrawn_movie_is_replaced_by_the_next_one(changed, name):
    before, longer = answer(changed, name, 3), answer(changed, name, 4)
    withdrawn = before[0]["movie_id"]
    set_available(changed, withdrawn, False)
    after = answer(changed, name, 3)
    assert withdrawn not in [row["movie_id"] for row in after]
    rest = [row for row in longer if row["movie_id"] != withdrawn]
    if name not in ("search for many", "whole catalogue"):
        assert len(after) == 3
        expected = [
            row | ({"rank": place} if "rank" in row else {}) for place, row in enumerate(rest, 1)
        ]
        assert after == expected
    elif name == "whole catalogue":
        assert [row["rank"] for row in after] == list(range(1, len(before)))
    else:
        assert len(after) == 1
    set_available(changed, str(withdrawn), True)
    assert answer(changed, name, 3) == before


def test_sources_are_as_named(changed):
    for name in ("stored", "live", "substitute", "content", "chart"):
        assert answer(changed, name, 3)[0]["source"] == ("stored" if name == "stored" else name)


@pytest.mark.parametrize(
    ("view", "column"),
    [
        ("recommendations", "movie_id"),
        ("charts", "movie_id"),
        ("similar_movies", "similar_movie_id"),
    ],
)
def test_views_leave_it_out(everything, view, column):
    query = sa.text(f"SELECT count(*) FROM recsys.{view} WHERE {column} = 55")
    before = everything.scalar(query)
    set_available(everything, 55, False)
    assert (before > 0, everything.scalar(query)) == (True, 0)
    set_available(everything, 55, True)
    assert everything.scalar(query) == before


def test_history_and_ratings_stay(everything):
    kept = (
        "SELECT * FROM recsys.recommendations_as_of(1, now(), 30)",
        "SELECT * FROM recsys.ratings WHERE movie_id = 3 ORDER BY user_id",
        "SELECT * FROM recsys.similar_users(1)",
    )
    before = [everything.execute(sa.text(query)).all() for query in kept]
    set_available(everything, 3, False)
    assert [everything.execute(sa.text(query)).all() for query in kept] == before
    found = everything.execute(sa.text("SELECT movie_id FROM recsys.movies WHERE NOT available"))
    assert found.scalars().all() == [3]


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("set_available(4711, false)", ("P0002", "there is no movie 4711")),
        ("set_available('x', false)", ("P0002", "there is no movie 'x'")),
        ("set_available(1, NULL)", ("22004", "available must not be NULL")),
        ("set_available(NULL, true)", ("22004", "movie_id must not be NULL")),
    ],
)
def test_bad_arguments_are_refused(everything, call, told):
    with pytest.raises(sa.exc.DBAPIError) as caught, everything.begin_nested():
        everything.execute(sa.text(f"SELECT recsys.{call}"))
    assert (caught.value.orig.diag.sqlstate, caught.value.orig.diag.message_primary) == told
