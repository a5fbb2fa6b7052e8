"""The simple scorer of the six-movie example: correlations times ratings, averaged."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from scipy.sparse import csr_matrix

from recsys.domain import Interactions, ModelOutput, Neighbours, RankedLists, TopN
from recsys.models.base import FitOptions, ModelSpec, Range, making_lists
from recsys.models.knn.co_rated import co_rated_neighbours
from recsys.models.params import Bounds, Params
from recsys.numerics.scoring import binarised, exclude, weight_matrix
from recsys.numerics.topk import joined, over_blocks, ranked_top_k

LABELS = ((3.0, "strongly recommended"), (0.0, "recommended"), (-math.inf, "not recommended"))
"""What a score is called: the first label whose bound it is above."""
_BYTES_A_COLUMN = 64
"""Two products, dense, the copy that is partitioned, masks and positions."""


@dataclass(frozen=True, slots=True)
class PearsonAverageConfig(Params):
    min_support: Annotated[int, Bounds(2)] = 2
    """Number of common raters a pair needs."""


def fit(data: Interactions, config: PearsonAverageConfig, options: FitOptions) -> ModelOutput:
    """List the most correlated movies of each, and recommend by the average."""
    similar = co_rated_neighbours(data.user_items, "pearson", config.min_support, 0.0, options)
    neighbours = joined(Neighbours, [similar])
    return ModelOutput(
        neighbours=neighbours,
        recommendations=recommend_by_average(data.user_items, neighbours, options),
    )


@making_lists
def recommend_by_average(
    user_items: csr_matrix, neighbours: Neighbours, options: FitOptions
) -> TopN:
    """Score `(u, i)` by the mean of `s_ji * r_uj` over the rated j whose list holds i.

    Rated items are left out; a score may be negative: not recommended, but the best there is.
    """
    weights = weight_matrix(neighbours)
    listed = weights.copy()
    listed.data = np.ones(len(neighbours))

    def work(start: int, stop: int) -> RankedLists:
        block = user_items[start:stop]
        counts = (binarised(block) @ listed).toarray()
        scores = (block @ weights).toarray() / np.maximum(counts, 1)
        scores[counts == 0] = -np.inf
        exclude(scores, block)
        return ranked_top_k(scores, options.n)

    row_bytes = _BYTES_A_COLUMN * neighbours.rows
    return joined(TopN, over_blocks(user_items.shape[0], row_bytes, options, work))


def label(score: float) -> str:
    """Return what a score is called."""
    return next(words for bound, words in LABELS if score > bound)


SPEC = ModelSpec(
    name="pearson_average",
    display_name="Pearson average",
    family="knn",
    kind="personal",
    config=PearsonAverageConfig,
    fit=fit,
    score_meaning="mean of correlation times rating: above 3 strongly, above 0 recommended",
    description="Movies rated like those you rated highly: average of Pearson correlations",
    labels=LABELS,
    scoring="mean_product",
    search={"min_support": Range(2, 50, log=True, whole=True)},
)
