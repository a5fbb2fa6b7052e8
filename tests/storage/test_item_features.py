import numpy as np
import pytest
import sqlalchemy as sa

from recsys.domain import IdMap
from recsys.storage.snapshot import item_features
from recsys.storage.snapshot.matrices import read_snapshot

SCHEMA = "recsys_store"


def insert(connection, table, *rows):
    columns = ", ".join(rows[0])
    values = ", ".join(f":{name}" for name in rows[0])
    statement = sa.text(f"INSERT INTO {SCHEMA}.{table} ({columns}) VALUES ({values})")
    connection.execute(statement, list(rows))


def add_movies(connection, *movies):
    rows = [
        {
            "movie_id": id_,
            "key": str(id_),
            "title": title,
            "original_title": f"{title}, The",
            "year": year,
        }
        for id_, title, year in movies
    ]
    insert(connection, "movies", *rows)
    return ids(*(id_ for id_, _, _ in movies))


def add_users(connection, *users):
    names = ("user_id", "age", "gender", "occupation", "zip_code")
    rows = [dict(zip(names, user, strict=True)) | {"key": str(user[0])} for user in users]
    insert(connection, "users", *rows)
    return ids(*(user[0] for user in users))


def describe(connection, movie_id, **facts):
    names = ("overview", "tagline", "vote_average", "vote_count")
    insert(
        connection,
        "movie_metadata",
        {"movie_id": movie_id} | {name: facts.get(name) for name in names},
    )


def add_keywords(connection, movie_id, *keywords):
    insert(connection, "keywords", *({"keyword_id": id_, "name": name} for id_, name in keywords))
    rows = ({"movie_id": movie_id, "keyword_id": id_} for id_, _ in keywords)
    insert(connection, "movie_keywords", *rows)


def add_tags(connection, movie_id, *tags):
    rows = ({"movie_id": movie_id, "user_id": user, "tag": tag} for user, tag in tags)
    insert(connection, "tags", *rows)


def add_credits(connection, movie_id, *credits):
    people = ({"person_id": id_, "name": name} for id_, name, _, _ in credits)
    insert(connection, "people", *people)
    rows = (
        {"movie_id": movie_id, "person_id": id_, "role": role, "position": position}
        for id_, _, role, position in credits
    )
    insert(connection, "movie_credits", *rows)


def ids(*values):
    return IdMap(np.array(sorted(values), np.int32))


def test_years(connection):
    movies = add_movies(connection, (30, "Late", 2019), (10, "Early", 1902), (20, "Unknown", None))
    years = item_features.years(connection, movies)
    assert years.dtype == np.int32
    assert years.tolist() == [1902, 0, 2019]


def test_all_texts_of_a_movie(connection):
    movies = add_movies(connection, (7, "Heat", 1995))
    add_users(connection, *((id_, None, None, None, None) for id_ in (1, 2)))
    describe(connection, 7, overview="Cops and\nrobbers.", tagline="A crime saga")
    add_keywords(connection, 7, (5, "heist"), (9, "bank"))
    add_tags(connection, 7, (2, "great"), (1, "great"), (1, "Long"))
    add_credits(
        connection,
        7,
        (1, "Al Pacino", "cast", 0),
        (2, "Robert De Niro", "cast", 1),
        (3, "Val Kilmer", "cast", 2),
        (4, "Jon Voight", "cast", 3),
        (6, "Tom Sizemore", "cast", 4),
        (5, "Diane Venora", "cast", 5),
        (8, "Michael Mann", "director", 9),
    )
    expected = (
        "Heat\nA crime saga\nCops and\nrobbers.\nbank\nheist\nLong\ngreat\ngreat\n"
        "Al Pacino\nRobert De Niro\nVal Kilmer\nJon Voight\nTom Sizemore\nMichael Mann"
    )
    assert item_features.texts(connection, movies) == (expected,)


def test_unknown_features_leave_no_line(connection):
    movies = add_movies(
        connection, (3, "Plot Only", None), (1, "Bare", None), (2, "Tag Only", None)
    )
    add_users(connection, (1, None, None, None, None))
    describe(connection, 3, overview="A plot")
    add_tags(connection, 2, (1, "dull"))
    assert item_features.texts(connection, movies) == (
        "Bare",
        "Tag Only\ndull",
        "Plot Only\nA plot",
    )


