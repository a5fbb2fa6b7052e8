"""Blend: scores of several models, put on one scale for each user, and averaged.

z_m(u, i) = (score_m(u, i) - mean) / standard deviation, over the candidates of u
candidates of u: items with ratings that u has not rated
score(u, i) = sum_m weight_m z_m(u, i) / sum_m weight_m
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from math import comb
from typing import Annotated, ClassVar, Literal

import numpy as np
from threadpoolctl import threadpool_limits

from recsys.domain import (
    Charts,
    ComputeLimits,
    Ensemble,
    Factors,
    Float64,
    Interactions,
    Neighbours,
    RankedLists,
    TopN,
    UserRows,
)
from recsys.errors import ConfigError
from recsys.models.base import FitOptions, ModelSpec, Range, Scoring
from recsys.models.cost import Cost, Size, lists_by_scores
from recsys.models.params import Bounds, ModelName, Params
from recsys.models.shards import of_catalogue
from recsys.numerics.blocks import map_blocks
from recsys.numerics.scoring import dense_scores, standardize
from recsys.numerics.sparse import exclude_rated, has_ratings
from recsys.numerics.topk import concatenate, ranked_top_k

PART_SCORINGS: frozenset[Scoring | Literal["chart"]] = frozenset({"sum", "factors", "chart"})
"""Scores that a block of users gets by one matrix product, over all movies, or of a chart."""
MOST_RIVALS = 30
"""Sets of weights that are measured at most; with more models the steps are larger."""
_BYTES_A_COLUMN = 72
"""Sparse product, its dense copy, squares, the sum, the copy that is partitioned, masks."""


@dataclass(frozen=True, slots=True)
class BlendConfig(Params):
    models: tuple[ModelName, ...] = ("ease", "als")
    """Models whose scores are blended."""
    weights: tuple[Annotated[float, Bounds(0)], ...] = ()
    """Weight of each model; only the proportions count. Empty: the usual ones, which are equal, or
    others in steps of a fifth that are better by more than a standard error in a validation
    split."""
    usual: ClassVar[tuple[float, ...]] = ()

    def check(self) -> None:
        if not self.models or len(set(self.models)) < len(self.models):
            raise ConfigError(
                f"models = {self.models!r} cannot be blended",
                hint="models must name one or more models, each once",
                key=("models",),
            )
        if self.weights and (len(self.weights) != len(self.models) or sum(self.weights) <= 0):
            raise ConfigError(
                f"weights = {self.weights!r} do not fit models = {self.models!r}",
                hint="weights must hold one number for each model, at least one of them above 0",
                key=("weights",),
            )


def rivals(config: BlendConfig) -> tuple[BlendConfig, ...]:
    """Return the config with the usual weights, and with all in steps of a fifth or more.

    The nearer to the usual ones, the earlier: others must show that they are better.
    """
    count = len(config.models)
    if config.weights or count == 1:
        return ()
    usual = _usual(config)
    steps = max(s for s in range(1, 6) if s == 1 or comb(s + count - 1, count - 1) <= MOST_RIVALS)
    shares = np.array([s for s in product(range(steps + 1), repeat=count) if sum(s) == steps])
    away = np.square(shares / steps - usual).sum(axis=1)
    ordered = [usual, *(shares / steps)[np.argsort(away, kind="stable")]]
    return tuple(replace(config, weights=tuple(each.round(4).tolist())) for each in ordered)


def _usual(config: BlendConfig) -> Float64:
    """Return the weights where nothing speaks for others; they add up to 1."""
    count = len(config.models)
    weights = np.array(config.usual if len(config.usual) == count else (1.0,) * count)
    shares: Float64 = weights / weights.sum()
    return shares


def fit(data: Interactions, config: BlendConfig, options: FitOptions) -> Ensemble:
    """Take the fitted models, their weights and the items that may be recommended."""
    members = tuple(data.parts[name] for name in config.models)
    _, rated_items = has_ratings(data.user_items)
    if data.item_counts is not None:
        rated_items = data.item_counts > 0
    weights = config.weights or tuple(_usual(config).tolist())
    return Ensemble(members, weights, candidates=rated_items)


def rank(ensemble: Ensemble, users: UserRows, n: int, limits: ComputeLimits) -> TopN:
    """Rank by the weighted mean of the models' scores, each in standard deviations.

    Where a model scores all candidates of a user alike it contributes 0. Users for whom all models
    do are left out.
    """
    rated_items = ensemble.candidates
    assert rated_items is not None
    weights = np.array(ensemble.weights) / sum(ensemble.weights)
    fitted = [member.fitted for member in ensemble.members]

    def work(start: int, stop: int) -> RankedLists:
        block = users.block(start, stop)
        rates = np.diff(block.ratings.indptr) > 0
        # Users without ratings have no candidates: nothing is known about them.
        open_to = np.where(rates[:, None] & rated_items, 1.0, -np.inf)
        exclude_rated(open_to, block.ratings)
        candidates = open_to > 0
        total = np.zeros(candidates.shape)
        told = np.zeros(len(total), bool)
        for part, weight in zip(fitted, weights, strict=True):
            assert isinstance(part, Neighbours | Factors | Charts)
            scores = standardize(dense_scores(part, block), candidates)
            told |= scores.any(axis=1)
            total += weight * scores
        total[~candidates] = -np.inf
        total[~told] = -np.inf
        return ranked_top_k(total, n)

    with threadpool_limits(1, "blas"):  # the blocks run side by side already
        row_bytes = _BYTES_A_COLUMN * len(rated_items)
        return concatenate(TopN, map_blocks(len(users), row_bytes, limits, work))


def cost(size: Size, config: BlendConfig) -> Cost:
    """Return the cost of scoring all movies by each of its models."""
    return lists_by_scores(size, 10.0 * len(config.models))


SPEC = ModelSpec(
    name="blend",
    display_name="Blend",
    family="ensembles",
    kind="personal",
    config=BlendConfig,
    fit=fit,
    learn=of_catalogue(fit),
    rivals=rivals,
    cost=cost,
    rank=rank,
    score_meaning="standard deviations above the user's average movie, mean over the models",
    description="Several models in one: the mean of their scores, put on one scale for each user",
    parts=lambda config: config.models,
    search_space={"weights": Range(0.1, 1, each="models")},
    scoring="parts",
    part_scorings=PART_SCORINGS,
)
