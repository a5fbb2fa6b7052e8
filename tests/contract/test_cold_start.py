"""The sources of recommendations for new users and new movies: lists, content, charts."""

from __future__ import annotations

from collections import defaultdict

import pytest
import sqlalchemy as sa
from grades import counted_now

RECOMMEND = """
SELECT rank, movie_id, score, source, model
FROM recsys.recommend(:user, :n, :model, CAST(:genres AS text[])) ORDER BY rank
"""
CHART = """
SELECT movie_id FROM recsys.charts WHERE chart = :chart AND genre IS NULL ORDER BY rank
"""
SIMILAR = """
SELECT s.similar_movie_id, r.movie_id, s.score
FROM recsys.ratings AS r
JOIN recsys.similar_movies AS s ON s.movie_id = r.movie_id AND s.model = 'content'
WHERE r.user_id = :user
"""
NEWCOMER, NOBODY = 4711, 4712


def recommend(connection, user, n=10, model=None, genres=None):
    values = {"user": user, "n": n, "model": model, "genres": genres}
    return connection.execute(sa.text(RECOMMEND), values).all()


def chart(connection, name):
    return list(connection.scalars(sa.text(CHART), {"chart": name}))


def rate(connection, user, *ratings):
    connection.execute(
        sa.text(
            "INSERT INTO recsys_store.users (user_id, key) VALUES (:user, CAST(:user AS text)) "
            "ON CONFLICT DO NOTHING"
        ),
        {"user": user},
    )
    for movie, rating in ratings:
        connection.execute(
            sa.text("INSERT INTO recsys_store.ratings VALUES (:user, :movie, :rating, now())"),
            {"user": user, "movie": movie, "rating": rating},
        )


def ids(rows):
    return [row.movie_id for row in rows]


def test_an_unknown_user_gets_the_chart(everything):
    rows = recommend(everything, NOBODY)
    assert ids(rows) == chart(everything, "trending")[:10]
    assert {(row.source, row.model) for row in rows} == {("chart", "trending")}


def test_one_rating_since_the_run_is_enough_for_content(everything):
    rate(everything, NEWCOMER, (7, 5.0), (8, 2.5))
    rows = recommend(everything, NEWCOMER, 8, model="content")
    assert {(row.source, row.model) for row in rows} == {("content", "content")}
    counts, sums = counted_now(everything, {7: 5.0, 8: 2.5}), defaultdict(float)
    for movie, rated, score in everything.execute(sa.text(SIMILAR), {"user": NEWCOMER}):
        sums[movie] += counts[rated] * score
    best = sorted(set(sums) - {7, 8}, key=lambda movie: (-sums[movie], movie))[:8]
    assert ids(rows) == best
    total = sum(counts.values())
    assert [row.score for row in rows] == pytest.approx([sums[m] / total for m in best])


def test_content_goes_before_the_chart_and_the_chart_fills_up(everything):
    rate(everything, NEWCOMER, (7, 5.0))
    rows = recommend(everything, NEWCOMER, 1000, model="content")
    assert [row.rank for row in rows] == list(range(1, 60))
    assert sorted(ids(rows)) == [movie for movie in range(1, 61) if movie != 7]
    sources = [row.source for row in rows]
    content = sources.count("content")
    assert 0 < content < 59
    assert sources == ["content"] * content + ["chart"] * (59 - content)
    filled = [m for m in chart(everything, "trending") if m not in ids(rows)[:content] and m != 7]
    assert ids(rows)[content : content + len(filled)] == filled
    # Unrated movies come last.
    assert set(ids(rows)[content + len(filled) :]) <= {59, 60}


def test_ratings_of_zero_make_no_content_profile(everything):
    rate(everything, NEWCOMER, (7, 0.0))
    rows = recommend(everything, NEWCOMER, model="content")
    assert {row.source for row in rows} == {"chart"}


