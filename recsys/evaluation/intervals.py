"""Confidence intervals by the percentile bootstrap over users (Efron 1979)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.domain import Float64
from recsys.errors import EvaluationError

DRAWS = 1000  # enough for the ends of a 95 % interval (Efron and Tibshirani 1993, ch. 14)
_BOUNDS = (0.025, 0.975)
BLOCK_CELLS = 1 << 22
"""Users times draws in one block: 32 MiB for each array of a block."""


class Interval(NamedTuple):
    """Bounds of the 95 % interval."""

    low: float
    high: float


def bootstrap_interval(
    values: Float64, seed: int, draws: int = DRAWS, block_cells: int = BLOCK_CELLS
) -> Interval:
    """Return the interval of the mean of one value per user; users are resampled."""
    sums = _resampled_sums(values[:, None], seed, draws, block_cells)
    return _ends(sums[:, 0] / len(values))


def bootstrap_intervals(columns: Float64, seed: int, draws: int = DRAWS) -> list[Interval]:
    """Return the interval of the mean of each column of users x metrics, in one resampling."""
    means = _resampled_sums(columns, seed, draws, BLOCK_CELLS) / len(columns)
    return [_ends(means[:, column]) for column in range(columns.shape[1])]


def difference_interval(a: Float64, b: Float64, seed: int, draws: int = DRAWS) -> Interval:
    """Return the interval of `mean(a) - mean(b)`, with one value per user in each.

    The samples are paired: a drawn user counts for both, so the difficulty of users cancels out.
    The models differ significantly if the interval does not contain 0.
    """
    if len(a) != len(b):
        raise EvaluationError(f"{len(a)} users cannot be paired with {len(b)}")
    return bootstrap_interval(a - b, seed, draws)


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
    low, high = np.quantile(means, _BOUNDS)
    return Interval(float(low), float(high))
