"""Item-based neighbourhoods: movies are similar if the same people rate them alike.

    s_ij = similarity of the rating columns of i and j, over their common raters
    s_ij *= n_ij / (n_ij + shrinkage)   n_ij: common raters, at least `min_support`
    keep of each item the k largest; of a user the `max_ratings` highest ratings count
    score(u, i) = sum of w_uj s_ji over the rated j that keep i;   w_uj: what the rating counts
    predicted rating = b_ui + sum_j a_ij (r_uj - b_uj) / (damping + sum_j |a_ij|)
    over the kept, rated j; b_ui = mean + b_u + b_i; |a_ij| = |s_ij| ^ amplification

B. Sarwar, G. Karypis, J. Konstan, J. Riedl: Item-based Collaborative Filtering Recommendation
Algorithms, WWW 2001; the baselines after Y. Koren: Factor in the Neighbors, TKDD 2010; the
amplification after J. Breese, D. Heckerman, C. Kadie: Empirical Analysis of Predictive Algorithms
for Collaborative Filtering, UAI 1998.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, get_args

import numpy as np

from recsys.domain import Baselines, Float64, Interactions, Neighbours
from recsys.models.base import Choice, FitOptions, ModelSpec, Range
from recsys.models.charts.build import votes_of
from recsys.models.cost import (
    ADDITION,
    DOUBLE,
    SCORE,
    Cost,
    Size,
    biases,
    lists_by_sums,
    neighbours,
)
from recsys.models.grades import GradedParams
from recsys.models.knn.co_rated import from_means
from recsys.models.knn.similarity import CENTRED_SHRINKAGE, Similarity, similar_items
from recsys.models.params import Bounds
from recsys.models.shards import Shards, in_memory
from recsys.numerics.baselines import baselines_of_sums, residuals, user_levels
from recsys.numerics.exact import distinct, in_steps, step_of
from recsys.numerics.sparse import highest_of_rows, with_values
from recsys.numerics.topk import as_neighbours
from recsys.numerics.weighting import on_scale_of


@dataclass(frozen=True, slots=True)
class ItemKnnConfig(GradedParams):
    similarity: Similarity = "cosine"
    """`cosine` of the rating vectors; `jaccard` of the sets of raters; `pearson`,
    `adjusted_cosine` and `pearson_baseline` of the common raters' ratings, centred on the means of
    the movies, those of the users, or baselines. The lists of these three hold negative
    similarities too."""
    min_support: Annotated[int, Bounds(1)] = 2
    """Number of common raters a pair needs: two movies rated by one user have cosine 1."""
    shrinkage: Annotated[float, Bounds(0)] | None = None
    """lambda of the factor `n / (n + lambda)` for `n` common raters. 0: no shrinkage. Not set: 0
    for `cosine` and `jaccard`, 50 for the others: two raters who agree would be a perfect match."""
    max_ratings: Annotated[int, Bounds(0)] = 3000
    """Number of ratings of a user that count, the highest. 0: all. Time grows with the square of
    a user's ratings: a few users of many thousands would take most of it."""
    baselines: bool = True
    """Whether predicted ratings start from `mean + b_u + b_i`, which similar movies then correct.
    `false`: they are means of the user's ratings of similar movies."""
    bias_damping: Annotated[float, Bounds(0)] = 5.0
    """Number of ratings at which the bias of a movie or user counts half."""
    damping: Annotated[float, Bounds(0)] = 0.1
    """Added to the sum of the weights of a predicted rating, if it starts from a baseline: the
    fewer and the less similar the movies, the closer it stays to that."""
    amplification: Annotated[float, Bounds(0, above=True)] = 3.0
    """Exponent that makes these weights of similarities: the most similar movies count most."""


def learn(shards: Shards, config: ItemKnnConfig, options: FitOptions) -> Neighbours:
    """List the k most similar movies of each movie."""
    catalogue = shards.catalogue
    assert catalogue.item_counts is not None
    assert catalogue.rating_mean is not None
    votes = votes_of(shards)
    sums = np.nan_to_num(votes.means) * votes.counts
    base = baselines_of_sums(catalogue.rating_mean, votes.counts, sums, config.bias_damping)
    step = step_of(shards.reduce(_values, lambda one, other: distinct(np.append(one, other))))
    counted = shards.mapped(lambda shard: _counted(shard, config, base, step))
    # The shards hold deviations already.
    similarity = config.similarity
    if similarity == "adjusted_cosine":
        similarity = "pearson_baseline"
    similar = similar_items(counted, similarity, config.min_support, _shrinkage(config), options)
    lists = as_neighbours(similar, on_scale_of(catalogue, config.rating_weights))
    if not config.baselines:
        return lists
    return replace(
        lists, baselines=base, damping=config.damping, amplification=config.amplification
    )


fit = in_memory(learn)


def _counted(
    shard: Interactions, config: ItemKnnConfig, base: Baselines, step: float | None
) -> Interactions:
    """Return the ratings that count, in steps of the scale, or how far they deviate."""
    ratings = counted = shard.user_items
    if config.max_ratings:
        counted = highest_of_rows(ratings, config.max_ratings)
    if config.similarity == "pearson_baseline":
        counted = residuals(counted, user_levels(ratings, base), base.of_items)
    elif config.similarity == "adjusted_cosine":
        counted = from_means(counted.tocsc()).tocsr()
    else:
        counted = with_values(counted, in_steps(counted.data, step))
    return replace(shard, user_items=counted)


def _values(shard: Interactions) -> Float64:
    return distinct(shard.user_items.data)


def _shrinkage(config: ItemKnnConfig) -> float:
    if config.shrinkage is not None:
        return config.shrinkage
    return 0.0 if config.similarity in ("cosine", "jaccard") else CENTRED_SHRINKAGE


def cost(size: Size, config: ItemKnnConfig) -> Cost:
    """Return the cost of all common ratings of two movies, and of lists by sums."""
    kernels = 1.0 if config.similarity == "cosine" else 4.0
    # Lists of movies with few ratings are computed in full: 3 fits generated ratings.
    seconds = kernels * (ADDITION * size.pairs(config.max_ratings) + 3 * SCORE * size.movies**2)
    stored = neighbours(size, size.neighbours, DOUBLE) + biases(len(size.of_movies))
    fitting = Cost(seconds, 40.0 * size.ratings, stored)
    return fitting + lists_by_sums(size, size.neighbours)


SPEC = ModelSpec(
    name="item_knn",
    display_name="Item kNN",
    family="knn",
    kind="personal",
    config=ItemKnnConfig,
    fit=fit,
    learn=learn,
    cost=cost,
    score_meaning="sum of the similarities (up to 1 each) to the movies rated",
    description="Movies like those you rated, by the ratings of those who rated both",
    scoring="sum",
    prediction="movie_neighbours",
    search_space={
        "similarity": Choice(get_args(Similarity)),
        "min_support": Range(1, 20, log=True, whole=True),
        "shrinkage": Range(0, 200),
        "damping": Range(0.01, 2, log=True),
        "amplification": Range(1, 5),
    },
    default_set=True,
    roles={"live": 30, "rating": 30, "similar": 30},
)
