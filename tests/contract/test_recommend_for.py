"""`recommend_for`: lists for ratings that are given with the question."""

import pytest
import sqlalchemy as sa

ASK = sa.text("""
SELECT rank, movie_id, score, source, model
FROM recsys.recommend_for(CAST(:ratings AS jsonb), :n, :model)
""")
FORM = 'Write them as {"1": 5.0, "260": 4}.'
SEARCH = "recsys.search_movies finds movies by their titles."
SCALE = "The scale is from 0.5 to 5."


def ask(connection, ratings, n=10, model=None):
    return connection.execute(ASK, {"ratings": ratings, "n": n, "model": model}).all()


@pytest.mark.parametrize(
    ("ratings", "sqlstate", "message", "hint"),
    [
        (None, "22023", "ratings must be an object of movies and ratings, not NULL", FORM),
        ("null", "22023", "ratings must be an object of movies and ratings, not NULL", FORM),
        ("[]", "22023", "ratings must be an object of movies and ratings, not array", FORM),
        ("5", "22023", "ratings must be an object of movies and ratings, not number", FORM),
        ('{"one": 5}', "P0002", "there is no movie 'one'", SEARCH),
        ('{"1": 5, "01": 4}', "P0002", "there is no movie 01", SEARCH),
        ('{"": 5}', "P0002", "there is no movie ''", SEARCH),
        ('{"-1": 5}', "P0002", "there is no movie '-1'", SEARCH),
        ('{"1.5": 5}', "P0002", "there is no movie '1.5'", SEARCH),
        ('{"99999999999": 5}', "P0002", "there is no movie 99999999999", SEARCH),
        (
            '{"\'); DROP TABLE x; --": 5}',
            "P0002",
            "there is no movie '''); DROP TABLE x; --'",
            SEARCH,
        ),
        ('{"1": "5"}', "22023", 'ratings has "1": "5", which is not the rating of a movie', FORM),
        ('{"1": null}', "22023", 'ratings has "1": null, which is not the rating of a movie', FORM),
        ('{"1": true}', "22023", 'ratings has "1": true, which is not the rating of a movie', FORM),
        ('{"1": 5.5}', "22003", "rating 5.5 of movie 1 is outside the scale", SCALE),
        ('{"1": 0}', "22003", "rating 0 of movie 1 is outside the scale", SCALE),
        (
            '{"1": 1e400}',
            "22003",
            f"rating 1{'0' * 99} of movie 1 is outside the scale",
            SCALE,
        ),
        ('{"4711": 5}', "P0002", "there is no movie 4711", SEARCH),
    ],
)
def test_malformed_ratings_are_refused(published, ratings, sqlstate, message, hint):
    with pytest.raises(sa.exc.DBAPIError) as caught:
        ask(published, ratings)
    said = caught.value.orig.diag
    assert (said.sqlstate, said.message_primary, said.message_hint) == (sqlstate, message, hint)


def test_non_finite_numbers_are_not_json(published):
    with pytest.raises(sa.exc.DBAPIError) as caught:
        ask(published, '{"1": NaN}')
    assert caught.value.orig.sqlstate == "22P02"


def test_no_ratings_give_the_chart(published):
    query = "SELECT movie_id FROM recsys.charts WHERE chart = 'trending' AND genre IS NULL"
    rows = ask(published, "{}", 1000)
    assert [row.movie_id for row in rows] == [*published.scalars(sa.text(query)), 59, 60]
    assert {(row.source, row.model) for row in rows} == {("chart", "trending")}


def test_of_a_movie_given_twice_the_last_rating_counts(everything):
    once = ask(everything, '{"1": 5.0}', 20, "pearson_average")
    assert ask(everything, '{"1": 1.0, "1": 5.0}', 20, "pearson_average") == once


def test_everything_except_the_given_movies(published):
    rows = ask(published, '{"1": 5, "3": 4.5, "60": 2}', 1000)
    assert sorted(row.movie_id for row in rows) == [m for m in range(2, 60) if m != 3]
    assert [row.rank for row in rows] == list(range(1, 58))


def test_five_thousand_ratings(published):
    published.execute(
        sa.text(
            "INSERT INTO recsys_store.movies (movie_id, key, title, original_title) "
            "SELECT i, i, 'New', 'New' FROM generate_series(61, 5060) AS i"
        )
    )
    given = "SELECT jsonb_object_agg(i, 5)::text FROM generate_series(61, 5060) AS i"
    rows = ask(published, published.scalar(sa.text(given)), 10000)
    assert sorted(row.movie_id for row in rows) == list(range(1, 61))
