"""Factor models against dense computations of their definitions, and on the tutorial's ratings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from implicit.cpu.bpr import BayesianPersonalizedRanking
from scipy.sparse import csr_matrix

from recsys.domain import Factors, Float64, Interactions, Metric
from recsys.errors import ConfigError, RecsysError
from recsys.ingest import read_dataset
from recsys.jobs.training import ModelResults
from recsys.models.factors import bpr, mf, svd
from recsys.models.registry import MODELS, FitOptions, make_config
from recsys.models.shards import OneShard
from recsys.numerics.prediction import predict_ratings
from tests.models import helpers
from tests.models.helpers import assert_lists, ratings


def interactions(matrix: np.ndarray | csr_matrix) -> Interactions:
    return helpers.interactions(matrix, (0.5, 5.0))


def fit(name: str, matrix: np.ndarray | csr_matrix, **settings: Any) -> ModelResults:
    return helpers.fit(name, interactions(matrix), **settings)


def one_shard(matrix: np.ndarray | csr_matrix) -> OneShard:
    return OneShard(interactions(matrix))


def factors_of(output: ModelResults) -> Factors:
    assert output.factors is not None
    return output.factors


def cosines(vectors: np.ndarray) -> np.ndarray:
    """Return cosines of all pairs of rows, -inf where not above 0 and on the diagonal."""
    vectors = np.where(np.linalg.norm(vectors, axis=1, keepdims=True) < 1e-9, 0, vectors)
    lengths = np.linalg.norm(vectors, axis=1)
    similar = vectors @ vectors.T / np.outer(lengths, lengths).clip(1e-12)
    similar[similar <= 1e-9] = -np.inf
    np.fill_diagonal(similar, -np.inf)
    return similar


def to_recommend(predicted: np.ndarray, dense: np.ndarray) -> np.ndarray:
    scores = np.where(dense != 0, -np.inf, predicted)
    scores[~(dense != 0).any(axis=1)] = -np.inf
    scores[:, ~(dense != 0).any(axis=0)] = -np.inf
    return scores


def planted(users: int, items: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return ratings by biases and two factors, and which of them are known."""
    random = np.random.default_rng(seed)
    tastes, kinds = random.normal(size=(users, 2)), random.normal(size=(items, 2))
    truth = 2.8 + random.normal(scale=0.2, size=users)[:, None] + 0.4 * tastes @ kinds.T
    return np.clip(truth, 0.5, 5), random.random((users, items)) < 0.5


# --- svd ------------------------------------------------------------------------------------------


def svd_by_numpy(dense: np.ndarray, rank: int) -> tuple[Float64, Float64]:
    """Return predictions and the item vectors `V S`."""
    seen = dense != 0
    means = dense.sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
    deviations = np.where(seen, dense - means[:, None], 0)
    left, values, right = np.linalg.svd(deviations, full_matrices=False)
    left, values, right = left[:, :rank], values[:rank], right[:rank]
    return means[:, None] + (left * values) @ right, (values[:, None] * right).T


# Of 22 values: 4 are for ARPACK, 10 are for LAPACK, and 50 are more than the half there may be.
@pytest.mark.parametrize(("rank", "kept"), [(4, 4), (10, 10), (50, 11)])
def test_svd(rank: int, kept: int) -> None:
    dense = ratings(40, 24, 1)
    dense[[2, 9]] = 0
    dense[:, [0, 11]] = 0
    predicted, items = svd_by_numpy(dense, kept)
    output = fit("svd", dense, rank=rank, k=6, n=7, damping=0)
    factors = factors_of(output)
    assert factors.users.shape == (40, rank)
    assert factors.items.shape == (24, rank)
    assert (factors.users.dtype, factors.items.dtype) == (np.float32, np.float32)
    assert factors.user_bias is not None
    assert factors.item_bias is not None
    assert np.flatnonzero(np.isnan(factors.user_bias)).tolist() == [2, 9]
    assert np.flatnonzero(np.isnan(factors.item_bias)).tolist() == [0, 11]
    assert not factors.items[[0, 11]].any()
    assert factors.users.any(axis=0).sum() == kept
    assert (factors.items.max(axis=0) >= -factors.items.min(axis=0)).all()
    found = factors.user_bias[:, None] + factors.item_bias + factors.users @ factors.items.T
    known = ~np.isnan(found)
    np.testing.assert_allclose(found[known], predicted[known], atol=1e-5)
    assert_lists(output.recommendations, to_recommend(predicted, dense), 7, 1e-5)
    assert_lists(output.neighbours, cosines(items), 6, 1e-5)


