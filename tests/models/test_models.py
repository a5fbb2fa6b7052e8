"""Each model against an independent dense computation of its definition."""

from __future__ import annotations

import numpy as np
import pytest
from grades import counted
from scipy.sparse import csr_matrix

from recsys.domain import Interactions, Neighbours, RankedLists, UserRows
from recsys.errors import RecsysError
from recsys.jobs.training import ModelResults
from recsys.models.registry import FitOptions
from recsys.numerics import gram as grams
from recsys.numerics.scoring import rank_by_sum
from recsys.numerics.symmetric import SymmetricMatrix
from recsys.numerics.topk import ranked
from tests.models import helpers
from tests.models.helpers import assert_lists, ratings


def fit(
    name: str, dense: np.ndarray, genres: np.ndarray | None = None, **settings: float
) -> ModelResults:
    columns = np.zeros((dense.shape[1], 0)) if genres is None else genres
    names = tuple(f"g{column:02}" for column in range(columns.shape[1]))
    data = Interactions(csr_matrix(dense), csr_matrix(columns), names)
    return helpers.fit(name, data, **settings)


def cosines(dense: np.ndarray, min_support: int, shrinkage: float) -> np.ndarray:
    items = dense.shape[1]
    scores = np.full((items, items), -np.inf)
    for i in range(items):
        for j in range(items):
            a, b = dense[:, i], dense[:, j]
            common = int(((a != 0) & (b != 0)).sum())
            if i != j and common >= max(1, min_support):
                cosine = a @ b / np.sqrt((a @ a) * (b @ b))
                scores[i, j] = cosine * common / (common + shrinkage)
    return scores


def from_lists(dense: np.ndarray, lists: RankedLists, counts: np.ndarray) -> np.ndarray:
    """Sum of score(j -> i) over the rated j, times what each rating counts, in plain loops."""
    scores = np.zeros(dense.shape)
    for user, row in enumerate(dense):
        for j in np.flatnonzero(row):
            for entry in range(lists.indptr[j], lists.indptr[j + 1]):
                scores[user, lists.indices[entry]] += counts[user, j] * lists.scores[entry]
    scores[(scores <= 0) | (dense != 0)] = -np.inf
    return scores


@pytest.mark.parametrize("k", [3, 100])
@pytest.mark.parametrize("min_support", [1, 2, 4])
@pytest.mark.parametrize("shrinkage", [0.0, 2.5])
@pytest.mark.parametrize("density", [0.08, 0.4])
def test_item_knn(k: int, min_support: int, shrinkage: float, density: float) -> None:
    dense = ratings(40, 30, 7, density)
    output = fit("item_knn", dense, k=k, n=9, min_support=min_support, shrinkage=shrinkage)
    assert_lists(output.neighbours, cosines(dense, min_support, shrinkage), k, 1e-12)
    assert output.neighbours is not None
    assert_lists(
        output.recommendations, from_lists(dense, output.neighbours, counted(dense)), 9, 1e-12
    )


def test_item_knn_trusts_the_kernel_only_where_it_may() -> None:
    """Popular movies in front, a long tail behind: both ways are taken and agree with the truth."""
    random = np.random.default_rng(3)
    popularity = np.concatenate([np.full(25, 0.9), np.full(25, 0.02)])
    dense = (random.random((150, 50)) < popularity) * random.uniform(3, 5, (150, 50))
    output = fit("item_knn", dense, k=10, min_support=3)
    assert_lists(output.neighbours, cosines(dense, 3, 0), 10, 1e-12)


def test_item_knn_ties_at_the_cut_go_by_index() -> None:
    dense = np.tile(ratings(12, 1, 1, 0.8), (1, 9))
    neighbours = fit("item_knn", dense, k=3).neighbours
    assert neighbours is not None
    assert neighbours.indices.reshape(9, 3).tolist() == [
        [j for j in range(9) if j != i][:3] for i in range(9)
    ]
    np.testing.assert_allclose(neighbours.scores, 1, rtol=1e-12)
    assert neighbours.scores.max() <= 1


def test_item_knn_one_common_rater_is_noise() -> None:
    dense = np.array([[5.0, 5, 0], [0, 0, 3]])
    assert len(fit("item_knn", dense).neighbours or ()) == 0
    assert len(fit("item_knn", dense, min_support=1).neighbours or ()) == 2


def test_rank_by_sum() -> None:
    random = np.random.default_rng(11)
    dense = ratings(25, 18, 12)
    rows, cols = np.nonzero(random.random((18, 18)) < 0.3)
    plain = ranked(rows, cols, random.normal(size=len(rows)), 18)
    lists = Neighbours(plain.indptr, plain.indices, plain.scores)
    for n in (1, 4, 30):
        best = rank_by_sum(lists, UserRows.all(csr_matrix(dense)), n, FitOptions())
        assert_lists(best, from_lists(dense, lists, dense != 0), n, 1e-12)


def ease_weights(dense: np.ndarray, regularization: float) -> np.ndarray:
    seen = counted(dense)
    inverse = np.linalg.inv(seen.T @ seen + regularization * np.eye(dense.shape[1]))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights


# More users than items, and so few that the inverse is found through the users.
@pytest.mark.parametrize(("users", "items"), [(60, 25), (9, 25)])
def test_ease_with_all_weights(users: int, items: int) -> None:
    dense = ratings(users, items, 5)
    output = fit("ease", dense, n=8, regularization=3.0, min_raters=0.0)
    weights = ease_weights(dense, 3.0)
    scores = counted(dense) @ weights
    np.testing.assert_allclose(helpers.dense(output.neighbours, items), weights, atol=2e-6)
    scores[(scores <= 0) | (dense != 0)] = -np.inf
    # Scores in single precision: what nearly ties may come in another order.
    assert_lists(output.recommendations, scores, 8, 2e-5, near_ties=True)


