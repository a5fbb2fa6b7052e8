"""Blend: scores of several models, put on one scale for each user, and averaged.

z_m(u, i) = (score_m(u, i) - mean) / standard deviation, over the candidates of u
candidates of u: items with ratings that u has not rated
score(u, i) = sum_m weight_m z_m(u, i) / sum_m weight_m
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from threadpoolctl import threadpool_limits

from recsys.domain import (
    Charts,
    ComputeLimits,
    Ensemble,
    Factors,
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
from recsys.numerics.blocks import map_blocks
from recsys.numerics.scoring import dense_scores, standardize
from recsys.numerics.sparse import exclude_rated, has_ratings
from recsys.numerics.topk import concatenate, ranked_top_k

PART_SCORINGS: frozenset[Scoring | Literal["chart"]] = frozenset({"sum", "factors", "chart"})
"""Scores that a block of users gets by one matrix product, over all movies, or of a chart."""
_BYTES_A_COLUMN = 72
"""Sparse product, its dense copy, squares, the sum, the copy that is partitioned, masks."""


@dataclass(frozen=True, slots=True)
class BlendConfig(Params):
    models: tuple[ModelName, ...] = ("ease", "als")
    """Models whose scores are blended."""
    weights: tuple[Annotated[float, Bounds(0)], ...] = (1.0, 1.0)
    """Weight of each model; only the proportions count."""

    def check(self) -> None:
        if not self.models or len(set(self.models)) < len(self.models):
            raise ConfigError(
                f"models = {self.models!r} cannot be blended",
                hint="models must name one or more models, each once",
                key=("models",),
            )
        if len(self.weights) != len(self.models) or sum(self.weights) <= 0:
            raise ConfigError(
                f"weights = {self.weights!r} do not fit models = {self.models!r}",
                hint="weights must hold one number for each model, at least one of them above 0",
                key=("weights",),
            )


def fit(data: Interactions, config: BlendConfig, options: FitOptions) -> Ensemble:
    """Take the fitted models, their weights and the items that may be recommended."""
    members = tuple(data.parts[name] for name in config.models)
    _, rated_items = has_ratings(data.user_items)
    if data.item_counts is not None:
        rated_items = data.item_counts > 0
    return Ensemble(members, config.weights, candidates=rated_items)


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
    cost=cost,
    rank=rank,
    score_meaning="standard deviations above the user's average movie, mean over the models",
    description="Several models in one: the mean of their scores, put on one scale for each user",
    parts=lambda config: config.models,
    search_space={"weights": Range(0.1, 1, each=True)},
    scoring="parts",
    part_scorings=PART_SCORINGS,
)
