"""EASE^R: a linear item-item model in closed form.

    X: users x items, what the rating counts, 0 where not rated;   G = X'X + lambda I;   P = inv(G)
    B_ij = -P_ij / P_jj,  B_jj = 0          minimizes |X - XB|^2 + lambda |B|^2 with a zero diagonal
    keep of each row of B the `weights` largest by magnitude
    score(u, j) = sum of w_ui B_ij over the rated i that keep j;   w_ui: X_ui, less with age

H. Steck: Embarrassingly Shallow Autoencoders for Sparse Data, WWW 2019, arXiv:1905.03375.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from scipy.sparse import csr_matrix

from recsys.domain import Float32, Interactions, Neighbours, RankedLists, RatingWeights
from recsys.models.base import Choice, FitOptions, ModelSpec, Need, Range
from recsys.models.cost import ADDITION, FLOP, SCORE, SINGLE, Cost, Size, list_row, lists_by_sums
from recsys.models.grades import GradedParams
from recsys.models.linear.inverse import Rows, inverse_gram
from recsys.models.params import Bounds
from recsys.models.shards import Shards, in_memory
from recsys.numerics.exact import factor_bits, on_grid
from recsys.numerics.gram import most_rated_items, strongest
from recsys.numerics.memory import require_matrices
from recsys.numerics.sparse import with_values
from recsys.numerics.symmetric import SymmetricMatrix
from recsys.numerics.topk import as_neighbours, empty, scatter
from recsys.numerics.weighting import grade_weights, largest_weight, on_scale_of

MATRIX_BYTES = 2.0
"""Of a Gram matrix for each pair of movies: half of it is kept."""


@dataclass(frozen=True, slots=True)
class LinearConfig(GradedParams):
    """Parameters of the models whose lists add up the stored weights of movies."""

    recency: Annotated[float, Bounds(0, 1, above=True)] = 1.0
    """Factor from each rating of a user to the next older one, in lists only. 1: age does not
    count."""
    weights: Annotated[int, Bounds(1, 10_000)] = 400
    """Number of weights kept for each movie, the largest by magnitude."""
    # Beyond 65,535 a 32-bit LAPACK cannot count the entries of a triangle.
    max_items: Annotated[int, Bounds(1, 65_535)] = 20_000
    """Number of movies that take part, the most rated. One dense matrix needs `2 * max_items^2`
    bytes."""

    @property
    def rating_weights(self) -> RatingWeights:
        return RatingWeights(grades=self.grades, effect=self.grade_effect, recency=self.recency)


@dataclass(frozen=True, slots=True)
class EaseConfig(LinearConfig):
    regularization: Annotated[float, Bounds(0, above=True)] = 450.0
    """Value added to the diagonal of the Gram matrix: lambda of the paper."""
    min_raters: Annotated[float, Bounds(0)] = 0.6
    """Weights of a magnitude below `min_raters / regularization` are dropped. One common rater of
    a movie with hardly any other rater amounts to 1. The default drops half of the weights
    without loss of accuracy; 0 keeps all."""


def learn(shards: Shards, config: EaseConfig, options: FitOptions) -> Neighbours:
    """Keep each item's strongest weights as its list; negative ones stand at its end."""
    return learn_rows(shards, rows_of(shards, config), config, options)


fit = in_memory(learn)


def rows_of(shards: Shards, config: EaseConfig) -> Rows:
    """Return a row for each user: what the ratings count."""
    weights = on_scale_of(shards.catalogue, config.rating_weights)

    def of_users(shard: Interactions) -> csr_matrix:
        counts = grade_weights(weights, shard.user_items)
        return with_values(shard.user_items, counts.astype(np.float32))

    users = shards.users
    return Rows(
        lambda shard: [exact_weights(shard, weights, users)],
        (1.0,),
        csr_matrix((0, shards.catalogue.user_items.shape[1])),
        of_users,
        users,
    )


def exact_weights(shard: Interactions, weights: RatingWeights, users: int) -> csr_matrix:
    """Return what each rating counts by its grade, so that products of so many users are exact."""
    counts = grade_weights(weights, shard.user_items)
    exact = on_grid(counts, largest_weight(weights), factor_bits(users))
    return with_values(shard.user_items, exact)


def learn_rows(shards: Shards, rows: Rows, config: EaseConfig, options: FitOptions) -> Neighbours:
    """Learn the weights from any rows over the items.

    The ratings tell which items have the most: only those take part.
    """
    counts = shards.catalogue.item_counts
    assert counts is not None
    kept = most_rated_items(counts, config.max_items)
    lists = empty(RankedLists, len(counts))
    require_matrices(len(kept), MATRIX_BYTES)
    if len(kept):
        inverse = inverse_gram(shards, rows, kept, config.regularization, options)
        lists = scatter(_weights(inverse, config, options), kept, kept, len(counts))
    return as_neighbours(lists, on_scale_of(shards.catalogue, config.rating_weights))


def _weights(inverse: SymmetricMatrix, config: EaseConfig, options: FitOptions) -> RankedLists:
    """List for each item j the targets i with the largest `|B_ji|`, ordered by `B_ji`.

    `B_ji = -P_ji / P_ii` and `B_jj = 0`; j's list is what rating j adds to the scores of others.
    `inverse` is P.
    """
    diagonal = inverse.diagonal

    def rows(start: int, stop: int) -> Float32:
        return -inverse.rows(start, stop) / diagonal

    least = config.min_raters / config.regularization
    return strongest(rows, inverse.size, config.weights, least, options)


def cost(size: Size, config: EaseConfig) -> Cost:
    """Return the cost of the Gram matrix, its inverse, its largest weights, and lists by sums."""
    items = min(len(size.of_movies), config.max_items)
    weights = min(config.weights, items)
    steps = items**3
    if size.users < items // 2:
        steps = size.users**3 + size.users * items**2
    seconds = 0.6 * ADDITION * size.pairs() + FLOP * steps + 3 * SCORE * items**2
    memory = MATRIX_BYTES * items**2 + 24.0 * size.ratings + 24.0 * items * weights
    fitting = Cost(seconds, memory, items * list_row(weights, 4 + SINGLE))
    return fitting + lists_by_sums(size, weights)


def needs_times(config: LinearConfig) -> frozenset[Need]:
    """Return the times, if the lists weigh ratings by their age."""
    return frozenset({"times"} if config.rating_weights.by_age else ())


SPEC = ModelSpec(
    name="ease",
    display_name="EASE",
    family="linear",
    kind="personal",
    config=EaseConfig,
    fit=fit,
    learn=learn,
    cost=cost,
    score_meaning="sum of the weights of the movies rated; 1 would be certainty",
    description="Linear item-item model in closed form (EASE)",
    scoring="sum",
    needs=needs_times,
    search_space={
        "regularization": Range(50, 5000, log=True),
        "grades": Choice(("none", "scaled", "relative")),
        "grade_effect": Range(0, 0.5),
        "recency": Choice((1.0, 0.995, 0.99, 0.98, 0.95)),
    },
    default_set=True,
    roles={"default": 10, "live": 20, "similar": 10},
)
