"""What a model is: one entry of the registry, and what every fit is told."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from recsys.algorithms.config import within
from recsys.domain import Interactions, ModelOutput

Kind = Literal["chart", "similarity", "personal"]
Need = Literal["times", "texts", "votes", "attributes"]
Prediction = Literal["factors", "user_neighbours", "movie_neighbours"]


@dataclass(frozen=True, slots=True)
class FitOptions:
    """What holds for every model of a run; a model's own parameters are in its config."""

    k: int = 100
    """Neighbours kept for each item."""
    n: int = 100
    """Length of a user's list."""
    seed: int = 42
    memory_mb: int = 1024
    """Bound of the working blocks of a fit, all threads together."""
    threads: int = 0
    """0: one for each processor."""

    def __post_init__(self) -> None:
        within(self, "k", 1)
        within(self, "n", 1)
        within(self, "seed", 0, 2**32 - 1)
        within(self, "memory_mb", 1)
        within(self, "threads", 0)

    @property
    def workers(self) -> int:
        return self.threads or os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model: its name, its parameters and a pure function from interactions to its output."""

    name: str
    kind: Kind
    config: type[Any]
    """A frozen dataclass whose defaults are the model's, checked on construction."""
    fit: Callable[[Interactions, Any, FitOptions], ModelOutput]
    score_meaning: str
    description: str
    needs: frozenset[Need] = frozenset()
    """What `fit` wants of `Interactions` beside ratings, genres and years; it costs reading."""
    parts: Callable[[Any], tuple[str, ...]] = lambda config: ()
    """Names of the models whose outputs `fit` finds in `Interactions.parts`, by the config. They
    come before this one in the registry."""
    prediction: Prediction | None = None
    """How ratings are predicted from the output; see `recsys.algorithms.predict`."""
    requires: tuple[str, str] | None = None
    """Package it cannot do without and the extra of ours that brings it."""
