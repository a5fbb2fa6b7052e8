"""The similarities of movies and of users, and their models, against dense oracles."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cut_shards import CutShards
from scipy.sparse import csr_matrix
from scipy.spatial.distance import cdist, pdist, squareform

from recsys.domain import Interactions, RankedLists
from recsys.jobs.training import ModelResults, fit_model
from recsys.models.knn import co_rated, cosine
from recsys.models.knn.co_rated import co_rated_neighbours
from recsys.models.knn.similarity import common_ratings, similar_columns
from recsys.models.knn.user_knn import UserKnnConfig
from recsys.models.registry import MODELS, FitOptions, make_config
from recsys.numerics.prediction import predict_ratings
from tests.models import helpers

SIMILARITIES = ("pearson", "pearson_baseline", "cosine", "adjusted_cosine", "jaccard")
CENTRED = ("pearson", "pearson_baseline", "adjusted_cosine")
CO_RATED = ("pearson", "pearson_baseline", "adjusted_cosine", "jaccard")


def ratings(users: int, items: int, seed: int, density: float = 0.5) -> np.ndarray:
    return helpers.ratings(users, items, seed, density)


def stars(users: int, items: int, seed: int, density: float = 0.4) -> np.ndarray:
    return np.ceil(2 * ratings(users, items, seed, density)) / 2


def predicted_by(data: Interactions, output: ModelResults, users: Any, items: Any) -> np.ndarray:
    assert output.fitted is not None
    return predict_ratings(data, output.fitted, np.asarray(users), np.asarray(items))


def fit(name: str, dense: np.ndarray, **settings: Any) -> tuple[Interactions, ModelResults]:
    data = helpers.interactions(dense)
    return data, helpers.fit(name, data, **settings)


def of_pair(similarity: str, dense: np.ndarray, i: int, j: int) -> float:
    """Compute one similarity from its definition; NaN where undefined."""
    rated = dense != 0
    both = rated[:, i] & rated[:, j]
    a, b = dense[both, i], dense[both, j]
    if len(a) == 0:
        return np.nan
    if similarity == "jaccard":
        return both.sum() / (rated[:, i] | rated[:, j]).sum()
    if similarity == "cosine":
        return a @ b / np.sqrt((dense[:, i] ** 2).sum() * (dense[:, j] ** 2).sum())
    if len(a) < 2:
        return np.nan
    if similarity == "pearson":
        return np.corrcoef(a, b)[0, 1] if np.ptp(a) and np.ptp(b) else np.nan
    if similarity == "adjusted_cosine":
        means = np.array([row[row != 0].mean() for row in dense[both]])
        a, b = a - means, b - means
    if np.abs(a).max() < 1e-9 or np.abs(b).max() < 1e-9:
        return np.nan
    return a @ b / np.sqrt((a @ a) * (b @ b))


def oracle(similarity: str, dense: np.ndarray, min_support: int, shrinkage: float) -> np.ndarray:
    columns = dense.shape[1]
    common = (dense != 0).astype(int).T @ (dense != 0).astype(int)
    scores = np.full((columns, columns), -np.inf)
    for i in range(columns):
        for j in range(columns):
            score = of_pair(similarity, dense, i, j) if i != j else np.nan
            if common[i, j] >= min_support and not np.isnan(score):
                scores[i, j] = score * (common[i, j] / (common[i, j] + shrinkage))
    return scores


def expected(dense: np.ndarray, damping: float = 5.0) -> np.ndarray:
    """Compute all baselines in plain loops; NaN for users and items without ratings."""
    mean = dense[dense != 0].mean()
    items, users = np.full(dense.shape[1], np.nan), np.full(len(dense), np.nan)
    for i, column in enumerate(dense.T):
        if column.any():
            items[i] = (column[column != 0] - mean).sum() / ((column != 0).sum() + damping)
    for u, ratings in enumerate(dense):
        if ratings.any():
            beyond = (ratings - mean - items)[ratings != 0]
            users[u] = beyond.sum() / (len(beyond) + damping)
    return mean + users[:, None] + items


def compared(similarity: str, dense: np.ndarray) -> np.ndarray:
    """Return what the similarity of two columns is computed from."""
    residual = np.where(dense != 0, dense - expected(dense), 0)
    return residual if similarity == "pearson_baseline" else dense


def nearest(scores: np.ndarray, length: int) -> np.ndarray:
    """Return the positions of the best; scores equal up to rounding are in order of position."""
    best = np.argsort(-np.round(scores, 11), kind="stable")[:length]
    return best[scores[best] > -np.inf]


def assert_lists(lists: RankedLists | None, scores: np.ndarray, length: int) -> None:
    """Compare with the best of each row; scores that differ by rounding only tie by index."""
    helpers.assert_lists(lists, scores, length, 0, 1e-9, decimals=11)


def odd_ratings() -> np.ndarray:
    """Ratings in stars, with undefined similarities among them."""
    dense = stars(30, 20, 4)
    dense[dense[:, 3] != 0, 3] = 3.5  # a movie that all give the same
    dense[5, dense[5] != 0] = 3.7  # a user with equal ratings
    dense[:, 8] = 0
    dense[8] = 0
    dense[:, 11] = dense[:, 12] = 0
    dense[5, 11] = dense[5, 12] = 3.7  # with nothing but that one's ratings
    dense[2, 11] = 4
    return dense


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize(("min_support", "shrinkage"), [(1, 0.0), (4, 0.0), (2, 7.5)])
@pytest.mark.parametrize("k", [4, 50])
def test_similar_columns(similarity: Any, min_support: int, shrinkage: float, k: int) -> None:
    for rated in (ratings(25, 14, 7), odd_ratings(), odd_ratings().T):
        options, dense = FitOptions(k=k), compared(similarity, rated)
        found = similar_columns(csr_matrix(dense), similarity, min_support, shrinkage, options)
        assert_lists(found, oracle(similarity, dense, min_support, shrinkage), k)


def test_cosine_and_jaccard_agree_with_scipy() -> None:
    dense = ratings(40, 15, 3)
    options = FitOptions(k=14)
    off = ~np.eye(15, dtype=bool)
    for similarity, distances in (
        ("cosine", cdist(dense.T, dense.T, "cosine")),
        ("jaccard", squareform(pdist(dense.T != 0, "jaccard"))),
    ):
        lists = similar_columns(csr_matrix(dense), similarity, 1, 0.0, options)  # type: ignore[arg-type]
        assert_lists(lists, np.where(off, 1 - distances, -np.inf), 14)


@pytest.mark.parametrize("min_support", [1, 2, 4])
@pytest.mark.parametrize("values", [1, 5, 10_000])
@pytest.mark.parametrize(("density", "k"), [(0.04, 3), (0.1, 3), (0.4, 3), (0.1, 12), (0.4, 90)])
def test_cosines_of_the_kernel_are_those_in_full(
    monkeypatch: pytest.MonkeyPatch, min_support: int, values: int, density: float, k: int
) -> None:
    random = np.random.default_rng(round(100 * density) + k + values)
    matrix = random.integers(1, values + 1, (50, 80)) * (random.random((50, 80)) < density)
    matrix[:, 7] = 0
    options = FitOptions(k=k, threads=2, block_rows=9)
    known = []
    by_kernel = cosine._by_kernel

    def watched(*arguments: Any) -> Any:
        lists, unknown = by_kernel(*arguments)
        known.append(int((~unknown).sum()))
        return lists, unknown

    monkeypatch.setattr(cosine, "_by_kernel", watched)
    found = []
    for full in (False, True):
        monkeypatch.setattr(cosine, "_full_is_faster", lambda unit, full=full: full)
        found.append(cosine.cosine_neighbours(csr_matrix(matrix * 1.0), min_support, 0.0, options))
    mixed, whole = found
    assert mixed.indptr.tolist() == whole.indptr.tolist()
    assert mixed.indices.tolist() == whole.indices.tolist()
    np.testing.assert_allclose(mixed.scores, whole.scores, rtol=1e-12)
    # The one column without ratings at least; with few ties and enough support nearly all.
    [count] = known
    assert count > (70 if (values, density, k) == (10_000, 0.4, 3) else 0)


@pytest.mark.parametrize("min_support", [1, 3])
@pytest.mark.parametrize("values", [1, 10_000])
@pytest.mark.parametrize(("density", "k"), [(0.04, 3), (0.1, 12), (0.4, 3), (0.4, 90)])
@pytest.mark.parametrize("full", [False, True])
def test_cosines_of_blocks_are_those_of_all_columns(
    monkeypatch: pytest.MonkeyPatch,
    min_support: int,
    values: int,
    density: float,
    k: int,
    full: bool,
) -> None:
    """A task that has all ratings makes some of the lists, by a kernel of its own."""
    monkeypatch.setattr(cosine, "_full_is_faster", lambda unit: full)
    random = np.random.default_rng(round(100 * density) + k + values)
    matrix = random.integers(1, values + 1, (50, 80)) * (random.random((50, 80)) < density)
    matrix[:, 7] = 0
    ratings = csr_matrix(matrix * 1.0)
    options = FitOptions(k=k, threads=1, block_rows=9)
    shards = CutShards.of(Interactions(ratings, csr_matrix((80, 0)), ()), 20, 31)
    here = replace(shards, fit_in_one_place=True)
    for shrinkage in (0.0, 2.5):
        whole = cosine.cosine_neighbours(ratings, min_support, shrinkage, options)
        for each in (shards, here):
            lists = cosine.cosine_over_shards(each, min_support, shrinkage, options)
            assert lists.indptr.tolist() == whole.indptr.tolist()
            assert lists.indices.tolist() == whole.indices.tolist()
            assert lists.scores.tolist() == whole.scores.tolist()


def test_adjusted_cosine_centres_on_all_ratings_of_the_rater() -> None:
    # Raters' means 3, 3, 2; they are those of three ratings, not of the two that are compared.
    dense = np.array([[4.0, 3, 2], [5, 3, 1], [1, 4, 1]])
    lists = co_rated_neighbours(csr_matrix(dense), "adjusted_cosine", 2, 0.0, FitOptions())
    # Centred: (1, 2, -1), (0, 0, 2), (-1, -2, -1).
    one, other, third = -2 / np.sqrt(6 * 4), -4 / 6, -2 / np.sqrt(4 * 6)
    assert lists.indices.tolist() == [1, 2, 0, 2, 1, 0]
    expected = [one, other, one, third, third, other]
    np.testing.assert_allclose(lists.scores, expected, rtol=1e-15)


def test_adjusted_cosine_of_constant_raters_is_undefined() -> None:
    dense = np.full((4, 3), 3.7)  # (3.7 + 3.7 + 3.7) / 3 is not 3.7
    assert len(co_rated_neighbours(csr_matrix(dense), "adjusted_cosine", 2, 0.0, FitOptions())) == 0


@pytest.mark.parametrize("similarity", CO_RATED)
@pytest.mark.parametrize("dense_sums", [True, False])
def test_every_way_gives_the_same(similarity: Any, dense_sums: bool) -> None:
    matrix = csr_matrix(stars(60, 50, 5, 0.3))
    once = co_rated_neighbours(matrix, similarity, 2, 3.0, FitOptions(k=9, threads=1))
    options = FitOptions(k=9, threads=3, block_rows=7)
    again = co_rated_neighbours(matrix, similarity, 2, 3.0, options, dense=dense_sums, panel=7)
    assert np.array_equal(once.indptr, again.indptr)
    assert np.array_equal(once.indices, again.indices)
    np.testing.assert_allclose(once.scores, again.scores, rtol=1e-12)


def test_memory_and_density_choose_the_algorithm() -> None:
    def dense(matrix: csr_matrix, memory_mb: int) -> bool:
        falling = -np.sort(-np.bincount(matrix.indices))
        return co_rated._dense_is_better(matrix, falling, FitOptions(memory_mb=memory_mb))

    crowded = csr_matrix(np.ones((300, 400)))  # all pairs take 1.2 MiB
    assert [dense(crowded, 2), dense(crowded, 3)] == [False, True]
    one_each = csr_matrix((np.ones(20_000), np.arange(20_000) % 100, np.arange(20_001)))
    assert not dense(one_each, 1024)


@pytest.mark.parametrize("dense_sums", [True, False])
def test_memory_of_the_blocks_is_bounded(dense_sums: bool) -> None:
    matrix = csr_matrix(stars(500, 1000, 1, 0.1))
    options = FitOptions(k=5, memory_mb=16, threads=2)
    tracemalloc.start()
    co_rated_neighbours(matrix, "pearson", 2, 0.0, options, dense=dense_sums)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    copies = 2 * 3 * 12 * matrix.nnz
    assert peak < 16 * 2**20 + copies


def test_ties_go_by_position_not_by_popularity() -> None:
    dense = np.tile(stars(12, 1, 1, 0.8), (1, 9))
    dense = np.vstack([dense, np.diag([4.0] * 9)[::-1], np.tri(9) * 3])
    lists = co_rated_neighbours(csr_matrix(dense), "jaccard", 1, 0.0, FitOptions(k=3))
    assert_lists(lists, oracle("jaccard", dense, 1, 0.0), 3)


def test_correlations_of_stars_are_the_same_from_both_sides() -> None:
    lists = co_rated_neighbours(csr_matrix(stars(40, 30, 2)), "pearson", 2, 0.0, FitOptions())
    square = np.full((30, 30), np.nan)
    square[np.repeat(np.arange(30), np.diff(lists.indptr)), lists.indices] = lists.scores
    assert np.array_equal(square, square.T, equal_nan=True)


def test_a_rating_of_zero_is_a_rating() -> None:
    dense = np.array([[0.0, 1, 2], [3, 3, 2], [5, 4, 1]])
    everything = csr_matrix((dense.ravel(), np.tile(np.arange(3), 3), np.arange(0, 10, 3)))
    lists = co_rated_neighbours(everything, "pearson", 3, 0.0, FitOptions())
    expected = np.corrcoef(dense.T)
    np.fill_diagonal(expected, -np.inf)
    assert_lists(lists, expected, 2)
    assert common_ratings(everything, lists, FitOptions()).tolist() == [3] * 6


@pytest.mark.parametrize(("rows", "columns"), [(9, 300), (300, 9)])
def test_common_ratings(rows: int, columns: int) -> None:
    dense = ratings(rows, columns, 6, 0.3)
    lists = similar_columns(csr_matrix(dense.T), "jaccard", 1, 0.0, FitOptions(k=7))
    at_once = {"pairs_at_once": 100, "columns_at_once": 128}
    common = common_ratings(csr_matrix(dense), lists, FitOptions(), **at_once)
    owners = np.repeat(np.arange(rows), np.diff(lists.indptr))
    pairs = zip(owners, lists.indices, strict=True)
    assert common.dtype == np.int32
    assert common.tolist() == [int(((dense[u] != 0) & (dense[v] != 0)).sum()) for u, v in pairs]


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("baselines", [True, False])
def test_item_knn_takes_each_similarity_and_predicts(similarity: str, baselines: bool) -> None:
    dense = stars(40, 25, 8)
    settings = {"similarity": similarity, "min_support": 3, "baselines": baselines}
    data, output = fit("item_knn", dense, **settings, k=6)
    scores = oracle(similarity, compared(similarity, dense), 3, 50.0 * (similarity in CENTRED))
    assert_lists(output.neighbours, scores, 6)
    predicted = predicted_by(data, output, [0, 1, 2], [4, 5, 6])
    base, amplification, damping = expected(dense), 3, 0.1
    if not baselines:
        base, amplification, damping = np.zeros(dense.shape), 1, 0
    for user, item, found in zip((0, 1, 2), (4, 5, 6), predicted, strict=True):
        near = [j for j in nearest(scores[item], 6) if dense[user, j]]
        weights = np.sign(scores[item, near]) * np.abs(scores[item, near]) ** amplification
        deviation = weights @ (dense - base)[user, near] / (np.abs(weights).sum() + damping)
        wanted = np.clip(base[user, item] + deviation, 0.5, 5)
        assert found == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_item_knn_counts_the_highest_ratings_of_a_user(similarity: str) -> None:
    dense = stars(40, 25, 8)
    places = np.argsort(np.argsort(-dense, axis=1, kind="stable"), axis=1)
    highest = np.where(places < 4, compared(similarity, dense), 0)
    assert ((highest != 0).sum(axis=1) < (dense != 0).sum(axis=1)).any()
    settings = {"similarity": similarity, "min_support": 2, "shrinkage": 3.0}
    _, output = fit("item_knn", dense, **settings, k=6, max_ratings=4)
    assert_lists(output.neighbours, oracle(similarity, highest, 2, 3.0), 6)


def test_predicted_ratings_start_from_baselines() -> None:
    # Mean 3; biases of movies 3 / 2, -3 / 2, 0; levels of users 3.5, 3, 2.75; the last has none.
    dense = np.array([[5.0, 0, 0], [4, 2, 0], [0, 1, 3], [0, 0, 0]])
    settings = {"bias_damping": 0, "damping": 0, "amplification": 1, "min_support": 1}
    data, output = fit("item_knn", dense, **settings)
    base = output.baselines
    assert base is not None
    assert (base.mean, base.items.tolist()) == (3.0, [1.5, -1.5, 0.0])
    # One similar movie each, rated 0 above its baseline, .5 above and .25 below.
    found = predicted_by(data, output, [0, 1, 2, 3], [1, 2, 0, 0])
    assert found.tolist()[:3] == [3.5 - 1.5, 3 + 0.5, 2.75 + 1.5 - 0.25]
    assert np.isnan(found[3])


def by_users(
    dense: np.ndarray, base: np.ndarray, scores: np.ndarray, k: int, least: int, damping: float
) -> np.ndarray:
    """Predict unrated entries from the k nearest users, in plain loops; -inf if unknown."""
    users, items = dense.shape
    predicted = np.full(dense.shape, -np.inf)
    for u in range(users):
        near = nearest(scores[u], k)
        for i in range(items):
            raters = [v for v in near if dense[v, i]]
            weight = sum(abs(scores[u, v]) for v in raters)
            if len(raters) >= least and weight > 0 and not dense[u, i]:
                deviation = sum(scores[u, v] * (dense[v, i] - base[v, i]) for v in raters)
                predicted[u, i] = base[u, i] + deviation / (weight + damping)
    return predicted


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize(("least", "baselines"), [(1, False), (3, True)])
def test_user_knn(similarity: str, least: int, baselines: bool) -> None:
    dense = ratings(25, 30, 9)
    dense[[4, 24]] = 0
    dense[:, [0, 7]] = 0
    settings = {"similarity": similarity, "min_support": 3, "shrinkage": 5.0}
    settings |= {"min_neighbours": least, "baselines": baselines, "damping": 0.25}
    data, output = fit("user_knn", dense, **settings, k=8, n=6)
    scores = oracle(similarity, compared(similarity, dense).T, 3, 5.0)
    near, best = output.user_neighbours, output.recommendations
    assert_lists(near, scores, 8)
    means = [row[row != 0].mean() if row.any() else np.nan for row in dense]
    base, damping = np.repeat(means, 30).reshape(25, 30), 0.0
    if baselines:
        base, damping = expected(dense), 0.25
    assert_lists(best, by_users(dense, base, scores, 8, least, damping), 6)
    assert near is not None
    assert best is not None
    assert output.neighbours is None
    assert np.isnan(near.means).nonzero()[0].tolist() == [4, 24]
    owners = np.repeat(np.arange(25), np.diff(near.indptr))
    rated = (dense != 0).astype(int)
    assert np.array_equal(near.common, (rated[owners] * rated[near.indices]).sum(axis=1))
    users = np.repeat(np.arange(25), np.diff(best.indptr))
    predicted = predicted_by(data, output, users, best.indices)
    scale = dense[dense != 0].min(), dense.max()
    np.testing.assert_allclose(predicted, np.clip(best.scores, *scale), rtol=1e-12)


def test_user_knn_scores_are_not_cut() -> None:
    dense = np.array([[5.0, 4, 0], [4, 3, 5]])
    settings = {"similarity": "cosine", "min_neighbours": 1, "baselines": False}
    data, output = fit("user_knn", dense, **settings)
    best, near = output.recommendations, output.user_neighbours
    assert best is not None
    assert near is not None
    # The mean 4.5 and the one above the mean of 4 that the other one gives.
    assert (best.indptr.tolist(), best.indices.tolist()) == ([0, 1, 1], [2])
    assert best.scores == pytest.approx([5.5], rel=1e-15)
    assert near.common.tolist() == [2, 2]
    predicted = predicted_by(data, output, [0], [2])
    assert predicted.tolist() == [5.0]


def test_a_user_whose_ratings_are_all_alike_has_neighbours() -> None:
    """Two camps of users; the last two gave three movies of the first half of a star, or five."""
    first, second = np.repeat([[5.0, 1.0], [1.0, 5.0]], 8, axis=1)
    alike = np.zeros((2, 16))
    alike[:, :3] = [[0.5], [5]]
    dense = np.vstack([np.tile(first, (10, 1)), np.tile(second, (10, 1)), alike])
    _, output = fit("user_knn", dense)
    best, near = output.recommendations, output.user_neighbours
    assert best is not None
    assert near is not None
    liked, disliked = [8, 9, 10, 11, 12, 13, 14, 15], [3, 4, 5, 6, 7]
    assert best.indices[helpers.row(best, 20)].tolist() == liked + disliked
    assert best.indices[helpers.row(best, 21)].tolist() == disliked + liked
    assert near.indices[helpers.row(near, 20)].tolist() == [*range(10, 20), *range(10), 21]
    _, output = fit("user_knn", dense, similarity="pearson")
    assert output.user_neighbours is not None
    assert not len(output.user_neighbours.indices[helpers.row(output.user_neighbours, 20)])


def test_user_knn_without_ratings() -> None:
    _, output = fit("user_knn", np.zeros((3, 4)))
    assert output.user_neighbours is not None
    assert output.recommendations is not None
    assert (len(output.user_neighbours), len(output.recommendations)) == (0, 0)
    assert np.isnan(output.user_neighbours.means).all()


def test_defaults_of_user_knn() -> None:
    assert UserKnnConfig() == UserKnnConfig("pearson_baseline", 2, 100.0, 3, True, 5.0, 0.5)


PLAIN = {"baselines": False}


@pytest.mark.parametrize(
    ("name", "settings", "share", "rmse"),
    [
        ("item_knn", {}, 0.9984, 0.9245),
        ("item_knn", PLAIN, 0.99485, 1.0026),
        ("user_knn", {}, 0.9984, 0.9315),
        ("user_knn", {**PLAIN, "similarity": "pearson"}, 0.98995, 0.9570),
    ],
    ids=["item_knn", "item_knn, plain", "user_knn", "user_knn, plain"],
)
def test_predicted_ratings_of_ml_100k(
    ml_100k: Path, name: str, settings: dict[str, Any], share: float, rmse: float
) -> None:
    """Figures measured once, on the split the data set comes with."""
    train, test = (np.loadtxt(ml_100k / name, np.int64) for name in ("u1.base", "u1.test"))
    where = train[:, 0] - 1, train[:, 1] - 1
    matrix = csr_matrix((train[:, 2].astype(float), where), shape=(943, 1682))
    data = helpers.interactions(matrix, (1.0, 5.0))
    model = fit_model(MODELS[name], make_config(MODELS[name], settings), data, FitOptions())
    predicted = predict_ratings(data, model.fitted, test[:, 0] - 1, test[:, 1] - 1)
    known = np.isfinite(predicted)
    error = np.sqrt(np.mean((predicted[known] - test[known, 2]) ** 2))
    assert known.mean() == pytest.approx(share)
    assert error == pytest.approx(rmse, abs=5e-5)
