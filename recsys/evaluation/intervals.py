"""How sure a figure is: percentile bootstrap over users (Efron 1979)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.domain import Float64
from recsys.errors import EvaluationError

DRAWS = 1000
_BOUNDS = (0.025, 0.975)
_CELLS_AT_ONCE = 1 << 22
"""Users times draws in one block: 32 MiB for each array of a block."""


class Interval(NamedTuple):
    """Ends of the 95 % interval."""

    low: float
    high: float


def bootstrap_interval(values: Float64, seed: int, draws: int = DRAWS) -> Interval:
    """Return the interval of the mean of one value a user; users are resampled."""
    sums = _resampled_sums(values[:, None], seed, draws)
    return _ends(sums[:, 0] / len(values))


def bootstrap_intervals(columns: Float64, seed: int, draws: int = DRAWS) -> list[Interval]:
    """Return the interval of the mean of each column of users x figures, in one resampling."""
    means = _resampled_sums(columns, seed, draws) / len(columns)
    return [_ends(means[:, column]) for column in range(columns.shape[1])]


def difference_interval(a: Float64, b: Float64, seed: int, draws: int = DRAWS) -> Interval:
    """Return the interval of `mean(a) - mean(b)`, one value each of the same users.

    Paired: a user drawn counts for both, so what is hard for both cancels out. The models differ
    where the interval does not hold 0.
    """
    if len(a) != len(b):
        raise EvaluationError(f"{len(a)} users cannot be paired with {len(b)}")
    return bootstrap_interval(a - b, seed, draws)


def error_intervals(
    errors: Float64, users: NDArray[np.integer], seed: int, draws: int = DRAWS
) -> tuple[Interval, Interval]:
    """Return the intervals of RMSE and MAE; a user drawn brings all of the user's errors.

    Errors of one user hang together: resampled one by one they would seem surer than they are.
    """
    if len(errors) != len(users):
        raise EvaluationError(f"{len(users)} users do not fit {len(errors)} errors")
    _, own = np.unique(users, return_inverse=True)
    parts = [np.bincount(own, weights) for weights in (errors**2, np.abs(errors))]
    sums = _resampled_sums(np.stack([*parts, np.bincount(own)], axis=1), seed, draws)
    return _ends(np.sqrt(sums[:, 0] / sums[:, 2])), _ends(sums[:, 1] / sums[:, 2])


def _resampled_sums(columns: Float64, seed: int, draws: int) -> Float64:
    """Draw as many rows as there are, with replacement, `draws` times: draws x columns sums."""
    size = len(columns)
    if size == 0 or draws < 1:
        raise EvaluationError(f"no interval from {size} users in {draws} draws")
    random = np.random.default_rng(seed)
    block = max(1, _CELLS_AT_ONCE // size)
    sums = np.empty((draws, columns.shape[1]))
    for start in range(0, draws, block):
        count = min(block, draws - start)
        drawn = random.integers(0, size, (count, size))
        drawn += np.arange(count)[:, None] * size
        times = np.bincount(drawn.ravel(), minlength=count * size).reshape(count, size)
        sums[start : start + count] = times @ columns
    return sums


def _ends(means: Float64) -> Interval:
    low, high = np.quantile(means, _BOUNDS)
    return Interval(float(low), float(high))
