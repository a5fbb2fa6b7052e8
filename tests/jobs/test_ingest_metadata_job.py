from pathlib import Path

import pytest
from store import rows_of

from recsys.config.settings import RefreshSettings
from recsys.errors import DataError, NothingLoaded
from recsys.jobs.ingest import ingest, ingest_metadata
from recsys.jobs.plan import plan
from recsys.jobs.refresh import refresh
from recsys.storage.load.catalogue import Counts

HEADER = (
    "adult,belongs_to_collection,budget,genres,homepage,id,imdb_id,original_language,"
    "original_title,overview,popularity,poster_path,production_companies,production_countries,"
    "release_date,revenue,runtime,spoken_languages,status,tagline,title,video,vote_average,"
    "vote_count"
)


def film(tmdb_id, imdb_id, overview):
    return (
        f"False,,0,[],,{tmdb_id},{imdb_id},en,T,{overview},1.5,/p.jpg,[],[],1995-10-30,0,81.0,[],"
        f"Released,,T,False,7.5,100"
    )


def files(folder: Path, *films: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "movies_metadata.csv").write_text("\n".join([HEADER, *films, ""]))
    (folder / "keywords.csv").write_text("id,keywords\n2001,\"[{'id': 7, 'name': 'toy'}]\"\n")
    return folder


def test_films_are_joined_by_tmdb_id_and_by_imdb_id(filled_database, tmp_path):
    # Movie 1 has TMDB id 2001; movie 2 has IMDb id 1002, under another TMDB id here.
    folder = files(
        tmp_path / "meta",
        film(2001, "tt0001001", "one"),
        film(777, "tt0001002", "two"),
        film(888, "tt9999999", "none of ours"),
    )
    report = ingest_metadata(filled_database, folder)
    assert (report.matched, report.unmatched) == (2, 1)
    assert report.ingest.counts == Counts(inserted=2)
    assert rows_of(
        filled_database,
        "SELECT movie_id, overview, runtime, vote_count FROM recsys_store.movie_metadata "
        "ORDER BY 1",
    ) == [(1, "one", 81, 100), (2, "two", 81, 100)]
    assert rows_of(
        filled_database,
        "SELECT movie_id, poster_url FROM recsys.movies WHERE poster_url IS NOT NULL ORDER BY 1",
    ) == [
        (1, "https://image.tmdb.org/t/p/w342/p.jpg"),
        (2, "https://image.tmdb.org/t/p/w342/p.jpg"),
    ]
    assert rows_of(
        filled_database,
        "SELECT movie_id, name FROM recsys_store.movie_keywords "
        "JOIN recsys_store.keywords USING (keyword_id)",
    ) == [(1, "toy")]


def test_it_is_recorded_and_the_edition_stays(filled_database, tmp_path):
    folder = files(tmp_path / "meta", film(2001, "tt0001001", "one"))
    report = ingest_metadata(filled_database, folder, source="from afar")
    columns = "kind, edition, dialect, source, rows_read, inserted"
    query = f"SELECT {columns} FROM recsys.ingests WHERE ingest_id = "
    assert rows_of(filled_database, f"{query}{report.ingest.ingest_id}") == [
        ("metadata", "ml-small-made-up", "the-movies-dataset", "from afar", 2, 1)
    ]


def test_the_same_again_changes_nothing(filled_database, tmp_path, contents):
    folder = files(tmp_path / "meta", film(2001, "tt0001001", "one"))
    ingest_metadata(filled_database, folder)
    before = contents(filled_database)
    assert ingest_metadata(filled_database, folder).ingest.no_change
    after = contents(filled_database)
    before.pop("recsys_store.ingests")
    after.pop("recsys_store.ingests")
    assert after == before


def test_files_without_a_known_film_are_an_error(filled_database, tmp_path, contents):
    before = contents(filled_database)
    folder = files(tmp_path / "meta", film(888, "tt9999999", "none of ours"))
    (folder / "keywords.csv").unlink()
    with pytest.raises(DataError, match=r"none of the films in .* is in ml-small-made-up"):
        ingest_metadata(filled_database, folder)
    assert contents(filled_database) == before