def test_texts_of_movies_are_not_mixed(connection):
    movies = add_movies(connection, (1, "One", None), (2, "Two", 2002))
    add_keywords(connection, 1, (1, "one keyword"))
    add_keywords(connection, 2, (2, "two keyword"))
    add_credits(connection, 1, (1, "Somebody", "director", 0))
    assert item_features.texts(connection, movies) == (
        "One\none keyword\nSomebody",
        "Two\ntwo keyword",
    )


def test_the_order_of_the_words_is_that_of_no_locale(connection):
    movies = add_movies(connection, (1, "Film", None))
    add_users(connection, (1, None, None, None, None))
    add_tags(connection, 1, *((1, tag) for tag in ("b", "ä", "A", "Z", "a", "a b", "a-b", "ab")))
    assert item_features.texts(connection, movies) == ("Film\nA\nZ\na\na b\na-b\nab\nb\nä",)


def test_texts_of_no_movies(connection):
    assert item_features.texts(connection, ids()) == ()


MANY = """
INSERT INTO recsys_store.movies (movie_id, key, title, original_title)
SELECT n, n, 'x', 'x' FROM generate_series(1, 2000) AS n;
INSERT INTO recsys_store.users (user_id, key) VALUES (1, '1');
INSERT INTO recsys_store.tags (user_id, movie_id, tag)
SELECT 1, n, t || ' a tag' FROM generate_series(1, 2000) AS n, generate_series(1, 5) AS t;
INSERT INTO recsys_store.keywords (keyword_id, name)
SELECT n, 'x' FROM generate_series(1, 5) AS n;
INSERT INTO recsys_store.movie_keywords (movie_id, keyword_id)
SELECT n, k FROM generate_series(1, 2000) AS n, generate_series(1, 5) AS k;
INSERT INTO recsys_store.people (person_id, name)
SELECT n, 'x' FROM generate_series(1, 5) AS n;
INSERT INTO recsys_store.movie_credits (movie_id, person_id, role, position)
SELECT n, p, 'cast', p FROM generate_series(1, 2000) AS n, generate_series(1, 5) AS p;
ANALYZE recsys_store.movies, recsys_store.tags, recsys_store.movie_keywords,
    recsys_store.movie_credits
"""


def test_the_subqueries_walk_along_keys(connection):
    for statement in MANY.split(";"):
        connection.execute(sa.text(statement))
    text = sa.text(f"EXPLAIN {item_features.TEXTS}")
    plan = "\n".join(connection.scalars(text, {"tags": True}))
    for key in ("pk_movie_keywords", "pk_tags", "pk_movie_credits"):
        assert key in plan


def test_votes(connection):
    movies = add_movies(connection, *((id_, f"Film {id_}", None) for id_ in (4, 1, 2, 3)))
    describe(connection, 2, vote_average=7.5, vote_count=12)
    describe(connection, 3, vote_average=None, vote_count=3)
    describe(connection, 4, vote_average=9.0, vote_count=None)
    votes = item_features.votes(connection, movies)
    assert (votes.counts.dtype, votes.means.dtype) == (np.int64, np.float64)
    assert votes.counts.tolist() == [0, 12, 3, 0]
    assert np.array_equal(votes.means, [np.nan, 7.5, np.nan, np.nan], equal_nan=True)


def test_attributes(connection):
    users = add_users(
        connection,
        (9, 29, "F", "writer", "12345"),
        (2, 20, "M", None, None),
        (5, None, None, None, "99999"),
        (7, 0, "F", "writer", None),
    )
    found = item_features.attributes(connection, users)
    # In the order of their names: age 0, age 20, gender F, gender M, occupation writer.
    assert found.dtype == np.float64
    assert found.toarray().tolist() == [
        [0, 1, 0, 1, 0],
        [0, 0, 0, 0, 0],
        [1, 0, 1, 0, 1],
        [0, 1, 1, 0, 1],
    ]


@pytest.mark.parametrize("users", [(), ((1, None, None, None, None), (2, None, None, None, "1"))])
def test_users_without_attributes(connection, users):
    known = add_users(connection, *users) if users else ids()
    assert item_features.attributes(connection, known).shape == (len(users), 0)


def test_a_snapshot_reads_only_needed_features(published):
    bare = read_snapshot(published)
    whole = read_snapshot(published, {"texts", "votes", "attributes"})
    assert bare.interactions.item_texts is None
    assert whole.interactions.item_texts == item_features.texts(published, whole.movies)
    assert whole.interactions.item_texts[:2] == ("The Film 1\ncalm", "The Film 2\nloud")
    assert bare.checksum != whole.checksum
