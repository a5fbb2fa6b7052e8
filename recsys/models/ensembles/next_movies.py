"""What a person will rate next: sums of sequence-aware and graded weights.

    score(u, i) = sum over the models m of weight_m * sum_j w_muj W_mji
    w_muj: what the rating counts in m; of a model without a window of its own, times
    recency^(age - 1), over the last `window` ratings

The scores of all its models are sums of stored weights of rated movies, so that its own are sums
too: SQL computes its lists from new ratings at once, and explains them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np

from recsys.domain import (
    ComputeLimits,
    Ensemble,
    Interactions,
    Neighbours,
    RatingWeights,
    Term,
    TopN,
    UserRows,
)
from recsys.errors import ConfigError
from recsys.models.base import FitOptions, ModelSpec, Range, Scoring
from recsys.models.cost import Cost, Size, lists_by_sums
from recsys.models.params import Bounds, ModelName, Params
from recsys.models.shards import of_catalogue
from recsys.numerics.scoring import rank_by_sums

PART_SCORINGS: frozenset[Scoring] = frozenset({"sum"})


@dataclass(frozen=True, slots=True)
class NextConfig(Params):
    models: tuple[ModelName, ...] = ("slist", "slist_newest", "ease")
    """Models whose scores are added."""
    weights: tuple[Annotated[float, Bounds(0, above=True)], ...] = (1.0, 0.75, 0.13)
    """Weight of each model."""
    recency: Annotated[float, Bounds(0, 1, above=True)] = 0.95
    """Factor from each rating to the next older one, in models without a window of their own."""
    window: Annotated[int, Bounds(0)] = 100
    """Number of newest ratings that count in those models. 0: all."""

    def check(self) -> None:
        if not self.models or len(set(self.models)) < len(self.models):
            raise ConfigError(
                f"models = {self.models!r} cannot be added up",
                hint="models must name one or more models, each once",
                key=("models",),
            )
        if len(self.weights) != len(self.models):
            raise ConfigError(
                f"weights = {self.weights!r} do not fit models = {self.models!r}",
                hint="weights must hold one number for each model",
                key=("weights",),
            )


def fit(data: Interactions, config: NextConfig, options: FitOptions) -> Ensemble:
    """Take the fitted models, with what a rating counts in each of them here."""
    members = []
    for name in config.models:
        part = data.parts[name]
        assert isinstance(part.fitted, Neighbours)
        counted = replace(part.fitted, weights=_aged(part.fitted.weights, config))
        members.append(replace(part, fitted=counted))
    return Ensemble(tuple(members), config.weights)


def _aged(weights: RatingWeights, config: NextConfig) -> RatingWeights:
    if weights.window:
        return weights
    return replace(weights, recency=config.recency, window=config.window)


def rank(ensemble: Ensemble, users: UserRows, n: int, limits: ComputeLimits) -> TopN:
    """Rank by the sum over all models. Scores of 0 or below are left out."""
    terms = []
    for member, factor in zip(ensemble.members, ensemble.weights, strict=True):
        assert isinstance(member.fitted, Neighbours)
        terms.append((member.fitted, factor))
    return rank_by_sums(terms, users, n, limits)


def terms(config: NextConfig, parts: Mapping[str, RatingWeights]) -> tuple[Term, ...]:
    """Return the sums that make up the score."""
    return tuple(
        Term(name, _aged(parts[name], config), factor)
        for name, factor in zip(config.models, config.weights, strict=True)
    )


def cost(size: Size, config: NextConfig) -> Cost:
    """Return the cost of lists by sums over the newest ratings."""
    newest = np.minimum(size.of_users, config.window or np.inf).astype(np.int64)
    return lists_by_sums(replace(size, of_users=newest), 400)


SPEC = ModelSpec(
    name="next",
    display_name="Next",
    family="ensembles",
    kind="personal",
    config=NextConfig,
    fit=fit,
    learn=of_catalogue(fit),
    cost=cost,
    rank=rank,
    score_meaning="sum of the weights of the newest ratings, over the models",
    description="What people rate next: sequences, and the taste that ratings show",
    needs=lambda config: frozenset({"times"}),
    terms=terms,
    parts=lambda config: config.models,
    search_space={"weights": Range(0.05, 1, log=True, each="models"), "recency": Range(0.85, 0.99)},
    scoring="sum",
    part_scorings=PART_SCORINGS,
    roles={"live": 60},
)
