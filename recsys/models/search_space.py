"""Random search: draw parameters from the search space of a model.

J. Bergstra, Y. Bengio: Random Search for Hyper-Parameter Optimization, JMLR 13, 2012: a model of
few parameters, of which fewer matter, gains little from a more complex search.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from recsys.models.base import Choice, ModelSpec, Range

_DIGITS = 4
"""Significant ones of a number drawn: more would be noise in a file that people read."""


def draws(spec: ModelSpec, config: Any, seed: int) -> Iterator[dict[str, Any]]:
    """Yield values of the parameters searched, without end; the same for the same seed.

    `config` tells how many numbers a parameter has that goes with the elements of another.
    """
    random = np.random.default_rng(seed)
    while True:
        yield {name: _drawn(space, config, random) for name, space in spec.search_space.items()}


def searched(spec: ModelSpec, config: Any) -> Mapping[str, Any]:
    """Return what a config has for the parameters that are searched."""
    return {name: getattr(config, name) for name in spec.search_space}


def _drawn(space: Choice | Range, config: Any, random: np.random.Generator) -> Any:
    if isinstance(space, Choice):
        return space.values[int(random.integers(len(space.values)))]
    if space.each:
        return tuple(_number(space, random) for _ in getattr(config, space.each))
    return _number(space, random)


def _number(space: Range, random: np.random.Generator) -> float | int:
    # On a log scale the draw is rounded instead: small whole numbers stay likely.
    if space.whole and not space.log:
        return int(random.integers(int(space.low), int(space.high), endpoint=True))
    if space.log:
        number = float(np.exp(random.uniform(np.log(space.low), np.log(space.high))))
    else:
        number = float(random.uniform(space.low, space.high))
    # Rounded, a number near an end stays within.
    number = min(max(float(f"{number:.{_DIGITS}g}"), space.low), space.high)
    return round(number) if space.whole else number
