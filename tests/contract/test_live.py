"""Live lists: recomputed from the current ratings through the published similarities."""

from __future__ import annotations

import json
from collections import defaultdict

import pytest
import sqlalchemy as sa
from grades import counted_now

from recsys.jobs.refresh import refresh

RECOMMEND = sa.text("""
SELECT rank, movie_id, score, source, model
FROM recsys.recommend(:user, :n, :model, :genres, :year_from, :year_to)
""")
RECOMMEND_FOR = sa.text("""
SELECT rank, movie_id, score, source, model
FROM recsys.recommend_for(CAST(:ratings AS jsonb), :n, :model, :genres, :year_from, :year_to)
""")
RATINGS = sa.text("SELECT user_id, movie_id, rating FROM recsys.ratings ORDER BY movie_id")
SIMILAR = sa.text("""
SELECT movie_id, similar_movie_id, score FROM recsys.similar_movies WHERE model = :model
""")
LISTS = sa.text("""
SELECT user_id, movie_id, score FROM recsys.recommendations
WHERE model = :model ORDER BY user_id, rank
""")
ADD = sa.text("INSERT INTO recsys_store.ratings VALUES (:user, :movie, :rating, now())")
SCORED = ("ease", "collective_ease", "item_knn", "pearson_average")
CHANGES = {
    "added": "INSERT INTO recsys_store.ratings VALUES (1, 60, 4.5, now())",
    "rated": "SELECT recsys.rate(1, 60, 4.5)",
    "deleted": "DELETE FROM recsys_store.ratings WHERE (user_id, movie_id) = (1, :first)",
    "changed": (
        "UPDATE recsys_store.ratings SET rating = 0.5 WHERE (user_id, movie_id) = (1, :first)"
    ),
}


def recommend(connection, user, n=10, model=None, genres=None, year_from=None, year_to=None):
    values = {
        "user": user, "n": n, "model": model, "genres": genres, "year_from": year_from,
        "year_to": year_to,
    }  # fmt: skip
    return connection.execute(RECOMMEND, values).all()


def recommend_for(connection, ratings, n=10, model=None, genres=None, year_from=None, year_to=None):
    values = {
        "ratings": json.dumps(ratings), "n": n, "model": model, "genres": genres,
        "year_from": year_from, "year_to": year_to,
    }  # fmt: skip
    return connection.execute(RECOMMEND_FOR, values).all()


def ratings_of_all(connection):
    found = defaultdict(dict)
    for user, movie, rating in connection.execute(RATINGS):
        found[user][movie] = rating
    return found


def live_list(connection, ratings, model):
    """Movies and scores by the stored similarities, best first, none of those rated."""
    terms = defaultdict(list)
    counts = ratings if model == "pearson_average" else counted_now(connection, ratings)
    for movie, other, score in connection.execute(SIMILAR, {"model": model}):
        if movie in ratings and other not in ratings:
            terms[other].append(score * counts[movie])
    if model == "pearson_average":
        scores = {movie: sum(of) / len(of) for movie, of in terms.items()}
    else:
        scores = {movie: sum(of) for movie, of in terms.items() if sum(of) > 0}
    # As near as sums in another order come: what ties is told apart by the movie.
    return sorted(scores.items(), key=lambda pair: (-round(pair[1], 12), pair[0]))


def assert_live(rows, wanted, model, source="live"):
    assert [row.movie_id for row in rows] == [movie for movie, _ in wanted]
    assert [row.score for row in rows] == pytest.approx([s for _, s in wanted], rel=1e-12)
    assert {(row.source, row.model) for row in rows} == {(source, model)}
    assert [row.rank for row in rows] == list(range(1, len(rows) + 1))


@pytest.mark.parametrize("model", SCORED)
def test_live_equals_stored_for_unchanged_users(everything, model):
    stored = defaultdict(list)
    for user, movie, score in everything.execute(LISTS, {"model": model}):
        stored[user].append((movie, score))
    of_all = ratings_of_all(everything)
    assert len(stored) == 80
    for user, wanted in stored.items():
        rows = recommend_for(everything, of_all[user], len(wanted), model)
        assert_live(rows, wanted, model)
        assert {row.source for row in recommend(everything, user, len(wanted), model)} == {"stored"}


@pytest.mark.parametrize("model", SCORED)
def test_live_passes_the_filters(everything, model):
    fit = set(
        everything.scalars(
            sa.text(
                "SELECT movie_id FROM recsys.movies "
                "WHERE 'Drama' = ANY (genres) AND year BETWEEN 1960 AND 2000"
            )
        )
    )
    ratings = ratings_of_all(everything)[4]
    wanted = [pair for pair in live_list(everything, ratings, model) if pair[0] in fit]
    assert len(wanted) > 3
    rows = recommend_for(everything, ratings, len(wanted), model, ["drama"], 1960, 2000)
    assert_live(rows, wanted, model)


@pytest.mark.parametrize("model", SCORED)
@pytest.mark.parametrize("change", CHANGES)
def test_only_changed_users_get_live_rows(everything, change, model):
    first = min(ratings_of_all(everything)[1])
    others = [recommend(everything, user, 5, model) for user in range(2, 81)]
    everything.execute(sa.text(CHANGES[change]), {"first": first} if ":" in CHANGES[change] else {})
    wanted = live_list(everything, ratings_of_all(everything)[1], model)
    assert_live(recommend(everything, 1, len(wanted), model), wanted, model)
    assert [recommend(everything, user, 5, model) for user in range(2, 81)] == others


