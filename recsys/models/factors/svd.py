"""Truncated singular value decomposition of the ratings, each user's mean taken away.

P. Cremonesi, Y. Koren, R. Turrin: Performance of Recommender Algorithms on Top-N Recommendation
Tasks, RecSys 2010 (PureSVD; there without the means).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import svds
from threadpoolctl import threadpool_limits

from recsys.domain import Factors, Float64, Interactions, ModelOutput
from recsys.models.base import FitOptions, ModelSpec, Range
from recsys.models.params import Bounds, Params
from recsys.numerics.scoring import neighbours_from_factors, recommend_from_factors
from recsys.numerics.sparse import rated, signs, where

_ROUNDING = 1e-10
"""Relative size below which a number is what rounding left of 0."""


@dataclass(frozen=True, slots=True)
class SvdConfig(Params):
    rank: Annotated[int, Bounds(1, 1024)] = 50
    """Number of singular values kept. Of a small matrix at most half are kept, because the full
    decomposition reproduces the ratings and predicts nothing else."""


def fit(data: Interactions, config: SvdConfig, options: FitOptions) -> ModelOutput:
    """Decompose the ratings less each user's mean; what is not rated counts as the mean.

    Users and items without ratings have factors of 0, a bias of NaN, and no lists.
    """
    factors = factorise(data.user_items, config.rank, options.seed)
    return ModelOutput(
        neighbours=neighbours_from_factors(factors.items, options),
        recommendations=recommend_from_factors(
            data.user_items,
            factors.users,
            factors.items,
            options,
            factors.user_bias,
            factors.item_bias,
        ),
        factors=factors,
    )


def factorise(user_items: csr_matrix, rank: int, seed: int) -> Factors:
    """Return `U` as factors of the users, `V S` as those of the items, means as user biases.

    The singular values stay with the items: their cosines are those of the columns of the
    matrix `U S V'`, which tell something also where no singular value was cut off.
    """
    means, deviations = demeaned(user_items)
    users, items = np.zeros((len(means), rank)), np.zeros((user_items.shape[1], rank))
    # Rows and columns of zeros take no part: without them fewer matrices are of low rank.
    rows, columns = np.unique(deviations.nonzero()[0]), np.unique(deviations.indices)
    if len(rows):
        left, values, right = _decomposed(deviations[rows][:, columns], rank, seed)
        users[rows, : len(values)] = left
        items[columns, : len(values)] = right * values
        items[np.linalg.norm(items, axis=1) < _ROUNDING * values[0]] = 0
    known_users, known_items = rated(user_items)
    return Factors(
        users.astype(np.float32),
        items.astype(np.float32),
        where(known_users, means),
        where(known_items, np.zeros(len(items))),
    )


def demeaned(user_items: csr_matrix) -> tuple[Float64, csr_matrix]:
    """Return each user's mean over the ratings given, 0 without any, and what is left of them."""
    counts = np.diff(user_items.indptr)
    raters = np.repeat(np.arange(len(counts)), counts)
    sums = np.bincount(raters, user_items.data, minlength=len(counts))
    means = sums / np.maximum(counts, 1)
    values = user_items.data - means[raters]
    values[np.abs(values) < _ROUNDING * np.abs(user_items.data)] = 0
    deviations = csr_matrix((values, user_items.indices, user_items.indptr), user_items.shape)
    deviations = deviations.copy()  # the next line would shorten arrays that are not ours
    deviations.eliminate_zeros()
    return means, deviations


def _decomposed(matrix: csr_matrix, rank: int, seed: int) -> tuple[Float64, Float64, Float64]:
    """Return the largest singular values, descending, between the vectors as columns."""
    smaller = min(matrix.shape)
    rank = min(rank, (smaller + 1) // 2)
    with threadpool_limits(1, "blas"):  # the same sums on any number of processors
        if smaller <= 2 * rank + 1:
            # ARPACK works in 2 rank + 1 dimensions: these are all, and no larger than factors.
            left, values, right = np.linalg.svd(matrix.toarray(), full_matrices=False)
        else:
            start = np.random.default_rng(seed).standard_normal(smaller)
            left, values, right = svds(matrix, rank, v0=start)
    largest = np.argsort(-values, kind="stable")[:rank]
    largest = largest[values[largest] > _ROUNDING * values.max()]
    items = right[largest].T
    sign = signs(items)
    return left[:, largest] * sign, values[largest], items * sign


SPEC = ModelSpec(
    name="svd",
    display_name="SVD",
    family="factors",
    kind="personal",
    config=SvdConfig,
    fit=fit,
    score_meaning="predicted rating, not clipped to the scale; similarities are cosines",
    description="Truncated singular value decomposition of the ratings less each user's mean",
    prediction="factors",
    search={"rank": Range(4, 200, log=True, whole=True)},
    scoring="factors",
    roles={"rating": 30},
)
