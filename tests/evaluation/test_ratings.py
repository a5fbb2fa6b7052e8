"""Errors of predictions, segments and intervals, against figures by hand and plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from recsys.errors import EvaluationError
from recsys.evaluation.intervals import (
    Interval,
    Sample,
    bootstrap_interval,
    bootstrap_intervals,
    difference_interval,
    error_intervals,
)
from recsys.evaluation.rating import mae, rating_errors, rmse, user_mean_fallback
from recsys.evaluation.segments import head_items, movie_segments, user_segments
from recsys.numerics.sparse import column_counts

NAN = math.nan


def array(*values: float) -> np.ndarray:
    return np.array(values, np.float64)


def test_unknown_predictions_fall_back() -> None:
    compared = rating_errors(array(4, NAN, 1, NAN), array(5, 3, 1, 2), array(9, 2.5, 9, 4))
    assert compared.errors.tolist() == [-1, -0.5, 0, 2]
    assert compared.known.tolist() == [True, False, True, False]
    assert rmse(compared.errors) == math.sqrt((1 + 0.25 + 0 + 4) / 4)
    assert mae(compared.errors) == 3.5 / 4


def test_errors_against_scikit_learn() -> None:
    random = np.random.default_rng(0)
    predicted, given = random.uniform(1, 5, 300), random.integers(1, 6, 300) * 1.0
    errors = rating_errors(predicted, given, np.zeros(300)).errors
    assert rmse(errors) == pytest.approx(root_mean_squared_error(given, predicted), rel=1e-14)
    assert mae(errors) == pytest.approx(mean_absolute_error(given, predicted), rel=1e-14)
    assert math.isnan(rmse(array()))
    assert math.isnan(mae(array()))


@pytest.mark.parametrize(
    ("predicted", "fallback"),
    [((1, math.inf), (1, 1)), ((1, NAN), (1, NAN)), ((1, -math.inf), (1, 1))],
)
def test_predictions_must_be_finite(
    predicted: tuple[float, ...], fallback: tuple[float, ...]
) -> None:
    with pytest.raises(EvaluationError, match="1 predictions are not finite"):
        rating_errors(array(*predicted), array(1, 1), array(*fallback))


def test_predictions_must_fit() -> None:
    message = "1 predictions and 2 fallbacks do not fit 3 ratings"
    with pytest.raises(EvaluationError, match=message):
        rating_errors(array(1), array(1, 2, 3), array(1, 2))


def test_fallback_is_the_mean_of_the_user() -> None:
    train = csr_matrix(([5.0, 0.0, 4.0], ([0, 0, 2], [0, 2, 1])), shape=(3, 3))
    assert user_mean_fallback(train, np.array([2, 0, 1, 0])).tolist() == [4, 2.5, 3, 2.5]
    assert user_mean_fallback(csr_matrix((2, 2)), np.array([1])).tolist() == [0]


def test_segments_of_users() -> None:
    lengths = [0, 1, 20, 21, 100, 101, 300]
    train = csr_matrix((np.arange(300) < np.array(lengths)[:, None]) * 1.0)
    members = {name: np.flatnonzero(marks).tolist() for name, marks in user_segments(train).items()}
    assert members == {"new users": [0, 1, 2], "light users": [3, 4], "heavy users": [5, 6]}


def test_segments_of_movies() -> None:
    assert head_items(np.array([1, 5, 2, 0, 2])).tolist() == [False, True, False, False, False]
    assert head_items(np.array([2, 4, 2, 0, 2])).tolist() == [True, True, False, False, False]
    assert head_items(np.zeros(2, np.int64)).tolist() == [False, False]
    assert head_items(np.zeros(0, np.int64)).tolist() == []
    train = csr_matrix(np.array([[1, 1, 0, 1], [0, 1, 0, 0]]))
    members = {name: marks.tolist() for name, marks in movie_segments(column_counts(train)).items()}
    assert members == {
        "head movies": [False, True, False, False],
        "tail movies": [True, False, True, True],
    }


# --- intervals ------------------------------------------------------------------------------------


def resampled(size: int, draws: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, size, (draws, size))


def ends(means: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(means, [2.5, 97.5])
    return pytest.approx(low, rel=1e-12), pytest.approx(high, rel=1e-12)


def test_interval_is_the_percentiles_of_resampled_means() -> None:
    values = np.random.default_rng(1).exponential(size=60)
    drawn = values[resampled(60, 200, 5)]
    assert bootstrap_interval(Sample(values), 5, 200) == ends(drawn.mean(axis=1))
    second = ends((drawn**2).mean(axis=1))
    samples = [Sample(values), Sample(values**2)]
    assert bootstrap_intervals(samples, 5, 200) == [ends(drawn.mean(axis=1)), second]


def test_interval_is_near_the_normal_one() -> None:
    values = np.random.default_rng(2).normal(3, 2, 2000)
    low, high = bootstrap_interval(Sample(values), 0)
    margin = 1.96 * values.std() / math.sqrt(2000)
    assert low == pytest.approx(values.mean() - margin, abs=margin / 8)
    assert high == pytest.approx(values.mean() + margin, abs=margin / 8)


def test_same_seed_same_interval_in_any_blocks() -> None:
    sample = Sample(np.random.default_rng(3).random(37))
    whole = bootstrap_interval(sample, 8)
    assert bootstrap_interval(sample, 8) == whole
    assert bootstrap_interval(sample, 9) != whole
    for cells in (1, 100, 4096):
        assert bootstrap_interval(sample, 8, block_cells=cells) == pytest.approx(whole, rel=1e-12)


def test_interval_of_constant_values() -> None:
    assert bootstrap_interval(Sample(array(0.25)), 0) == Interval(0.25, 0.25)
    assert bootstrap_interval(Sample(np.full(9, 0.5)), 0) == Interval(0.5, 0.5)


def test_samples_by_hand() -> None:
    sample = Sample(array(1, np.nan, 4, 2))
    assert (sample.mean, sample.size) == (7 / 3, 3)
    weighted = Sample(array(1, np.nan, 4, 2), array(3, 5, 1, 0))
    assert (weighted.mean, weighted.size) == (7 / 4, 4)
    assert math.isnan(Sample(array(np.nan)).mean)


def test_interval_of_a_ratio_of_sums() -> None:
    """Users bring their weights along; draws that measure no user are left out."""
    a = Sample(array(0.5, np.nan, 1), array(4, 5, 2))
    b = Sample(array(1, np.nan, 0))
    drawn = resampled(3, 300, 7)
    measured = (drawn != 1).sum(axis=1)
    assert 0 < (measured == 0).sum() < 30
    drawn, measured = drawn[measured > 0], measured[measured > 0]
    of_a = array(2, 0, 2)[drawn].sum(axis=1) / array(4, 0, 2)[drawn].sum(axis=1)
    of_b = (drawn == 0).sum(axis=1) / measured
    assert bootstrap_interval(a, 7, 300) == ends(of_a)
    assert difference_interval(a, b, 7, 300) == ends(of_a - of_b)


def test_difference_is_paired() -> None:
    random = np.random.default_rng(4)
    hard = random.normal(0, 5, 400)  # users differ much more than the models do
    a, b = hard + 0.3, hard + random.normal(0, 0.5, 400)
    low, high = difference_interval(Sample(a), Sample(b), 1)
    assert (low, high) == pytest.approx(bootstrap_interval(Sample(a - b), 1))
    assert 0.2 < low < 0.3 < high < 0.4
    assert difference_interval(Sample(b), Sample(a), 1) == pytest.approx((-high, -low))
    assert difference_interval(Sample(a), Sample(a), 1) == Interval(0, 0)
    with pytest.raises(EvaluationError, match="2 users cannot be paired with 3"):
        difference_interval(Sample(array(1, 2)), Sample(array(1, 2, 3)), 0)


def test_errors_are_resampled_by_user() -> None:
    random = np.random.default_rng(5)
    users = np.array([7, 7, 3, 9, 9, 9, 7, 4])
    errors = random.normal(size=8)
    squares, distances = [], []
    for drawn in resampled(4, 150, 2):
        pool = np.concatenate([errors[users == np.array([3, 4, 7, 9])[one]] for one in drawn])
        squares.append(math.sqrt(np.mean(pool**2)))
        distances.append(np.mean(np.abs(pool)))
    expected = ends(np.array(squares)), ends(np.array(distances))
    assert error_intervals(errors, users, 2, 150) == expected


def test_errors_of_one_user_hang_together() -> None:
    """Where users err alike in all they rate, the interval is wider than pairs alone would say."""
    random = np.random.default_rng(6)
    users = np.repeat(np.arange(50), 40)
    errors = np.repeat(random.normal(size=50), 40)
    by_user, _ = error_intervals(errors, users, 0)
    by_pair, _ = error_intervals(errors, np.arange(2000), 0)
    assert by_user.high - by_user.low > 4 * (by_pair.high - by_pair.low)


def test_no_interval_of_nothing() -> None:
    for call in (
        lambda: bootstrap_interval(Sample(array()), 0),
        lambda: error_intervals(array(), np.zeros(0, np.int64), 0),
    ):
        with pytest.raises(EvaluationError, match="no interval from 0 users in 1000 draws"):
            call()
    with pytest.raises(EvaluationError, match="no interval from 1 users in 0 draws"):
        bootstrap_interval(Sample(array(1)), 0, 0)
    with pytest.raises(EvaluationError, match="1 users do not fit 2 errors"):
        error_intervals(array(1, 2), np.array([0]), 0)
