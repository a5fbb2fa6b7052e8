"""User-based neighbourhoods: how people of similar taste rated the movies a user has not seen.

    s_uv = similarity of users u and v over the movies both rated
    s_uv *= n_uv / (n_uv + shrinkage)   n_uv: common movies, at least `min_support`
    keep of each user the k largest
    score(u, i) = rbar_u + sum_v s_uv (r_vi - rbar_v) / sum_v |s_uv| over the kept v that rated i
    an item needs `min_neighbours` such v to be listed

P. Resnick, N. Iacovou, M. Suchak, P. Bergstrom, J. Riedl: GroupLens: An Open Architecture for
Collaborative Filtering of Netnews, CSCW 1994; the shrinkage after J. Herlocker, J. Konstan,
A. Borchers, J. Riedl: An Algorithmic Framework for Performing Collaborative Filtering, SIGIR 1999.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, get_args

import numpy as np

from recsys.domain import Int64, Interactions, RankedLists, UserNeighbours
from recsys.models.base import Choice, FitOptions, ModelSpec, Range
from recsys.models.cost import ADDITION, Cost, Size, list_row, lists_by_scores, square
from recsys.models.knn.similarity import Similarity, common_ratings, similar_columns
from recsys.models.params import Bounds, Params
from recsys.numerics.sparse import mean_ratings
from recsys.numerics.topk import scatter


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


def fit(data: Interactions, config: UserKnnConfig, options: FitOptions) -> UserNeighbours:
    """List the k most similar users of each user."""
    ratings = data.user_items
    similar = similar_columns(
        ratings.T.tocsr(), config.similarity, config.min_support, config.shrinkage, options
    )
    return _described(similar, data, config, options)


def fit_users(
    data: Interactions, users: Int64, config: UserKnnConfig, options: FitOptions
) -> UserNeighbours:
    """List the k most similar of all users for some of them; the lists of others are empty."""
    ratings = data.user_items
    similar = similar_columns(
        ratings.T.tocsr(), config.similarity, config.min_support, config.shrinkage, options, users
    )
    every = np.arange(ratings.shape[0])
    return _described(scatter(similar, users, every, len(every)), data, config, options)


def _described(
    similar: RankedLists, data: Interactions, config: UserKnnConfig, options: FitOptions
) -> UserNeighbours:
    ratings = data.user_items
    return UserNeighbours(
        similar.indptr,
        similar.indices,
        similar.scores,
        common_ratings(ratings, similar, options),
        mean_ratings(ratings),
        ratings,
        config.min_neighbours,
    )


def cost(size: Size, config: UserKnnConfig) -> Cost:
    """Return the cost of all common movies of two users, and of lists from their ratings."""
    common = float((size.of_movies.astype(float) ** 2).sum())
    stored = size.users * list_row(size.neighbours, 12 + 4)
    fitting = Cost(2.5 * ADDITION * common, square(size.users), stored)
    return fitting + lists_by_scores(size, 10.0)


SPEC = ModelSpec(
    name="user_knn",
    display_name="User kNN",
    family="knn",
    kind="personal",
    config=UserKnnConfig,
    fit=fit,
    cost=cost,
    fit_users=fit_users,
    score_meaning="predicted rating, not cut at the ends of the scale",
    description="What people who rated like you gave the movies you have not rated",
    prediction="user_neighbours",
    search_space={
        "similarity": Choice(get_args(Similarity)),
        "min_support": Range(1, 10, whole=True),
        "shrinkage": Range(0, 300),
        "min_neighbours": Range(1, 10, whole=True),
    },
    scoring="neighbour_ratings",
    roles={"rating": 40, "similar_users": 10},
)
