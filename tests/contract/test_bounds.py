"""Bounds of arguments: each has one clear error, and no call costs more than the data warrants."""

import psycopg
import pytest

from recsys.storage.server.engine import sqlalchemy_url

LARGEST = 2**31 - 1
N_FUNCTIONS = {
    "recommend": "1, {n}",
    "recommend_for": """'{{"1": 5}}', {n}""",
    "similar": "1, {n}",
    "similar_users": "1, {n}",
    "top_movies": "{n}",
    "search_movies": "'film', {n}",
    "recommendations_as_of": "1, now(), {n}",
}
LONG = "repeat('x', 1000000)"


@pytest.fixture(scope="module")
def reader(everything_database):
    url = sqlalchemy_url(everything_database.url).set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
        yield connection


def refused(connection, query, *values):
    """Return the SQLSTATE, message and hint of a query that must fail."""
    with pytest.raises(psycopg.Error) as caught:
        connection.execute(query, values)
    told = caught.value.diag
    return told.sqlstate, told.message_primary, told.message_hint


@pytest.mark.parametrize("name", N_FUNCTIONS)
def test_a_list_has_at_most_ten_thousand_rows(reader, name):
    def call(n):
        return f"SELECT * FROM recsys.{name}({N_FUNCTIONS[name].format(n=n)})"

    assert reader.execute(call(10_000)).fetchall()
    for n in (10_001, LARGEST):
        assert refused(reader, call(n)) == (
            "22023",
            f"n must be 10000 or less, not {n}",
            "The views of the schema recsys have all rows.",
        )
    for n, state, message in (
        (-1, "22023", "n must be 0 or more, not -1"),
        ("NULL", "22004", "n must not be NULL"),
    ):
        assert refused(reader, call(n))[:2] == (state, message)


@pytest.mark.parametrize(
    "call",
    [
        "recommend(1, genres => {genres})",
        """recommend_for('{{"1": 5}}', genres => {genres})""",
    ],
)
def test_at_most_a_hundred_genres_are_named(reader, call):
    def query(count):
        genres = f"array_fill('drama'::text, ARRAY[{count}])"
        return "SELECT * FROM recsys." + call.format(genres=genres)

    assert len(reader.execute(query(100)).fetchall()) == 10
    assert refused(reader, query(101)) == (
        "22023",
        "genres has 101 names, at most 100 are allowed",
        "Name each genre once.",
    )


def test_at_most_ten_thousand_ratings_are_given(reader):
    query = """
        SELECT * FROM recsys.recommend_for((
            SELECT jsonb_object_agg(g, 4) FROM generate_series(1, %s) AS g
        ))
    """
    # The made-up edition has 60 movies.
    assert refused(reader, query, 10_000)[:2] == ("P0002", "there is no movie 61")
    assert refused(reader, query, 10_001) == ("22023", "ratings has more than 10000 movies", None)


@pytest.mark.parametrize("number", ["1e100000", "-1e100000", "1e131071"])
def test_huge_numbers_cost_little(reader, number):
    """A few bytes stand for 100,000 digits: as texts, those of 9,000 movies take ten seconds."""
    given = ", ".join(f'"{movie}": {number}' for movie in range(1, 9_001))
    reader.execute("SET statement_timeout = '2s'")
    found = refused(reader, "SELECT recsys.recommend_for(%s)", f"{{{given}}}")
    reader.execute("RESET statement_timeout")
    assert found == (
        "22003",
        f"rating {number.split('e')[0]:0<100} of movie 1 is outside the scale",
        "The scale is from 0.5 to 5.",
    )


@pytest.mark.parametrize("number", ["1e-400", "1e-16000", "-1e-400"])
def test_numbers_too_small_for_a_rating_are_outside_any_scale(reader, number):
    found = refused(reader, "SELECT recsys.recommend_for(%s)", f'{{"1": {number}}}')
    assert (found[0], found[1][-29:]) == ("22003", "of movie 1 is outside the scale"[-29:])
    with reader.transaction(force_rollback=True):
        # No scale is known.
        reader.execute("UPDATE recsys_store.ingests SET rating_min = NULL, rating_max = NULL")
        reader.execute("UPDATE recsys_store.runs SET rating_min = NULL, rating_max = NULL")
        found = refused(reader, "SELECT recsys.recommend_for(%s)", f'{{"1": {number}}}')
    assert (found[0], found[1][-29:]) == ("22003", "of movie 1 is outside the scale"[-29:])


@pytest.mark.parametrize(
    ("call", "state", "message"),
    [
        (f"recommend(1, 3, {LONG})", "RS002", "run 1 has no model '{}'"),
        (f"similar(1, 3, {LONG})", "RS002", "run 1 has no model '{}'"),
        (f"similar_users(1, 3, {LONG})", "RS002", "run 1 has no model '{}'"),
        (f"explain(1, 2, {LONG})", "RS002", "run 1 has no model '{}'"),
        (f"predict_rating(1, 2, {LONG})", "RS002", "run 1 has no model '{}'"),
        (f"top_movies(3, NULL, {LONG})", "RS002", "run 1 has no chart '{}'"),
        (f"top_movies(3, {LONG})", "RS003", "there is no genre '{}'"),
        (f"recommend(1, 3, genres => ARRAY[{LONG}])", "RS003", "there is no genre '{}'"),
    ],
)
def test_a_long_text_is_cut_in_the_error(reader, call, state, message):
    found = refused(reader, f"SELECT * FROM recsys.{call}")
    assert found[:2] == (state, message.format("x" * 100))


# --- verify_lists ---


def test_a_negative_number_of_users_is_an_error(reader):
    assert refused(reader, "SELECT * FROM recsys.verify_lists(NULL, -1)") == (
        "22023",
        "users must be 0 or more, not -1",
        None,
    )


def test_nobody_is_checked_if_no_users_are_wanted(reader):
    rows = reader.execute("SELECT DISTINCT users, stored FROM recsys.verify_lists(NULL, 0)")
    assert rows.fetchall() == [(0, 0)]


@pytest.mark.parametrize(
    ("role", "refuses"), [("recsys_reader", True), ("recsys_app", True), ("recsys_job", False)]
)
def test_only_jobs_check_the_lists_of_everybody(given_database, as_role, role, refuses):
    with psycopg.connect(as_role(given_database, role).url, autocommit=True) as connection:
        few = connection.execute("SELECT users FROM recsys.verify_lists(NULL, 100)").fetchall()
        assert set(few) == {(80,)}
        for users, shown in ((101, "101"), ("NULL", "NULL for all")):
            query = f"SELECT users FROM recsys.verify_lists(NULL, {users})"
            if refuses:
                assert refused(connection, query) == (
                    "22023",
                    f"users must be 100 or less, not {shown}",
                    "recsys_job may check the lists of more users.",
                )
            else:
                assert connection.execute(query).fetchall() == few
