"""Truncated singular value decomposition of the ratings, each user's mean taken away.

    D_ui = r_ui - rbar_u where rated, 0 elsewhere
    D ~ U S V' with the `rank` largest singular values (ARPACK)
    users = U, items = V S
    score(u, i) = rbar_u + (U S V')_ui

P. Cremonesi, Y. Koren, R. Turrin: Performance of Recommender Algorithms on Top-N Recommendation
Tasks, RecSys 2010 (PureSVD; there without the means).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import LinearOperator, svds
from threadpoolctl import threadpool_limits

from recsys.domain import Factors, Float64, Int64, Interactions, TrainedItems, UserRows
from recsys.models.base import FitOptions, ModelSpec, Range
from recsys.models.cost import PASS, Cost, Size, of_factors
from recsys.models.params import Bounds, Params
from recsys.models.shards import Shards, in_memory
from recsys.numerics.sparse import (
    axis_signs,
    column_counts,
    has_ratings,
    row_of_entries,
    row_sums,
    with_values,
)

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


def learn(shards: Shards, config: SvdConfig, options: FitOptions) -> Factors:
    """Decompose the ratings less each user's mean; an item not rated counts as the mean."""
    return factorize(shards, config, options.seed)


fit = in_memory(learn)


def factorize(shards: Shards, config: SvdConfig, seed: int) -> Factors:
    """Return `U` as factors of the users, `V S` as those of the items, means as user biases.

    The singular values stay with the items: their cosines are then those of the columns of the
    matrix `U S V'`, which tell items apart even if no singular value was cut off. Users and items
    without ratings have factors of 0 and a bias of NaN.
    """
    catalogue, rank, damping = shards.catalogue, config.rank, config.damping
    assert catalogue.item_counts is not None
    mean = catalogue.rating_mean or 0.0
    means = shards.rows(lambda shard: demeaned(shard.user_items, damping, mean)[0])
    deviations = shards.mapped(
        lambda shard: replace(shard, user_items=demeaned(shard.user_items, damping, mean)[1])
    )
    users, items = np.zeros((len(means), rank)), np.zeros((len(catalogue.item_counts), rank))
    # Rows and columns of zeros take no part: without them fewer matrices are of low rank.
    rows = np.flatnonzero(deviations.rows(lambda shard: np.diff(shard.user_items.indptr)))
    columns = np.flatnonzero(deviations.reduce(lambda shard: column_counts(shard.user_items)))
    if len(rows):
        filled = deviations.mapped(
            lambda shard: replace(shard, user_items=shard.user_items[:, columns])
        )
        matrix = _Matrix(filled, rows, len(columns))
        left, values, right = _decomposed(matrix, rank, seed)
        users[rows, : len(values)] = left
        items[columns, : len(values)] = right * values
        items[np.linalg.norm(items, axis=1) < _ROUNDING * values[0]] = 0
    known = shards.rows(lambda shard: np.diff(shard.user_items.indptr) > 0)
    return Factors(
        users.astype(np.float32),
        items.astype(np.float32),
        np.where(known, means, np.nan),
        np.where(catalogue.item_counts > 0, 0.0, np.nan),
    )


class _Matrix(LinearOperator):
    """Some rows of the matrix whose rows are in shards, by its products."""

    def __init__(self, shards: Shards, rows: Int64, columns: int) -> None:
        super().__init__(np.dtype(np.float64), (len(rows), columns))  # type: ignore[call-arg]
        self._shards, self._rows = shards, rows

    def _matmat(self, right: Float64) -> Float64:
        found: Float64 = self._shards.rows(lambda shard, right: shard.user_items @ right, right)
        return found[self._rows]

    def _matvec(self, vector: Float64) -> Float64:
        return self._matmat(vector.reshape(-1))

    def _rmatmat(self, left: Float64) -> Float64:
        every = np.zeros((self._shards.users, *left.shape[1:]))
        every[self._rows] = left

        def work(shard: Interactions) -> Float64:
            own = every[shard.first_user : shard.first_user + shard.user_items.shape[0]]
            product: Float64 = shard.user_items.T @ own
            return product

        return self._shards.reduce(work)

    def _rmatvec(self, vector: Float64) -> Float64:
        return self._rmatmat(vector.reshape(-1))

    def toarray(self) -> Float64:
        # The smaller side has few rows or columns, so this is no larger than the factors.
        whole: csr_matrix = self._shards.rows(lambda shard: shard.user_items)
        found: Float64 = whole[self._rows].toarray()
        return found


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


def _decomposed(matrix: _Matrix, rank: int, seed: int) -> tuple[Float64, Float64, Float64]:
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
    learn=learn,
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
