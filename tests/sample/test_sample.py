"""The built-in sample: its form, its repeatability, and that methods can be told apart on it."""

from __future__ import annotations

import ast
import csv
import hashlib
import re
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from recsys.sample.files import write_sample

FILES = [
    "README.txt",
    "keywords.csv",
    "links.csv",
    "movies.csv",
    "movies_metadata.csv",
    "ratings.csv",
    "tags.csv",
]
MOVIELENS_GENRES = (
    "Action|Adventure|Animation|Children|Comedy|Crime|Documentary|Drama|Fantasy|Film-Noir|Horror|"
    "IMAX|Musical|Mystery|Romance|Sci-Fi|Thriller|War|Western"
)
Matrix = NDArray[np.float64]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sample(tmp_path_factory.mktemp("sample") / "not" / "there")


def table(sample: Path, name: str) -> list[dict[str, str]]:
    with (sample / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


# --- the files ------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(
    sample: Path, tmp_path: Path
) -> None:
    first = digests(sample)
    assert list(first) == FILES
    assert digests(write_sample(tmp_path / "again", seed=2024)) == first
    other = digests(write_sample(tmp_path / "other", seed=7))
    assert {name for name in FILES if other[name] == first[name]} == {"links.csv"}


def test_the_headers_are_those_of_movielens_and_the_movies_dataset(sample: Path) -> None:
    headers = {p.name: p.read_text(encoding="utf-8").split("\n", 1)[0] for p in sample.iterdir()}
    del headers["README.txt"]
    assert headers == {
        "movies.csv": "movieId,title,genres",
        "ratings.csv": "userId,movieId,rating,timestamp",
        "tags.csv": "userId,movieId,tag,timestamp",
        "links.csv": "movieId,imdbId,tmdbId",
        "keywords.csv": "id,keywords",
        "movies_metadata.csv": "adult,belongs_to_collection,budget,genres,homepage,id,imdb_id,"
        "original_language,original_title,overview,popularity,poster_path,production_companies,"
        "production_countries,release_date,revenue,runtime,spoken_languages,status,tagline,title,"
        "video,vote_average,vote_count",
    }


def test_lines_end_the_same_way_everywhere(sample: Path) -> None:
    assert [p.name for p in sample.iterdir() if b"\r" in p.read_bytes()] == []


def test_the_readme_names_the_sample_its_counts_and_that_it_is_fiction(sample: Path) -> None:
    text = " ".join((sample / "README.txt").read_text(encoding="utf-8").split())
    tags = len(table(sample, "tags"))
    assert (
        "This dataset (recsys-sample) describes 5-star rating and free-text tagging activity. "
        f"It contains 60000 ratings and {tags} tag applications across 1200 movies by 600 people. "
        "Everything in it is fictional"
    ) in text


# --- movies ---------------------------------------------------------------------------------------


def test_movies_have_unique_titles_with_article_last_and_known_genres(sample: Path) -> None:
    movies = table(sample, "movies")
    assert [row["movieId"] for row in movies] == [str(i) for i in range(1, 1201)]
    assert movies[0] == {
        "movieId": "1",
        "title": "Lighthouse Keeper, The (1994)",
        "genres": "Drama",
    }
    titles = [row["title"] for row in movies]
    assert len(set(titles)) == 1200
    form = re.compile(r"\S.*\S \((19[3-9]\d|20[01]\d|202[0-4])\)")
    assert [t for t in titles if not form.fullmatch(t)] == []
    assert [t for t in titles if re.match(r"(The|An?) ", t)] == []
    genres = [row["genres"].split("|") for row in movies]
    assert "|".join(sorted({name for names in genres for name in names})) == MOVIELENS_GENRES
    assert all(names == sorted(set(names)) for names in genres)