def test_content_passes_the_filters(everything):
    rate(everything, NEWCOMER, (7, 5.0))
    rows = recommend(everything, NEWCOMER, 4, model="content", genres=["DRAMA"])
    of_genre = "SELECT movie_id FROM recsys.movies WHERE 'Drama' = ANY (genres)"
    assert set(ids(rows)) <= set(everything.scalars(sa.text(of_genre)))
    assert len(rows) == 4


@pytest.mark.parametrize("name", ["top_rated", "most_rated", "popular", "trending", "exploratory"])
def test_a_chart_is_asked_for_by_name(everything, name):
    wanted = chart(everything, name)
    rows = recommend(everything, NOBODY, len(wanted), model=name)
    assert ids(rows) == wanted
    assert {(row.source, row.model) for row in rows} == {("stored", name)}
    seen = set(everything.scalars(sa.text("SELECT movie_id FROM recsys.ratings WHERE user_id = 1")))
    unseen = [movie for movie in wanted if movie not in seen]
    assert ids(recommend(everything, 1, len(unseen), model=name)) == unseen


def test_a_chart_asked_for_is_filled_up_with_what_it_leaves_out(everything):
    wanted = chart(everything, "top_rated")
    rows = recommend(everything, NOBODY, 1000, model="top_rated")
    assert ids(rows)[: len(wanted)] == wanted
    assert sorted(ids(rows)) == list(range(1, 61))
    assert [row.source for row in rows] == ["stored"] * len(wanted) + ["chart"] * (60 - len(wanted))


def test_each_user_enters_the_random_chart_at_a_place_of_their_own(everything):
    wanted = chart(everything, "random")
    assert sorted(wanted) == list(range(1, 61))
    starts = set()
    for user in range(NOBODY, NOBODY + 30):
        rows = recommend(everything, user, 60, model="random")
        start = wanted.index(rows[0].movie_id)
        assert ids(rows) == wanted[start:] + wanted[:start]
        assert [row.rank for row in rows] == list(range(1, 61))
        assert {row.source for row in rows} == {"stored"}
        starts.add(start)
    assert len(starts) > 15


def test_random_serves_unrated_movies(everything):
    found = {
        movie
        for user in range(NOBODY, NOBODY + 60)
        for movie in ids(recommend(everything, user, 5, model="random"))
    }
    assert found >= {59, 60}


def test_a_movie_without_ratings_is_recommended_by_content(everything):
    query = """
        SELECT count(*) FROM recsys.recommendations
        WHERE model = :model AND movie_id IN (59, 60)
    """
    for model in ("content", "content_genres"):
        assert everything.scalar(sa.text(query), {"model": model}) > 0
    assert everything.scalar(sa.text(query), {"model": "ease"}) == 0


def test_movies_similar_to_an_unrated_one_are_by_content(everything):
    query = "SELECT DISTINCT model FROM recsys.similar(:movie)"
    assert everything.scalars(sa.text(query), {"movie": 59}).all() == ["content"]
    assert everything.scalars(sa.text(query), {"movie": 1}).all() == ["ease"]


def test_a_hybrid_names_where_each_row_is_from(everything):
    rows = recommend(everything, 1, 8, model="hybrid_mixed")
    assert {row.source for row in rows} == {"stored"}
    query = """
        SELECT movie_id, source_model, score FROM recsys.recommendations
        WHERE user_id = 1 AND model = 'hybrid_mixed' ORDER BY rank LIMIT 8
    """
    stored = everything.execute(sa.text(query)).all()
    assert [(row.movie_id, row.model, row.score) for row in rows] == [tuple(r) for r in stored]
    assert len({row.model for row in rows}) > 2


def test_no_model_of_another_run_is_asked(everything):
    everything.execute(
        sa.text(
            "INSERT INTO recsys_store.models (name, kind, score_meaning, description) "
            "VALUES ('of_old', 'personal', 'x', 'x')"
        )
    )
    with pytest.raises(sa.exc.DBAPIError, match="run 1 has no model 'of_old'"):
        recommend(everything, 1, model="of_old")
