"""Factorisation of who rated what, of what they gave and of the movies' genres, all together.

A. P. Singh, G. J. Gordon: Relational Learning via Collective Matrix Factorization, KDD 2008; with
the confidences of Y. Hu, Y. Koren, C. Volinsky: Collaborative Filtering for Implicit Feedback
Datasets, ICDM 2008.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix, vstack
from threadpoolctl import threadpool_limits

from recsys.domain import Factors, Interactions, ModelOutput
from recsys.models.base import FitOptions, ModelSpec, Range
from recsys.models.params import Bounds, Params
from recsys.numerics.scoring import neighbours_from_factors, recommend_from_factors
from recsys.numerics.weighting import genre_rows, weighted_ratings


@dataclass(frozen=True, slots=True)
class CollectiveAlsConfig(Params):
    factors: Annotated[int, Bounds(1, 1024)] = 128
    """Number of latent factors."""
    regularization: Annotated[float, Bounds(0)] = 40.0
    """Penalty of the squared length of each factor vector."""
    alpha: Annotated[float, Bounds(0, above=True)] = 5.0
    """Confidence of an average rating; a movie without a rating has confidence 1."""
    rating_effect: Annotated[float, Bounds(0, 2)] = 0.2
    """A rating one standard deviation above the global mean has `exp(rating_effect)` times that
    confidence, one below it `exp(-rating_effect)` times. 0: all ratings count the same."""
    genre_weight: Annotated[float, Bounds(0, 1000)] = 1.0
    """Confidence of a movie's genres, in units of `alpha`. 0: genres are not used."""
    iterations: Annotated[int, Bounds(1)] = 15
    """Number of times the factors of users, movies and genres are solved in turn."""


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
    display_name="Collective ALS",
    family="factors",
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
    scoring="factors",
    roles={"similar": 50},
)
