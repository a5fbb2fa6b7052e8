"""The factorization machine against the library's own predictions and against planted truth."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from computing import compute
from scipy.sparse import csr_matrix

from recsys.domain import Factors, Interactions, Metric
from recsys.errors import ConfigError, RecsysError
from recsys.jobs.training import ModelResults
from recsys.models.base import FitOptions, make_config
from recsys.models.factors import factorisation_machine as machine
from recsys.models.factors.bayes_fm import SPEC, BayesFmConfig, fit, posterior_mean
from recsys.models.factors.posterior import PosteriorMean, Sample, centred, nearest
from recsys.numerics.prediction import predict_ratings

USERS, ITEMS = 40, 30
SMALL = BayesFmConfig(rank=3, chains=1, iterations=30, burn_in=10, stored_factors=30)


def interactions(dense: np.ndarray, seed: int = 0) -> Interactions:
    random = np.random.default_rng(seed)
    users, items = dense.shape
    return Interactions(
        csr_matrix(dense),
        csr_matrix((random.random((items, 3)) < 0.5).astype(np.float64)),
        ("a", "b", "c"),
        item_years=random.choice([0, 1987, 1994, 2001], items).astype(np.int32),
        user_attributes=csr_matrix((random.random((users, 4)) < 0.5).astype(np.float64)),
        rating_range=(1.0, 5.0),
    )


def noise(seed: int = 0, density: float = 0.5) -> np.ndarray:
    random = np.random.default_rng(seed)
    ratings = random.integers(1, 6, (USERS, ITEMS)).astype(float)
    ratings[random.random(ratings.shape) >= density] = 0
    assert ratings.any(axis=0).all()
    assert ratings.any(axis=1).all()
    return ratings


def product(sample: Sample) -> np.ndarray:
    return sample.user_bias[:, None] + sample.item_bias + sample.users @ sample.items.T


def results(
    data: Interactions, config: BayesFmConfig = SMALL, n: int = 100, **options: int
) -> ModelResults:
    return compute(SPEC, config, data, FitOptions(**options), n)


def predictions(factors: Factors | None) -> np.ndarray:
    assert factors is not None
    assert factors.user_bias is not None
    assert factors.item_bias is not None
    return factors.user_bias[:, None] + factors.item_bias + factors.users @ factors.items.T


def of_the_library(data: Interactions, config: BayesFmConfig, seed: int) -> np.ndarray:
    """Predict every pair by the library itself, from the same draws, features joined densely."""
    ratings = data.user_items
    level, unit = ratings.data.mean(), ratings.data.std()
    values = (ratings.data - level) / unit
    users, items = machine.user_side(data), machine.item_side(data)
    predictor = machine.draw(
        csr_matrix((values, ratings.indices, ratings.indptr), shape=ratings.shape),
        *(users, items, config.rank, config.iterations, seed),
        lambda iteration, sample: None,
        kept=config.iterations - config.burn_in,
    )
    pairs = np.indices(ratings.shape).reshape(2, -1)
    joined = [users.features.toarray()[pairs[0]], items.features.toarray()[pairs[1]]]
    predicted = predictor.predict(csr_matrix(np.hstack(joined)), [])
    return level + unit * predicted.reshape(ratings.shape)


# --- features -------------------------------------------------------------------------------------


def test_features() -> None:
    dense = np.array([[5.0, 3, 0], [0, 4, 0], [1, 2, 3]])
    data = Interactions(
        csr_matrix(dense),
        csr_matrix([[1.0, 0], [1, 1], [0, 0]]),
        ("x", "y"),
        item_years=np.array([1994, 0, 1991], np.int32),
        user_attributes=csr_matrix([[1.0], [0], [1]]),
    )
    two, three = 1 / np.sqrt(2), 1 / np.sqrt(3)
    a, b, c = (np.log([2, 1, 3]) - np.log(6) / 3) / np.log([2, 1, 3]).std()
    users, items = machine.user_side(data), machine.item_side(data)
    np.testing.assert_allclose(
        users.features.toarray(),
        [
            [1, 0, 0, two, two, 0, a, 1],
            [0, 1, 0, 0, 1, 0, b, 0],
            [0, 0, 1, three, three, three, c, 1],
        ],
    )
    assert users.kinds.tolist() == [0, 0, 0, 1, 1, 1, 2, 3]
    np.testing.assert_allclose(
        items.features.toarray(),
        [
            [1, 0, 0, two, 0, two, a, 1, 0, 0, 1, 1],
            [0, 1, 0, three, three, three, c, 1, 1, 0, 0, 0],
            [0, 0, 1, 0, 0, 1, b, 0, 0, 1, 0, 1],
        ],
    )
    assert items.kinds.tolist() == [0, 0, 0, 1, 1, 1, 2, 3, 3, 4, 4, 5]
    for side in (users, items):
        np.testing.assert_allclose(side.squares.toarray(), side.features.toarray() ** 2)


def test_empty_kinds_of_features_are_left_out() -> None:
    years = np.array([1994, 1991], np.int32)
    data = Interactions(csr_matrix(np.eye(2)), csr_matrix((2, 0)), (), item_years=years)
    assert machine.user_side(data).kinds.tolist() == [0, 0, 1, 1]
    assert machine.item_side(data).kinds.tolist() == [0, 0, 1, 1, 2, 2, 3]
    unknown = replace(data, item_years=np.zeros(2, np.int32))
    assert machine.item_side(unknown).kinds.tolist() == [0, 0, 1, 1]


def test_users_and_items_have_priors_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    library, groups = machine._library(), []

    class Builder(library.ConfigBuilder):  # type: ignore[misc, name-defined]
        def set_group_index(self, kinds: list[int]) -> None:
            groups.extend(kinds)
            super().set_group_index(kinds)

    monkeypatch.setattr(library, "ConfigBuilder", Builder)
    data = Interactions(csr_matrix([[1.0, 2], [3, 4], [5, 1]]), csr_matrix(np.eye(2)), ("x", "y"))
    fit(data, BayesFmConfig(rank=1, chains=1, iterations=2, burn_in=0), FitOptions())
    assert groups == [0, 0, 0, 1, 1, 2, 2, 3, 3, 3, 4, 4]


# --- from draws to their mean ---------------------------------------------------------------------


def test_the_mean_is_what_the_library_predicts() -> None:
    data = interactions(noise())
    mean = posterior_mean(data, SMALL, FitOptions(seed=5))
    np.testing.assert_allclose(product(mean), of_the_library(data, SMALL, 5), atol=1e-9)
    stored = predictions(fit(data, SMALL, FitOptions(seed=5)))
    np.testing.assert_allclose(stored, product(mean), atol=1e-5)


def samples(count: int, seed: int = 1) -> list[Sample]:
    """Draws that vary about common factors of falling strength."""
    random = np.random.default_rng(seed)
    strengths = 0.7 ** np.arange(8)
    users, items = random.normal(size=(50, 8)), random.normal(size=(35, 8)) * strengths
    return [
        Sample(
            random.normal(size=50),
            random.normal(size=35),
            users + 0.1 * random.normal(size=users.shape) + 1,
            items + 0.1 * random.normal(size=items.shape) - 2,
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize("room", [20, 30, 1000])
def test_compression_is_near_the_optimum(room: int) -> None:
    drawn = samples(40)
    mean = PosteriorMean(kept=20, room=room)
    for sample in drawn:
        mean.add(sample)
    exact = np.mean([product(sample) for sample in drawn], axis=0)
    for factors in (3, 6, 10):
        result = mean.mean(factors)
        assert (result.users.shape, result.items.shape) == ((50, factors), (35, factors))
        # The best of this rank beside biases: rows and columns centred, and cut off.
        rest = exact - exact.mean(0) - exact.mean(1)[:, None] + exact.mean()
        least = np.sqrt((np.linalg.svd(rest)[1][factors:] ** 2).sum())
        assert np.linalg.norm(product(result) - exact) <= 1.05 * least
        np.testing.assert_allclose(result.user_bias, exact.mean(1), atol=1e-9)
        np.testing.assert_allclose(result.item_bias, exact.mean(0) - exact.mean(), atol=1e-9)


def test_centring_keeps_predictions() -> None:
    (sample,) = samples(1)
    result = centred(sample)
    np.testing.assert_allclose(product(result), product(sample))
    np.testing.assert_allclose(result.users.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(result.items.mean(0), 0, atol=1e-12)
    assert abs(result.item_bias.mean()) < 1e-12


@pytest.mark.parametrize("shape", [(50, 20), (6, 9), (1, 4)])
def test_nearest_has_cosines_of_the_product(shape: tuple[int, int]) -> None:
    random = np.random.default_rng(2)
    left, right = random.normal(size=(shape[0], 12)), random.normal(size=(shape[1], 12))
    first, second = nearest(left, right, 12)
    assert first.shape[1] == second.shape[1] == min(12, *shape)
    np.testing.assert_allclose(first @ second.T, left @ right.T, atol=1e-12)
    np.testing.assert_allclose(first.T @ first / shape[0], np.eye(first.shape[1]), atol=1e-12)
    columns = left @ right.T
    np.testing.assert_allclose(second @ second.T, columns.T @ columns / shape[0], atol=1e-12)


def test_little_memory_changes_little() -> None:
    data = interactions(noise(3))
    config = BayesFmConfig(rank=3, chains=8, iterations=60, burn_in=10, stored_factors=8)
    roomy = product(posterior_mean(data, config, FitOptions()))
    tight = product(posterior_mean(data, config, FitOptions(), factor_bytes=2**40))
    assert not np.array_equal(roomy, tight)
    np.testing.assert_allclose(roomy, tight, atol=0.05)


# --- the model ------------------------------------------------------------------------------------


def planted(seed: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Return ratings of two camps that like opposite halves of the movies, and the whole truth."""
    random = np.random.default_rng(seed)
    camps, kinds = np.where(np.arange(60) % 2, 1, -1), np.where(np.arange(40) % 2, 1, -1)
    truth = 3 + np.outer(camps, kinds) + random.normal(scale=0.4, size=(60, 1))
    noisy = np.clip(truth + random.normal(scale=0.3, size=truth.shape), 1, 5)
    return np.where(random.random(truth.shape) < 0.3, noisy, 0), truth


