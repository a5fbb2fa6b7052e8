import numpy as np
import pytest
import sqlalchemy as sa

from recsys.domain import IdMap
from recsys.errors import DataError
from recsys.storage.snapshot.matrices import positions_of, read_snapshot

LARGEST = 2**31 - 1
ADD_USERS = sa.text(
    "INSERT INTO recsys_store.users (user_id, key) "
    "SELECT id, id FROM unnest(CAST(:ids AS int[])) AS id"
)
ADD_MOVIES = sa.text("""
INSERT INTO recsys_store.movies (movie_id, key, title, original_title)
SELECT id, id, 'Film', 'Film' FROM unnest(CAST(:ids AS int[])) AS id
""")
ADD_RATING = sa.text("""
INSERT INTO recsys_store.ratings (user_id, movie_id, rating, rated_at)
VALUES (:user, :movie, :rating, to_timestamp(CAST(:at AS float8)))
""")


def fill(connection, users, movies, ratings):
    connection.execute(ADD_USERS, {"ids": users})
    connection.execute(ADD_MOVIES, {"ids": movies})
    for user, movie, rating, at in ratings:
        values = {"user": user, "movie": movie, "rating": rating, "at": at}
        connection.execute(ADD_RATING, values)


def test_the_matrix_is_what_plain_sql_reads(published):
    snapshot = read_snapshot(published, {"times"})
    users = published.scalars(sa.text("SELECT user_id FROM recsys_store.users ORDER BY 1")).all()
    movies = published.scalars(sa.text("SELECT movie_id FROM recsys_store.movies ORDER BY 1")).all()
    expected, times = np.zeros((len(users), len(movies))), np.zeros((len(users), len(movies)))
    rows = published.execute(
        sa.text(
            "SELECT user_id, movie_id, rating, extract(epoch FROM rated_at)::float8 "
            "FROM recsys_store.ratings"
        )
    )
    for user, movie, rating, at in rows:
        expected[users.index(user), movies.index(movie)] = rating
        times[users.index(user), movies.index(movie)] = at
    matrix = snapshot.interactions.user_items
    assert snapshot.users.ids.tolist() == users
    assert snapshot.movies.ids.tolist() == movies
    assert np.array_equal(matrix.toarray(), expected)
    stored = matrix.tocoo()
    assert np.array_equal(snapshot.interactions.rated_at, times[stored.row, stored.col])


def test_the_matrix_is_canonical_float64(published):
    matrix = read_snapshot(published).interactions.user_items
    again = matrix.copy()
    again.has_canonical_format = False
    again.has_sorted_indices = False
    again.sum_duplicates()
    assert np.array_equal(again.indices, matrix.indices)
    assert np.array_equal(again.indptr, matrix.indptr)
    assert matrix.dtype == np.float64
    assert matrix.has_canonical_format


def test_genres_are_what_plain_sql_reads(published):
    snapshot = read_snapshot(published)
    found = {
        (int(snapshot.movies.ids[item]), snapshot.interactions.genres[genre])
        for item, genre in np.argwhere(snapshot.interactions.item_genres.toarray())
    }
    expected = published.execute(
        sa.text("SELECT movie_id, unnest(genres) FROM recsys.movies")
    ).all()
    assert found == {tuple(row) for row in expected}
    assert list(snapshot.interactions.genres) == sorted({name for _, name in found})
    assert set(snapshot.interactions.item_genres.data) == {1.0}


def test_users_and_movies_without_ratings_are_empty_rows_and_columns(connection):
    fill(connection, [1, 2, 3, 9], [10, 20, 30], [(2, 20, 4.0, None), (9, 20, 1.0, None)])
    snapshot = read_snapshot(connection)
    assert snapshot.interactions.user_items.toarray().tolist() == [
        [0, 0, 0],
        [0, 4, 0],
        [0, 0, 0],
        [0, 1, 0],
    ]
    assert snapshot.interactions.item_genres.shape == (3, 0)
    assert snapshot.interactions.genres == ()
    assert snapshot.interactions.rated_at is None


def test_an_unknown_time_is_nan(connection):
    ratings = [(1, 10, 4.0, 7.5), (1, 20, 2.0, None), (2, 10, 3.0, 1e9)]
    fill(connection, [1, 2], [10, 20], ratings)
    snapshot = read_snapshot(connection, {"times"})
    assert snapshot.interactions.rated_at is not None
    assert np.array_equal(snapshot.interactions.rated_at, [7.5, np.nan, 1e9], equal_nan=True)


def test_a_rating_of_zero_stays_an_entry(connection):
    fill(connection, [1], [10, 20], [(1, 10, 0.0, None), (1, 20, -2.5, None)])
    matrix = read_snapshot(connection).interactions.user_items
    assert (matrix.indices.tolist(), matrix.data.tolist()) == ([0, 1], [0.0, -2.5])


def test_ids_up_to_the_largest_are_distinguished(connection):
    ids = [0, 1, LARGEST - 1, LARGEST]
    fill(connection, ids, ids, [(LARGEST, LARGEST, 5.0, None), (LARGEST - 1, 0, 1.0, None)])
    snapshot = read_snapshot(connection)
    assert snapshot.users.ids.tolist() == snapshot.movies.ids.tolist() == ids
    assert snapshot.interactions.user_items.toarray().tolist() == [
        [0, 0, 0, 0],
        [0, 0, 0, 0],
        [1, 0, 0, 0],
        [0, 0, 0, 5],
    ]


