"""From a model's similarities or factors to every user's list."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from recsys.domain import Float32, Float64, Neighbours, RankedLists, TopN
from recsys.models.base import FitOptions, making_lists
from recsys.numerics.topk import joined, over_blocks, ranked_top_k

_BYTES_A_COLUMN = 48
"""Sparse product, its dense copy, the copy that is partitioned, masks and positions."""


def binarised(user_items: csr_matrix, dtype: type[np.floating] = np.float64) -> csr_matrix:
    """Return the matrix with 1 wherever there is a rating, whatever its value."""
    ones = np.ones(user_items.nnz, dtype)
    return csr_matrix((ones, user_items.indices, user_items.indptr), shape=user_items.shape)


def weight_matrix(neighbours: RankedLists) -> csr_matrix:
    """Return the stored lists as a sparse items x items matrix, float64."""
    shape = (neighbours.rows, neighbours.rows)
    return csr_matrix((neighbours.scores, neighbours.indices, neighbours.indptr), shape=shape)


@making_lists
def recommend_from_neighbours(
    user_items: csr_matrix, neighbours: RankedLists, options: FitOptions
) -> TopN:
    """Score `(u, i)` by the sum of `score(j -> i)` over the rated j whose list holds i.

    Every rating weighs 1. The sums run over the stored, truncated lists, so that they can be
    repeated from them. Rated items and scores not above 0 are left out.
    """
    seen = binarised(user_items)
    weights = weight_matrix(neighbours)

    def work(start: int, stop: int) -> RankedLists:
        block = seen[start:stop]
        scores = (block @ weights).toarray()
        scores[scores <= 0] = -np.inf
        exclude(scores, block)
        return ranked_top_k(scores, options.n)

    row_bytes = _BYTES_A_COLUMN * neighbours.rows
    return joined(TopN, over_blocks(seen.shape[0], row_bytes, options, work))


@making_lists
def recommend_from_factors(
    user_items: csr_matrix,
    users: Float32,
    items: Float32,
    options: FitOptions,
    user_bias: Float64 | None = None,
    item_bias: Float64 | None = None,
) -> TopN:
    """Score `(u, i)` by the dot product of factors, for users and items that have ratings.

    `users` is users x f, `items` items x f. Biases, where there are any, are added; those of
    users and items without ratings may be NaN. Rated items are left out; a score may be negative.
    """
    unrated = np.bincount(user_items.indices, minlength=user_items.shape[1]) == 0
    silent = np.diff(user_items.indptr) == 0

    def work(start: int, stop: int) -> RankedLists:
        scores = users[start:stop] @ items.T
        if item_bias is not None:
            scores = scores + item_bias
        if user_bias is not None:
            scores = scores + user_bias[start:stop, None]
        scores[:, unrated] = -np.inf
        scores[silent[start:stop]] = -np.inf
        exclude(scores, user_items[start:stop])
        return ranked_top_k(scores, options.n)

    with threadpool_limits(1, "blas"):  # the blocks run side by side already
        row_bytes = _BYTES_A_COLUMN * len(items)
        return joined(TopN, over_blocks(len(users), row_bytes, options, work))


def neighbours_from_factors(items: Float32, options: FitOptions) -> Neighbours:
    """List for each item those with the most similar factors, by cosine, where it is above 0.

    Items whose factors are all zero have no neighbours and are nobody's.
    """
    norms = np.linalg.norm(items, axis=1, keepdims=True)
    unit = items / np.where(norms > 0, norms, 1)

    def work(start: int, stop: int) -> RankedLists:
        scores = np.minimum(unit[start:stop] @ unit.T, 1)
        scores[scores <= 0] = -np.inf
        own = np.arange(start, stop)
        scores[own - start, own] = -np.inf
        return ranked_top_k(scores, options.k)

    with threadpool_limits(1, "blas"):
        row_bytes = _BYTES_A_COLUMN * len(items)
        return joined(Neighbours, over_blocks(len(items), row_bytes, options, work))


def exclude(scores: np.ndarray, seen: csr_matrix) -> None:
    """Mark the rated items of a block of users, users x items, as not to be chosen; in place."""
    rows = np.repeat(np.arange(seen.shape[0]), np.diff(seen.indptr))
    scores[rows, seen.indices] = -np.inf
