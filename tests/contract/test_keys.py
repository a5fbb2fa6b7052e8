"""Users and movies named by their keys."""

import json
import threading

import psycopg
import pytest
import sqlalchemy as sa


@pytest.fixture
def keyed(keyed_database):
    with keyed_database.engine.connect() as connection, connection.begin() as transaction:
        yield connection
        transaction.rollback()


def rows_of(connection, query, **values):
    return [tuple(row) for row in connection.execute(sa.text(query.replace("::", r"\:\:")), values)]


def refusal(connection, query, **values):
    with pytest.raises(sa.exc.DBAPIError) as caught, connection.begin_nested():
        connection.execute(sa.text(query), values)
    said = caught.value.orig.diag
    return said.sqlstate, said.message_primary, said.message_hint


# --- ids ---


@pytest.mark.parametrize(
    ("key", "user_id"),
    [
        ("user 7", 7), ("7", 7), ("80", 80), ("user 07", None), ("07", None), ("", None),
        ("99", None), ("2147483648", None), ("9" * 400, None), ("-1", None), ("7 ", None),
        ("' OR true --", None), (None, None),
    ],
)  # fmt: skip
def test_the_id_of_a_key_or_of_a_number(keyed, key, user_id):
    assert rows_of(keyed, "SELECT recsys.user_id(:key)", key=key) == [(user_id,)]
    movie_key = key and key.replace("user ", "B0")
    movie_id = None if user_id == 80 else user_id  # there are 60 movies
    assert rows_of(keyed, "SELECT recsys.movie_id(:key)", key=movie_key) == [(movie_id,)]


def test_a_key_comes_before_an_id(keyed):
    keyed.execute(sa.text("UPDATE recsys_store.users SET key = '7' WHERE user_id = 9"))
    assert rows_of(keyed, "SELECT recsys.user_id('7'), recsys.user_id('9')") == [(9, 9)]


def test_keys_may_have_any_collation(keyed):
    query = """SELECT recsys.user_id('user 7' COLLATE "POSIX")"""
    assert rows_of(keyed, query) == [(7,)]


# --- functions ---

SAME = {
    "recommend": ("1", "'user 1'", ", 5"),
    "recommend with filters": ("1", "'user 1'", ", 5, 'als', '{Drama}', 1960, 2000"),
    "recommend for a stranger": ("4711", "'nobody'", ", 5"),
    "recommendations_as_of": ("1", "'user 1'", ", now()"),
    "similar": ("1", "'B01'", ", 5, 'als'"),
    "similar_users": ("1", "'user 1'", ", 5"),
    "predict_rating": ("1, 3", "'user 1', 'B03'", ""),
    "predict_rating by a model": ("1, 3", "'user 1', 'B03'", ", 'mf'"),
    "predict_rating of no movie": ("1, 4711", "'user 1', 'none'", ""),
    "explain": ("1, 3", "'user 1', 'B03'", ", 'ease'"),
    "rating_histogram": ("1", "'B01'", ""),
    "user_status": ("1", "'user 1'", ""),
    "user_status of a stranger": ("4711", "'nobody'", ""),
    "user_taste": ("1", "'user 1'", ""),
}


@pytest.mark.parametrize("call", SAME)
def test_functions_by_key_return_what_those_by_id_do(keyed, call):
    ids, keys, options = SAME[call]
    name = call.split()[0]
    found = rows_of(keyed, f"SELECT * FROM recsys.{name}({keys}{options})")
    assert found == rows_of(keyed, f"SELECT * FROM recsys.{name}({ids}{options})")
    assert len(found) > 0


MOVIES, USERS = ("movie_id", "movie_key", "B0"), ("user_id", "user_key", "user ")
RETURNED = {
    "recommend(1, 60)": MOVIES,  # stored, live, by content and from the chart
    "recommend(81, 60)": MOVIES,
    "recommend(1, 60, 'als', '{Drama}')": MOVIES,
    "recommend(81, 60, 'content_genres')": MOVIES,
    """recommend_for('{"B01": 5, "3": 4}', 60)""": MOVIES,
    "recommendations_as_of(1, now())": MOVIES,
    "similar(1)": MOVIES,
    "top_movies()": MOVIES,
    "top_movies(10, 'Drama')": MOVIES,
    "search_movies('film')": MOVIES,
    "explain(1, 3)": ("because_movie_id", "because_movie_key", "B0"),
    "similar_users(1)": USERS,
    "sample_users(5)": USERS,
}


