import re

import numpy as np
import pytest
import sqlalchemy as sa

from recsys.domain import (
    NO_TIME,
    Dataset,
    Genome,
    Ratings,
    SourceMovie,
    Tags,
    User,
    fault_of_key,
    number_of_key,
)
from recsys.errors import DataError, StorageError
from recsys.jobs import ingest as ingest_job
from recsys.jobs.progress import Silent
from recsys.storage.load import catalogue
from recsys.storage.load.catalogue import Counts
from recsys.storage.load.keys import are_ids, identify, ids_of

LAST = 2**31 - 1


def add_users(connection, **ids):
    for key, user_id in ids.items():
        connection.execute(
            sa.text("INSERT INTO recsys_store.users (user_id, key) VALUES (:id, :key)"),
            {"id": user_id, "key": key.lstrip("_")},
        )


def users_of(connection):
    query = sa.text("SELECT key, user_id FROM recsys_store.users ORDER BY user_id")
    return {key: user_id for key, user_id in connection.execute(query)}


@pytest.mark.parametrize(
    ("stored", "keys", "ids"),
    [
        ({}, [], []),
        ({}, ["b", "a", "Z"], [3, 2, 1]),  # in the order of their bytes
        ({}, ["7", "0", str(LAST)], [7, 0, LAST]),
        ({}, ["07", "7", "-1", "7.0", " 7", "x"], [10, 7, 9, 11, 8, 12]),
        ({}, [str(LAST + 1), "99999999999999999999", "5"], [6, 7, 5]),
        ({"alice": 1, "_9": 9}, ["bob", "alice", "9"], [10, 1, 9]),
        ({"alice": 7}, ["7", "8", "x"], [9, 8, 10]),  # the id 7 is taken
        ({"_1": LAST - 1}, ["c", "a", "b", "d"], [1, LAST, 0, 2]),
        ({"x": LAST, "y": 1}, ["c", "1", "2", "0", "b"], [5, 3, 2, 0, 4]),
    ],
)
def test_known_keys_keep_their_ids_and_new_ones_get_free_ones(connection, stored, keys, ids):
    add_users(connection, **stored)
    found = ids_of(connection, "users", keys)
    assert (found.tolist(), found.dtype) == (ids, np.int32)
    assert users_of(connection) == {key.lstrip("_"): id_ for key, id_ in stored.items()}
    temporary = "SELECT count(*) FROM pg_class WHERE relpersistence = 't'"
    assert connection.scalar(sa.text(temporary)) == 0


ODD_KEYS = [
    "é",
    "'; DROP TABLE users; --",
    "\\N",
    "\\.",
    "a\\tb",
    "{}",
    "%s",
    ":x",
    "x" * 512,
    "🎬",
]


def test_odd_keys_are_stored_and_found_as_they_are(connection):
    ids = ids_of(connection, "users", ODD_KEYS)
    catalogue.merge_users(connection, ids, [], ODD_KEYS)
    assert users_of(connection) == dict(zip(ODD_KEYS, ids.tolist(), strict=True))
    again = ids_of(connection, "users", ODD_KEYS[::-1])
    assert again.tolist() == ids.tolist()[::-1]


BAD_KEYS = {
    "": "is empty",
    "a\0b": "has the character U+0000",
    "a\nb": "has the character U+000A",
    "\x9b": "has the character U+009B",
    "\ud800": "has the character U+D800",
    "é" * 257: "is longer than 512 bytes",
}


@pytest.mark.parametrize(("key", "fault"), BAD_KEYS.items())
def test_bad_keys_are_refused_by_the_load_and_by_the_tables(connection, key, fault):
    assert fault_of_key(key) == fault
    with pytest.raises(DataError, match=re.escape(f"of a movie {fault}")):
        ids_of(connection, "movies", ["fine", key])
    if "\0" in key or "\ud800" in key:
        return  # texts of PostgreSQL have neither
    for table in ("users", "movies"):
        values = {"users": "(1, :key)", "movies": "(1, :key, 't', 't')"}[table]
        columns = {"users": "user_id, key", "movies": "movie_id, key, title, original_title"}[table]
        with (
            pytest.raises(sa.exc.IntegrityError, match=f"ck_{table}_key"),
            connection.begin_nested(),
        ):
            connection.execute(
                sa.text(f"INSERT INTO recsys_store.{table} ({columns}) VALUES {values}"),
                {"key": key},
            )


