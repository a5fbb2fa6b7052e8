"""User-based neighbourhoods: what people of your taste gave the movies you have not seen.

P. Resnick, N. Iacovou, M. Suchak, P. Bergstrom, J. Riedl: GroupLens: An Open Architecture for
Collaborative Filtering of Netnews, CSCW 1994; the shrinkage after J. Herlocker, J. Konstan,
A. Borchers, J. Riedl: An Algorithmic Framework for Performing Collaborative Filtering, SIGIR 1999.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, get_args

import numpy as np
from scipy.sparse import csr_matrix

from recsys.domain import (
    Float64,
    Interactions,
    ModelOutput,
    RankedLists,
    TopN,
    UserNeighbours,
)
from recsys.models.base import Choice, FitOptions, ModelSpec, Range, making_lists
from recsys.models.knn.similarity import Similarity, common_ratings, similar_columns
from recsys.models.params import Bounds, Params
from recsys.numerics.scoring import binarised, exclude, weight_matrix
from recsys.numerics.topk import joined, over_blocks, ranked_top_k

_BYTES_A_COLUMN = 112
"""Three sparse products, their dense copies, the copy that is partitioned, masks, positions."""


@dataclass(frozen=True, slots=True)
class UserKnnConfig(Params):
    similarity: Similarity = "pearson"
    """As for `item_knn`, with users in place of movies."""
    min_support: Annotated[int, Bounds(1)] = 2
    """Number of common movies two users need."""
    shrinkage: Annotated[float, Bounds(0)] = 100.0
    """lambda of the factor `n / (n + lambda)` for `n` common movies. 0: no shrinkage; the nearest
    users are then those whose few common ratings agree by chance."""
    min_neighbours: Annotated[int, Bounds(1)] = 3
    """Number of neighbours who must have rated a movie before it is recommended."""


def fit(data: Interactions, config: UserKnnConfig, options: FitOptions) -> ModelOutput:
    """List the k most similar users of each, and recommend what is predicted to be liked most."""
    ratings = data.user_items
    similar = similar_columns(
        ratings.T.tocsr(), config.similarity, config.min_support, config.shrinkage, options
    )
    common = common_ratings(ratings, similar, options)
    neighbours = UserNeighbours(similar.indptr, similar.indices, similar.scores, common)
    means = mean_ratings(ratings)
    return ModelOutput(
        user_neighbours=neighbours,
        user_means=means,
        recommendations=recommend_by_prediction(
            ratings, neighbours, means, config.min_neighbours, options
        ),
    )


def mean_ratings(user_items: csr_matrix) -> Float64:
    """Return the mean rating of each user, NaN without any."""
    counts = np.diff(user_items.indptr)
    raters = np.repeat(np.arange(len(counts)), counts)
    sums = np.bincount(raters, user_items.data, len(counts))
    means: Float64 = np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0)
    return means


@making_lists
def recommend_by_prediction(
    user_items: csr_matrix,
    neighbours: UserNeighbours,
    means: Float64,
    min_neighbours: int,
    options: FitOptions,
) -> TopN:
    """Score `(u, i)` by `rbar_u + sum_v s_uv (r_vi - rbar_v) / sum_v |s_uv|`.

    The sums run over the stored neighbours that rated the movie, of whom there must be
    `min_neighbours`. The scores are not cut at the ends of the scale: few of them tie.
    """
    seen = binarised(user_items)
    raters = np.repeat(np.arange(len(means)), np.diff(user_items.indptr))
    deviations = _with(user_items, user_items.data - means[raters])
    weights = weight_matrix(neighbours)
    # Not abs(weights), which would sort the lists.
    strengths = _with(weights, np.abs(neighbours.scores))
    listed = _with(weights, np.ones(len(neighbours)))

    def work(start: int, stop: int) -> RankedLists:
        totals = (strengths[start:stop] @ seen).toarray()
        counts = (listed[start:stop] @ seen).toarray()
        scores = (weights[start:stop] @ deviations).toarray()
        known = (counts >= min_neighbours) & (totals > 0)
        np.divide(scores, totals, out=scores, where=known)
        scores += means[start:stop, None]
        scores[~known] = -np.inf
        exclude(scores, user_items[start:stop])
        return ranked_top_k(scores, options.n)

    row_bytes = _BYTES_A_COLUMN * user_items.shape[1]
    return joined(TopN, over_blocks(len(means), row_bytes, options, work))


def _with(matrix: csr_matrix, data: Float64) -> csr_matrix:
    """Return the matrix with other values, zeros among them, at the same places."""
    return csr_matrix((data, matrix.indices, matrix.indptr), shape=matrix.shape)


SPEC = ModelSpec(
    name="user_knn",
    display_name="User kNN",
    family="knn",
    kind="personal",
    config=UserKnnConfig,
    fit=fit,
    score_meaning="predicted rating, not cut at the ends of the scale",
    description="What people who rated like you gave the movies you have not rated",
    prediction="user_neighbours",
    search={
        "similarity": Choice(get_args(Similarity)),
        "min_support": Range(1, 10, whole=True),
        "shrinkage": Range(0, 300),
        "min_neighbours": Range(1, 10, whole=True),
    },
    scoring="neighbour_ratings",
    roles={"rating": 40, "similar_users": 10},
)
