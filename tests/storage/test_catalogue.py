from datetime import UTC, datetime

import numpy as np
import pytest
import sqlalchemy as sa

from recsys.domain import NO_TIME, Genome, Ratings, SourceMovie, Tags, User
from recsys.errors import StorageError
from recsys.storage.load import catalogue
from recsys.storage.load.catalogue import Counts
from recsys.storage.runs import lock

HEAT = SourceMovie(6, "Heat", "Heat (1995)", 1995, ("Action", "Crime"), 113277, 949)
BABE = SourceMovie(34, "Babe", "Babe (1995)", 1995, ("Children", "Drama"), 112431, 9598)
BARE = SourceMovie(99, "Bare", "Bare")


def rows_of(connection, query):
    return [tuple(row) for row in connection.execute(sa.text(query))]


def movies_of(connection):
    return rows_of(
        connection,
        "SELECT movie_id, title, original_title, year, imdb_id, tmdb_id FROM recsys_store.movies "
        "ORDER BY 1",
    )


def genres_of(connection):
    return rows_of(
        connection,
        "SELECT movie_id, name FROM recsys_store.movie_genres JOIN recsys_store.genres "
        "USING (genre_id) ORDER BY 1, 2",
    )


def ratings_of(connection):
    return rows_of(
        connection,
        "SELECT user_id, movie_id, rating, extract(epoch FROM rated_at)::int "
        "FROM recsys_store.ratings ORDER BY 1, 2",
    )


def columns(*rows):
    users, movies, values, times = zip(*rows, strict=True)
    seconds = [NO_TIME if at is None else at for at in times]
    return Ratings(
        np.array(users, np.int32),
        np.array(movies, np.int32),
        np.array(values, np.float64),
        np.array(seconds, np.int64),
    )


def tags_of(*rows):
    users, movies, texts, times = zip(*rows, strict=True)
    seconds = [NO_TIME if at is None else at for at in times]
    return Tags(
        np.array(users, np.int32),
        np.array(movies, np.int32),
        list(texts),
        np.array(seconds, np.int64),
    )


@pytest.fixture
def peopled(connection):
    catalogue.merge_movies(connection, [HEAT, BABE, BARE])
    catalogue.merge_users(connection, np.array([1, 2, 3], np.int32), [])
    return connection


# --- movies and genres ---


def test_movies_are_loaded_with_their_genres(connection):
    assert catalogue.merge_movies(connection, [HEAT, BABE, BARE]) == Counts(inserted=3)
    assert movies_of(connection) == [
        (6, "Heat", "Heat (1995)", 1995, 113277, 949),
        (34, "Babe", "Babe (1995)", 1995, 112431, 9598),
        (99, "Bare", "Bare", None, None, None),
    ]
    assert genres_of(connection) == [
        (6, "Action"), (6, "Crime"), (34, "Children"), (34, "Drama"),
    ]  # fmt: skip


def test_the_same_movies_again_are_unchanged(connection):
    catalogue.merge_movies(connection, [HEAT, BABE, BARE])
    before = rows_of(connection, "SELECT ctid::text, m.* FROM recsys_store.movies AS m ORDER BY 2")
    assert catalogue.merge_movies(connection, [HEAT, BABE, BARE]) == Counts(unchanged=3)
    after = rows_of(connection, "SELECT ctid::text, m.* FROM recsys_store.movies AS m ORDER BY 2")
    assert after == before


def test_a_movie_is_corrected_and_others_stay(connection):
    catalogue.merge_movies(connection, [HEAT, BABE])
    better = SourceMovie(6, "The Heat", "Heat, The (1996)", 1996, ("Action", "Crime"), None, 950)
    assert catalogue.merge_movies(connection, [better, BARE]) == Counts(inserted=1, updated=1)
    assert movies_of(connection) == [
        (6, "The Heat", "Heat, The (1996)", 1996, None, 950),
        (34, "Babe", "Babe (1995)", 1995, 112431, 9598),
        (99, "Bare", "Bare", None, None, None),
    ]


def test_genres_of_a_movie_become_what_the_files_say(connection):
    catalogue.merge_movies(connection, [HEAT, BABE])
    changed = SourceMovie(6, "Heat", "Heat (1995)", 1995, ("Crime", "Thriller"), 113277, 949)
    catalogue.merge_movies(connection, [changed])
    assert genres_of(connection) == [
        (6, "Crime"), (6, "Thriller"), (34, "Children"), (34, "Drama"),
    ]  # fmt: skip
    catalogue.merge_movies(connection, [SourceMovie(6, "Heat", "Heat (1995)", 1995)])
    assert genres_of(connection) == [(34, "Children"), (34, "Drama")]


