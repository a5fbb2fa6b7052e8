import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from recsys.models.registry import DEFAULT_SET


def rows_of(connection, query, **values):
    return [tuple(row) for row in connection.execute(sa.text(query), values)]


def similar(connection, movie=1, n=10, model=None):
    query = "SELECT * FROM recsys.similar(:movie, :n, :model)"
    return rows_of(connection, query, movie=movie, n=n, model=model)


def top(connection, n=10, genre=None, chart="top_rated"):
    return rows_of(
        connection,
        "SELECT * FROM recsys.top_movies(:n, :genre, :chart)",
        n=n,
        genre=genre,
        chart=chart,
    )


def refusal(ask, *arguments, **options):
    """Return sqlstate, message and hint of the error that asking raises."""
    with pytest.raises(DBAPIError) as caught:
        ask(*arguments, **options)
    error = caught.value.orig
    return error.sqlstate, error.diag.message_primary, error.diag.message_hint


# --- similar ---


@pytest.mark.parametrize("model", [None, "ease", "item_knn", "content_genres", "als"])
def test_similar_is_the_stored_list_of_what_speaks_for(published, model):
    expected = rows_of(
        published,
        "SELECT rank, similar_movie_id, similar_title, score, model, run_id, similar_movie_key "
        "FROM recsys.similar_movies WHERE movie_id = 1 AND model = :model AND score > 0 "
        "ORDER BY rank",
        model=model or "ease",
    )
    assert expected
    assert similar(published, n=5, model=model) == expected[:5]
    assert similar(published, n=1000, model=model) == expected
    assert 1 not in [row[1] for row in expected]


def test_similar_is_empty_without_neighbours(published):
    assert similar(published, model="top_rated") == []
    assert similar(published, n=0) == []


ALL_MODELS = f"It has: {', '.join(sorted(DEFAULT_SET))}."
N_IS_A_LENGTH = {
    "n": (-1, "22023", "n must be 0 or more, not -1", None),
    "no n": (None, "22004", "n must not be NULL", "Omit it to use the default."),
}
UNKNOWN_MODEL = ("nonsense", "RS002", "run 1 has no model 'nonsense'", ALL_MODELS)


@pytest.mark.parametrize(
    ("argument", "value", "sqlstate", "message", "hint"),
    [
        ("n", *N_IS_A_LENGTH["n"]),
        ("n", *N_IS_A_LENGTH["no n"]),
        ("model", *UNKNOWN_MODEL),
        ("movie", None, "22004", "movie_id must not be NULL", None),
        (
            "movie", 4711, "P0002", "there is no movie 4711",
            "recsys.search_movies finds movies by their titles.",
        ),
    ],
)  # fmt: skip
def test_similar_refuses_bad_arguments(published, argument, value, sqlstate, message, hint):
    told = refusal(similar, published, **{argument: value})
    assert told == (sqlstate, message, hint)


@pytest.mark.parametrize(
    ("call", "sqlstate", "message", "hint"),
    [
        ("similar_users(1, -1)", *N_IS_A_LENGTH["n"][1:]),
        ("similar_users(1, NULL)", *N_IS_A_LENGTH["no n"][1:]),
        ("similar_users(1, 10, 'nonsense')", *UNKNOWN_MODEL[1:]),
        ("similar_users(NULL)", "22004", "user_id must not be NULL", None),
        (
            "similar_users(1)", "RS002", "run 1 has compared no users",
            "Refresh a model that compares users.",
        ),
        ("predict_rating(1, 1, 'nonsense')", *UNKNOWN_MODEL[1:]),
        ("predict_rating(NULL, 1)", "22004", "user_id must not be NULL", None),
        ("predict_rating(1, NULL)", "22004", "movie_id must not be NULL", None),
    ],
)  # fmt: skip
def test_bad_arguments_of_lookups_are_refused(published, call, sqlstate, message, hint):
    told = refusal(rows_of, published, f"SELECT * FROM recsys.{call}")
    assert told == (sqlstate, message, hint)


@pytest.mark.parametrize(
    ("call", "rows"),
    [
        ("similar_users(4711, 10, 'ease')", []),
        ("similar_users(1, 10, 'ease')", []),
        ("predict_rating(4711, 1)", [(None,)]),
        ("predict_rating(1, 4711)", [(None,)]),
        ("predict_rating(1, 1, 'als')", [(None,)]),
    ],
)
def test_unknown_values_are_no_error(published, call, rows):
    assert rows_of(published, f"SELECT * FROM recsys.{call}") == rows


@pytest.mark.parametrize(
    "call", ["similar(1)", "similar_users(1)", "predict_rating(1, 1)", "top_movies()"]
)
def test_every_function_fails_without_a_publication(published, call):
    published.execute(sa.text("DELETE FROM recsys_store.published"))
    assert refusal(rows_of, published, f"SELECT * FROM recsys.{call}") == (
        "55000",
        "nothing is published yet",
        "Load ratings and refresh the recommendations.",
    )


def test_another_model_serves_movies_unknown_to_the_default_model(published):
    expected = rows_of(
        published,
        "SELECT rank, similar_movie_id, similar_title, score, model, run_id, similar_movie_key "
        "FROM recsys.similar_movies WHERE movie_id = 60 AND score > 0 ORDER BY rank",
    )
    assert {row[4] for row in expected} == {"content_genres"}
    assert similar(published, movie=60) == expected[:10]
    for model in ("ease", "item_knn", "als"):
        assert similar(published, movie=60, model=model) == []