def test_svd_predicts_the_mean_for_users_with_equal_ratings() -> None:
    dense = ratings(20, 12, 3)
    dense[5] = 0
    dense[5, [1, 2]] = 3.3
    assert sum([3.3] * 3) / 3 != 3.3
    dense[:, 4] = 0
    dense[5, 4] = 3.3
    factors = factors_of(fit("svd", dense, damping=0))
    assert factors.user_bias is not None
    assert factors.user_bias[5] == pytest.approx(3.3)
    assert not factors.users[5].any()
    assert not factors.items[4].any()


def test_svd_treats_rounding_residue_as_zero() -> None:
    """Of two groups with nothing in common, the one of small deviations is cut off whole."""
    random = np.random.default_rng(1)
    dense = np.zeros((60, 40))
    dense[:30, :20] = random.integers(1, 6, (30, 20))
    dense[30:, 20:] = 3 + random.normal(scale=0.01, size=(30, 20))
    output = fit("svd", dense, rank=4, damping=0)
    assert factors_of(output).items[:20].any(axis=1).all()
    assert not factors_of(output).items[20:].any()
    assert output.neighbours is not None
    assert output.neighbours.indptr[20] == output.neighbours.indptr[-1] > 0


def test_svd_hardly_depends_on_the_seed() -> None:
    """Nothing but the start of an iteration that converges; repeated, it gives the same bits."""
    dense = csr_matrix(ratings(90, 70, 4))
    one, same, other = (
        svd.factorize(one_shard(dense), svd.SvdConfig(rank=5, damping=0), seed)
        for seed in (1, 1, 2)
    )
    assert np.array_equal(one.items, same.items)
    np.testing.assert_allclose(one.items, other.items, atol=1e-5)


def test_svd_of_a_matrix_of_lower_rank() -> None:
    dense = np.outer(np.arange(1, 81), np.ones(60)) / 20 + np.outer(np.ones(80), np.arange(60)) / 60
    factors = svd.factorize(one_shard(csr_matrix(dense)), svd.SvdConfig(rank=5, damping=0), 1)
    assert (np.abs(factors.items).max(axis=0) > 0).tolist() == [True] + 4 * [False]
    again = svd.factorize(one_shard(csr_matrix(dense)), svd.SvdConfig(rank=5, damping=0), 1)
    assert np.array_equal(factors.items, again.items)


# --- mf: the fit ----------------------------------------------------------------------------------


