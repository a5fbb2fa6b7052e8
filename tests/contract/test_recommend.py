import math
from collections import defaultdict

import pytest
import sqlalchemy as sa
from grades import counted_now

RECOMMEND = """
SELECT rank, movie_id, title, score, source, model, run_id
FROM recsys.recommend(:user, :n, :model, :genres, :year_from, :year_to)
"""
RATED = "SELECT movie_id FROM recsys_store.ratings WHERE user_id = :user"
EVERYTHING = set(range(1, 61))


def recommend(connection, user=1, n=10, model=None, genres=None, year_from=None, year_to=None):
    values = {
        "user": user, "n": n, "model": model, "genres": genres, "year_from": year_from,
        "year_to": year_to,
    }  # fmt: skip
    return connection.execute(sa.text(RECOMMEND), values).all()


def rated(connection, user=1):
    return set(connection.scalars(sa.text(RATED), {"user": user}))


def stored(connection, user=1, model="ease"):
    query = """
        SELECT movie_id, title, score FROM recsys.recommendations
        WHERE user_id = :user AND model = :model ORDER BY rank
    """
    rows = connection.execute(sa.text(query), {"user": user, "model": model})
    return [tuple(row) for row in rows]


def trending(connection):
    query = """
        SELECT movie_id FROM recsys.charts WHERE chart = 'trending' AND genre IS NULL
        ORDER BY rank
    """
    return list(connection.scalars(sa.text(query)))


def like_those_rated(connection, user=1):
    """Mean similarity of each movie to those the user rated, by what each rating counts."""
    query = """
        SELECT s.similar_movie_id, r.movie_id, s.score
        FROM recsys.ratings AS r
        JOIN recsys.similar_movies AS s ON s.movie_id = r.movie_id AND s.model = 'content_genres'
        WHERE r.user_id = :user
    """
    given = "SELECT movie_id, rating FROM recsys.ratings WHERE user_id = :user ORDER BY movie_id"
    ratings = dict(map(tuple, connection.execute(sa.text(given), {"user": user})))
    counts, terms = counted_now(connection, ratings), defaultdict(list)
    for movie, rated, score in connection.execute(sa.text(query), {"user": user}):
        if counts[rated] > 0:
            terms[movie].append(counts[rated] * score)
    total = sum(counts.values())
    return {movie: math.fsum(products) / total for movie, products in terms.items()}


def ids(rows):
    return [row.movie_id for row in rows]


def test_stored_rows_come_first_in_their_order(published):
    rows = recommend(published)
    assert [(row.movie_id, row.title, row.score) for row in rows] == stored(published)[:10]
    assert [row.rank for row in rows] == list(range(1, 11))
    assert {(row.source, row.model, row.run_id) for row in rows} == {("stored", "ease", 1)}


@pytest.mark.parametrize("model", ["ease", "als", "item_knn", "content_genres", "mf"])
def test_a_model_is_selected_by_name(published, model):
    rows = recommend(published, model=model)
    expected = stored(published, model=model)[:10]
    assert [(r.movie_id, r.title, r.score) for r in rows if r.source == "stored"] == expected
    assert len(rows) == 10


@pytest.mark.parametrize("user", [1, 2, 40, 80, 81, 4711])
@pytest.mark.parametrize("n", [1, 7, 60, 1000])
def test_as_many_rows_as_are_eligible_and_none_rated(published, user, n):
    rows = recommend(published, user, n)
    eligible = EVERYTHING - rated(published, user)
    assert len(rows) == min(n, len(eligible))
    assert len(set(ids(rows))) == len(rows)
    assert set(ids(rows)) <= eligible
    assert [row.rank for row in rows] == list(range(1, len(rows) + 1))


def test_content_rows_follow_the_stored_rows(published):
    own = [movie for movie, _, _ in stored(published)]
    near = like_those_rated(published)
    rows = recommend(published, 1, 1000)
    assert ids(rows)[: len(own)] == own
    tail = rows[len(own) :]
    wanted = {movie: near[movie] for movie in near if movie not in rated(published).union(own)}
    assert {row.movie_id: row.score for row in tail} == pytest.approx(wanted, rel=1e-12)
    assert tail == sorted(tail, key=lambda row: (-row.score, row.movie_id))
    assert {(row.source, row.model) for row in rows[: len(own)]} == {("stored", "ease")}
    assert {(row.source, row.model) for row in tail} == {("content", "content_genres")}
    assert len(tail) > 1