@pytest.mark.slow
def test_one_user_with_very_many_ratings(connection):
    connection.execute(ADD_USERS, {"ids": [5]})
    connection.execute(ADD_MOVIES, {"ids": list(range(60_000))})
    connection.execute(
        sa.text(
            "INSERT INTO recsys_store.ratings (user_id, movie_id, rating) "
            "SELECT 5, i, i % 11 FROM generate_series(0, 59999) AS i"
        )
    )
    told: list[tuple[int, int]] = []
    progress = lambda done, total: told.append((done, total))  # noqa: E731
    snapshot = read_snapshot(connection, {"times"}, progress=progress)
    matrix = snapshot.interactions.user_items
    assert matrix.indices.tolist() == list(range(60_000))
    assert np.array_equal(matrix.data, np.arange(60_000) % 11)
    assert told[-1] == (60_000, 60_000)


def test_progress_is_reported_during_and_at_the_end(connection):
    connection.execute(ADD_USERS, {"ids": list(range(2500))})
    connection.execute(ADD_MOVIES, {"ids": [1, 2]})
    connection.execute(
        sa.text(
            "INSERT INTO recsys_store.ratings (user_id, movie_id, rating) "
            "SELECT u, m, 1 FROM generate_series(0, 2499) AS u, generate_series(1, 2) AS m"
        )
    )
    told: list[tuple[int, int]] = []
    read_snapshot(connection, progress=lambda done, total: told.append((done, total)))
    assert told == [(2048, 5000), (4096, 5000), (5000, 5000)]


def test_an_empty_database_is_a_data_error(connection):
    with pytest.raises(DataError, match="there are no ratings in the database") as caught:
        read_snapshot(connection)
    assert caught.value.hint == "load some first"


def test_movies_alone_are_a_catalogue_without_ratings(connection):
    fill(connection, [1], [10], [])
    found = read_snapshot(connection)
    assert found.interactions.user_items.shape == (1, 1)
    assert found.interactions.user_items.nnz == 0
    assert found.interactions.rating_range is None


def test_the_checksum_is_of_the_data_alone(make_database, filled_template):
    one, other = make_database(filled_template), make_database(filled_template)
    with one.snapshot() as first, other.snapshot() as second:
        assert read_snapshot(first).checksum == read_snapshot(second).checksum
        assert read_snapshot(first, {"times"}).checksum == read_snapshot(second, {"times"}).checksum


CHANGES = {
    "a rating": "UPDATE recsys_store.ratings SET rating = 1.5 WHERE (user_id, movie_id) = (1, {m})",
    "a movie rated": "UPDATE recsys_store.ratings SET movie_id = 60 "
    "WHERE (user_id, movie_id) = (1, {m})",
    "a rating less": "DELETE FROM recsys_store.ratings WHERE (user_id, movie_id) = (1, {m})",
    "a user": "INSERT INTO recsys_store.users (user_id, key) VALUES (4711, '4711')",
    "a movie": "INSERT INTO recsys_store.movies (movie_id, key, title, original_title) "
    "VALUES (4711, '4711', 'A', 'A')",
    "a genre's name": "UPDATE recsys_store.genres SET name = 'Dramas' WHERE name = 'Drama'",
    "a movie's genre": "DELETE FROM recsys_store.movie_genres WHERE movie_id = 3",
    "a time": "UPDATE recsys_store.ratings SET rated_at = rated_at + interval '1 s' "
    "WHERE (user_id, movie_id) = (1, {m})",
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_checksum_changes_with(published, change):
    before = read_snapshot(published, {"times"}).checksum
    movie = published.scalar(
        sa.text("SELECT min(movie_id) FROM recsys_store.ratings WHERE user_id = 1")
    )
    assert published.execute(sa.text(CHANGES[change].format(m=movie))).rowcount > 0
    assert read_snapshot(published, {"times"}).checksum != before


def test_the_checksum_without_times_does_not_see_them(published):
    before = read_snapshot(published).checksum
    published.execute(sa.text(CHANGES["a time"].replace("= (1, {m})", "<> (0, 0)")))
    assert read_snapshot(published).checksum == before


@pytest.mark.parametrize("limit", [0, 1 << 24], ids=["search", "table"])
def test_positions_are_the_same_by_table_and_by_search(limit):
    ids = IdMap(np.array([3, 5, 8, 1000], np.int32))
    found = positions_of(ids, np.array([1000, 3, 8, 8, 5], np.int32), limit)
    assert (found.tolist(), found.dtype) == ([3, 0, 2, 2, 1], np.int32)


def test_the_snapshot_sees_one_state(filled_database):
    remove = sa.text("DELETE FROM recsys_store.ratings WHERE user_id = 1")
    with filled_database.snapshot() as connection:
        before = read_snapshot(connection)
        with filled_database.transaction() as other:
            other.execute(remove)
        again = read_snapshot(connection)
    with filled_database.snapshot() as connection:
        after = read_snapshot(connection)
    assert again.checksum == before.checksum != after.checksum
    assert again.taken_at == before.taken_at < after.taken_at
