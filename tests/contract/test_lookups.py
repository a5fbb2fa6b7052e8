import pytest
import sqlalchemy as sa


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


def search(connection, query, n=10):
    return [
        row[0]
        for row in rows_of(connection, "SELECT * FROM recsys.search_movies(:q, :n)", q=query, n=n)
    ]


# --- similar ---


@pytest.mark.parametrize("model", [None, "ease", "item_knn", "content_genres", "als"])
def test_similar_is_the_stored_list_of_what_speaks_for(published, model):
    expected = rows_of(
        published,
        "SELECT rank, similar_movie_id, similar_title, score, model, run_id "
        "FROM recsys.similar_movies WHERE movie_id = 1 AND model = :model AND score > 0 "
        "ORDER BY rank",
        model=model or "ease",
    )
    assert expected
    assert similar(published, n=5, model=model) == expected[:5]
    assert similar(published, n=1000, model=model) == expected
    assert 1 not in [row[1] for row in expected]


def test_similar_has_no_rows_where_there_is_nothing_to_say(published):
    assert similar(published, model="nonsense") == []
    assert similar(published, model="top_rated") == []
    assert similar(published, movie=4711) == []
    assert similar(published, n=0) == []
    published.execute(sa.text("DELETE FROM recsys_store.published"))
    assert similar(published) == []


def test_a_movie_the_default_model_does_not_know_is_told_by_another(published):
    expected = rows_of(
        published,
        "SELECT rank, similar_movie_id, similar_title, score, model, run_id "
        "FROM recsys.similar_movies WHERE movie_id = 60 AND score > 0 ORDER BY rank",
    )
    assert {row[4] for row in expected} == {"content_genres"}
    assert similar(published, movie=60) == expected[:10]
    for model in ("ease", "item_knn", "als"):
        assert similar(published, movie=60, model=model) == []


def test_a_model_that_only_speaks_against_a_movies_neighbours_knows_none(published):
    negative = """
        UPDATE recsys_store.movie_similarities AS s SET score = -0.5
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
        "SELECT rank, movie_id, title, score, votes, mean_rating FROM recsys.charts "
        "WHERE chart = :chart AND genre IS NOT DISTINCT FROM :genre ORDER BY rank",
        chart=chart,
        genre=genre,
    )
    assert expected
    assert top(published, 3, genre, chart) == expected[:3]
    assert top(published, 1000, genre, chart) == expected


def test_most_rated_counts_what_is_there(published):
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


def test_top_movies_has_no_rows_where_there_is_no_such_thing(published):
    assert top(published, genre="Nonsense") == []
    assert top(published, chart="nonsense") == []
    assert top(published, chart="ease") == []
    assert top(published, n=0) == []
    published.execute(sa.text("DELETE FROM recsys_store.published"))
    assert top(published) == []


# --- search_movies ---

TITLES = [
    (1001, "The Matrix", "Matrix, The (1999)"),
    (1002, "The Matrix Reloaded", "Matrix Reloaded, The (2003)"),
    (1003, "Matrixes", "Matrixes (1980)"),
    (1004, "Star Wars: Episode IV - A New Hope", "Star Wars: Episode IV - A New Hope (1977)"),
    (1005, "Amelie (Le Fabuleux destin d'Amélie Poulain)", "Amelie (2001)"),
    (1006, "A Star Is Born", "Star Is Born, A (1954)"),
    (1007, "Seven Samurai (七人の侍)", "Seven Samurai (七人の侍) (1954)"),
    (1008, "U-571", "U-571 (2000)"),
    (1009, "Fahrenheit 9/11", "Fahrenheit 9/11 (2004)"),
    (1010, "8 1/2 (8½)", "8 1/2 (8½) (1963)"),
    (1011, "K-19: The Widowmaker", "K-19: The Widowmaker (2002)"),
]


@pytest.fixture
def titled(published):
    published.execute(
        sa.text(
            "INSERT INTO recsys_store.movies (movie_id, title, original_title, year) "
            "SELECT * FROM unnest(CAST(:ids AS int[]), CAST(:titles AS text[]), "
            "CAST(:originals AS text[])), LATERAL (SELECT 2000) AS y"
        ),
        dict(
            zip(("ids", "titles", "originals"), map(list, zip(*TITLES, strict=True)), strict=True)
        ),
    )
    return published


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("matrix", [1001, 1002, 1003]),
        ("MATRIX", [1001, 1002, 1003]),
        ("the matrix", [1001, 1002]),
        ("matr", [1001, 1002, 1003]),
        ("reloaded the matrix", [1002]),
        ("hope new", [1004]),
        ("star", [1004, 1006]),
        ("a star is born", [1006]),
        ("star-wars!", [1004]),
        ("amelie", [1005]),
        ("Amélie", [1005]),
        ("poulain", [1005]),
        ("samurai", [1007]),
        ("七人の侍", [1007]),
        ("u-571", [1008]),
        ("571", [1008]),
        ("fahrenheit 9/11", [1009]),
        ("8 1/2", [1010]),
        ("k-19", [1011]),
        ("matrix 1999", []),
        ("matrix samurai", []),
        ("xyzzy", []),
    ],
)
def test_search_finds_all_words_or_their_beginnings_in_any_order(titled, query, found):
    assert search(titled, query) == found


@pytest.mark.parametrize("query", ["", "   ", "!!!", "' \" \\ & | ! ( ) : *", "%", "_"])
def test_search_for_no_word_finds_nothing(titled, query):
    assert search(titled, query) == []


@pytest.mark.parametrize(
    "query",
    [
        "matrix'; DROP TABLE recsys_store.movies; --",
        "matrix' | 'x",
        "matrix:* & !star",
        "matrix <-> x",
    ],
)
def test_search_takes_no_orders(titled, query):
    search(titled, query)
    assert search(titled, "matrix") == [1001, 1002, 1003]


def test_search_is_cut_at_n(titled):
    assert search(titled, "matrix", 1) == [1001]
    assert search(titled, "matrix", 0) == []


def test_of_equal_titles_the_most_rated_comes_first(published):
    counted = dict(rows_of(published, "SELECT movie_id, ratings_count FROM recsys.movies"))
    expected = sorted(range(1, 61), key=lambda movie: (-counted[movie], movie))
    assert search(published, "film", 1000) == expected


def test_search_works_before_anything_is_published(titled):
    titled.execute(sa.text("DELETE FROM recsys_store.published"))
    assert search(titled, "matrix") == [1001, 1002, 1003]


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
            "https://image.tmdb.org/t/p/w342/p.jpg",
        )
    ]  # fmt: skip


def test_a_movie_of_which_little_is_known(connection):
    connection.execute(
        sa.text(
            "INSERT INTO recsys_store.movies (movie_id, title, original_title) VALUES (1, 'A', 'A')"
        )
    )
    assert rows_of(connection, "SELECT * FROM recsys.movies") == [
        (1, "A", None, [], 0, None, None, None, None)
    ]


def test_long_imdb_ids_are_not_cut(connection):
    connection.execute(
        sa.text(
            "INSERT INTO recsys_store.movies (movie_id, title, original_title, imdb_id) "
            "VALUES (1, 'A', 'A', 12345678), (2, 'B', 'B', 417)"
        )
    )
    assert rows_of(connection, "SELECT imdb_id FROM recsys.movies ORDER BY movie_id") == [
        ("tt12345678",),
        ("tt0000417",),
    ]