def test_genres_keep_their_numbers_and_waste_none(connection):
    catalogue.merge_movies(connection, [HEAT])
    before = catalogue.genre_ids(connection)
    for _ in range(3):
        catalogue.merge_movies(connection, [HEAT])
    catalogue.merge_movies(connection, [BABE])
    after = catalogue.genre_ids(connection)
    first = min(before.values())
    assert before == {"Action": first, "Crime": first + 1}
    assert after == before | {"Children": first + 2, "Drama": first + 3}


def test_described_movies_are_not_those_made_up_from_their_ids(peopled):
    catalogue.merge_movies(
        peopled, [SourceMovie(7, "Movie 7", "Movie 7"), SourceMovie(8, "M", "Movie 7")]
    )
    assert catalogue.described_movies(peopled) == {"6": 6, "8": 8, "34": 34, "99": 99}


def test_titles_of_all_scripts_are_kept(connection):
    movie = SourceMovie(
        1, "千と千尋の神隠し \\ \t “x” 'y'", "Spirited Away (千と千尋の神隠し) (2001)", 2001
    )
    catalogue.merge_movies(connection, [movie])
    assert movies_of(connection) == [(1, movie.title, movie.original_title, 2001, None, None)]


# --- users ---


def users_of(connection):
    return rows_of(
        connection,
        "SELECT user_id, age, gender, occupation, zip_code FROM recsys_store.users ORDER BY 1",
    )


def test_users_come_in_described_and_bare(connection):
    described = [User(2, 24, "M", "technician", "85711"), User(9, None, "F", None, "T8H1N")]
    counts = catalogue.merge_users(connection, np.array([1, 2], np.int32), described)
    assert counts == Counts(inserted=3)
    assert users_of(connection) == [
        (1, None, None, None, None),
        (2, 24, "M", "technician", "85711"),
        (9, None, "F", None, "T8H1N"),
    ]


def test_attributes_of_a_user_are_filled_in_and_never_erased(connection):
    catalogue.merge_users(connection, np.array([1, 2], np.int32), [User(2, 24, "M")])
    described = [User(1, 30), User(2, None, None, "artist")]
    assert catalogue.merge_users(connection, np.array([3], np.int32), described) == Counts(
        inserted=1, updated=2
    )
    again = catalogue.merge_users(connection, np.array([1, 2, 3], np.int32), [])
    assert again == Counts(unchanged=3)
    assert users_of(connection) == [
        (1, 30, None, None, None),
        (2, 24, "M", "artist", None),
        (3, None, None, None, None),
    ]


# --- ratings ---


def test_ratings_are_loaded_and_a_repetition_changes_nothing(peopled):
    ratings = columns((1, 6, 4.5, 100), (1, 34, 0.5, None), (2, 6, 3.0, 200))
    assert catalogue.merge_ratings(peopled, ratings) == Counts(inserted=3)
    assert catalogue.merge_ratings(peopled, ratings) == Counts(unchanged=3)
    assert ratings_of(peopled) == [(1, 6, 4.5, 100), (1, 34, 0.5, None), (2, 6, 3.0, 200)]


def test_ratings_are_corrected_except_where_the_one_here_is_newer(peopled):
    catalogue.merge_ratings(
        peopled,
        columns((1, 6, 1.0, 100), (1, 34, 1.0, 100), (2, 6, 1.0, 100), (3, 6, 1.0, 100)),
    )
    found = columns(
        (1, 6, 2.0, 99),  # older than what is here
        (1, 34, 2.0, 101),  # newer
        (2, 6, 2.0, 100),  # of the same second
        (3, 6, 1.0, 100),  # the same
        (3, 34, 2.0, 50),  # not here yet
    )
    assert catalogue.merge_ratings(peopled, found) == Counts(inserted=1, updated=2, unchanged=2)
    assert ratings_of(peopled) == [
        (1, 6, 1.0, 100),
        (1, 34, 2.0, 101),
        (2, 6, 2.0, 100),
        (3, 6, 1.0, 100),
        (3, 34, 2.0, 50),
    ]


def test_a_rating_without_time_is_taken_and_keeps_the_time_that_is_here(peopled):
    catalogue.merge_ratings(peopled, columns((1, 6, 1.0, 100), (1, 34, 1.0, None)))
    found = columns((1, 6, 2.0, None), (1, 34, 2.0, 7))
    assert catalogue.merge_ratings(peopled, found) == Counts(updated=2)
    assert ratings_of(peopled) == [(1, 6, 2.0, 100), (1, 34, 2.0, 7)]