def test_there_are_remakes_series_and_titles_from_elsewhere(sample: Path) -> None:
    titles = [row["title"] for row in table(sample, "movies")]
    names = Counter(title[:-7] for title in titles)
    assert sorted(names.values()) == [1] * 1184 + [2] * 8
    assert "Salt Road, The (Chemin du sel, Le) (1961)" in titles
    parts = Counter(
        ast.literal_eval(row["belongs_to_collection"])["name"]
        for row in table(sample, "movies_metadata")
        if row["belongs_to_collection"]
    )
    assert parts["The Crown of Winter Collection"] == 4
    assert len(parts) > 40


def test_links_join_every_movie_to_metadata_and_keywords(sample: Path) -> None:
    links = table(sample, "links")
    assert links[0] == {"movieId": "1", "imdbId": "9000001", "tmdbId": "9000001"}
    ids = [str(9_000_000 + i) for i in range(1, 1201)]
    assert [row["tmdbId"] for row in links] == ids
    assert [row["id"] for row in table(sample, "keywords")] == ids
    metadata = table(sample, "movies_metadata")
    assert [row["id"] for row in metadata] == ids
    assert [row["imdb_id"] for row in metadata] == [f"tt{id_}" for id_ in ids]


def test_metadata_reads_as_the_movies_dataset_does(sample: Path) -> None:
    lighthouse = table(sample, "movies_metadata")[0]
    assert lighthouse["title"] == lighthouse["original_title"] == "The Lighthouse Keeper"
    assert lighthouse["tagline"] == "The light must not go out."
    assert lighthouse["overview"].startswith("For thirty years Anselm Quist has kept the lamp")
    assert ast.literal_eval(lighthouse["genres"]) == [{"id": 18, "name": "Drama"}]
    for row in table(sample, "movies_metadata"):
        assert 1930 <= date.fromisoformat(row["release_date"]).year <= 2024
        assert 72 <= float(row["runtime"]) <= 180
        assert 0 <= float(row["vote_average"]) <= 10
        assert int(row["vote_count"]) >= 0
        assert isinstance(ast.literal_eval(row["spoken_languages"]), list)


def test_every_plot_is_one_to_four_whole_sentences(sample: Path) -> None:
    plots = [row["overview"] for row in table(sample, "movies_metadata")]
    assert [p for p in plots if "{" in p or not p[0].isupper() or p[-1] != "."] == []
    assert [p for p in plots if not 1 <= len(re.findall(r"[.?](?: |$)", p)) <= 4] == []
    assert len(set(plots)) > 1190


def test_keywords_have_one_id_each(sample: Path) -> None:
    pairs = {
        (entry["id"], entry["name"])
        for row in table(sample, "keywords")
        for entry in ast.literal_eval(row["keywords"])
    }
    assert len(pairs) == len({id_ for id_, _ in pairs}) == len({name for _, name in pairs})
    assert {"lighthouse", "heist", "haunted house", "sequel", "remake"} <= {n for _, n in pairs}


# --- ratings --------------------------------------------------------------------------------------


def columns(sample: Path) -> tuple[NDArray[np.int64], NDArray[np.int64], Matrix, NDArray[np.int64]]:
    rows = np.loadtxt(sample / "ratings.csv", delimiter=",", skiprows=1)
    return rows[:, 0].astype(int), rows[:, 1].astype(int), rows[:, 2], rows[:, 3].astype(np.int64)


def test_ratings_are_sixty_thousand_on_half_stars_one_of_each_pair(sample: Path) -> None:
    users, movies, values, _ = columns(sample)
    assert len(users) == 60_000
    assert sorted(set(values)) == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0]
    assert sorted(set(users)) == list(range(1, 601))
    assert set(movies) <= set(range(1, 1201))
    assert len(set(zip(users.tolist(), movies.tolist(), strict=True))) == 60_000


def test_activity_and_popularity_have_long_tails(sample: Path) -> None:
    users, movies, _, _ = columns(sample)
    activity = np.sort(np.bincount(users)[1:])
    assert activity[0] == 20
    assert activity[-1] > 400
    assert np.median(activity) < 0.6 * activity.mean()
    popularity = np.sort(np.bincount(movies, minlength=1201)[1:])[::-1]
    assert popularity[:240].sum() > 0.45 * 60_000
    assert np.argmax(np.bincount(movies)) == 1