def test_a_model_with_negative_weights_only_has_no_similar_movies(published):
    negative = """
        UPDATE recsys_store.movie_similarities AS s
        SET real_scores = array_fill(CAST(-0.5 AS real), ARRAY[cardinality(s.real_scores)])
        FROM recsys_store.models AS d
        WHERE d.model_id = s.model_id AND d.name = 'ease' AND s.movie_id = 1
    """
    published.execute(sa.text(negative))
    assert {row[4] for row in similar(published)} == {"item_knn"}
    assert similar(published, model="ease") == []


# --- top_movies ---


@pytest.mark.parametrize("chart", ["top_rated", "most_rated", "popular", "trending"])
@pytest.mark.parametrize("genre", [None, "Drama"])
def test_top_movies_is_the_head_of_a_chart(published, chart, genre):
    expected = rows_of(
        published,
        "SELECT rank, movie_id, title, score, votes, mean_rating, movie_key FROM recsys.charts "
        "WHERE chart = :chart AND genre IS NOT DISTINCT FROM :genre ORDER BY rank",
        chart=chart,
        genre=genre,
    )
    assert expected
    assert top(published, 3, genre, chart) == expected[:3]
    assert top(published, 1000, genre, chart) == expected


def test_most_rated_counts_current_ratings(published):
    expected = rows_of(
        published,
        "SELECT movie_id, ratings_count, ratings_mean FROM recsys.movies WHERE ratings_count > 0 "
        "ORDER BY ratings_count DESC, movie_id",
    )
    assert [(row[1], row[4]) for row in top(published, 100, chart="most_rated")] == [
        row[:2] for row in expected
    ]
    means = [row[5] for row in top(published, 100, chart="most_rated")]
    assert means == pytest.approx([row[2] for row in expected])


def test_a_genre_is_found_in_any_case(published):
    assert top(published, genre="fIlM-nOiR", chart="most_rated") == top(
        published, genre="Film-Noir", chart="most_rated"
    )
    assert top(published, genre="Film-Noir", chart="most_rated")


CHARTS = "It has: most_rated, popular, top_rated, trending."


@pytest.mark.parametrize(
    ("argument", "value", "sqlstate", "message", "hint"),
    [
        ("n", *N_IS_A_LENGTH["n"]),
        ("n", *N_IS_A_LENGTH["no n"]),
        (
            "genre", "Nonsense", "RS003", "there is no genre 'Nonsense'",
            "There are: Action, Comedy, Drama, Film-Noir, Sci-Fi.",
        ),
        ("chart", "nonsense", "RS002", "run 1 has no chart 'nonsense'", CHARTS),
        ("chart", "ease", "RS002", "run 1 has no chart 'ease'", CHARTS),
        ("chart", "random", "RS002", "run 1 has no chart 'random'", CHARTS),
    ],
)  # fmt: skip
def test_top_movies_refuses_bad_arguments(published, argument, value, sqlstate, message, hint):
    told = refusal(top, published, **{argument: value})
    assert told == (sqlstate, message, hint)


def test_without_a_name_the_preferred_chart_is_given(published):
    assert top(published, chart=None) == top(published, chart="top_rated")
    for absent, given in (("top_rated", "trending"), ("trending", "trending")):
        published.execute(
            sa.text("UPDATE recsys_store.models SET top_order = NULL WHERE name = :name"),
            {"name": absent},
        )
        assert top(published, chart=None) == top(published, chart=given)


def test_the_first_none_of_a_chart_are_none(published):
    assert top(published, n=0) == []


# --- movies ---


def test_a_movie_with_all_that_is_known_of_it(published):
    published.execute(
        sa.text(
            "INSERT INTO recsys_store.movie_metadata (movie_id, poster_path) VALUES (3, '/p.jpg')"
        )
    )
    count, mean = rows_of(
        published, "SELECT count(*), avg(rating) FROM recsys_store.ratings WHERE movie_id = 3"
    )[0]
    assert rows_of(published, "SELECT * FROM recsys.movies WHERE movie_id = 3") == [
        (
            3, "The Film 3", 1953, ["Action", "Film-Noir"], count, mean, "tt0001003", 2003,
            "https://image.tmdb.org/t/p/w342/p.jpg", "3", True,
        )
    ]  # fmt: skip


def test_a_movie_of_which_little_is_known(connection):
    connection.execute(
        sa.text(
            "INSERT INTO recsys_store.movies (movie_id, key, title, original_title) "
            "VALUES (1, '1', 'A', 'A')"
        )
    )
    assert rows_of(connection, "SELECT * FROM recsys.movies") == [
        (1, "A", None, [], 0, None, None, None, None, "1", True)
    ]


def test_long_imdb_ids_are_not_cut(connection):
    connection.execute(
        sa.text(
            "INSERT INTO recsys_store.movies (movie_id, key, title, original_title, imdb_id) "
            "VALUES (1, '1', 'A', 'A', 12345678), (2, '2', 'B', 'B', 417)"
        )
    )
    assert rows_of(connection, "SELECT imdb_id FROM recsys.movies ORDER BY movie_id") == [
        ("tt12345678",),
        ("tt0000417",),
    ]