def test_the_chart_and_then_the_rest_fill_up_a_list(published):
    """User 4711 came after the run; a rating of 0 is no evidence."""
    published.execute(
        sa.text("INSERT INTO recsys_store.users (user_id, key) VALUES (4711, '4711')")
    )
    published.execute(
        sa.text(
            "INSERT INTO recsys_store.ratings VALUES "
            "(4711, 1, 5.0, now()), (4711, 4, 2.5, now()), (4711, 2, 0, now())"
        )
    )
    near = like_those_rated(published, 4711)
    content = sorted(near.keys() - {1, 2, 4}, key=lambda movie: (-near[movie], movie))
    chart = [movie for movie in trending(published) if movie not in {1, 2, 4, *content}]
    rest = sorted({59, 60} - set(content))
    rows = recommend(published, 4711, 1000, model="content_genres")
    assert ids(rows) == [*content, *chart, *rest]
    assert min(len(content), len(chart), len(rest)) > 0
    assert [(row.source, row.model) for row in rows] == [("content", "content_genres")] * len(
        content
    ) + [("chart", "trending")] * len(chart + rest)
    assert [row.score for row in rows[-len(rest) :]] == [0] * len(rest)


def test_an_unknown_user_gets_the_chart_and_then_the_unrated(published):
    rows = recommend(published, 4711, 1000)
    assert ids(rows) == [*trending(published), 59, 60]
    assert {(row.source, row.model) for row in rows} == {("chart", "trending")}
    assert [row.score for row in rows[-2:]] == [0, 0]


@pytest.mark.parametrize("user", [81, 4711], ids=["only tags", "unknown"])
def test_users_without_ratings_get_trending_movies(published, user):
    rows = recommend(published, user, 5)
    assert ids(rows) == trending(published)[:5]
    assert {(row.source, row.model) for row in rows} == {("chart", "trending")}


def test_movies_just_rated_are_left_out(published):
    before = ids(recommend(published))
    published.execute(
        sa.text("INSERT INTO recsys_store.ratings VALUES (1, :movie, 1.0, now())"),
        {"movie": before[0]},
    )
    after = ids(recommend(published))
    assert after[:9] == before[1:]
    assert len(after) == 10
    assert before[0] not in ids(recommend(published, n=1000))


BLOCK = "INSERT INTO recsys_store.blocks (user_id, movie_id, until) VALUES (1, :movie, {})"


@pytest.mark.parametrize("n", [1, 10, 25, 100])
def test_the_fast_path_equals_the_slow_one(published, n):
    """Without filters and a name a list is looked up; with the model's name it is not."""
    lists = 0
    for user in range(1, 83):
        found = recommend(published, user, n)
        assert found == recommend(published, user, n, "ease"), user
        lists += found[0].source == "stored"
    assert lists > 70


@pytest.mark.parametrize(
    "wanted",
    [{"year_from": 1990}, {"year_to": 1970}, {"genres": ["Drama"]}, {"genres": ["Sci-Fi"]}],
)
def test_a_filter_alone_holds_for_a_short_list(published, wanted):
    long = recommend(published, 2, 1000, **wanted)
    assert recommend(published, 2, 3, **wanted) == long[:3]
    assert long[:3] != recommend(published, 2, 3)


@pytest.mark.parametrize("change", [
    "DELETE FROM recsys_store.ratings WHERE user_id = 2 AND movie_id = :rated",
    "UPDATE recsys_store.ratings SET rating = 0.5 WHERE user_id = 2 AND movie_id = :rated",
    "INSERT INTO recsys_store.ratings SELECT 2, :listed, 4, '1999-01-01'",
    "INSERT INTO recsys_store.blocks SELECT 2, :listed",
])  # fmt: skip
def test_changes_leave_the_fast_path(published, change):
    first = recommend(published, 2)[0].movie_id
    values = {"listed": first, "rated": min(rated(published, 2))}
    values = {name: value for name, value in values.items() if f":{name}" in change}
    published.execute(sa.text(change), values)
    found = recommend(published, 2)
    assert found == recommend(published, 2, 10, "ease")
    assert {row.source for row in found} == {"stored" if "blocks" in change else "live"}
    assert first not in ids(found) or "listed" not in values
    assert [row.rank for row in found] == list(range(1, 11))