def test_a_change_that_is_taken_back_changes_nothing(everything):
    before = recommend(everything, 1)
    with everything.begin_nested() as savepoint:
        everything.execute(ADD, {"user": 1, "movie": 60, "rating": 4.5})
        assert {row.source for row in recommend(everything, 1)} == {"live"}
        savepoint.rollback()
    assert recommend(everything, 1) == before
    assert {row.source for row in before} == {"stored"}


def test_a_user_the_run_does_not_know_is_served_live(everything):
    everything.execute(sa.text("SELECT recsys.rate(4711, 7, 5.0), recsys.rate(4711, 8, 2.5)"))
    wanted = live_list(everything, {7: 5.0, 8: 2.5}, "ease")
    assert_live(recommend(everything, 4711, len(wanted)), wanted, "ease")


@pytest.mark.parametrize("model", ["als", "mf", "blend", "hybrid_mixed", "hybrid_switching"])
def test_models_without_similarities_that_add_up_follow_by_the_live_model(everything, model):
    everything.execute(ADD, {"user": 1, "movie": 60, "rating": 4.5})
    rows = recommend(everything, 1, 5, model)
    live = everything.scalar(
        sa.text(
            "SELECT m.name FROM recsys_store.runs AS r "
            "JOIN recsys_store.models AS m ON m.model_id = r.live_model_id"
        )
    )
    wanted = live_list(everything, ratings_of_all(everything)[1], live)[:5]
    assert_live(rows, wanted, live, "substitute")
    # A list by the default model, if no model is named, is no substitute.
    everything.execute(
        sa.text(
            "UPDATE recsys_store.runs SET default_model_id = "
            "(SELECT model_id FROM recsys_store.models WHERE name = :model)"
        ),
        {"model": model},
    )
    assert_live(recommend(everything, 1, 5), wanted, live)


def test_ratings_committed_after_the_snapshot_are_new(refreshed_database, plan_all):
    with refreshed_database.transaction() as early:
        early.execute(ADD, {"user": 1, "movie": 60, "rating": 4.5})
        run_id = refresh(refreshed_database, plan_all, force="again").run_id
        with refreshed_database.transaction() as other:
            assert {row.source for row in recommend(other, 1)} == {"stored"}
    with refreshed_database.transaction() as connection:
        rated_at, snapshot_at = connection.execute(
            sa.text(
                "SELECT o.rated_at, r.snapshot_at FROM recsys_store.ratings AS o, recsys.runs AS r "
                "WHERE (o.user_id, o.movie_id) = (1, 60) AND r.run_id = :run"
            ),
            {"run": run_id},
        ).one()
        assert rated_at < snapshot_at
        wanted = live_list(connection, ratings_of_all(connection)[1], "ease")[:10]
        assert_live(recommend(connection, 1), wanted, "ease")


def test_a_run_that_did_not_keep_its_users_takes_all_for_changed(published):
    published.execute(sa.text("DROP TABLE recsys_store.run_users_run_1"))
    wanted = live_list(published, ratings_of_all(published)[1], "ease")[:10]
    assert_live(recommend(published, 1), wanted, "ease")


def test_without_a_live_model_a_stored_list_stays(published):
    before = recommend(published, 1, 5, "als")
    published.execute(sa.text("UPDATE recsys_store.runs SET live_model_id = NULL"))
    published.execute(ADD, {"user": 1, "movie": before[0].movie_id, "rating": 4.5})
    rows = recommend(published, 1, 4, "als")
    assert [(row.movie_id, row.source) for row in rows] == [
        (row.movie_id, "stored") for row in before[1:]
    ]


AT = sa.text("""
INSERT INTO recsys_store.ratings
VALUES (4711, :movie, 4, CAST('2020-01-01 UTC' AS timestamptz) + :days * interval '1 day')
""")
WEIGHTS = sa.text("""
SELECT because_movie_id, weight, similarity, score FROM recsys.explain(4711, :movie, :model)
""")


@pytest.mark.parametrize(("model", "recency"), [("slist", 0.9), ("slist_newest", 0.5)])
def test_ages_follow_the_times_of_ratings(everything, model, recency):
    everything.execute(
        sa.text("INSERT INTO recsys_store.users (user_id, key) VALUES (4711, '4711')")
    )
    # Two of one day, and the oldest of unknown time.
    days = {3: 5, 7: 1, 12: 9, 20: 5, 33: None, 41: 2, 44: 7}
    for movie, day in days.items():
        everything.execute(AT, {"movie": movie, "days": day})
    ages = [12, 44, (3, 20), 41, 7, 33]
    counts, place = {}, 0
    for movies in ages:
        tied = movies if isinstance(movies, tuple) else (movies,)
        places = [recency ** (place + each) for each in range(len(tied))]
        counts |= dict.fromkeys(tied, sum(places) / len(tied))
        place += len(tied)
    if model == "slist_newest":
        del counts[33]  # beyond its window of six
    rows = recommend(everything, 4711, 3, model)
    assert [(row.source, row.model) for row in rows] == [("live", model)] * 3
    seen = set()
    for row in rows:
        because = everything.execute(WEIGHTS, {"movie": row.movie_id, "model": model}).all()
        for movie, weight, _, _ in because:
            assert weight == pytest.approx(counts[movie], rel=1e-6)
            seen.add(movie)
        assert row.score == pytest.approx(sum(e.weight * e.similarity for e in because), rel=1e-12)
    assert seen == set(counts)
