"""Confidence intervals by the percentile bootstrap over users (Efron 1979)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.domain import Float64, lower_is_better
from recsys.errors import EvaluationError

DRAWS = 1000  # enough for the ends of a 95 % interval (Efron and Tibshirani 1993, ch. 14)
_BOUNDS = (0.025, 0.975)
BLOCK_CELLS = 1 << 22
"""Users times draws in one block: 32 MiB for each array of a block."""


class Interval(NamedTuple):
    """Bounds of the 95 % interval."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One value per user and its mean."""

    values: Float64
    """NaN where a user is not measured and so counts in no mean."""
    weights: Float64 | None = None
    """Weights of the users in the mean; None: 1 each."""

    @property
    def mean(self) -> float:
        """Return the mean; NaN if no user is measured."""
        value, weight = self.totals.sum(axis=1)
        return float(value / weight) if weight else math.nan

    @property
    def size(self) -> int:
        """Return the number of users measured, or the sum of their weights."""
        return round(float(self.totals[1].sum()))

    @property
    def totals(self) -> Float64:
        """Return 2 x users: weighted values and weights, both 0 if a user is not measured."""
        measured = ~np.isnan(self.values)
        weights = np.where(measured, 1.0 if self.weights is None else self.weights, 0.0)
        return np.stack([np.where(measured, self.values, 0.0) * weights, weights])


def bootstrap_interval(
    sample: Sample, seed: int, draws: int = DRAWS, block_cells: int = BLOCK_CELLS
) -> Interval:
    """Return the interval of the mean of a sample; users are resampled."""
    return _ends(_resampled_means([sample], seed, draws, block_cells)[:, 0])


def bootstrap_intervals(samples: Sequence[Sample], seed: int, draws: int = DRAWS) -> list[Interval]:
    """Return the intervals of the means of samples of the same users, in one resampling."""
    means = _resampled_means(samples, seed, draws, BLOCK_CELLS)
    return [_ends(column) for column in means.T]


def difference_interval(a: Sample, b: Sample, seed: int, draws: int = DRAWS) -> Interval:
    """Return the interval of the mean of `a` minus that of `b`, two samples of the same users.

    The samples are paired: a drawn user counts for both, so the difficulty of users cancels out.
    The models differ significantly if the interval does not contain 0.
    """
    if len(a.values) != len(b.values):
        raise EvaluationError(f"{len(a.values)} users cannot be paired with {len(b.values)}")
    means = _resampled_means([a, b], seed, draws, BLOCK_CELLS)
    return _ends(means[:, 0] - means[:, 1])


def gain_interval(metric: str, a: Sample, b: Sample, seed: int) -> Interval:
    """Return the interval of the gain of `a` over `b` by a metric: above 0 where `a` is better."""
    better, worse = (b, a) if lower_is_better(metric) else (a, b)
    return difference_interval(better, worse, seed)


def error_intervals(
    errors: Float64,
    users: NDArray[np.integer],
    seed: int,
    draws: int = DRAWS,
    block_cells: int = BLOCK_CELLS,
) -> tuple[Interval, Interval]:
    """Return the intervals of RMSE and MAE; users are drawn with all of their errors.

    Errors of one user are correlated: resampled one by one, the interval would be too narrow.
    """
    if len(errors) != len(users):
        raise EvaluationError(f"{len(users)} users do not fit {len(errors)} errors")
    _, own = np.unique(users, return_inverse=True)
    parts = [np.bincount(own, weights) for weights in (errors**2, np.abs(errors))]
    sums = _resampled_sums(np.stack([*parts, np.bincount(own)], axis=1), seed, draws, block_cells)
    return _ends(np.sqrt(sums[:, 0] / sums[:, 2])), _ends(sums[:, 1] / sums[:, 2])


def _resampled_means(samples: Sequence[Sample], seed: int, draws: int, block_cells: int) -> Float64:
    """Return draws x samples; NaN where a draw has no user whom the sample measures."""
    totals = np.concatenate([sample.totals for sample in samples])
    sums = _resampled_sums(totals.T, seed, draws, block_cells)
    values, weights = sums[:, ::2], sums[:, 1::2]
    means: Float64 = np.divide(
        values, weights, out=np.full(values.shape, np.nan), where=weights > 0
    )
    return means


def _resampled_sums(columns: Float64, seed: int, draws: int, block_cells: int) -> Float64:
    """Return draws x columns: sums over rows drawn with replacement, as many as there are."""
    size = len(columns)
    if size == 0 or draws < 1:
        raise EvaluationError(f"no interval from {size} users in {draws} draws")
    random = np.random.default_rng(seed)
    # The generator fills row by row, so the draws do not depend on the size of a block.
    block = max(1, block_cells // size)
    sums = np.empty((draws, columns.shape[1]))
    for start in range(0, draws, block):
        count = min(block, draws - start)
        drawn = random.integers(0, size, (count, size))
        # A range of numbers for each draw, so that one bincount counts them all.
        drawn += np.arange(count)[:, None] * size
        times = np.bincount(drawn.ravel(), minlength=count * size).reshape(count, size)
        sums[start : start + count] = times @ columns
    return sums


def _ends(means: Float64) -> Interval:
    low, high = np.quantile(means[~np.isnan(means)], _BOUNDS)
    return Interval(float(low), float(high))
