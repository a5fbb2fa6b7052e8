"""Factorisation of who rated what, of what they gave and of the movies' genres, all together.

A. P. Singh, G. J. Gordon: Relational Learning via Collective Matrix Factorization, KDD 2008; with
the confidences of Y. Hu, Y. Koren, C. Volinsky: Collaborative Filtering for Implicit Feedback
Datasets, ICDM 2008.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix, vstack
from threadpoolctl import threadpool_limits

from recsys.domain import Factors, Interactions, ModelOutput
from recsys.models.base import FitOptions, ModelSpec, Range
from recsys.models.params import within
from recsys.numerics.scoring import neighbours_from_factors, recommend_from_factors
from recsys.numerics.weighting import genre_rows, weighted_ratings


@dataclass(frozen=True, slots=True)
class CollectiveAlsConfig:
    factors: int = 128
    regularization: float = 40.0
    alpha: float = 5.0
    """Confidence of a mean rating, that of no rating being 1."""
    rating_effect: float = 0.2
    """A rating one standard deviation above the mean of all has `exp(rating_effect)` times that
    confidence, one below it as much less; 0: all the same."""
    genre_weight: float = 1.0
    """Confidence that a movie is of its genres, in units of alpha; 0: genres have no part."""
    iterations: int = 15

    def __post_init__(self) -> None:
        within(self, "factors", 1, 1024)
        within(self, "regularization", 0)
        within(self, "alpha", 0, above=True)
        within(self, "rating_effect", 0, 2)
        within(self, "genre_weight", 0, 1000)
        within(self, "iterations", 1)


def fit(data: Interactions, config: CollectiveAlsConfig, options: FitOptions) -> ModelOutput:
    """Factorise who rated what, a genre being one more user, who rated all its movies.

    Users and items without ratings have factors of 0, and no lists.
    """
    factors = factorise(data, config, options)
    return ModelOutput(
        neighbours=neighbours_from_factors(factors.items, options),
        recommendations=recommend_from_factors(
            data.user_items, factors.users, factors.items, options
        ),
        factors=factors,
    )


def factorise(data: Interactions, config: CollectiveAlsConfig, options: FitOptions) -> Factors:
    """Fit the factors of users and items, seeded; the same input gives the same factors."""
    users, items = data.user_items.shape
    if data.user_items.nnz == 0:
        shape = (users, config.factors), (items, config.factors)
        return Factors(np.zeros(shape[0], np.float32), np.zeros(shape[1], np.float32))
    with threadpool_limits(1, "blas"):  # the library has threads of its own
        model = AlternatingLeastSquares(
            factors=config.factors,
            regularization=config.regularization,
            alpha=config.alpha,
            iterations=config.iterations,
            num_threads=options.threads,
            random_state=options.seed,
        )
        model.fit(confidences(data, config), show_progress=False)
    return Factors(model.user_factors[:users].copy(), model.item_factors)


def confidences(data: Interactions, config: CollectiveAlsConfig) -> csr_matrix:
    """Return (users and then genres) x items, float32, in units of alpha."""
    ratings = weighted_ratings(data.user_items, config.rating_effect)
    genres = genre_rows(data, config.genre_weight)
    return csr_matrix(vstack([ratings, genres], dtype=np.float32))


SPEC = ModelSpec(
    name="collective_als",
    kind="personal",
    config=CollectiveAlsConfig,
    fit=fit,
    score_meaning="predicted preference, about 1 for a movie that suits; similarities are cosines",
    description="Implicit-feedback factorisation that learns from what was given and from genres",
    search={
        "factors": Range(16, 256, log=True, whole=True),
        "regularization": Range(1, 100, log=True),
        "alpha": Range(1, 20, log=True),
        "rating_effect": Range(0, 0.5),
        "genre_weight": Range(0, 5),
        "iterations": Range(5, 25, whole=True),
    },
)
