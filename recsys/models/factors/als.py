"""Implicit-feedback matrix factorisation by alternating least squares.

Y. Hu, Y. Koren, C. Volinsky: Collaborative Filtering for Implicit Feedback Datasets, ICDM 2008.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from recsys.domain import Factors, Interactions, ModelOutput
from recsys.models.base import FitOptions, ModelSpec, Range
from recsys.models.params import Bounds, Params
from recsys.numerics.scoring import (
    binarised,
    neighbours_from_factors,
    recommend_from_factors,
)


@dataclass(frozen=True, slots=True)
class AlsConfig(Params):
    factors: Annotated[int, Bounds(1, 1024)] = 32
    """Number of latent factors."""
    regularization: Annotated[float, Bounds(0)] = 20.0
    """Penalty of the squared length of each factor vector."""
    alpha: Annotated[float, Bounds(0, above=True)] = 2.0
    """Confidence of a rating; a movie without a rating has confidence 1."""
    iterations: Annotated[int, Bounds(1)] = 15
    """Number of times the factors of users and movies are solved in turn."""


def fit(data: Interactions, config: AlsConfig, options: FitOptions) -> ModelOutput:
    """Factorise who rated what; the values of the ratings do not count.

    Users and items without ratings have factors of 0, and no lists.
    """
    factors = factorise(data.user_items, config, options)
    return ModelOutput(
        neighbours=neighbours_from_factors(factors.items, options),
        recommendations=recommend_from_factors(
            data.user_items, factors.users, factors.items, options
        ),
        factors=factors,
    )


def factorise(user_items: csr_matrix, config: AlsConfig, options: FitOptions) -> Factors:
    """Fit the factors, seeded; the same input gives the same factors."""
    users, items = user_items.shape
    if user_items.nnz == 0:
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
        # A copy: the library asks for buffers it could write to.
        model.fit(binarised(user_items, np.float32).copy(), show_progress=False)
    return Factors(model.user_factors, model.item_factors)


SPEC = ModelSpec(
    name="als",
    display_name="ALS",
    family="factors",
    kind="personal",
    config=AlsConfig,
    fit=fit,
    score_meaning="predicted preference, about 1 for a movie that suits; similarities are cosines",
    description="Implicit-feedback matrix factorisation by alternating least squares",
    search={
        "factors": Range(8, 128, log=True, whole=True),
        "regularization": Range(0.1, 100, log=True),
        "alpha": Range(0.5, 40, log=True),
        "iterations": Range(5, 30, whole=True),
    },
    scoring="factors",
    default_set=True,
    roles={"similar": 40},
)
