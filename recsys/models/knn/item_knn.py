"""Item-based neighbourhoods: movies are similar if the same people rate them alike.

    s_ij = similarity of the rating columns of i and j, over their common raters
    s_ij *= n_ij / (n_ij + shrinkage)   n_ij: common raters, at least `min_support`
    keep of each item the k largest; of a user the `max_ratings` highest ratings count
    score(u, i) = sum of w_uj s_ji over the rated j that keep i;   w_uj: what the rating counts
    predicted rating = sum_j s_ij r_uj / sum_j |s_ij| over the kept, rated j

B. Sarwar, G. Karypis, J. Konstan, J. Riedl: Item-Based Collaborative Filtering Recommendation
Algorithms, WWW 2001.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, get_args

from recsys.domain import Interactions, Neighbours
from recsys.models.base import Choice, FitOptions, ModelSpec, Range
from recsys.models.cost import ADDITION, DOUBLE, SCORE, Cost, Size, lists_by_sums, neighbours
from recsys.models.grades import GradedParams
from recsys.models.knn.similarity import Similarity, similar_columns
from recsys.models.params import Bounds
from recsys.numerics.sparse import highest_of_rows
from recsys.numerics.topk import as_neighbours
from recsys.numerics.weighting import on_scale_of


@dataclass(frozen=True, slots=True)
class ItemKnnConfig(GradedParams):
    similarity: Similarity = "cosine"
    """`cosine` of the rating vectors; `jaccard` of the sets of raters; `pearson` and
    `adjusted_cosine` of the common raters' ratings, centred on the means of the movies or of the
    users. The last two need shrinkage, and their lists hold negative similarities too."""
    min_support: Annotated[int, Bounds(1)] = 2
    """Number of common raters a pair needs: two movies rated by one user have cosine 1."""
    shrinkage: Annotated[float, Bounds(0)] = 0.0
    """lambda of the factor `n / (n + lambda)` for `n` common raters. 0: no shrinkage."""
    max_ratings: Annotated[int, Bounds(0)] = 3000
    """Number of ratings of a user that count, the highest. 0: all. Time grows with the square of
    a user's ratings: a few users of many thousands would take most of it."""


def fit(data: Interactions, config: ItemKnnConfig, options: FitOptions) -> Neighbours:
    """List the k most similar movies of each movie."""
    ratings = data.user_items
    if config.max_ratings:
        ratings = highest_of_rows(ratings, config.max_ratings)
    similar = similar_columns(
        ratings, config.similarity, config.min_support, config.shrinkage, options
    )
    return as_neighbours(similar, on_scale_of(data, config.rating_weights))


def cost(size: Size, config: ItemKnnConfig) -> Cost:
    """Return the cost of all common ratings of two movies, and of lists by sums."""
    kernels = 1.0 if config.similarity == "cosine" else 4.0
    # Lists of movies with few ratings are computed in full: 3 fits generated ratings.
    seconds = kernels * (ADDITION * size.pairs(config.max_ratings) + 3 * SCORE * size.movies**2)
    stored = neighbours(size, size.neighbours, DOUBLE)
    fitting = Cost(seconds, 40.0 * size.ratings, stored)
    return fitting + lists_by_sums(size, size.neighbours)


SPEC = ModelSpec(
    name="item_knn",
    display_name="Item kNN",
    family="knn",
    kind="personal",
    config=ItemKnnConfig,
    fit=fit,
    cost=cost,
    score_meaning="sum of the similarities (up to 1 each) to the movies rated",
    description="Movies like those you rated, by the ratings of those who rated both",
    scoring="sum",
    prediction="movie_neighbours",
    search_space={
        "similarity": Choice(get_args(Similarity)),
        "min_support": Range(1, 20, log=True, whole=True),
        "shrinkage": Range(0, 200),
    },
    default_set=True,
    roles={"live": 30, "rating": 50, "similar": 30},
)
