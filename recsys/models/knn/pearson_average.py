"""The simple scorer of the six-movie example: correlations times ratings, averaged.

s_ij = Pearson correlation of the ratings of i and j, over their common raters
s_ij *= n_ij / (n_ij + shrinkage)   n_ij: common raters; the example has no shrinkage
keep of each item the k largest
score(u, i) = mean of s_ji * r_uj over the rated j that keep i
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from recsys.domain import Neighbours, RatingWeights
from recsys.models.base import FitOptions, ModelSpec, Range
from recsys.models.cost import (
    ADDITION,
    DOUBLE,
    SCORE,
    Cost,
    Size,
    lists_by_scores,
    neighbours,
    square,
)
from recsys.models.knn.similarity import CENTRED_SHRINKAGE, similar_items
from recsys.models.params import Bounds, Params
from recsys.models.shards import Shards, in_memory
from recsys.numerics.scoring import rank_by_mean_product
from recsys.numerics.topk import concatenate

LABELS = ((3.0, "strongly recommended"), (0.0, "recommended"), (-math.inf, "not recommended"))
"""Words for a score: those of the first bound that it is above."""


@dataclass(frozen=True, slots=True)
class PearsonAverageConfig(Params):
    min_support: Annotated[int, Bounds(2)] = 2
    """Number of common raters a pair needs."""
    shrinkage: Annotated[float, Bounds(0)] = CENTRED_SHRINKAGE
    """lambda of the factor `n / (n + lambda)` for `n` common raters. 0: the correlations of the
    textbook; movies that two users agree on are then the nearest of all."""

    @property
    def rating_weights(self) -> RatingWeights:
        return RatingWeights(grades="rating")


def learn(shards: Shards, config: PearsonAverageConfig, options: FitOptions) -> Neighbours:
    """List the most correlated movies of each movie."""
    similar = similar_items(shards, "pearson", config.min_support, config.shrinkage, options)
    return concatenate(Neighbours, [similar])


fit = in_memory(learn)


def cost(size: Size, config: PearsonAverageConfig) -> Cost:
    """Return the cost of the correlations of all pairs of movies, and of lists by means."""
    stored = neighbours(size, size.neighbours, DOUBLE)
    rated = len(size.of_movies)
    seconds = 2 * ADDITION * size.pairs() + 25 * SCORE * rated**2
    fitting = Cost(seconds, square(rated), stored)
    return fitting + lists_by_scores(size, 5.0)


SPEC = ModelSpec(
    name="pearson_average",
    display_name="Pearson average",
    family="knn",
    kind="personal",
    config=PearsonAverageConfig,
    fit=fit,
    learn=learn,
    cost=cost,
    rank=rank_by_mean_product,
    score_meaning="mean of correlation times rating: above 3 strongly, above 0 recommended",
    description="Movies rated like those you rated highly: average of Pearson correlations",
    labels=LABELS,
    scoring="mean_product",
    needs_ratings=True,
    search_space={"min_support": Range(2, 50, log=True, whole=True), "shrinkage": Range(0, 200)},
)
