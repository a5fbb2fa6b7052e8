"""What ratings count by their grade and their age."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from grades import counted
from scipy.sparse import csr_matrix

from recsys.domain import Interactions, RatingWeights
from recsys.numerics.weighting import on_scale_of, weighted

SCALE = {"low": 0.5, "high": 5.0, "mean": 3.5}
RATINGS = csr_matrix(np.array([[5.0, 4, 2, 0.5], [0.5, 0, 0.5, 0.5], [0, 0, 0, 0], [5, 5, 0, 5]]))


def dense(weights: RatingWeights, ratings=RATINGS, times=None, factor=1.0) -> np.ndarray:
    return weighted(weights, ratings, times, factor).toarray()


def test_relative_runs_from_0_by_1_for_the_mean_to_1_and_the_effect() -> None:
    found = dense(RatingWeights(grades="relative", effect=0.2, **SCALE))
    means = [(11.5 + 17.5) / 9, (1.5 + 17.5) / 8, 0, (15 + 17.5) / 8]
    first = [
        1 + 0.2 * (5 - means[0]) / (5 - means[0]),
        1 + 0.2 * (4 - means[0]) / (5 - means[0]),
        1.5 / (means[0] - 0.5),
        0,
    ]
    np.testing.assert_allclose(found[0], first, rtol=1e-7)
    # Who liked nothing has no weight at all, and nothing is stored.
    assert found[1].tolist() == [0, 0, 0, 0]
    assert weighted(RatingWeights(grades="relative", effect=0.2, **SCALE), RATINGS).nnz == 6
    np.testing.assert_allclose(found[3], [1.2, 1.2, 0, 1.2], rtol=1e-7)


@pytest.mark.parametrize("grades", ["none", "watched", "scaled", "centred", "relative"])
def test_grades_in_plain_loops(grades: str) -> None:
    values = np.random.default_rng(4).integers(0, 11, (30, 12)) / 2
    ratings = csr_matrix(values)
    data = Interactions(ratings, csr_matrix((12, 0)), (), rating_range=(0.5, 5.0))
    weights = on_scale_of(data, RatingWeights(grades=grades, effect=0.6))
    found = weighted(weights, ratings)
    assert found.toarray().tolist() == counted(values, grades, 0.6, (0.5, 5.0)).tolist()
    assert (found.data > 0).all()
    assert ratings.data.tolist() == values[values != 0].tolist()


@pytest.mark.parametrize("grades", ["none", "watched", "scaled", "centred", "relative"])
def test_ratings_that_are_all_alike_count_1(grades: str) -> None:
    alike = csr_matrix(np.array([[3.0, 0], [3.0, 3.0]]))
    weights = on_scale_of(
        Interactions(alike, csr_matrix((2, 0)), ()), RatingWeights(grades=grades, effect=0.2)
    )
    assert dense(weights, alike).tolist() == [[1, 0], [1, 1]]


def test_the_rating_itself_keeps_its_sign_and_its_digits() -> None:
    jester = csr_matrix(np.array([[-9.87, 0, 3.1]]))
    assert dense(RatingWeights(grades="rating"), jester).tolist() == [[-9.87, 0, 3.1]]


def test_age_falls_by_rank_within_the_window() -> None:
    ratings = csr_matrix(np.ones((1, 4)))
    times = np.array([30.0, 10, 40, 20])
    aged = RatingWeights(recency=0.5, window=3)
    assert dense(aged, ratings, times).tolist() == [[0.5, 0, 1, 0.25]]
    assert dense(RatingWeights(window=2), ratings, times).tolist() == [[1, 0, 1, 0]]
    assert dense(aged, ratings, times, factor=3.0).tolist() == [[1.5, 0, 3, 0.75]]


def test_ratings_of_one_time_share_the_weights_of_their_places() -> None:
    ratings = csr_matrix(np.ones((2, 4)))
    times = np.array([10.0, 10, 10, 20, np.nan, 5, np.nan, np.nan])
    found = dense(RatingWeights(recency=0.5, window=3), ratings, times)
    # Three on places 2 to 4, of which the window has two; unknown times come last.
    shared = (0.5 + 0.25) / 3
    np.testing.assert_allclose(found, [[shared, shared, shared, 1], [shared, 1, shared, shared]])


def test_without_times_all_ratings_share() -> None:
    ratings = csr_matrix(np.ones((1, 4)))
    np.testing.assert_allclose(
        dense(RatingWeights(recency=0.5), ratings), np.full((1, 4), (1 + 0.5 + 0.25 + 0.125) / 4)
    )


def test_ages_of_long_histories_are_numbers() -> None:
    ratings = csr_matrix(np.ones((1, 3000)))
    found = dense(RatingWeights(recency=0.9), ratings, np.arange(3000.0))
    assert np.isfinite(found).all()
    assert found[0, -1] == 1
    assert (found[0, :2000] == 0).all()


def test_weights_are_of_single_precision() -> None:
    weights = RatingWeights(grades="relative", effect=0.2, recency=0.9, **SCALE)
    values = weighted(weights, RATINGS, np.arange(float(RATINGS.nnz))).data
    assert values.tolist() == values.astype(np.float32).astype(float).tolist()


def test_a_run_has_the_scale_of_its_ratings() -> None:
    data = Interactions(RATINGS, csr_matrix((4, 0)), (), rating_range=(0.0, 10.0))
    found = on_scale_of(data, RatingWeights(grades="scaled"))
    assert (found.low, found.high, found.mean) == (0, 10, RATINGS.data.mean())
    some = replace(data, rating_mean=2.5, rating_range=None)
    found = on_scale_of(some, RatingWeights())
    assert (found.low, found.high, found.mean) == (0.5, 5, 2.5)