def test_no_movie_is_rated_before_its_release(sample: Path) -> None:
    _, movies, _, times = columns(sample)
    days = [date.fromisoformat(row["release_date"]) for row in table(sample, "movies_metadata")]
    released = np.array([datetime(d.year, d.month, d.day, tzinfo=UTC).timestamp() for d in days])
    assert (times >= released[movies - 1]).all()
    assert times.min() >= datetime(2012, 1, 1, tzinfo=UTC).timestamp()
    assert times.max() < datetime(2025, 1, 1, tzinfo=UTC).timestamp()


def test_people_rate_in_sessions(sample: Path) -> None:
    users, _, _, times = columns(sample)
    same = users[1:] == users[:-1]
    gaps = (times[1:] - times[:-1])[same]
    assert gaps.min() >= 15
    assert (gaps < 75).mean() > 0.8
    assert (gaps > 43_200).sum() > 1_000


def test_tags_are_of_rated_pairs_and_no_row_occurs_twice(sample: Path) -> None:
    users, movies, _, times = columns(sample)
    rated = dict(zip(zip(users.tolist(), movies.tolist(), strict=True), times, strict=True))
    tags = table(sample, "tags")
    assert 1_000 < len(tags) < 4_000
    keys = [(int(row["userId"]), int(row["movieId"]), row["tag"]) for row in tags]
    assert len(set(keys)) == len(keys)
    assert all(int(row["timestamp"]) > rated[key[:2]] for row, key in zip(tags, keys, strict=True))


# --- taste ----------------------------------------------------------------------------------------


def recall_at_10(scores: Matrix, train: Matrix, test: Matrix) -> float:
    top = np.argsort(-np.where(train > 0, -np.inf, scores), axis=1, kind="stable")[:, :10]
    hits = np.take_along_axis(test, top, axis=1).sum(axis=1)
    held_out = test.sum(axis=1)
    return float(np.mean(hits[held_out > 0] / held_out[held_out > 0]))


def test_taste_is_real_cosine_beats_popularity_beats_chance(sample: Path) -> None:
    users, movies, _, _ = columns(sample)
    generator = np.random.default_rng(1)
    held_out = generator.random(len(users)) < 0.2
    train, test = np.zeros((600, 1200)), np.zeros((600, 1200))
    train[users[~held_out] - 1, movies[~held_out] - 1] = 1.0
    test[users[held_out] - 1, movies[held_out] - 1] = 1.0

    lengths = np.maximum(np.linalg.norm(train, axis=0), 1e-12)
    similarity = (train.T @ train) / np.outer(lengths, lengths)
    np.fill_diagonal(similarity, 0.0)
    cosine = recall_at_10(train @ similarity, train, test)
    popular = recall_at_10(np.tile(train.sum(axis=0), (600, 1)), train, test)
    chance = recall_at_10(generator.random(train.shape), train, test)
    assert cosine > 2.0 * popular
    assert popular > 5.0 * chance


def test_ratings_know_who_and_what(sample: Path) -> None:
    """People and movies explain a good part of the ratings, liked themes one more."""
    users, movies, values, _ = columns(sample)
    mean = values.mean()
    by_user = np.bincount(users, values - mean) / (np.bincount(users) + 5.0)
    rest = values - mean - by_user[users]
    by_movie = np.bincount(movies, rest, 1201) / (np.bincount(movies, minlength=1201) + 5.0)
    rest -= by_movie[movies]
    assert 0.6 < rest.std() / values.std() < 0.85

    genres = [row["genres"] for row in table(sample, "movies")]
    horror = np.array([False, *("Horror" in names.split("|") for names in genres)])
    share = np.bincount(users, horror[movies]) / np.maximum(np.bincount(users), 1)
    fans = share[users] > 0.4
    assert values[fans & horror[movies]].mean() > values[~fans & horror[movies]].mean() + 0.15
