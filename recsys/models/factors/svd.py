"""Truncated singular value decomposition of the ratings, each user's mean taken away.

    D_ui = r_ui - rbar_u where rated, 0 elsewhere
    D ~ U S V' with the `rank` largest singular values (ARPACK)
    users = U, items = V S
    score(u, i) = rbar_u + (U S V')_ui

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

from recsys.domain import Factors, Float64, Interactions, TrainedItems, UserRows
from recsys.models.base import FitOptions, ModelSpec, Range
from recsys.models.cost import PASS, Cost, Size, of_factors
from recsys.models.params import Bounds, Params
from recsys.numerics.sparse import axis_signs, has_ratings, row_of_entries, row_sums, with_values

_ROUNDING = 1e-10
"""Relative size below which a number counts as 0 with rounding errors."""


@dataclass(frozen=True, slots=True)
class SvdConfig(Params):
    rank: Annotated[int, Bounds(1, 1024)] = 50
    """Number of singular values kept. Of a small matrix at most half are kept, because the full
    decomposition reproduces the ratings and predicts nothing else."""
    damping: Annotated[float, Bounds(0)] = 5.0
    """Ratings at the global mean that are added to the mean of each user. Without them a user whose
    ratings are all equal has no deviations, and so no taste. 0: none."""


def fit(data: Interactions, config: SvdConfig, options: FitOptions) -> Factors:
    """Decompose the ratings less each user's mean; an item not rated counts as the mean."""
    return factorize(data.user_items, config, options.seed)


def factorize(user_items: csr_matrix, config: SvdConfig, seed: int) -> Factors:
    """Return `U` as factors of the users, `V S` as those of the items, means as user biases.

    The singular values stay with the items: their cosines are then those of the columns of the
    matrix `U S V'`, which tell items apart even if no singular value was cut off. Users and items
    without ratings have factors of 0 and a bias of NaN.
    """
    rank = config.rank
    mean = float(user_items.data.mean()) if user_items.nnz else 0.0
    means, deviations = demeaned(user_items, config.damping, mean)
    users, items = np.zeros((len(means), rank)), np.zeros((user_items.shape[1], rank))
    # Rows and columns of zeros take no part: without them fewer matrices are of low rank.
    rows, columns = np.unique(deviations.nonzero()[0]), np.unique(deviations.indices)
    if len(rows):
        left, values, right = _decomposed(deviations[rows][:, columns], rank, seed)
        users[rows, : len(values)] = left
        items[columns, : len(values)] = right * values
        items[np.linalg.norm(items, axis=1) < _ROUNDING * values[0]] = 0
    known_users, known_items = has_ratings(user_items)
    return Factors(
        users.astype(np.float32),
        items.astype(np.float32),
        np.where(known_users, means, np.nan),
        np.where(known_items, 0.0, np.nan),
    )


def fold_in(
    trained: TrainedItems, rows: UserRows, config: SvdConfig, options: FitOptions
) -> Factors:
    """Project each user's deviations: `U = D V inv(S)`, and the items are `V S`."""
    ratings = rows.ratings
    means, deviations = demeaned(ratings, config.damping, trained.mean)
    items = trained.items.astype(np.float64)
    squares = (items**2).sum(axis=0)  # columns of V have length 1
    projected = deviations @ items
    users = np.divide(projected, squares, out=np.zeros_like(projected), where=squares > 0)
    known, _ = has_ratings(ratings)
    bias = np.where(known, means, np.nan)
    return Factors(users.astype(np.float32), trained.items, bias, trained.item_bias)


def demeaned(user_items: csr_matrix, damping: float, mean: float) -> tuple[Float64, csr_matrix]:
    """Return each user's mean rating, and the ratings less these means.

    Each mean begins with `damping` ratings at the mean of all; it is 0 without any.
    """
    raters = row_of_entries(user_items)
    counts = np.diff(user_items.indptr) + damping
    means = (row_sums(user_items) + damping * mean) / np.where(counts > 0, counts, 1)
    values = user_items.data - means[raters]
    # A user who always gives the same rating deviates by rounding only.
    values[np.abs(values) < _ROUNDING * np.abs(user_items.data)] = 0
    deviations = with_values(user_items, values).copy()  # the next line shortens the arrays
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
    sign = axis_signs(items)
    return left[:, largest] * sign, values[largest], items * sign


def cost(size: Size, config: SvdConfig) -> Cost:
    """Return the cost of a few products of the ratings with each singular vector."""
    fitting = Cost(PASS * config.rank * size.ratings, 40.0 * size.ratings)
    return fitting + of_factors(size, config.rank)


SPEC = ModelSpec(
    name="svd",
    display_name="SVD",
    family="factors",
    kind="personal",
    config=SvdConfig,
    fit=fit,
    cost=cost,
    fold_in=fold_in,
    score_meaning="predicted rating, not clipped to the scale; similarities are cosines",
    description="Truncated singular value decomposition of the ratings less each user's mean",
    prediction="factors",
    search_space={"rank": Range(4, 200, log=True, whole=True)},
    scoring="factors",
    needs_ratings=True,
    roles={"rating": 50},
)