@pytest.mark.parametrize("call", RETURNED)
def test_functions_return_the_key_beside_the_id(keyed, call):
    id_, key, prefix = RETURNED[call]
    found = rows_of(keyed, f"SELECT {id_}, {key} FROM recsys.{call}")
    assert found == [(number, f"{prefix}{number}") for number, _ in found]
    assert len(found) > 3


def test_unknown_movies_are_named(keyed):
    hint = "recsys.search_movies finds movies by their titles."
    for call, shown in {
        "similar('B0X''')": "'B0X'''",
        "similar('4711')": "4711",
        "explain('user 1', '')": "''",
        "rating_histogram('B061')": "'B061'",
        "rate('user 1', 'x', 4)": "'x'",
        "block('user 1', 'x')": "'x'",
    }.items():
        told = refusal(keyed, f"SELECT recsys.{call}")
        assert told == ("P0002", f"there is no movie {shown}", hint)


@pytest.mark.parametrize(
    "call",
    ["recommend(NULL)", "user_status(NULL)", "similar_users(NULL)", "explain(NULL, 'B01')",
     "predict_rating(NULL, 'B01')", "rate(NULL, 'B01', 3)", "block(NULL, 'B01')"],
)  # fmt: skip
def test_no_key_is_no_user(keyed, call):
    told = refusal(keyed, f"SELECT recsys.{call}")
    assert told == ("22004", "user_id must not be NULL", None)


# --- given ratings ---


def test_given_ratings_name_movies_by_key_or_id(keyed):
    keyed.execute(
        sa.text(
            "INSERT INTO recsys_store.movies (movie_id, key, title, original_title) "
            "VALUES (2147483647, 'last', 'New', 'New'), (1000000000, '1000000000', 'N', 'N')"
        )
    )

    def ask(**ratings):
        query = "SELECT rank, movie_id, score FROM recsys.recommend_for(CAST(:ratings AS jsonb), 9)"
        return rows_of(keyed, query, ratings=json.dumps(ratings))

    by_key = ask(B01=5, B03=4, last=3, **{"1000000000": 2})
    assert by_key == ask(**{"1": 5, "3": 4, "2147483647": 3, "1000000000": 2})
    query = "SELECT recsys.recommend_for(:ratings)"
    assert refusal(keyed, query, ratings='{"B01": 5, "1": 4}') == (
        "22023",
        "ratings has a movie twice, by its key and by its id",
        None,
    )
    assert refusal(keyed, query, ratings='{"B01": 7}')[1] == (
        "rating 7 of movie B01 is outside the scale"
    )


# --- writing ---

WRITTEN = (
    "SELECT u.key, r.movie_id, r.rating FROM recsys_store.ratings AS r "
    "JOIN recsys_store.users AS u USING (user_id) WHERE user_id > 81 ORDER BY user_id"
)


def test_rating_adds_a_user_by_key(keyed):
    for key, movie, rating in (("alice", "B03", 4), ("1", "B04", 2), ("500", "B05", 3)):
        call = "SELECT recsys.rate(:key, :movie, CAST(:rating AS double precision))"
        keyed.execute(sa.text(call), {"key": key, "movie": movie, "rating": rating})
    keyed.execute(sa.text("SELECT recsys.rate('alice', 'B03', 5)"))
    # 1 is the id of 'user 1', so that the key 1 gets another one.
    assert rows_of(keyed, WRITTEN) == [("alice", 3, 5), ("1", 4, 2), ("500", 5, 3)]
    query = "SELECT recsys.user_id('alice'), recsys.user_id('1'), recsys.user_id('500')"
    assert rows_of(keyed, query) == [(82, 83, 500)]
    assert rows_of(keyed, "SELECT movie_key FROM recsys.ratings WHERE user_key = 'alice'") == [
        ("B03",)
    ]


def test_blocking_adds_a_user_by_key(keyed):
    query = "SELECT movie_key FROM recsys.recommend('alice', 60)"
    assert ("B03",) in rows_of(keyed, query)
    keyed.execute(sa.text("SELECT recsys.block('alice', 'B03')"))
    assert ("B03",) not in rows_of(keyed, query)
    assert rows_of(keyed, "SELECT recsys.user_id('alice')") == [(82,)]