@pytest.mark.parametrize("key", ["", "-1", "01", "1.0", "1e3", "٣", "2147483648", "1 ", "1\n"])
def test_other_keys_than_ids_are_no_numbers(key):
    assert number_of_key(key) is None
    assert [number_of_key(str(number)) for number in (0, 10, LAST)] == [0, 10, LAST]


def int32(*values):
    return np.array(values, np.int32)


def dataset_of(ratings, **parts):
    users, movies, values = zip(*ratings, strict=True)
    return Dataset(
        **{
            "edition": "shop",
            "dialect": "csv",
            "scale": None,
            "movies": [],
            "users": [],
            "ratings": Ratings(
                int32(*users),
                int32(*movies),
                np.array(values, np.float64),
                np.full(len(values), NO_TIME, np.int64),
            ),
            "tags": None,
            "genome": None,
            "rejected": [],
            "rejected_count": 0,
            "rows_read": len(ratings),
            "duplicates": 0,
            "files": (),
            **parts,
        }
    )


KEYED = dataset_of(
    [(1, 0, 5), (1, 1, 4), (2, 1, 3)],
    movies=[SourceMovie(1, "Hat", "Hat"), SourceMovie(0, "Movie SKU-9", "Movie SKU-9")],
    users=[User(2, 33)],
    tags=Tags(int32(3), int32(1), ["warm"], np.array([NO_TIME])),
    genome=Genome(int32(1), ["warm"], int32(1), int32(1), np.array([0.5], np.float32)),
    user_keys=["unused", "zoe", "bob", "7"],
    movie_keys=["SKU-9", "A1", "unused"],
)


def contents(connection):
    def rows(query):
        return [tuple(row) for row in connection.execute(sa.text(query))]

    return {
        "users": rows("SELECT user_id, key, age FROM recsys_store.users ORDER BY 1"),
        "movies": rows("SELECT movie_id, key, title FROM recsys_store.movies ORDER BY 1"),
        "ratings": rows("SELECT user_id, movie_id, rating FROM recsys_store.ratings ORDER BY ctid"),
        "tags": rows("SELECT user_id, movie_id, tag FROM recsys_store.tags"),
        "genome": rows("SELECT movie_id, tag_id FROM recsys_store.genome_scores"),
    }


LOADED = {
    "users": [(7, "7", None), (8, "bob", 33), (9, "zoe", None)],
    "movies": [(1, "A1", "Hat"), (2, "SKU-9", "Movie SKU-9")],
    "ratings": [(8, 1, 3), (9, 1, 4), (9, 2, 5)],
    "tags": [(7, 1, "warm")],
    "genome": [(1, 1)],
}


def write(connection, dataset):
    return sum(ingest_job._write(connection, dataset, Silent()).values(), Counts())


def test_a_data_set_with_keys_is_stored_under_ids_and_loads_again_unchanged(connection):
    assert write(connection, KEYED) == Counts(inserted=11)
    assert contents(connection) == LOADED
    assert write(connection, KEYED) == Counts(unchanged=11)
    assert contents(connection) == LOADED
    assert catalogue.described_movies(connection) == {"A1": 1}


def test_numbers_mean_keys_where_ids_are_others(connection):
    write(connection, KEYED)
    numbers = dataset_of([(8, 1, 2), (7, 1, 1)], movies=[SourceMovie(1, "One", "One")])
    write(connection, numbers)
    found = contents(connection)
    # The ids 8 and 1 belong to bob and A1.
    assert found["users"] == [*LOADED["users"], (10, "8", None)]
    assert found["movies"] == [*LOADED["movies"], (3, "1", "One")]
    assert sorted(found["ratings"]) == [(7, 3, 1), (8, 1, 3), (9, 1, 4), (9, 2, 5), (10, 3, 2)]


def test_numbers_are_taken_as_they_are_where_they_are_the_ids(connection):
    numbers = dataset_of([(8, 1, 2)], movies=[SourceMovie(1, "One", "One")])
    assert are_ids(connection, "users")
    identified = identify(connection, numbers)
    assert identified.dataset is numbers
    assert (identified.user_keys, identified.movie_keys) == (None, None)


@pytest.mark.parametrize("taken", [{"zoe": 9, "eve": 8}, {"zoe": 12}])
def test_users_added_meanwhile_are_noticed(connection, taken):
    """Ids were looked up, and another session gave them to other keys."""
    add_users(connection, **taken)
    with pytest.raises(StorageError, match="another session added users") as caught:
        catalogue.merge_users(connection, int32(8, 9), [], ["bob", "zoe"])
    assert caught.value.hint == "run it again"