GENRES = "\"[{'id': 1, 'name': 'Action'}, {'id': 2, 'name': 'War'}]\""


@pytest.fixture
def films(database, tmp_path):
    """A database whose catalogue comes from a file with few of the columns."""
    rows = [
        f"{id_},Film {id_},{year}-01-02,{genres},A {word} {word} tale,8.{id_},{100 * id_}"
        for id_, year, genres, word in (
            (1, 1990, GENRES, "pirate"), (2, 1991, GENRES, "pirate"), (3, 1992, "[]", "robot"),
            (4, 1993, "broken", "robot"),
        )
    ]  # fmt: skip
    header = "id,title,release_date,genres,overview,vote_average,vote_count"
    (tmp_path / "movies_metadata.csv").write_text("\n".join([header, *rows, ""]))
    ingest_metadata(database, tmp_path)
    return database


def test_films_alone_are_a_catalogue(films):
    assert rows_of(films, "SELECT movie_id, movie_key, title, year, genres FROM recsys.movies") == [
        (1, "1", "Film 1", 1990, ["Action", "War"]), (2, "2", "Film 2", 1991, ["Action", "War"]),
        (3, "3", "Film 3", 1992, []), (4, "4", "Film 4", 1993, []),
    ]  # fmt: skip
    assert rows_of(films, "SELECT kind, edition FROM recsys.ingests") == [
        ("metadata", "the-movies-dataset")
    ]


def test_charts_and_content_models_need_no_ratings(films):
    settings = RefreshSettings(
        models=("top_rated", "content_genres", "content_text"),
        parameters={"top_rated": {"votes": "metadata", "q": 0.0}},
    )
    assert refresh(films, plan(settings)).published
    chart = "SELECT title, source FROM recsys.recommend(9, 2)"
    assert rows_of(films, chart) == [("Film 4", "chart"), ("Film 3", "chart")]
    similar = "SELECT movie_id FROM recsys.similar({}, 1, '{}')"
    assert rows_of(films, similar.format(1, "content_genres")) == [(2,)]
    assert rows_of(films, similar.format(3, "content_text")) == [(4,)]
    given = "SELECT movie_id, source FROM recsys.recommend_for('{\"1\": 5}', 1)"
    assert rows_of(films, given) == [(2, "content")]
    # The next one is judged by the charts of this one.
    assert not refresh(films, plan(settings), if_changed=True).changed
    assert refresh(films, plan(settings)).published


def test_models_that_learn_from_ratings_are_told_that_there_are_none(films):
    with pytest.raises(NothingLoaded, match="there are no ratings") as caught:
        refresh(films, plan(RefreshSettings()))
    assert "leave item_knn and others" in caught.value.hint
    assert rows_of(films, "SELECT count(*) FROM recsys.runs") == [(0,)]


def test_ratings_of_these_films_can_follow(films, tmp_path):
    file = tmp_path / "ratings.csv"
    file.write_text("user_id,movie_id,rating\n7,1,4\n7,3,2\n8,1,5\n")
    ingest(films, file)
    wanted = [(7, "Film 1", 4.0), (7, "Film 3", 2.0), (8, "Film 1", 5.0)]
    query = "SELECT user_id, title, rating FROM recsys.ratings ORDER BY 1, 2"
    assert rows_of(films, query) == wanted


@pytest.mark.slow
def test_the_real_files_describe_the_real_edition(database, ml_latest_small, the_movies_dataset):
    ingest(database, ml_latest_small)
    report = ingest_metadata(database, the_movies_dataset)
    assert report.matched > 0
    assert (
        report.ingest.counts.inserted
        == rows_of(database, "SELECT count(*) FROM recsys_store.movie_metadata")[0][0]
    )
    assert ingest_metadata(database, the_movies_dataset).ingest.no_change