@pytest.mark.parametrize("key", ["", "a\nb", "x" * 513, "\x7f"])
def test_bad_keys_of_users_are_refused(keyed, key):
    assert refusal(keyed, "SELECT recsys.rate(:key, 'B03', 4)", key=key) == (
        "22023",
        f"{json.dumps(key[:100], ensure_ascii=False)} cannot be the key of a user",
        "A key has 1 to 512 bytes and no control characters.",
    )


def test_what_is_written_never_falls_on_an_id(keyed):
    assert refusal(keyed, "SELECT recsys.rate('alice', '3', 4)") == (
        "P0002",
        "there is no movie with the key '3'",
        "Write ids as integers, without quotes.",
    )


def test_a_user_cannot_be_added_by_an_id_that_is_the_key_of_another(keyed):
    keyed.execute(sa.text("UPDATE recsys_store.users SET key = '4711' WHERE user_id = 1"))
    assert refusal(keyed, "SELECT recsys.rate(4711, 3, 4)") == (
        "23505",
        "user_id 4711 cannot be added: another user has the key 4711",
        "Name the user by key.",
    )
    keyed.execute(sa.text("SELECT recsys.rate(2, 3, 4)"))  # known by id


@pytest.mark.parametrize(("taken", "chosen"), [([2**31 - 1], 0), ([0, 1, 3, 2**31 - 1], 2)])
def test_the_lowest_free_id_is_given_when_the_numbers_run_out(connection, taken, chosen):
    for user_id in taken:
        statement = "INSERT INTO recsys_store.users (user_id, key) VALUES (:id, :key)"
        connection.execute(sa.text(statement), {"id": user_id, "key": f"k{user_id}"})
    assert rows_of(connection, "SELECT recsys.ensure_user('new')") == [(chosen,)]


def test_sessions_that_add_users_at_once_get_ids_of_their_own(refreshed_database):
    """Six sessions rate as the same three users, without an error or a second user of a key."""
    url, failures = refreshed_database.url, []
    barrier = threading.Barrier(6)

    def rate(session):
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                for turn in range(12):
                    barrier.wait(30)
                    key, movie = f"new {turn} {(session + turn) % 3}", str(session + 1)
                    connection.execute("SELECT recsys.rate(%s, %s, 4)", (key, movie))
        except Exception as exc:
            failures.append(exc)
            barrier.abort()

    threads = [threading.Thread(target=rate, args=(session,)) for session in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with refreshed_database.transaction() as connection:
        query = "SELECT user_id, key FROM recsys_store.users WHERE user_id > 81 ORDER BY 1"
        found = rows_of(connection, query)
    assert [user_id for user_id, _ in found] == list(range(82, 82 + 36))
    assert len({key for _, key in found}) == 36


# --- views ---


def test_views_show_keys_beside_ids(keyed):
    for view, pairs in {
        "movies": ("movie",),
        "movie_details": ("movie",),
        "ratings": ("user", "movie"),
        "recommendations": ("user", "movie"),
        "charts": ("movie",),
        "similar_movies": ("movie", "similar_movie"),
    }.items():
        for one in pairs:
            prefix = "user " if one == "user" else "B0"
            query = (
                f"SELECT count(*), bool_and({one}_key = '{prefix}' || {one}_id) FROM recsys.{view}"
            )
            [(count, right)] = rows_of(keyed, query)
            assert (count > 0, right) == (True, True), (view, one)


@pytest.mark.parametrize("view", ["ratings", "recommendations"])
def test_a_view_without_its_user_keys_does_not_read_users(keyed, view):
    def plan(columns, where=""):
        lines = rows_of(keyed, f"EXPLAIN SELECT {columns} FROM recsys.{view} {where}")
        return "\n".join(line for (line,) in lines)

    assert "users" not in plan("user_id, movie_id, movie_key, title").replace("run_users", "")
    assert " users " in plan("user_key")
    keyed.execute(sa.text("SET LOCAL enable_seqscan = off"))
    assert "uq_users_key" in plan("*", "WHERE user_key = 'user 1'")
