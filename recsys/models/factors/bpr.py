"""Bayesian personalized ranking: rated items score above items rated by others.

    maximize  sum_(u,i,j) log sigmoid(s_ui - s_uj) - lambda |parameters|^2
    i: an item u rated;  j: an item u did not rate, drawn by its number of ratings n_j
    s_ui = x_u . y_i + b_i, by stochastic gradient ascent
    a rating is drawn as i by what it counts: 0, 1 or 2 times as often, or more, in halves of 1
    score(u, i) = s_ui + log n_i: the draw of j by n_j takes log n_j off the scores

S. Rendle, C. Freudenthaler, Z. Gantner, L. Schmidt-Thieme: BPR: Bayesian Personalized Ranking
from Implicit Feedback, UAI 2009.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from implicit.cpu.bpr import BayesianPersonalizedRanking
from implicit.recommender_base import ModelFitError
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from scipy.special import expit

from recsys.domain import Factors, Float64, Interactions, Neighbours, TrainedItems, UserRows
from recsys.errors import RecsysError
from recsys.models.base import FitOptions, ModelSpec, Range
from recsys.models.cost import Cost, Size, of_factors
from recsys.models.grades import GradedParams
from recsys.models.params import Bounds
from recsys.numerics.scoring import neighbours_by_factors
from recsys.numerics.sparse import column_counts, has_ratings
from recsys.numerics.weighting import on_scale_of, on_scale_of_training, weighted


@dataclass(frozen=True, slots=True)
class BprConfig(GradedParams):
    factors: Annotated[int, Bounds(1, 1024)] = 32
    """Number of latent factors. Each movie also has a bias, stored as one more column."""
    learning_rate: Annotated[float, Bounds(0, above=True)] = 0.02
    """Step size of the stochastic gradient ascent."""
    regularization: Annotated[float, Bounds(0)] = 0.03
    """L2 penalty of factors and biases."""
    iterations: Annotated[int, Bounds(1)] = 60
    """Number of epochs; each draws about as many samples as there are ratings."""


_UNRATED = 1024
"""Items drawn to stand for those a user did not rate when the user is folded in."""


def fit(data: Interactions, config: BprConfig, options: FitOptions) -> Factors:
    """Fit the factors, seeded and always on one thread.

    The last column is 1 for a user and the bias of an item. Users and items without ratings have
    factors of 0.
    """
    user_items = _drawn(weighted(on_scale_of(data, config.rating_weights), data.user_items))
    users, items = user_items.shape
    if user_items.nnz == 0:
        empty = np.zeros((users, config.factors + 1), np.float32)
        return Factors(empty, np.zeros((items, config.factors + 1), np.float32))
    model = BayesianPersonalizedRanking(
        factors=config.factors,
        learning_rate=config.learning_rate,
        regularization=config.regularization,
        iterations=max(1, round(config.iterations * data.user_items.nnz / user_items.nnz)),
        # Threads of the library race for the factors they update: on one alone the same input
        # gives the same factors.
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
    known_users, known_items = has_ratings(user_items)
    model.user_factors[~known_users] = 0
    # The sampler draws j by its number of ratings, which would push popular items down.
    model.item_factors[:, -1] += np.log(np.maximum(column_counts(data.user_items), 1))
    model.item_factors[~known_items] = 0
    return Factors(model.user_factors, model.item_factors)


def fold_in(
    trained: TrainedItems, rows: UserRows, config: BprConfig, options: FitOptions
) -> Factors:
    """Maximize the objective of each user over the user's factors, those of items being given.

    It is concave, so the maximum is found and not only approached by samples: over all rated items
    and the same seeded draw of the others.
    """
    ratings = rows.ratings
    assert trained.counts is not None
    users = np.zeros((ratings.shape[0], trained.items.shape[1]), np.float32)
    counts = np.where(np.any(trained.items, axis=1), trained.counts, 0)
    if counts.sum() == 0:
        return Factors(users, trained.items)
    items = trained.items.astype(np.float64)
    # The stored column has the logarithm added; the objective has not.
    items[:, -1] -= np.log(np.maximum(counts, 1))
    drawn = np.random.default_rng(options.seed).choice(
        len(items), _UNRATED, p=counts / counts.sum()
    )
    weights = on_scale_of_training(trained, config.rating_weights)
    draws = _drawn(weighted(weights, ratings))
    for row in range(len(users)):
        rated = ratings.indices[ratings.indptr[row] : ratings.indptr[row + 1]]
        liked = draws.indices[draws.indptr[row] : draws.indptr[row + 1]]
        liked, others = liked[counts[liked] > 0], drawn[~np.isin(drawn, rated)]
        if len(liked) and len(others):
            found = preferring(items[liked], items[others], config.regularization)
            users[row] = [*found, 1]
    return Factors(users, trained.items)


def preferring(liked: Float64, others: Float64, regularization: float) -> Float64:
    """Return x with the largest `mean log sigmoid(x . (y_i - y_j) + b_i - b_j) - lambda |x|^2 / 2`.

    The mean is over all pairs of rows i of `liked` and j of `others`; b is their last column.
    """

    def loss(x: Float64) -> tuple[float, Float64]:
        ahead, behind = liked @ [*x, 1], others @ [*x, 1]
        margins = ahead[:, None] - behind
        wrong = expit(-margins)
        value = np.logaddexp(0, -margins).mean() + regularization * (x @ x) / 2
        pull = wrong.mean(axis=1) @ liked / len(liked) - wrong.mean(axis=0) @ others / len(others)
        return float(value), regularization * x - pull[:-1]

    start = np.zeros(liked.shape[1] - 1)
    found: Float64 = minimize(loss, start, jac=True, method="L-BFGS-B").x
    return found


def similar(factors: Factors, options: FitOptions) -> Neighbours:
    """Compare items by their factors without the last column, which is how popular they are."""
    return neighbours_by_factors(factors.items[:, :-1], options.k, options)


def _drawn(counted: csr_matrix) -> csr_matrix:
    """Repeat each entry as often as it is to be drawn: twice if it counts 1, unless all do."""
    times = np.rint(counted.data * (1 if np.all(counted.data == 1) else 2)).astype(np.int64)
    indptr = np.concatenate(([0], np.cumsum(times)))[counted.indptr]
    indices = np.repeat(counted.indices, times)
    return csr_matrix((np.ones(len(indices)), indices, indptr), shape=counted.shape)


def _buffers(user_items: csr_matrix) -> csr_matrix:
    """Return the matrix in the types the library asks for, in memory it could write to."""
    ones = np.ones(user_items.nnz, np.float32)
    indices, indptr = user_items.indices.astype(np.int32), user_items.indptr.astype(np.int32)
    return csr_matrix((ones, indices, indptr), shape=user_items.shape)


def cost(size: Size, config: BprConfig) -> Cost:
    """Return the cost of its samples, as many of an epoch as there are ratings."""
    samples = config.iterations * size.ratings
    fitting = Cost(8.5e-9 * config.factors * samples, 24.0 * size.ratings)
    return fitting + of_factors(size, config.factors + 1)


SPEC = ModelSpec(
    name="bpr",
    display_name="BPR",
    family="factors",
    kind="personal",
    config=BprConfig,
    fit=fit,
    cost=cost,
    fold_in=fold_in,
    similar=similar,
    score_meaning="log of the chance to be rated, plus a constant per user; similarities: cosines",
    description="Bayesian personalised ranking of what was rated above what was not",
    search_space={
        "factors": Range(8, 128, log=True, whole=True),
        "learning_rate": Range(0.005, 0.1, log=True),
        "regularization": Range(0.001, 0.1, log=True),
        "iterations": Range(20, 150, whole=True),
    },
    scoring="factors",
    roles={"similar": 60},
)