def test_ratings_that_are_here_and_not_in_the_files_stay(peopled):
    catalogue.merge_ratings(peopled, columns((1, 6, 1.0, 100)))
    catalogue.merge_ratings(peopled, columns((2, 6, 5.0, 100)))
    assert ratings_of(peopled) == [(1, 6, 1.0, 100), (2, 6, 5.0, 100)]


def test_progress_counts_ratings_on_both_ways(peopled):
    told: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        told.append((done, total))

    catalogue.merge_ratings(peopled, columns((1, 6, 1.0, 1), (2, 6, 1.0, 1)), progress)
    catalogue.merge_ratings(peopled, columns((1, 6, 1.0, 1)), progress)
    assert told == [(2, 2), (1, 1)]


# --- tags ---


def test_tags_are_loaded_once_with_their_first_time(peopled):
    tags = tags_of(
        (1, 6, "crime", 20), (1, 6, "crime", 10), (2, 6, "crime", None), (1, 6, "Crime", 5)
    )
    assert catalogue.merge_tags(peopled, tags) == Counts(inserted=3, unchanged=1)
    query = "SELECT user_id, movie_id, tag, tagged_at FROM recsys_store.tags ORDER BY tag, user_id"
    expected = [
        (1, 6, "Crime", datetime.fromtimestamp(5, UTC)),
        (1, 6, "crime", datetime.fromtimestamp(10, UTC)),
        (2, 6, "crime", None),
    ]
    assert rows_of(peopled, query) == expected
    assert catalogue.merge_tags(peopled, tags) == Counts(unchanged=4)
    assert rows_of(peopled, query) == expected


# --- genome ---


def genome(relevance, name="noir"):
    return Genome(
        np.array([1, 2], np.int32),
        [name, "funny"],
        np.array([6, 6, 34], np.int32),
        np.array([1, 2, 1], np.int32),
        np.array(relevance, np.float32),
    )


def test_the_genome_is_loaded_kept_and_corrected(peopled):
    assert catalogue.merge_genome(peopled, genome([0.5, 0, 1])) == Counts(inserted=5)
    assert catalogue.merge_genome(peopled, genome([0.5, 0, 1])) == Counts(unchanged=5)
    changed = genome([0.5, 0.25, 1], "film noir")
    assert catalogue.merge_genome(peopled, changed) == Counts(updated=2, unchanged=3)
    assert rows_of(
        peopled,
        "SELECT movie_id, tag, relevance FROM recsys_store.genome_scores "
        "JOIN recsys_store.genome_tags USING (tag_id) ORDER BY 1, tag_id",
    ) == [(6, "film noir", 0.5), (6, "funny", 0.25), (34, "film noir", 1)]


# --- the lock and what is loaded ---


def test_one_ingest_at_a_time(database):
    about = "SELECT pid, usename, xact_start AT TIME ZONE 'UTC' FROM pg_stat_activity"
    with database.transaction() as first:
        pid, role, since = first.execute(sa.text(f"{about} WHERE pid = pg_backend_pid()")).one()
        lock.keep_ingests_out(first)
        with pytest.raises(StorageError) as caught, database.transaction() as second:
            lock.keep_ingests_out(second)
    assert str(caught.value) == (
        "another ingest is running on this database, "
        f"in session {pid} of {role} (recsys) since {since:%Y-%m-%d %H:%M:%S} UTC"
    )
    assert caught.value.hint == "run it again when that has ended"
    with database.transaction() as third:
        lock.keep_ingests_out(third)


def test_no_edition_is_loaded_in_an_empty_database(connection):
    assert catalogue.loaded_edition(connection) is None


def test_the_last_edition_of_ratings_is_the_loaded_one(published):
    assert catalogue.loaded_edition(published) == "ml-small-made-up"


def test_no_temporary_table_is_left(peopled):
    catalogue.merge_ratings(peopled, columns((1, 6, 1.0, 100)))
    catalogue.merge_ratings(peopled, columns((1, 6, 1.0, 100)))
    catalogue.merge_tags(peopled, tags_of((1, 6, "x", 1)))
    catalogue.merge_genome(peopled, genome([0.5, 0, 1]))
    catalogue.merge_genome(peopled, genome([0.5, 0, 1]))
    assert rows_of(peopled, "SELECT relname FROM pg_class WHERE relpersistence = 't'") == []