def mf_gradients(dense: np.ndarray, factors: Factors, config: mf.MfConfig) -> list[np.ndarray]:
    """Return half the derivatives of the loss by users, items and biases."""
    assert factors.user_bias is not None
    assert factors.item_bias is not None
    seen = dense != 0
    mean = dense[seen].mean()
    p, q = factors.users.astype(float), factors.items.astype(float)
    own, other = factors.user_bias - mean, factors.item_bias
    error = seen * (dense - mean - own[:, None] - other - p @ q.T)
    weights = [config.regularization * np.sqrt(seen.sum(axis=a))[:, None] for a in (1, 0)]
    return [
        weights[0] * p - error @ q,
        weights[1] * q - error.T @ p,
        config.bias_regularization * own - error.sum(axis=1),
        config.bias_regularization * other - error.sum(axis=0),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("density", [0.1, 0.6])
def test_mf_finds_where_the_gradient_is_zero(density: float) -> None:
    dense = ratings(30, 20, 5, density)
    config = mf.MfConfig(factors=4, regularization=0.3, bias_regularization=2, iterations=600)
    factors = mf.factorize(one_shard(csr_matrix(dense)), config, FitOptions(threads=1))
    assert np.abs(factors.items).max() > 0.1
    for gradient in mf_gradients(dense, factors, config):
        np.testing.assert_allclose(gradient, 0, atol=2e-4)


def test_mf_solves_each_row_by_its_normal_equations() -> None:
    random = np.random.default_rng(6)
    dense, others = ratings(25, 15, 6), random.normal(size=(15, 4))
    dense[3] = 0
    config = mf.MfConfig(factors=3, regularization=0.7, bias_regularization=2.5)
    for options in (FitOptions(), FitOptions(threads=3), FitOptions(memory_mb=1)):
        solved = mf._solved(csr_matrix(dense), 1.5, others, config, options)
        for row, found in zip(dense, solved, strict=True):
            rated = np.flatnonzero(row)
            known = np.column_stack([others[rated, :3], np.ones(len(rated))])
            penalty = np.diag([0.7 * np.sqrt(len(rated))] * 3 + [2.5])
            matrix = known.T @ known + penalty if len(rated) else np.eye(4)
            expected = np.linalg.solve(matrix, known.T @ (row[rated] - 1.5 - others[rated, 3]))
            np.testing.assert_allclose(found, expected, atol=1e-6)


def test_mf_blocks_do_not_matter() -> None:
    matrix = csr_matrix(ratings(900, 35, 7))
    config = mf.MfConfig(factors=63, iterations=3)
    whole = mf.factorize(one_shard(matrix), config, FitOptions(threads=1))
    small = FitOptions(threads=2, memory_mb=1)
    counts = np.diff(matrix.indptr)
    blocks, fewer = (mf._row_blocks(counts, options) for options in (small, FitOptions()))
    assert len(blocks) >= len(fewer) > 1
    assert (
        sorted(np.concatenate([block.rows for block in blocks])) == np.flatnonzero(counts).tolist()
    )
    assert all(counts[block.rows].max() <= block.length for block in blocks)
    parts = mf.factorize(one_shard(matrix), config, small)
    assert np.array_equal(whole.users, parts.users)
    assert np.array_equal(whole.items, parts.items)


@pytest.mark.slow
def test_mf_axes_do_not_depend_on_the_start() -> None:
    truth, known = planted(40, 25, 8)
    matrix = csr_matrix(truth * known)
    config = mf.MfConfig(factors=2, regularization=0.3, iterations=100)
    one, same, other = (
        mf.factorize(one_shard(matrix), config, FitOptions(seed=s)) for s in (1, 1, 2)
    )
    assert np.array_equal(one.items, same.items)
    np.testing.assert_allclose(one.items, other.items, atol=1e-4)
    for vectors, axis in ((one.users, 1), (one.items, 0)):
        weights = np.sqrt((matrix.toarray() != 0).sum(axis=axis))[:, None]
        scatter = (weights * vectors).T @ vectors
        np.testing.assert_allclose(scatter, np.diag(np.diag(scatter)), atol=1e-3)
        assert (np.diff(np.diag(scatter)) < 0).all()
    assert (one.items.max(axis=0) > -one.items.min(axis=0)).all()
    early = [
        mf.factorize(one_shard(matrix), mf.MfConfig(iterations=1), FitOptions(seed=s))
        for s in (1, 2)
    ]
    assert not np.allclose(early[0].items, early[1].items, atol=1e-2)


def test_mf_finds_what_was_planted() -> None:
    truth, known = planted(120, 80, 9)
    output = fit("mf", truth * known, factors=2, regularization=0.05)
    users, items = np.nonzero(~known)
    predicted = predict_ratings(interactions(truth * known), factors_of(output), users, items)
    assert np.sqrt(np.mean((predicted - truth[~known]) ** 2)) < 0.05
    assert truth[~known].std() > 0.5


def test_mf_recommends_by_predicted_ratings() -> None:
    dense = ratings(30, 20, 10)
    dense[[0, 9]] = 0
    dense[:, [3, 19]] = 0
    output = fit("mf", dense, n=6, factors=3)
    factors = factors_of(output)
    assert (factors.users.shape, factors.items.shape) == ((30, 3), (20, 3))
    assert (factors.users.dtype, factors.items.dtype) == (np.float32, np.float32)
    assert factors.user_bias is not None
    assert factors.item_bias is not None
    assert np.flatnonzero(np.isnan(factors.user_bias)).tolist() == [0, 9]
    assert np.flatnonzero(np.isnan(factors.item_bias)).tolist() == [3, 19]
    dots = factors.users.astype(float) @ factors.items.T
    predicted = factors.user_bias[:, None] + factors.item_bias + dots
    assert_lists(output.recommendations, to_recommend(predicted, dense), 6, 1e-6)


def test_mf_refuses_zero_regularization() -> None:
    for name in ("regularization", "bias_regularization"):
        with pytest.raises(ConfigError, match=rf"{name} = 0 is out of range"):
            make_config(MODELS["mf"], {name: 0})


# --- mf: how well it fits, and similar movies -----------------------------------------------------


def rmse(predicted: np.ndarray, truth: np.ndarray) -> float:
    return float(np.sqrt(np.mean((np.clip(predicted, 0.5, 5) - truth) ** 2)))


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_mf_measures_itself(share: float) -> None:
    dense = ratings(40, 30, 11, 0.07)
    users, items = np.nonzero(dense)
    output = fit("mf", dense, holdout=share, seed=5)
    everywhere = predict_ratings(interactions(dense), factors_of(output), users, items)

    held = np.random.default_rng(5).permutation(len(users))[: int(share * len(users))]
    rest = dense.copy()
    rest[users[held], items[held]] = 0
    factors = factors_of(fit("mf", rest, holdout=0, seed=5))
    assert factors.user_bias is not None
    assert factors.item_bias is not None
    own = np.where(np.isnan(factors.user_bias), rest[rest != 0].mean(), factors.user_bias)
    predicted = own[:, None] + np.nan_to_num(factors.item_bias) + factors.users @ factors.items.T
    assert np.isnan(factors.user_bias[users[held]]).any()
    assert np.isnan(factors.item_bias[items[held]]).any()

    train, holdout = output.metrics
    truth = dense[users, items]
    assert train == Metric("train", "rmse", pytest.approx(rmse(everywhere, truth)), len(users))
    error = rmse(predicted[users[held], items[held]], truth[held])
    assert holdout == Metric(f"holdout {share}", "rmse", pytest.approx(error), len(held))


def test_mf_clips_predictions_to_the_scale_of_all_ratings() -> None:
    dense = ratings(40, 30, 11, 0.3)
    _, holdout = fit("mf", dense, holdout=1.5 / np.count_nonzero(dense), seed=5).metrics
    assert holdout.n == 1
    # On a scale of this one rating every prediction would be right.
    assert holdout.value > 0.01


def test_mf_measures_only_what_it_can() -> None:
    few = np.array([[4.0, 0], [3, 5]])
    assert [metric.protocol for metric in fit("mf", few).metrics] == ["train"]
    assert [m.protocol for m in fit("mf", ratings(9, 9, 1), holdout=0).metrics] == ["train"]
    assert fit("mf", np.zeros((3, 4))).metrics == ()


@pytest.mark.parametrize("k", [4, 100])
def test_mf_compares_by_the_sum_of_differences(k: int) -> None:
    items = np.random.default_rng(12).normal(size=(25, 6)).astype(np.float32)
    items[[4, 20]] = items[8]
    known = np.arange(25) % 7 != 0
    users, biases = np.zeros((3, 6), np.float32), np.where(known, 0.0, np.nan)
    lists = mf.similar(Factors(users, items, np.zeros(3), biases), FitOptions(k=k))
    difference = np.abs(items[:, None].astype(float) - items).sum(axis=2)
    scores = 1 / (1 + difference)
    scores[~known], scores[:, ~known] = -np.inf, -np.inf
    np.fill_diagonal(scores, -np.inf)
    assert_lists(lists, scores, k, 1e-12)
    assert lists.indices[lists.indptr[8] : lists.indptr[9]][:2].tolist() == [4, 20]


def tutorial(folder: Path) -> csr_matrix:
    """Return the tutorial's ratings; movie 1 has position 0."""
    given = read_dataset(folder).ratings
    return csr_matrix((given.values, (given.user_ids - 1, given.movie_ids - 1)))


@pytest.mark.slow
def test_mf_on_the_ratings_of_the_tutorial(tutorial_movies: Path) -> None:
    matrix = tutorial(tutorial_movies)
    assert matrix.shape == (100, 34)
    outputs = [fit("mf", matrix, holdout=0.3, seed=seed) for seed in range(10)]
    errors = [output.metrics[1].value for output in outputs]
    assert outputs[0].metrics[1].n == 204
    assert np.mean(errors) < 1.03  # 1.21 there; 1.02 is what biases alone reach
    assert max(errors) < 1.1
    for output in outputs:
        assert output.neighbours is not None
        lists = output.neighbours
        nearest = (lists.indices[lists.indptr[2] : lists.indptr[3]][:5] + 1).tolist()
        assert {1, 28} <= set(nearest)  # The Sheriff 1 and 4, to The Sheriff 2
        assert 9 in nearest  # Biker Gangs


def test_mf_on_the_official_split_of_ml_100k(ml_100k: Path) -> None:
    base, test = (np.loadtxt(ml_100k / f"u1.{part}", int) for part in ("base", "test"))
    values = base[:, 2].astype(float)
    data = interactions(csr_matrix((values, (base[:, 0] - 1, base[:, 1] - 1)), shape=(943, 1682)))
    factors = mf.fit(data, mf.MfConfig(holdout=0), FitOptions())
    predicted = predict_ratings(data, factors, test[:, 0] - 1, test[:, 1] - 1)
    unknown = np.isnan(predicted)
    assert unknown.sum() == 32
    predicted[unknown] = values.mean()
    assert rmse(predicted, test[:, 2]) < 0.928


# --- bpr ------------------------------------------------------------------------------------------


def test_bpr_is_that_of_the_library_with_popularity_added_again() -> None:
    dense = ratings(40, 25, 13)
    dense[[2, 9]] = 0
    dense[:, [0, 11]] = 0
    factors = factors_of(fit("bpr", dense, factors=5, iterations=20, seed=3, grades="none"))
    library = BayesianPersonalizedRanking(
        factors=5,
        learning_rate=0.02,
        regularization=0.03,
        iterations=20,
        num_threads=1,
        random_state=3,
    )
    library.fit(csr_matrix(dense.astype(np.float32)), show_progress=False)
    votes = (dense != 0).sum(axis=0)
    popularity = np.log(np.where(votes > 0, votes, 1))
    silent = (dense == 0).all(axis=1)
    assert np.array_equal(factors.users, np.where(silent[:, None], 0, library.user_factors))
    assert np.array_equal(factors.items[:, :5], library.item_factors[:, :5])
    np.testing.assert_allclose(factors.items[:, 5], library.item_factors[:, 5] + popularity)
    assert not factors.items[[0, 11]].any()


def test_bpr_recommends_and_compares_by_its_factors() -> None:
    dense = ratings(40, 25, 14)
    dense[[2, 9]] = 0
    dense[:, [0, 11]] = 0
    output = fit("bpr", dense, k=6, n=7, factors=5, iterations=30)
    factors = factors_of(output)
    users, items = factors.users.astype(float), factors.items.astype(float)
    assert (users.shape, items.shape) == ((40, 6), (25, 6))
    assert_lists(output.recommendations, to_recommend(users @ items.T, dense), 7, 1e-5)
    assert_lists(output.neighbours, cosines(items[:, :5]), 6, 1e-5)


def test_bpr_depends_on_the_seed_only() -> None:
    dense = ratings(60, 40, 15)
    first = factors_of(fit("bpr", dense, threads=1))
    for threads in (0, 1, 2, 2, 3):
        again = factors_of(fit("bpr", dense, threads=threads))
        assert np.array_equal(first.users, again.users)
        assert np.array_equal(first.items, again.items)
    assert not np.array_equal(first.items, factors_of(fit("bpr", dense, seed=1)).items)


def test_bpr_finds_the_other_half_of_the_checkerboard() -> None:
    dense = np.indices((20, 20)).sum(axis=0) % 2 * 4.0
    hidden = dense.copy()
    hidden[np.arange(20), (np.arange(20) + 1) % 20] = 0
    output = fit("bpr", hidden, n=1, factors=2, learning_rate=0.1, iterations=200)
    assert output.recommendations is not None
    assert output.recommendations.indices.tolist() == [(user + 1) % 20 for user in range(20)]


def test_bpr_recommends_popular_movies_without_other_evidence() -> None:
    random = np.random.default_rng(16)
    chances = np.linspace(0.05, 0.8, 30)
    dense = (random.random((300, 30)) < chances) * 4.0
    output = fit("bpr", dense, n=1)
    assert output.recommendations is not None
    assert np.median(output.recommendations.indices) > 25


def test_bpr_ends_where_everything_is_rated() -> None:
    output = fit("bpr", np.full((6, 8), 3.0))
    assert output.recommendations is not None
    assert len(output.recommendations) == 0
    assert np.isfinite(factors_of(output).items).all()


def test_bpr_says_when_it_does_not_converge() -> None:
    config = bpr.BprConfig(learning_rate=1e20, regularization=1e20)
    with pytest.raises(RecsysError, match="grew beyond all bounds") as caught:
        bpr.fit(interactions(ratings(20, 10, 1)), config, FitOptions())
    assert caught.value.hint == "Lower the model's parameter learning_rate."