def test_it_finds_what_was_planted() -> None:
    ratings, truth = planted()
    output = results(interactions(ratings), BayesFmConfig(rank=4, iterations=60), n=3, k=5)
    hidden = ratings == 0
    error = np.sqrt(np.mean((predictions(output.factors) - truth)[hidden] ** 2))
    user_means = ratings.sum(1) / (ratings != 0).sum(1)
    by_means = np.sqrt(np.mean((user_means[:, None] - truth)[hidden] ** 2))
    assert error < 0.25
    assert by_means > 1
    assert output.neighbours is not None
    rows = np.repeat(np.arange(40), np.diff(output.neighbours.indptr))
    assert len(rows) == 200
    assert ((rows - output.neighbours.indices) % 2 == 0).all()
    assert output.recommendations is not None
    owners = np.repeat(np.arange(60), np.diff(output.recommendations.indptr))
    assert ((owners - output.recommendations.indices) % 2 == 0).all()


def test_scores_are_the_predicted_ratings() -> None:
    data = interactions(noise())
    output = results(data)
    lists, predicted = output.recommendations, predictions(output.factors)
    assert lists is not None
    owners = np.repeat(np.arange(USERS), np.diff(lists.indptr))
    assert len(lists) == USERS * ITEMS - data.user_items.nnz
    np.testing.assert_allclose(lists.scores, predicted[owners, lists.indices], rtol=1e-5)
    clipped = np.clip(predicted, 1, 5)[data.user_items.nonzero()]
    rmse = np.sqrt(np.mean((clipped - data.user_items.data) ** 2))
    (metric,) = output.metrics
    assert metric == Metric("train", "rmse", pytest.approx(rmse, rel=1e-6), data.user_items.nnz)


