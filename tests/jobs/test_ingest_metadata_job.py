from pathlib import Path

import pytest
from store import rows_of

from recsys.errors import DataError
from recsys.jobs.ingest import ingest, ingest_metadata
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


def test_without_movies_there_is_nothing_to_describe(database, tmp_path):
    with pytest.raises(DataError, match="there are no movies to describe") as caught:
        ingest_metadata(database, tmp_path)
    assert caught.value.hint == "load ratings first"


def test_the_real_files_describe_the_real_edition(database, ml_latest_small, the_movies_dataset):
    ingest(database, ml_latest_small)
    report = ingest_metadata(database, the_movies_dataset)
    assert report.matched > 0
    assert (
        report.ingest.counts.inserted
        == rows_of(database, "SELECT count(*) FROM recsys_store.movie_metadata")[0][0]
    )
    assert ingest_metadata(database, the_movies_dataset).ingest.no_change
