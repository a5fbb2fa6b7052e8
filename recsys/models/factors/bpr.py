"""Bayesian personalised ranking: what somebody rated is to stand above what others rated.

S. Rendle, C. Freudenthaler, Z. Gantner, L. Schmidt-Thieme: BPR: Bayesian Personalized Ranking
from Implicit Feedback, UAI 2009.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from implicit.cpu.bpr import BayesianPersonalizedRanking
from implicit.recommender_base import ModelFitError
from scipy.sparse import csr_matrix

from recsys.domain import Factors, Interactions, ModelOutput
from recsys.errors import RecsysError
from recsys.models.base import FitOptions, ModelSpec, Range
from recsys.models.params import Bounds, Params
from recsys.numerics.scoring import neighbours_from_factors, recommend_from_factors
from recsys.numerics.sparse import rated


@dataclass(frozen=True, slots=True)
class BprConfig(Params):
    factors: Annotated[int, Bounds(1, 1024)] = 32
    """Number of latent factors. Each movie also has a bias, stored as one more column."""
    learning_rate: Annotated[float, Bounds(0, above=True)] = 0.02
    """Step size of the stochastic gradient ascent."""
    regularization: Annotated[float, Bounds(0)] = 0.03
    """L2 penalty of factors and biases."""
    iterations: Annotated[int, Bounds(1)] = 60
    """Number of epochs; each draws as many samples as there are ratings."""


def fit(data: Interactions, config: BprConfig, options: FitOptions) -> ModelOutput:
    """Factorise who rated what; the values of the ratings do not count.

    Users and items without ratings have factors of 0, and no lists.
    """
    factors = factorise(data.user_items, config, options)
    return ModelOutput(
        # The last column is how popular an item is, and no part of what it is like.
        neighbours=neighbours_from_factors(factors.items[:, :-1], options),
        recommendations=recommend_from_factors(
            data.user_items, factors.users, factors.items, options
        ),
        factors=factors,
    )


def factorise(user_items: csr_matrix, config: BprConfig, options: FitOptions) -> Factors:
    """Fit the factors, seeded and on one thread, whatever the options say.

    Threads of the library race for the factors they update; on one alone the same input gives
    the same factors. The last column is 1 for a user and the bias of an item.

    The library draws what somebody did not rate by its number of ratings `n_i`, so that scores
    come near `log(p(i | u) / n_i)` and popular items fall behind; `log n_i` is added again.
    """
    users, items = user_items.shape
    if user_items.nnz == 0:
        shape = (users, config.factors + 1), (items, config.factors + 1)
        return Factors(np.zeros(shape[0], np.float32), np.zeros(shape[1], np.float32))
    model = BayesianPersonalizedRanking(
        factors=config.factors,
        learning_rate=config.learning_rate,
        regularization=config.regularization,
        iterations=config.iterations,
        num_threads=1,
        random_state=options.seed,
    )
    try:
        model.fit(_buffers(user_items), show_progress=False)
    except ModelFitError as exc:
        raise RecsysError(
            "bpr: the factors grew beyond all bounds",
            hint="Lower the model's parameter learning_rate.",
        ) from exc
    model.user_factors[~rated(user_items)[0]] = 0
    votes = np.bincount(user_items.indices, minlength=items)
    model.item_factors[:, -1] += np.log(np.maximum(votes, 1))
    return Factors(model.user_factors, model.item_factors)


def _buffers(user_items: csr_matrix) -> csr_matrix:
    """Return the matrix in the types the library asks for, in memory it could write to."""
    ones = np.ones(user_items.nnz, np.float32)
    indices, indptr = user_items.indices.astype(np.int32), user_items.indptr.astype(np.int32)
    return csr_matrix((ones, indices, indptr), shape=user_items.shape)


SPEC = ModelSpec(
    name="bpr",
    display_name="BPR",
    family="factors",
    kind="personal",
    config=BprConfig,
    fit=fit,
    score_meaning="log of the chance to be rated, plus a constant per user; similarities: cosines",
    description="Bayesian personalised ranking of what was rated above what was not",
    search={
        "factors": Range(8, 128, log=True, whole=True),
        "learning_rate": Range(0.005, 0.1, log=True),
        "regularization": Range(0.001, 0.1, log=True),
        "iterations": Range(20, 150, whole=True),
    },
    scoring="factors",
    roles={"similar": 60},
)
