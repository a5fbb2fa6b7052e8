"""Genres have small numbers that neither failed nor repeated ingests use up."""

import pytest
import sqlalchemy as sa
from alembic import command
from store import change, rows_of

from recsys.errors import DataError
from recsys.jobs.ingest import ingest
from recsys.jobs.refresh import refresh
from recsys.storage.schema import versions

RATINGS = ["1,10,4.5,1000000000", "1,20,3.0,1000000001"]
GENRES = "SELECT genre_id, name FROM recsys_store.genres ORDER BY genre_id"


def test_genres_are_numbered_without_gaps(database, tmp_path, write_edition):
    def load(*genres, **options):
        movies = [f"{10 * n},Film (1990),{names}" for n, names in enumerate(genres, 1)]
        ingest(database, write_edition(tmp_path / "ml-tiny", RATINGS, movies), **options)
        return rows_of(database, GENRES)

    assert load("War|Drama", "Action") == [(1, "Action"), (2, "Drama"), (3, "War")]
    # No movie has Drama any more, so its number is free for the next ingest.
    assert load("War", "Comedy") == [(3, "War"), (4, "Comedy")]
    assert load("War", "Comedy|Animation|Crime") == [
        (1, "Animation"), (2, "Crime"), (3, "War"), (4, "Comedy"),
    ]  # fmt: skip
    assert load("War", "Crime", replace=True) == [(1, "Crime"), (2, "War")]


def test_a_failed_ingest_uses_up_no_number(database, tmp_path, write_edition):
    class Fails:
        def begin(self, stage):
            assert stage != "write ratings"

        def advance(self, done, total): ...

        def end(self, note): ...

    folder = write_edition(tmp_path / "ml-tiny", RATINGS)
    with pytest.raises(AssertionError):
        ingest(database, folder, reporter=Fails())
    ingest(database, folder)
    assert rows_of(database, GENRES) == [(1, "Drama")]


def test_a_genre_stays_as_long_as_a_chart_names_it(
    refreshed_database, edition, tmp_path, write_edition
):
    """Its number would pass to another genre, and the chart with it."""
    charts = "SELECT DISTINCT genre FROM recsys.charts WHERE genre IS NOT NULL ORDER BY 1"
    before = rows_of(refreshed_database, charts)
    numbers = rows_of(refreshed_database, GENRES)
    ratings = (edition / "ratings.csv").read_text().splitlines()[1:]
    movies = [f"{movie},Film {movie} (1990),Western" for movie in range(1, 61)]
    folder = write_edition(tmp_path / edition.name, ratings, movies)
    ingest(refreshed_database, folder)
    assert rows_of(refreshed_database, charts) == before
    assert rows_of(refreshed_database, GENRES) == [*numbers, (len(numbers) + 1, "Western")]


def test_no_genre_is_dropped_during_a_refresh(
    refreshed_database, plan_all, tmp_path, write_edition, edition
):
    class Meanwhile:
        """Take the genres of all movies away after the refresh has read them."""

        def begin(self, stage):
            if stage == "write":
                ingest(refreshed_database, folder)

        def advance(self, done, total): ...

        def end(self, note): ...

    change(refreshed_database, "DELETE FROM recsys_store.movie_charts")
    ratings = (edition / "ratings.csv").read_text().splitlines()[1:]
    movies = [f"{movie},Film {movie} (1990),Western" for movie in range(1, 61)]
    folder = write_edition(tmp_path / edition.name, ratings, movies)
    numbers = rows_of(refreshed_database, GENRES)
    refresh(refreshed_database, plan_all, force="test", reporter=Meanwhile())
    assert rows_of(refreshed_database, GENRES) == [*numbers, (len(numbers) + 1, "Western")]


def test_too_many_genres_are_refused(database, tmp_path, write_edition, contents):
    before = contents(database)
    movies = [f"{10 * n},Film,{'|'.join(f'word {n}-{i}' for i in range(501))}" for n in (1, 2)]
    folder = write_edition(tmp_path / "ml-tiny", RATINGS, movies)
    with pytest.raises(DataError) as caught:
        ingest(database, folder)
    assert str(caught.value) == (
        'movies.csv: 1,002 different genres, such as "word 1-0", "word 1-1", "word 1-2"; '
        "1,000 are allowed"
    )
    assert caught.value.hint == (
        "Is the column a text or a list of keywords? Genres are separated by | , or ;"
    )
    assert contents(database) == before
    movies = [f"{10 * n},Film,{'|'.join(f'word {n}-{i}' for i in range(500))}" for n in (1, 2)]
    ingest(database, write_edition(folder, RATINGS, movies))
    assert rows_of(database, "SELECT min(genre_id), max(genre_id) FROM recsys_store.genres") == [
        (1, 1000)
    ]


def test_without_a_free_number_nothing_is_written(database, tmp_path, write_edition, contents):
    fill = "INSERT INTO recsys_store.genres SELECT n, 'genre ' || n FROM generate_series({}) AS n"
    change(
        database,
        fill.format("1, 32766"),
        "INSERT INTO recsys_store.movies (movie_id, key, title, original_title) "
        "VALUES (1, '1', 'Film', 'Film')",
        "INSERT INTO recsys_store.movie_genres SELECT 1, genre_id FROM recsys_store.genres",
    )
    before = contents(database)
    movies = ["10,Film,Action", "20,Film,Drama"]
    folder = write_edition(tmp_path / "ml-tiny", RATINGS, movies)
    with pytest.raises(DataError, match=r"^no number is left for 1 of the new genres"):
        ingest(database, folder)
    assert contents(database) == before
    ingest(database, write_edition(folder, RATINGS, ["10,Film,Action", "20,Film,Action"]))
    last = "SELECT genre_id FROM recsys_store.genres WHERE name = 'Action'"
    assert rows_of(database, last) == [(32767,)]


def test_a_database_whose_numbers_ran_out_loads_again(empty_database, tmp_path, write_edition):
    folder = write_edition(tmp_path / "ml-tiny", RATINGS)
    with empty_database.transaction() as connection:
        config = versions.alembic_config(connection)
        command.upgrade(config, "0009")
        connection.execute(
            sa.text("SELECT setval('recsys_store.genres_genre_id_seq', 32766, true)")
        )
        insert = "INSERT INTO recsys_store.genres (name) VALUES ('Western')"
        connection.execute(sa.text(insert))
        versions.upgrade(connection)
    ingest(empty_database, folder)
    assert rows_of(empty_database, GENRES) == [(1, "Drama")]
    with empty_database.transaction() as connection:
        connection.execute(sa.text("DROP SCHEMA recsys CASCADE"))
        command.downgrade(versions.alembic_config(connection), "0009")
        connection.execute(sa.text(insert))
    assert rows_of(empty_database, GENRES) == [(1, "Drama"), (2, "Western")]
