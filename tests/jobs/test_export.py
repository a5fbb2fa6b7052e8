"""Export: files that show one state, and that an ingest reads again."""

import csv

import pytest

from recsys.errors import InvalidArgument
from recsys.jobs.export import export
from recsys.jobs.ingest import ingest

SAME = {
    "ratings": "SELECT user_key, movie_key, rating, rated_at FROM recsys.ratings ORDER BY 1, 2",
    "movies": "SELECT movie_key, title, year, genres FROM recsys.movies ORDER BY 1",
}
PUBLISHED = {
    "recommendations": "SELECT model, user_key, rank, movie_key, title, score, source_model "
    "FROM recsys.recommendations ORDER BY model, user_id, rank",
    "similar_movies": "SELECT model, movie_key, rank, similar_movie_key, similar_title, score "
    "FROM recsys.similar_movies ORDER BY model, movie_id, rank",
    "charts": "SELECT chart, genre, rank, movie_key, title, score, votes, mean_rating "
    "FROM recsys.charts ORDER BY chart, genre NULLS FIRST, rank",
}


def rows(database, query):
    with database.transaction() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]


@pytest.fixture
def exported(refreshed_database, tmp_path):
    with refreshed_database.transaction() as connection:
        # Characters that a CSV file must quote, and a key that is no number.
        connection.exec_driver_sql(
            "UPDATE recsys_store.movies SET title = 'A \"quoted\", film', key = 'x;y' "
            "WHERE movie_id = 5"
        )
    found = export(refreshed_database, tmp_path / "out")
    assert [one.path.name for one in found] == [
        "movies.csv", "ratings.csv", "tags.csv", "recommendations.csv", "similar_movies.csv",
        "charts.csv",
    ]  # fmt: skip
    return found


def test_files_hold_what_is_published(refreshed_database, exported):
    for one in exported:
        with open(one.path, newline="", encoding="utf-8") as file:
            _, *lines = csv.reader(file)
        assert len(lines) == one.rows
        query = PUBLISHED.get(one.path.stem)
        if query is not None:
            wanted = [
                ["" if value is None else str(value) for value in row]
                for row in rows(refreshed_database, query)
            ]
            assert len(wanted) > 100
            assert [[*map(number, line)] for line in lines] == [
                [*map(number, line)] for line in wanted
            ]


def number(text):
    """PostgreSQL writes 3 where Python writes 3.0."""
    try:
        return float(text)
    except ValueError:
        return text


@pytest.mark.parametrize("parquet", [False, True])
def test_an_ingest_reads_them_again(refreshed_database, exported, database, tmp_path, parquet):
    folder = tmp_path / "out"
    if parquet:
        folder = tmp_path / "other"
        export(refreshed_database, folder, parquet=True)
    ingest(database, folder)
    for query in SAME.values():
        assert rows(database, query) == rows(refreshed_database, query)


def test_a_file_withdraws_movies(database, tmp_path):
    (tmp_path / "ratings.csv").write_text("user_id,movie_id,rating\nann,A,4\nann,B,3\n")
    movies = tmp_path / "movies.csv"
    shown = "SELECT key FROM recsys_store.movies WHERE available ORDER BY key"
    movies.write_text("movie_id,title,available\nA,Alien,no\nB,Brazil,\n")
    ingest(database, tmp_path, edition="mine")
    assert rows(database, shown) == [("B",)]
    # Without the column nothing changes; with it the movie returns.
    movies.write_text("movie_id,title\nA,Alien\nB,Brazil\n")
    ingest(database, tmp_path, edition="mine")
    assert rows(database, shown) == [("B",)]
    movies.write_text("movie_id,title,available\nA,Alien,True\nB,Brazil,1\n")
    assert ingest(database, tmp_path, edition="mine").counts.updated == 1
    assert rows(database, shown) == [("A",), ("B",)]


def test_counts_are_named_so(database, tmp_path):
    (tmp_path / "views.csv").write_text("user,movie\nann,A\nann,A\nbob,B\n")
    ingest(database, tmp_path / "views.csv")
    export(database, tmp_path / "out")
    written = (tmp_path / "out" / "ratings.csv").read_text()
    assert written == "user_id,movie_id,count,timestamp\nann,A,2,\nbob,B,1,\n"


def test_a_folder_that_cannot_be_written_is_told(refreshed_database, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidArgument, match="file cannot be written: File exists"):
        export(refreshed_database, tmp_path / "file")
