"""What a model is: one entry of the registry, and what every fit is told."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, ParamSpec, TypeVar

from recsys.domain import Interactions, ModelOutput
from recsys.models.params import NOT_A_KEY, Bounds, Params

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Kind = Literal["chart", "similarity", "personal"]
Need = Literal["times", "texts", "votes", "attributes"]
Prediction = Literal["factors", "user_neighbours", "movie_neighbours"]
Scoring = Literal["sum", "mean_product"]


@dataclass(slots=True)
class Stopwatch:
    """Seconds spent on making lists, where somebody wants to know them apart from the rest."""

    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class FitOptions(Params):
    """What holds for every model of a run; a model's own parameters are in its config."""

    k: Annotated[int, Bounds(1)] = 100
    """Number of neighbours kept for each item."""
    n: Annotated[int, Bounds(1)] = 100
    """Length of a user's list."""
    seed: Annotated[int, Bounds(0, 2**32 - 1)] = 42
    """Seed of every random number."""
    memory_mb: Annotated[int, Bounds(1)] = 1024
    """Bound of the working blocks of a fit, all threads together."""
    threads: Annotated[int, Bounds(0)] = 0
    """Number of threads. 0: one per processor."""
    lists: Stopwatch | None = field(default=None, compare=False, metadata=NOT_A_KEY)
    """Runs while lists are made from what was learned."""

    @property
    def workers(self) -> int:
        return self.threads or os.cpu_count() or 1


def making_lists(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Let the stopwatch of the FitOptions among the arguments run while the function works."""

    @functools.wraps(function)
    def timed(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        [options] = [argument for argument in args if isinstance(argument, FitOptions)]
        begun = time.monotonic()
        try:
            return function(*args, **kwargs)
        finally:
            if options.lists is not None:
                options.lists.seconds += time.monotonic() - begun

    return timed


@dataclass(frozen=True, slots=True)
class Choice:
    """Values of a parameter worth trying, each as likely as the others."""

    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers worth trying for a parameter, from `low` to `high`."""

    low: float
    high: float
    log: bool = False
    """Equal factors are equally likely, where else equal steps are."""
    whole: bool = False
    each: bool = False
    """One number for each element of the parameter, which is a tuple."""


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
    needs: Callable[[Any], frozenset[Need]] = lambda config: frozenset()
    """What `fit` wants of `Interactions` beside ratings, genres and years, by the config; it costs
    reading, and a change of it makes a published run stale."""
    parts: Callable[[Any], tuple[str, ...]] = lambda config: ()
    """Names of the models whose outputs `fit` finds in `Interactions.parts`, by the config. They
    come before this one in the registry."""
    prediction: Prediction | None = None
    """How ratings are predicted from the output; see `recsys.numerics.prediction`."""
    scoring: Scoring | None = None
    """How its lists follow from its neighbours and a person's ratings, so that they can be had for
    ratings it never saw: `sum` of the similarities of the movies rated that list a movie, or the
    mean of these times the ratings, `mean_product`. None: they do not."""
    requires: tuple[str, str] | None = None
    """Package it cannot do without and the extra of ours that brings it."""
    search: Mapping[str, Choice | Range] = field(default_factory=dict, hash=False)
    """Parameters worth a search, and where `recsys tune` searches them."""
