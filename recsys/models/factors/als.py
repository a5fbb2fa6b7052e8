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
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from recsys.domain import Factors, Float32, Interactions, TrainedItems, UserRows
from recsys.models.base import FitOptions, ModelSpec, Range
from recsys.models.cost import Cost, Size, of_factors
from recsys.models.grades import GradedParams
from recsys.models.params import Bounds
from recsys.numerics.least_squares import solve_rows
from recsys.numerics.weighting import on_scale_of, on_scale_of_training, weighted

PENALTY, GROWTH = 20.0, 0.35
"""Best penalty at 100,000 ratings, and the exponent of its growth with their number."""


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
    return replace(config, regularization=penalty(config, data.user_items.nnz, PENALTY))


def fit(data: Interactions, config: AlsConfig, options: FitOptions) -> Factors:
    """Factorize which user rated which item, by what each rating counts."""
    counted = weighted(on_scale_of(data, config.rating_weights), data.user_items)
    return factorize(counted.astype(np.float32), config, options)


def factorize(confidence: csr_matrix, config: AlsConfig, options: FitOptions) -> Factors:
    """Fit factors to rows of confidences, float32, in units of alpha; seeded.

    The same input gives the same factors. Rows and columns without entries have factors of 0.
    `confidence` must be a matrix of its own: the library asks for buffers it could write to.
    """
    if confidence.nnz == 0:
        users, items = confidence.shape
        empty = np.zeros((users, config.factors), np.float32)
        return Factors(empty, np.zeros((items, config.factors), np.float32))
    with threadpool_limits(1, "blas"):  # the library has threads of its own
        model = AlternatingLeastSquares(
            factors=config.factors,
            regularization=config.regularization,
            alpha=config.alpha,
            iterations=config.iterations,
            num_threads=options.threads,
            random_state=options.seed,
        )
        model.fit(confidence, show_progress=False)
    return Factors(model.user_factors, model.item_factors)


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