def test_nothing_is_predicted_without_ratings() -> None:
    dense = noise()
    dense[[3, 17]] = 0
    dense[:, [0, 29]] = 0
    data = interactions(dense)
    factors = fit(data, SMALL, FitOptions())
    rated = [np.setdiff1d(np.arange(USERS), [3, 17]), np.arange(1, 29)]
    predicted = predictions(factors)
    assert np.isnan(predicted[[3, 17]]).all()
    assert np.isnan(predicted[:, [0, 29]]).all()
    assert np.isfinite(predicted[np.ix_(*rated)]).all()
    users, items = np.array([3, 5, 5]), np.array([5, 0, 5])
    found = predict_ratings(data, factors, users, items)
    assert np.isnan(found).tolist() == [True, True, False]
    # Those without ratings make no difference to the others.
    smaller = Interactions(
        csr_matrix(dense[np.ix_(*rated)]),
        data.item_genres[rated[1]],
        data.genres,
        item_years=None if data.item_years is None else data.item_years[rated[1]],
        user_attributes=None if data.user_attributes is None else data.user_attributes[rated[0]],
    )
    alone = predictions(fit(smaller, SMALL, FitOptions()))
    np.testing.assert_allclose(alone, predicted[np.ix_(*rated)], rtol=1e-6)


