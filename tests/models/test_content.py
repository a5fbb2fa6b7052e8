"""The content models against dense computations of their definitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from grades import counted
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics.pairwise import linear_kernel

from recsys.domain import Dataset, Interactions, RankedLists
from recsys.errors import ConfigError
from recsys.ingest import read_dataset
from recsys.models.content.text import text_vectors
from recsys.models.registry import MODELS, FitOptions, make_config
from recsys.numerics.scoring import neighbours_by_vectors
from tests.models import helpers
from tests.models.helpers import dense, fit

WORDS = ("war", "Planet", "the", "of", "ape", "zwölf", "dawn", "x", "2001", "war-torn", "love")
CONTENT = ("content_genres", "content_text", "content")


def made_up_texts(count: int, seed: int) -> list[str]:
    """Some empty, some of stop words only, some the same, all of few words."""
    random = np.random.default_rng(seed)
    texts = [" ".join(random.choice(WORDS, size)) for size in random.integers(0, 9, count)]
    texts[1], texts[count // 2], texts[-1] = "", "the of x", texts[0]
    return texts


def made_up_genres(count: int, seed: int) -> np.ndarray:
    genres = (np.random.default_rng(seed).random((count, 4)) < 0.4).astype(float)
    genres[[1, count - 1]] = 0
    return genres


def made_up_ratings(users: int, items: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    rated = (random.random((users, items)) < 0.3) * random.integers(1, 11, (users, items)) / 2
    rated[:, [2, 7]] = 0
    rated[4] = 0
    return rated


def interactions(
    ratings: np.ndarray | csr_matrix, genres: np.ndarray, texts: Sequence[str] | None
) -> Interactions:
    names = tuple(f"g{column}" for column in range(genres.shape[1]))
    given = None if texts is None else tuple(texts)
    return Interactions(csr_matrix(ratings), csr_matrix(genres), names, item_texts=given)


def unit(dense: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(dense, axis=1, keepdims=True)
    return dense / np.where(lengths > 0, lengths, 1)


def text_oracle(texts: Sequence[str], ngrams: int = 3) -> np.ndarray:
    vectorizer = TfidfVectorizer(ngram_range=(1, ngrams), stop_words="english")
    return vectorizer.fit_transform(texts).toarray()


def genre_oracle(genres: np.ndarray) -> np.ndarray:
    return unit(genres * (np.log((1 + len(genres)) / (1 + genres.sum(axis=0))) + 1))


def side_by_side(parts: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    scaled = [np.sqrt(weight) * part for weight, part in zip(weights, parts, strict=True)]
    return unit(np.hstack(scaled))


def profile_oracle(
    ratings: np.ndarray, parts: Sequence[np.ndarray], weights: Sequence[float]
) -> np.ndarray:
    """Score every user and item in plain loops; -inf for what must not be recommended."""
    items, counts = side_by_side(parts, weights), counted(ratings)
    scores = np.full(ratings.shape, -np.inf)
    for user, row in enumerate(ratings):
        means = [np.zeros(part.shape[1]) for part in parts]
        for item in np.flatnonzero(row):
            for mean, part in zip(means, parts, strict=True):
                mean += counts[user, item] * part[item]
        profile = side_by_side([unit(mean[None]) for mean in means], weights)[0]
        for item in np.flatnonzero(row == 0):
            scores[user, item] = profile @ items[item]
    return np.where(scores > 1e-13, scores, -np.inf)


def assert_lists(lists: RankedLists | None, scores: np.ndarray, length: int) -> None:
    """Compare with the best of each row; scores that differ by rounding only tie by index."""
    helpers.assert_lists(lists, scores, length, 0, 1e-12, decimals=11)


def among_items(similar: np.ndarray) -> np.ndarray:
    scores = np.where(similar > 1e-13, similar, -np.inf)
    np.fill_diagonal(scores, -np.inf)
    return scores


@pytest.mark.parametrize("ngrams", [1, 2, 3, 5])
def test_text_vectors_have_the_dot_products_of_scikit_learn(ngrams: int) -> None:
    texts = made_up_texts(60, ngrams)
    vectors = text_vectors(texts, ngrams)
    expected = text_oracle(texts, ngrams)
    np.testing.assert_allclose(
        (vectors @ vectors.T).toarray(), linear_kernel(expected), rtol=0, atol=1e-14
    )


def test_terms_of_one_text_share_a_column() -> None:
    vectors = text_vectors(["war planet", "war ape dawn", "nothing alike", ""], 3)
    # `war`, and one column for each text, in which the empty one has nothing.
    assert vectors.shape == (4, 1 + 4)
    assert np.diff(vectors.indptr).tolist() == [2, 2, 1, 0]


def test_terms_do_not_reach_over_the_end_of_a_text() -> None:
    vectors = text_vectors(["love war", "planet dawn", "war planet"], 2)
    assert (vectors[0] @ vectors[1].T).nnz == 0
    np.testing.assert_allclose(
        (vectors @ vectors.T).toarray(),
        linear_kernel(text_oracle(["love war", "planet dawn", "war planet"], 2)),
        atol=1e-14,
    )


@pytest.mark.parametrize("texts", [[], [""], ["", "the of", "x"]])
def test_texts_without_terms_are_zero(texts: list[str]) -> None:
    vectors = text_vectors(texts, 3)
    assert (vectors.shape[0], vectors.nnz) == (len(texts), 0)


@pytest.mark.parametrize("k", [2, 9, 100])
@pytest.mark.parametrize("ngrams", [1, 3])
def test_content_text(k: int, ngrams: int) -> None:
    ratings, texts = made_up_ratings(30, 40, 5), made_up_texts(40, 6)
    data = interactions(ratings, np.zeros((40, 0)), texts)
    output = fit("content_text", data, k=k, n=k, ngrams=ngrams)
    vectors = text_oracle(texts, ngrams)
    assert_lists(output.neighbours, among_items(vectors @ vectors.T), k)
    assert_lists(output.recommendations, profile_oracle(ratings, [vectors], [1.0]), k)
    assert output.neighbours is not None
    nothing = [item for item in range(40) if not vectors[item].any()]
    assert {1, 20} <= set(nothing)
    assert not np.isin(output.neighbours.indices, nothing).any()


def test_the_nearest_of_some_are_those_among_all() -> None:
    vectors = text_vectors(made_up_texts(40, 6), 3)
    options = FitOptions(block_rows=2)
    every = dense(neighbours_by_vectors(vectors, 5, options), 40)
    some = np.array([39, 3, 1, 17, 4])
    assert np.array_equal(dense(neighbours_by_vectors(vectors, 5, options, some), 40), every[some])


@pytest.mark.parametrize("k", [2, 9, 100])
def test_content_genres(k: int) -> None:
    ratings, genres = made_up_ratings(30, 40, 7), made_up_genres(40, 8)
    output = fit("content_genres", interactions(ratings, genres, None), k=k, n=k)
    vectors = genre_oracle(genres)
    assert_lists(output.neighbours, among_items(vectors @ vectors.T), k)
    assert_lists(output.recommendations, profile_oracle(ratings, [vectors], [1.0]), k)


@pytest.mark.parametrize("text_weight", [0.0, 0.3, 0.75, 1.0])
def test_content(text_weight: float) -> None:
    ratings, genres, texts = made_up_ratings(30, 40, 9), made_up_genres(40, 10), None
    texts = made_up_texts(40, 11)
    genres[-1] = genres[0]
    genres[5], texts[5] = 0, ""
    data = interactions(ratings, genres, texts)
    output = fit("content", data, k=7, n=7, text_weight=text_weight)
    parts, weights = [genre_oracle(genres), text_oracle(texts)], [1 - text_weight, text_weight]
    items = side_by_side(parts, weights)
    assert_lists(output.neighbours, among_items(items @ items.T), 7)
    assert_lists(output.recommendations, profile_oracle(ratings, parts, weights), 7)


def test_content_is_the_weighted_mean_where_both_are_known() -> None:
    genres = np.array([[1.0, 0], [1, 1], [0, 1]])
    texts = ["war dawn", "war planet", "dawn planet planet"]
    ratings = np.array([[5.0, 0, 0], [0, 3, 0]])
    data = interactions(ratings, genres, texts)
    outputs = [fit(name, data) for name in CONTENT]
    for lists in ("neighbours", "recommendations"):
        by_genres, by_text, both = (dense(getattr(output, lists), 3) for output in outputs)
        np.testing.assert_allclose(both, 0.25 * by_genres + 0.75 * by_text, atol=1e-12)
        assert both.any()


def test_movies_without_one_part_are_compared_by_the_other() -> None:
    genres = np.array([[1.0, 0], [1, 0], [0, 0], [0, 0], [0, 1]])
    texts = ["", "war dawn", "war dawn", "", "planet"]
    ratings = np.array([[4.0, 0, 0, 0, 0], [0, 0, 4, 0, 0], [0, 0, 0, 4, 0]])
    output = fit("content", interactions(ratings, genres, texts), text_weight=0.64)
    alike = np.zeros((5, 5))
    alike[0, 1] = alike[1, 0] = 0.6  # sqrt(0.36), the share of the genres
    alike[1, 2] = alike[2, 1] = 0.8
    assert output.neighbours is not None
    np.testing.assert_allclose(dense(output.neighbours, 5), alike, atol=1e-12)
    assert output.recommendations is not None
    scores = dense(output.recommendations, 5)
    np.testing.assert_allclose(scores, [alike[0], alike[2], np.zeros(5)], atol=1e-12)


@pytest.mark.parametrize("name", CONTENT)
def test_one_rating_is_enough_and_a_movie_needs_none(name: str) -> None:
    genres, texts = np.array([[1.0], [1], [1]]), ["war dawn", "war dawn", "war dawn"]
    output = fit(name, interactions(np.array([[0.5, 0, 0], [0, 0, 0]]), genres, texts))
    assert output.recommendations is not None
    assert output.recommendations.indptr.tolist() == [0, 2, 2]
    assert output.recommendations.indices.tolist() == [1, 2]
    assert output.recommendations.scores.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("name", CONTENT)
def test_negative_ratings_give_no_list(name: str) -> None:
    genres, texts = np.ones((3, 1)), ["war", "war", "war"]
    ratings = csr_matrix(np.array([[-3.0, 0, 0], [4.0, 0, 0]]))
    recommendations = fit(name, interactions(ratings, genres, texts)).recommendations
    assert recommendations is not None
    assert recommendations.indptr.tolist() == [0, 0, 2]


@pytest.mark.parametrize("name", CONTENT)
def test_movies_alike_tie_exactly(name: str) -> None:
    random = np.random.default_rng(4)
    kinds = random.integers(0, 6, 300)
    genres = made_up_genres(6, 12)[kinds]
    genres[:, 3] = 1
    texts = [made_up_texts(6, 13)[kind] + " planet" for kind in kinds]
    data = interactions(made_up_ratings(20, 300, 14), genres, texts)
    output = fit(name, data, k=300, n=300)
    for lists in (output.neighbours, output.recommendations):
        assert lists is not None
        for start, stop in zip(lists.indptr, lists.indptr[1:], strict=False):
            for kind in range(6):
                mine = kinds[lists.indices[start:stop]] == kind
                assert len(np.unique(lists.scores[start:stop][mine])) <= 1
                assert (np.diff(lists.indices[start:stop][mine]) > 0).all()
    assert output.neighbours is not None
    assert output.neighbours.scores.max() == 1.0


@pytest.mark.parametrize("name", CONTENT)
def test_small_blocks_change_nothing(name: str) -> None:
    data = interactions(made_up_ratings(50, 40, 15), made_up_genres(40, 16), made_up_texts(40, 17))
    whole = fit(name, data, k=9, n=9)
    blocks = fit(name, data, k=9, n=9, block_rows=3)
    for one, other in (
        (whole.neighbours, blocks.neighbours),
        (whole.recommendations, blocks.recommendations),
    ):
        assert one is not None
        assert other is not None
        assert np.array_equal(one.indices, other.indices)
        assert np.array_equal(one.scores, other.scores)


@pytest.mark.parametrize("name", ["content_text", "content"])
def test_without_texts_there_is_nothing_in_them(name: str) -> None:
    data = interactions(made_up_ratings(9, 12, 1), made_up_genres(12, 2), None)
    output = fit(name, data)
    if name == "content":
        expected = fit("content_genres", data)
    else:
        expected = fit(name, replace(data, item_texts=("",) * 12))
        assert len(expected.neighbours or ()) == 0
    for one, other in (
        (output.neighbours, expected.neighbours),
        (output.recommendations, expected.recommendations),
    ):
        assert one is not None
        assert other is not None
        assert np.array_equal(one.indices, other.indices)
        np.testing.assert_allclose(one.scores, other.scores, rtol=0, atol=1e-12)


def test_texts_are_read_where_they_count() -> None:
    def needed(name: str, **params: float) -> frozenset[str]:
        return MODELS[name].needs(make_config(MODELS[name], params))

    assert needed("content_genres") == needed("content", text_weight=0.0) == frozenset()
    assert needed("content_text") == needed("content") == {"texts"}


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("content_text", {"ngrams": 0}),
        ("content_text", {"ngrams": 6}),
        ("content", {"ngrams": 0}),
        ("content", {"text_weight": -0.1}),
        ("content", {"text_weight": 1.1}),
    ],
)
def test_parameters_out_of_range_are_refused(name: str, params: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="is out of range"):
        make_config(MODELS[name], params)


# --- what the methods must show on real films -----------------------------------------------------

FILMS = {
    "Toy Story": "Animation|Children's|Comedy",
    "Jumanji": "Adventure|Children's|Fantasy",
    "Heat": "Action|Crime|Thriller",
    "Aladdin and the King of Thieves": "Animation|Children's|Comedy",
    "Saving Private Ryan": "Action|Drama|War",
    "American Tail, An": "Animation|Children's|Comedy",
    "Casablanca": "Drama|Romance|War",
    "Rugrats Movie, The": "Animation|Children's|Comedy",
    "Full Metal Jacket": "Action|Drama|War",
    "Bug's Life, A": "Animation|Children's|Comedy",
    "Lion King, The": "Animation|Children's|Musical",
    "Braveheart": "Action|Drama|War",
    "Star Wars": "Action|Adventure|Fantasy|Sci-Fi",
    "Airplane!": "Comedy",
}


def test_the_nearest_of_two_films_by_their_genres_in_ml_1m() -> None:
    genres = sorted({genre for text in FILMS.values() for genre in text.split("|")})
    matrix = np.array([[g in text.split("|") for g in genres] for text in FILMS.values()], float)
    lists = fit("content_genres", interactions(np.zeros((1, len(FILMS))), matrix, None)).neighbours
    assert nearest(lists, list(FILMS), "Toy Story", 4) == [
        ("Aladdin and the King of Thieves", 1.0),
        ("American Tail, An", 1.0),
        ("Rugrats Movie, The", 1.0),
        ("Bug's Life, A", 1.0),
    ]
    assert nearest(lists, list(FILMS), "Saving Private Ryan", 2) == [
        ("Full Metal Jacket", 1.0),
        ("Braveheart", 1.0),
    ]
    third, score = nearest(lists, list(FILMS), "Saving Private Ryan", 3)[2]
    assert third == "Casablanca"
    assert 0.5 < score < 1


def nearest(
    lists: RankedLists | None, names: list[str], film: str, count: int
) -> list[tuple[str, float]]:
    assert lists is not None
    start = int(lists.indptr[names.index(film)])
    found = slice(start, start + count)
    scores = lists.scores[found].tolist()
    return [(names[item], score) for item, score in zip(lists.indices[found], scores, strict=True)]


@cache
def edition(folder: Path) -> Dataset:
    return read_dataset(folder)


def nearest_films(folder: Path, film: str, count: int) -> list[tuple[str, tuple[str, ...], float]]:
    """Title, genres and score of the nearest films of a real edition, in the order of its ids."""
    dataset = edition(folder)
    movies = sorted(dataset.movies, key=lambda movie: movie.movie_id)
    titles = [movie.original_title for movie in movies]
    output = fit("content_genres", real_genres(dataset))
    genres = {movie.original_title: movie.genres for movie in movies}
    return [
        (title, genres[title], score)
        for title, score in nearest(output.neighbours, titles, film, count)
    ]


def real_genres(dataset: Dataset) -> Interactions:
    movies = sorted(dataset.movies, key=lambda movie: movie.movie_id)
    names = sorted({genre for movie in movies for genre in movie.genres})
    matrix = np.array([[name in movie.genres for name in names] for movie in movies], float)
    return interactions(csr_matrix((1, len(movies))), matrix, None)


def test_saving_private_ryan_is_nearest_to_war_films(ml_latest_small: Path) -> None:
    found = nearest_films(ml_latest_small, "Saving Private Ryan (1998)", 50)
    assert all("War" in genres for _, genres, _ in found)
    assert found[0] == ("Braveheart (1995)", ("Action", "Drama", "War"), 1.0)


def test_toy_story_is_nearest_to_films_of_its_genres(ml_latest_small: Path) -> None:
    found = nearest_films(ml_latest_small, "Toy Story (1995)", 10)
    own = ("Adventure", "Animation", "Children", "Comedy", "Fantasy")
    assert {(genres, score) for _, genres, score in found} == {(own, 1.0)}
    assert [title for title, _, _ in found[:3]] == [
        "Antz (1998)",
        "Toy Story 2 (1999)",
        "Adventures of Rocky and Bullwinkle, The (2000)",
    ]


def test_the_nearest_of_two_films_in_ml_1m(ml_1m: Path) -> None:
    titles = {title for title, _, _ in nearest_films(ml_1m, "Toy Story (1995)", 30)}
    assert {
        "Aladdin and the King of Thieves (1996)",
        "American Tail, An (1986)",
        "Rugrats Movie, The (1998)",
        "Bug's Life, A (1998)",
    } <= titles
    war = nearest_films(ml_1m, "Saving Private Ryan (1998)", 10)
    assert all("War" in genres for _, genres, _ in war)
