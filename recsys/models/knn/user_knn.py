"""User-based neighbourhoods: how people of similar taste rated the movies a user has not seen.

    s_uv = similarity of users u and v over the movies both rated
    s_uv *= n_uv / (n_uv + shrinkage)   n_uv: common movies, at least `min_support`
    keep of each user the k largest
    score(u, i) = b_ui + sum_v s_uv (r_vi - b_vi) / (damping + sum_v |s_uv|)
    over the kept v that rated i; b_ui = mean + b_u + b_i
    an item needs `min_neighbours` such v to be listed

P. Resnick, N. Iacovou, M. Suchak, P. Bergstrom, J. Riedl: GroupLens: An Open Architecture for
Collaborative Filtering of Netnews, CSCW 1994; the shrinkage after J. Herlocker, J. Konstan,
A. Borchers, J. Riedl: An Algorithmic Framework for Performing Collaborative Filtering, SIGIR 1999;
the baselines after Y. Koren: Factor in the Neighbors, TKDD 2010.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, get_args

import numpy as np

from recsys.domain import (
    Baselines,
    Int64,
    Interactions,
    RankedLists,
    TrainedItems,
    UserNeighbours,
)
from recsys.models.base import Choice, FitOptions, ModelSpec, Range
from recsys.models.cost import ADDITION, Cost, Size, biases, list_row, lists_by_scores, square
from recsys.models.knn.similarity import Similarity, common_ratings, similar_columns
from recsys.models.params import Bounds, Params
from recsys.numerics.baselines import baselines, residuals, user_levels
from recsys.numerics.sparse import mean_ratings
from recsys.numerics.topk import scatter


@dataclass(frozen=True, slots=True)
class UserKnnConfig(Params):
    similarity: Similarity = "pearson_baseline"
    """As for `item_knn`, with users in place of movies. `pearson` knows no neighbours of a user
    whose ratings are all the same."""
    min_support: Annotated[int, Bounds(1)] = 2
    """Number of common movies two users need."""
    shrinkage: Annotated[float, Bounds(0)] = 100.0
    """lambda of the factor `n / (n + lambda)` for `n` common movies. 0: no shrinkage; the nearest
    users are then those whose few common ratings agree by chance."""
    min_neighbours: Annotated[int, Bounds(1)] = 3
    """Number of neighbours who must have rated a movie before it is recommended."""
    baselines: bool = True
    """Whether predicted ratings start from `mean + b_u + b_i`. `false`: from the mean of the user's
    ratings."""
    bias_damping: Annotated[float, Bounds(0)] = 5.0
    """Number of ratings at which the bias of a movie or user counts half."""
    damping: Annotated[float, Bounds(0)] = 0.5
    """Added to the sum of the similarities in a predicted rating, if it starts from a baseline:
    the fewer and the less similar the users, the closer it stays to that."""


def fit(data: Interactions, config: UserKnnConfig, options: FitOptions) -> UserNeighbours:
    """List the k most similar users of each user."""
    base = baselines(data.user_items, config.bias_damping)
    similar = _similar(data, base, config, options)
    return _described(similar, data, base, config, options)


def fit_users(
    data: Interactions,
    users: Int64,
    trained: TrainedItems,
    config: UserKnnConfig,
    options: FitOptions,
) -> UserNeighbours:
    """List the k most similar of all users for some of them; the lists of others are empty."""
    base = baselines(data.user_items, config.bias_damping)
    if config.baselines:
        # Biases of movies stay those of the run: predicted ratings add them.
        base = replace(base, mean=trained.mean, items=trained.item_bias)
    similar = _similar(data, base, config, options, users)
    every = np.arange(data.user_items.shape[0])
    return _described(scatter(similar, users, every, len(every)), data, base, config, options)


def _similar(
    data: Interactions,
    base: Baselines,
    config: UserKnnConfig,
    options: FitOptions,
    users: Int64 | None = None,
) -> RankedLists:
    ratings = data.user_items
    if config.similarity == "pearson_baseline":
        ratings = residuals(ratings, user_levels(ratings, base), base.of_items)
    return similar_columns(
        ratings.T.tocsr(), config.similarity, config.min_support, config.shrinkage, options, users
    )


def _described(
    similar: RankedLists,
    data: Interactions,
    base: Baselines,
    config: UserKnnConfig,
    options: FitOptions,
) -> UserNeighbours:
    ratings = data.user_items
    return UserNeighbours(
        similar.indptr,
        similar.indices,
        similar.scores,
        common_ratings(ratings, similar, options),
        user_levels(ratings, base) if config.baselines else mean_ratings(ratings),
        ratings,
        config.min_neighbours,
        base if config.baselines else None,
        config.damping if config.baselines else 0.0,
    )


def cost(size: Size, config: UserKnnConfig) -> Cost:
    """Return the cost of all common movies of two users, and of lists from their ratings."""
    common = float((size.of_movies.astype(float) ** 2).sum())
    stored = size.users * list_row(size.neighbours, 12 + 4)
    stored += biases(size.users + len(size.of_movies))
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
        "damping": Range(0, 2),
    },
    scoring="neighbour_ratings",
    needs_ratings=True,
    roles={"rating": 40, "similar_users": 10},
)
