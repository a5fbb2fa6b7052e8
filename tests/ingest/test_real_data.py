"""Real editions load whole: the counts are those of their READMEs, and no row is rejected."""

from pathlib import Path

import numpy as np

from recsys.domain import SourceMovie, User
from recsys.ingest import read_dataset
from recsys.ingest.movielens.rows import GENRES_100K


def test_ml_latest_small(ml_latest_small: Path) -> None:
    dataset = read_dataset(ml_latest_small)
    assert (dataset.edition, dataset.dialect) == ("ml-latest-small", "ml-csv")
    assert len(dataset.ratings) == 100_836
    assert len(np.unique(dataset.ratings.user_ids)) == 610
    assert len(dataset.movies) == 9_742
    assert dataset.tags is not None
    assert len(dataset.tags) == 3_683
    assert (dataset.rejected, dataset.duplicates) == ([], 0)
    assert dataset.rows_read == 100_836 + 9_742 * 2 + 3_683
    assert sum(movie.tmdb_id is None for movie in dataset.movies) == 8
    assert sum(movie.year is None for movie in dataset.movies) == 12
    matrix = next(movie for movie in dataset.movies if movie.movie_id == 2571)
    genres = ("Action", "Sci-Fi", "Thriller")
    assert matrix == SourceMovie(
        2571, "The Matrix", "Matrix, The (1999)", 1999, genres, 133093, 603
    )


def test_ml_100k(ml_100k: Path) -> None:
    dataset = read_dataset(ml_100k)
    assert (dataset.edition, dataset.dialect) == ("ml-100k", "ml-100k")
    assert len(dataset.ratings) == 100_000
    assert (len(dataset.users), len(dataset.movies)) == (943, 1_682)
    assert (dataset.rejected, dataset.duplicates) == ([], 0)
    assert dataset.users[0] == User(1, 24, "M", "technician", "85711")
    assert float(dataset.ratings.values.sum()) == 352_986.0


def test_genres_of_ml_100k_are_those_of_its_list(ml_100k: Path) -> None:
    lines = (ml_100k / "u.genre").read_text().split()
    assert tuple(line.split("|")[0] for line in lines) == GENRES_100K


def test_tutorial_movies(tutorial_movies: Path) -> None:
    dataset = read_dataset(tutorial_movies)
    assert (dataset.edition, dataset.dialect) == ("csv:tutorial-movies", "csv")
    assert (len(dataset.ratings) + dataset.duplicates, len(dataset.movies)) == (680, 34)
    assert dataset.rejected == []
    sheriff = SourceMovie(1, "The Sheriff 1", "The Sheriff 1", None, ("crime drama", "western"))
    assert dataset.movies[0] == sheriff