def test_recency_changes_the_lists_of_ease_and_not_its_weights() -> None:
    dense = ratings(60, 25, 7)
    plain, aged = (
        fit("ease", dense, regularization=3.0, recency=recency) for recency in (1.0, 0.5)
    )
    assert plain.neighbours is not None
    assert aged.neighbours is not None
    assert np.array_equal(plain.neighbours.scores, aged.neighbours.scores)
    assert plain.recommendations is not None
    assert aged.recommendations is not None
    assert not np.array_equal(plain.recommendations.scores, aged.recommendations.scores)


def test_ease_keeps_the_strongest_by_magnitude() -> None:
    dense = ratings(60, 25, 6)
    output = fit("ease", dense, n=8, regularization=3.0, weights=5, min_raters=0.36)
    weights = ease_weights(dense, 3.0)
    kept = np.full(weights.shape, -np.inf)
    for row, values in enumerate(weights):
        best = np.argsort(-np.abs(values), kind="stable")[:5]
        best = best[np.abs(values[best]) >= 0.12]
        kept[row, best] = values[best]
    assert (kept[kept > -np.inf] < 0).any()
    assert 0 < (kept > -np.inf).sum() < 125
    assert_lists(output.neighbours, kept, 5, 2e-5)
    assert output.neighbours is not None
    assert_lists(
        output.recommendations, from_lists(dense, output.neighbours, counted(dense)), 8, 1e-12
    )


def test_ease_takes_the_most_rated_only() -> None:
    dense = np.zeros((8, 5))
    for item, votes in enumerate([3, 8, 3, 0, 5]):
        dense[:votes, item] = 4
    output = fit("ease", dense, regularization=1.0, max_items=3, min_raters=0.0)
    assert output.neighbours is not None
    # Items 0 and 2 tie for the third place.
    assert sorted(set(output.neighbours.indices.tolist())) == [0, 1, 4]
    assert np.diff(output.neighbours.indptr).tolist() == [2, 2, 0, 0, 2]


def test_ease_inverts_in_place() -> None:
    gram = SymmetricMatrix.zeros(5)
    gram.add_to_diagonal(4)
    assert grams.invert(gram, 1.0) is gram


def test_ease_says_when_it_cannot_invert() -> None:
    dense = np.ones((4000, 3))
    with pytest.raises(RecsysError, match="cannot be inverted in single precision") as caught:
        fit("ease", dense, regularization=1e-9)
    assert caught.value.hint == "Raise the model's parameter regularization."


@pytest.mark.parametrize("k", [2, 7, 100])
def test_content_genres(k: int) -> None:
    random = np.random.default_rng(2)
    genres = (random.random((60, 4)) < 0.4).astype(float)
    genres[[3, 59]] = 0
    idf = np.log((1 + 60) / (1 + genres.sum(0))) + 1
    vectors = genres * idf
    lengths = np.linalg.norm(vectors, axis=1)
    scores = np.round(vectors @ vectors.T / np.outer(lengths, lengths).clip(1e-9), 12)
    scores[scores <= 0] = -np.inf
    np.fill_diagonal(scores, -np.inf)
    dense = ratings(20, 60, 13)
    dense[4] = 0
    output = fit("content_genres", dense, genres, k=k, n=k)
    assert_lists(output.neighbours, scores, k, 1e-11)
    profiles = counted(dense) @ (vectors / lengths.clip(1e-9)[:, None])
    away = np.outer(np.linalg.norm(profiles, axis=1), lengths).clip(1e-9)
    liked = np.round(profiles @ vectors.T / away, 12)
    liked[(liked <= 0) | (dense != 0)] = -np.inf
    assert_lists(output.recommendations, liked, k, 1e-11)


def test_als_recommends_and_compares_by_its_factors() -> None:
    dense = ratings(40, 25, 8)
    dense[[2, 9]] = 0
    dense[:, [0, 11]] = 0
    output = fit("als", dense, k=6, n=7, factors=5, regularization=0.5)
    assert output.factors is not None
    users, items = output.factors.users, output.factors.items
    assert (users.shape, items.shape) == ((40, 5), (25, 5))
    assert (users.dtype, items.dtype) == (np.float32, np.float32)
    scores = users.astype(float) @ items.T.astype(float)
    scores[dense != 0] = -np.inf
    scores[[2, 9]] = -np.inf
    scores[:, [0, 11]] = -np.inf
    assert_lists(output.recommendations, scores, 7, 1e-5)
    lengths = np.linalg.norm(items.astype(float), axis=1)
    similar = items.astype(float) @ items.T / np.outer(lengths, lengths).clip(1e-12)
    similar[similar <= 0] = -np.inf
    np.fill_diagonal(similar, -np.inf)
    assert_lists(output.neighbours, similar, 6, 1e-5)


def test_als_finds_the_other_half_of_the_checkerboard() -> None:
    dense = np.indices((20, 20)).sum(axis=0) % 2 * 4.0
    hidden = dense.copy()
    hidden[np.arange(20), (np.arange(20) + 1) % 20] = 0
    output = fit("als", hidden, n=1, factors=2, regularization=1.0)
    assert output.recommendations is not None
    assert output.recommendations.indices.tolist() == [(user + 1) % 20 for user in range(20)]


def test_als_depends_on_the_seed_only() -> None:
    dense = ratings(30, 20, 9)
    one, same, other = (fit("als", dense, seed=seed).factors for seed in (1, 1, 2))
    assert one is not None
    assert same is not None
    assert other is not None
    assert np.array_equal(one.items, same.items)
    assert not np.array_equal(one.items, other.items)