@pytest.mark.parametrize(
    ("until", "left_out"),
    [("NULL", True), ("now() + interval '1 day'", True), ("now() - interval '1 s'", False)],
)
def test_blocked_movies_are_left_out_until_the_block_ends(published, until, left_out):
    before = ids(recommend(published))
    published.execute(sa.text(BLOCK.format(until)), {"movie": before[0]})
    assert (before[0] not in ids(recommend(published, n=1000))) == left_out
    assert len(recommend(published)) == 10


def test_a_block_holds_for_one_user_only(published):
    movie = recommend(published, 3)[0].movie_id
    published.execute(sa.text(BLOCK.format("NULL")), {"movie": movie})
    assert recommend(published, 3)[0].movie_id == movie


@pytest.mark.parametrize("genres", [["Drama"], ["dRaMa"], ["Comedy", "film-noir"]])
def test_genres_are_any_of_these_in_any_case(published, genres):
    wanted = {name.lower() for name in genres}
    fit = {
        movie
        for movie, names in published.execute(sa.text("SELECT movie_id, genres FROM recsys.movies"))
        if wanted & {name.lower() for name in names}
    }
    rows = recommend(published, n=1000, genres=genres)
    assert set(ids(rows)) == fit - rated(published)
    everything = ids(recommend(published, n=1000))
    assert ids(rows) == [movie for movie in everything if movie in fit]


def test_no_genres_fit_nothing(published):
    assert recommend(published, genres=[]) == []


@pytest.mark.parametrize(
    ("year_from", "year_to"), [(1980, None), (None, 1960), (1970, 1975), (1970, 1970)]
)
def test_years_are_inclusive(published, year_from, year_to):
    fit = {movie for movie in EVERYTHING if (year_from or 0) <= 1950 + movie <= (year_to or 9999)}
    rows = recommend(published, n=1000, year_from=year_from, year_to=year_to)
    assert set(ids(rows)) == fit - rated(published)


def test_filters_are_joined_and_still_filled_up(published):
    rows = recommend(published, 4711, 3, genres=["Drama"], year_from=1955)
    assert len(rows) == 3


GENRES = "There are: Action, Comedy, Drama, Film-Noir, Sci-Fi."
MODELS = (
    "It has: als, content_genres, ease, item_knn, mf, most_rated, popular, top_rated, trending."
)


@pytest.mark.parametrize(
    ("values", "sqlstate", "message", "hint"),
    [
        ({"model": "no"}, "RS002", "run 1 has no model 'no'", MODELS),
        ({"model": "x' OR true --"}, "RS002", "run 1 has no model 'x'' OR true --'", MODELS),
        ({"genres": ["Drama", "No"]}, "RS003", "there is no genre 'No'", GENRES),
        ({"genres": [None]}, "RS003", "there is no genre NULL", GENRES),
        ({"genres": ["Drama}'; --"]}, "RS003", "there is no genre 'Drama}''; --'", GENRES),
        (
            {"year_from": 1999, "year_to": 1990},
            "22023",
            "year_from 1999 is after year_to 1990",
            None,
        ),
        ({"n": -1}, "22023", "n must be 0 or more, not -1", None),
        ({"n": None}, "22004", "n must not be NULL", "Omit it to use the default."),
        ({"user": None}, "22004", "user_id must not be NULL", None),
    ],
)
def test_bad_arguments_are_refused(published, values, sqlstate, message, hint):
    with pytest.raises(sa.exc.DBAPIError) as caught:
        recommend(published, **values)
    said = caught.value.orig.diag
    assert (said.sqlstate, said.message_primary, said.message_hint) == (sqlstate, message, hint)


@pytest.mark.parametrize("n", [0])
def test_no_rows_are_asked_for(published, n):
    assert recommend(published, n=n) == []


@pytest.mark.parametrize("user", [1, 4711])
def test_nothing_published_is_refused(published, user):
    published.execute(sa.text("DELETE FROM recsys_store.published"))
    with pytest.raises(sa.exc.DBAPIError) as caught:
        recommend(published, user)
    said = caught.value.orig.diag
    assert (said.sqlstate, said.message_primary) == ("55000", "nothing is published yet")


def test_a_movie_added_after_the_run_can_be_reached(published):
    published.execute(
        sa.text(
            "INSERT INTO recsys_store.movies (movie_id, key, title, original_title, year) "
            "VALUES (61, '61', 'New', 'New', 2099)"
        )
    )
    assert ids(recommend(published, year_from=2099)) == [61]
