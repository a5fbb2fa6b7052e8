"""Implicit-feedback matrix factorisation by alternating least squares.

Y. Hu, Y. Koren, C. Volinsky: Collaborative Filtering for Implicit Feedback Datasets, ICDM 2008.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from recsys.domain import Factors, Interactions, ModelOutput
from recsys.models.base import FitOptions, ModelSpec, Range
from recsys.models.params import within
from recsys.numerics.scoring import (
    binarised,
    neighbours_from_factors,
    recommend_from_factors,
)


@dataclass(frozen=True, slots=True)
class AlsConfig:
    factors: int = 32
    regularization: float = 20.0
    alpha: float = 2.0
    """Confidence of a rating, that of no rating being 1."""
    iterations: int = 15

    def __post_init__(self) -> None:
        within(self, "factors", 1, 1024)
        within(self, "regularization", 0)
        within(self, "alpha", 0, above=True)
        within(self, "iterations", 1)


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
)
