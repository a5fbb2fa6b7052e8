"""Reproducible random choices, and the word files they choose from."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from importlib import resources
from typing import Any, TypeVar

import numpy as np
from numpy.random import PCG64, Generator

from recsys.domain import Float64

T = TypeVar("T")


class Draw:
    """Random choices from uniform doubles only, the one stream that numpy keeps stable."""

    def __init__(self, *seed: int) -> None:
        self._generator = Generator(PCG64(list(seed)))

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        return low + (high - low) * float(self._generator.random())

    def uniforms(self, *shape: int) -> Float64:
        out: Float64 = self._generator.random(shape)
        return out

    def bell(self) -> float:
        return float(self.bells(1)[0])

    def bells(self, *shape: int) -> Float64:
        """Return sums of six uniforms, approximately standard normal (Irwin-Hall)."""
        total: Float64 = (self._generator.random((6, *shape)).sum(axis=0) - 3.0) * np.sqrt(2.0)
        return total

    def whole(self, low: int, high: int) -> int:
        return low + int(self.uniform() * (high - low + 1))

    def pick(self, items: Sequence[T]) -> T:
        return items[int(self.uniform() * len(items))]

    def some(self, items: Sequence[T], count: int) -> list[T]:
        """Return `count` different items in their order."""
        # Generator.permutation may change between versions of numpy, uniforms do not.
        chosen = np.argsort(self.uniforms(len(items)), kind="stable")[:count]
        return [items[i] for i in sorted(chosen)]

    def weighted(self, choices: Sequence[tuple[int, T]]) -> T:
        left = self.uniform() * sum(weight for weight, _ in choices)
        for weight, item in choices:
            left -= weight
            if left < 0:
                return item
        # Reached only if rounding leaves the rest at 0 or above.
        return choices[-1][1]


def words(name: str) -> dict[str, Any]:
    """Read one of the word files beside this module."""
    text = resources.files(__package__).joinpath(f"{name}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
