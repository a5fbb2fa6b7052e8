"""Sums that are the same in any order: their addends are multiples of one power of two.

Floating-point sums depend on the order of their addends, and so on how users are cut into shards.
A sum of multiples of `s` is exact as long as it stays below `2^53 s`. So a sum over shards equals
that over all users to the last bit.

J. Demmel, H. D. Nguyen: Parallel Reproducible Summation, IEEE Transactions on Computers 64, 2015.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.domain import Float64

_MANTISSA, _MOST_BITS = 53, 24
"""Binary digits of a number in double precision, and those that a factor keeps at most."""
_STEPS = (*(2.0**-digits for digits in range(11)), 0.1, 0.01, 0.001)
_MOST_VALUES, _MOST_STEPS = 10_000, 1 << 20
_PART_BITS = 26
"""Digits of each of the two parts of an addend: 2^27 of them add up."""


def factor_bits(addends: int) -> int:
    """Return the digits that two factors may have, for so many of their products to add up."""
    return min(_MOST_BITS, (_MANTISSA - math.ceil(math.log2(max(1, addends)))) // 2)


def on_grid(values: Float64, largest: float, bits: int) -> Float64:
    """Round to multiples of `2^-bits` of a power of two that is at least `largest`."""
    step = _power_of_two(largest) * 2.0**-bits
    rounded: Float64 = np.rint(values / step) * step
    return rounded


def exact_sums(
    places: NDArray[np.integer], values: Float64, length: int, largest: float
) -> Float64:
    """Add up values by place; return two parts, 2 x length, whose sums over shards are exact.

    The sum of both parts is the result, good to 52 binary digits of the largest magnitude.
    """
    top = _power_of_two(largest)
    high = on_grid(values, top, _PART_BITS)
    low = on_grid(values - high, top, 2 * _PART_BITS)
    parts = [np.bincount(places, each, minlength=length) for each in (high, low)]
    return np.stack(parts).astype(np.float64, copy=False)


def total(parts: NDArray[Any]) -> Float64:
    """Return the sums of the parts that `exact_sums` returned for all shards."""
    found: Float64 = parts[0] + parts[1]
    return found


def _power_of_two(largest: float) -> float:
    return float(2.0 ** math.ceil(math.log2(largest))) if largest > 0 else 1.0


def distinct(values: Float64) -> Float64:
    """Return the values that occur, ascending; no more than tell that there are too many."""
    return np.unique(values)[: _MOST_VALUES + 1]


def step_of(values: Float64) -> float | None:
    """Return the step that all ratings are multiples of, from the distinct ones; None without one.

    In steps ratings are whole numbers, and sums of their products are exact.
    """
    if len(values) > _MOST_VALUES:
        return None
    largest = float(np.abs(values).max(initial=0))
    for step in _STEPS:
        steps = values / step
        near = np.abs(steps - np.rint(steps)) <= 1e-9
        if near.all() and largest <= _MOST_STEPS * step:
            return step
    return None


def in_steps(values: Float64, step: float | None) -> Float64:
    """Return ratings as numbers of steps; as they are without a step."""
    return values if step is None else np.rint(values / step)