def test_equal_ratings_are_predicted_exactly() -> None:
    dense = np.where(noise() > 0, 3.5, 0)
    output = results(interactions(dense), n=2)
    assert np.array_equal(predictions(output.factors), np.full(dense.shape, 3.5))
    assert output.metrics == (Metric("train", "rmse", 0.0, int((dense > 0).sum())),)
    assert output.recommendations is not None
    unrated = [np.flatnonzero(row == 0)[:2].tolist() for row in dense]
    assert output.recommendations.indices.reshape(-1, 2).tolist() == unrated


def test_no_ratings_measure_nothing() -> None:
    assert results(interactions(np.zeros((3, 4)))).metrics == ()


def test_scale_and_shift_of_the_ratings_do_not_matter() -> None:
    dense = noise()
    moved = np.where(dense > 0, 10 * dense + 50, 0)
    once, again = (fit(interactions(d), SMALL, FitOptions()) for d in (dense, moved))
    np.testing.assert_allclose(predictions(again), 10 * predictions(once) + 50, rtol=1e-4)


def test_it_depends_on_the_seed() -> None:
    data = interactions(noise())
    seeds = (1, 1, 2, 2**32 - 1)
    one, same, other, large = (fit(data, SMALL, FitOptions(seed=s)) for s in seeds)
    assert np.array_equal(predictions(one), predictions(same))
    assert not np.allclose(predictions(one), predictions(other))
    assert not np.allclose(predictions(one), predictions(large))


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"rank": -1}, "rank = -1 is out of range"),
        ({"iterations": 0}, "iterations = 0 is out of range"),
        ({"burn_in": -1}, "burn_in = -1 is out of range"),
        ({"stored_factors": 0}, "stored_factors = 0 is out of range"),
        ({"iterations": 20, "burn_in": 20}, "burn_in = 20 leaves none of 20 iterations"),
    ],
)
def test_parameters_are_checked(params: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make_config(SPEC, params)


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "myfm.gibbs", None)
    with pytest.raises(RecsysError, match="myfm cannot be loaded") as caught:
        fit(interactions(noise()), SMALL, FitOptions())
    assert caught.value.hint == "pip install 'recsys[bayes]', or leave the model out"
