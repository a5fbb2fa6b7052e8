"""Implicit-feedback matrix factorization by alternating least squares.

    minimize  sum_ui c_ui (p_ui - x_u . y_i)^2 + lambda (sum_u |x_u|^2 + sum_i |y_i|^2)
    p_ui = 1 and c_ui = alpha w_ui where u rated i;  p_ui = 0 and c_ui = 1 elsewhere
    w_ui: what the rating counts, by its grade; one that counts 0 is as if there were none
    repeat:  x_u = inv(Y' C_u Y + lambda I) Y' C_u p_u   for every user
             y_i = inv(X' C_i X + lambda I) X' C_i p_i   for every item
    score(u, i) = x_u . y_i

Y. Hu, Y. Koren, C. Volinsky: Collaborative Filtering for Implicit Feedback Datasets, ICDM 2008.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
from implicit.cpu._als import least_squares_cg
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from recsys.domain import Factors, Float32, Interactions, TrainedItems, UserRows
from recsys.errors import RecsysError
from recsys.models.base import FitOptions, ModelSpec, Range
from recsys.models.cost import Cost, Size, of_factors
from recsys.models.grades import GradedParams
from recsys.models.params import Bounds
from recsys.models.shards import Rows, Shards, count_of, in_memory
from recsys.numerics.least_squares import solve_rows
from recsys.numerics.weighting import on_scale_of, on_scale_of_training, weighted

PENALTY, GROWTH = 20.0, 0.35
"""Best penalty at 100,000 ratings, and the exponent of its growth with their number."""
_STEPS = 3
"""Steps of conjugate gradients for a row in each iteration."""


@dataclass(frozen=True, slots=True)
class AlsConfig(GradedParams):
    factors: Annotated[int, Bounds(1, 1024)] = 64
    """Number of latent factors."""
    regularization: Annotated[float, Bounds(0)] = 0.0
    """Penalty of the squared length of each factor vector. 0: `20 (ratings / 100,000)^0.35`. More
    ratings give larger singular values, and chance ones among them, which the penalty cuts off."""
    alpha: Annotated[float, Bounds(0, above=True)] = 2.0
    """Confidence of a rating that counts 1; a movie without a rating has confidence 1."""
    iterations: Annotated[int, Bounds(1)] = 15
    """Number of times the factors of users and movies are solved in turn."""


def penalty(config: Any, ratings: int, at_100k: float) -> float:
    """Return the configured penalty, or the one that follows from the number of ratings."""
    found: float = config.regularization
    return found or round(at_100k * (max(ratings, 1) / 100_000) ** GROWTH, 3)


def settle(config: AlsConfig, data: Interactions) -> AlsConfig:
    """Let the penalty follow from the number of ratings if it is 0."""
    return replace(config, regularization=penalty(config, count_of(data), PENALTY))


def learn(shards: Shards, config: AlsConfig, options: FitOptions) -> Factors:
    """Factorize which user rated which item, by what each rating counts."""
    weights = on_scale_of(shards.catalogue, config.rating_weights)

    def confidence(shard: Interactions) -> Interactions:
        counted = weighted(weights, shard.user_items)
        return replace(shard, user_items=counted.astype(np.float32))

    return factorize(shards.mapped(confidence), config, options)


fit = in_memory(learn)


def factorize(confidence: Shards, config: AlsConfig, options: FitOptions) -> Factors:
    """Fit factors to rows of confidences, float32, in units of alpha; seeded.

    The factors do not depend on how the users are divided into shards. Rows and columns without
    entries have factors of 0. The solver is that of `implicit`: three steps of conjugate gradients
    for each row.
    """
    users, items = confidence.users, confidence.catalogue.user_items.shape[1]
    shape = config.factors
    if not confidence.ratings:
        return Factors(np.zeros((users, shape), np.float32), np.zeros((items, shape), np.float32))
    random = np.random.default_rng(options.seed)
    own, other = (random.random((rows, shape), dtype=np.float32) * 0.01 for rows in (users, items))
    by_user, by_item = confidence, confidence.transposed()
    for _ in range(config.iterations):
        own = _solved(by_user, own, other, config, options)
        other = _solved(by_item, other, own, config, options)
    if not (np.isfinite(own).all() and np.isfinite(other).all()):
        raise RecsysError(
            "the factors are not finite", hint="Raise the model's parameter regularization."
        )
    return Factors(own, other)


def _solved(
    rows: Rows, before: Float32, others: Float32, config: AlsConfig, options: FitOptions
) -> Float32:
    """Improve the factors of each row, those of the other side being given."""
    alpha, penalty_of_row = config.alpha, config.regularization

    def solve(shard: Interactions, before: Float32, others: Float32) -> Float32:
        matrix = shard.user_items
        found = before[shard.first_user : shard.first_user + matrix.shape[0]].copy()
        # Arrays of its own: the library asks for 32-bit buffers that it could write to.
        trusted = csr_matrix(
            (
                alpha * matrix.data.astype(np.float32),
                matrix.indices.astype(np.int32),
                matrix.indptr.astype(np.int32),
            ),
            shape=matrix.shape,
        )
        with threadpool_limits(1, "blas"):  # the library has threads of its own
            least_squares_cg(
                trusted, found, others, penalty_of_row, num_threads=options.workers, cg_steps=_STEPS
            )
        return found

    solved: Float32 = rows.rows(solve, before, others)
    return solved


def fold_in(
    trained: TrainedItems, rows: UserRows, config: AlsConfig, options: FitOptions
) -> Factors:
    """Solve the least squares problem of each user, the factors of items being given."""
    ratings = rows.ratings
    weights = on_scale_of_training(trained, config.rating_weights)
    return Factors(solve_users(trained.items, weighted(weights, ratings), config), trained.items)


def solve_users(items: Float32, confidence: csr_matrix, config: AlsConfig) -> Float32:
    """Return `inv(Y' C_u Y + lambda I) Y' C_u p_u` of each row of confidences, in units of alpha.

    A row without entries has factors of 0.
    """
    vectors = items.astype(np.float64)
    trusted = config.alpha * confidence.data
    # Y' C_u Y = Y' Y + Y' (C_u - I) Y, in which only the rated items differ from 0.
    everything = vectors.T @ vectors + config.regularization * np.eye(vectors.shape[1])
    return solve_rows(confidence, trusted - 1, trusted, vectors, everything).astype(np.float32)


def cost(size: Size, config: AlsConfig) -> Cost:
    """Return the cost of the iterations, each a few products for a rating."""
    return least_squares_cost(size, config.iterations, config.factors)


def least_squares_cost(size: Size, iterations: int, width: int) -> Cost:
    # Fetching the vector of a rating takes as long as 55 of its products.
    seconds = iterations * (55 + width) * 1e-9 * size.ratings
    return Cost(seconds, 40.0 * size.ratings) + of_factors(size, width)


SPEC = ModelSpec(
    name="als",
    display_name="ALS",
    family="factors",
    kind="personal",
    config=AlsConfig,
    fit=fit,
    learn=learn,
    settle=settle,
    cost=cost,
    fold_in=fold_in,
    score_meaning="predicted preference, about 1 for a movie that suits; similarities are cosines",
    description="Implicit-feedback matrix factorisation by alternating least squares",
    search_space={
        "factors": Range(8, 128, log=True, whole=True),
        "regularization": Range(0.1, 100, log=True),
        "alpha": Range(0.5, 40, log=True),
        "iterations": Range(5, 30, whole=True),
    },
    scoring="factors",
    default_set=True,
    roles={"similar": 40},
)
