"""Gram matrices of sparse rows, their inverses, and the largest weights that follow from them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from recsys.domain import ComputeLimits, Float32, Int64, RankedLists
from recsys.errors import RecsysError
from recsys.numerics.blocks import map_blocks
from recsys.numerics.sparse import column_counts
from recsys.numerics.symmetric import SymmetricMatrix
from recsys.numerics.topk import concatenate, ranked, top_k

_TRIANGLE_STEPS = 10
"""Steps in which the Gram matrix narrows: 55 % of a square is computed for the half needed."""
BYTES_A_COLUMN = 48
"""Sparse product or weights, their magnitudes, the copy that is partitioned, masks, positions."""


def most_rated_items(user_items: csr_matrix, count: int) -> Int64:
    """Return the ascending positions of the `count` items with the most ratings, at least one."""
    # Stable, so that ties at the limit go by position.
    votes = column_counts(user_items)
    ordered = np.argsort(-votes, kind="stable")[:count]
    return np.sort(ordered[votes[ordered] > 0])


def inverse_gram(
    raters: csr_matrix, regularization: float, options: ComputeLimits
) -> SymmetricMatrix:
    """Return `P = inv(X'X + lambda I)`, items x items, of the rows X, float32 as they are.

    With many fewer rows than items Woodbury's identity is faster.
    """
    with threadpool_limits(options.threads or None, "blas"):
        # Half: Woodbury works on users x users, but multiplies back to items x items.
        if raters.shape[0] < raters.shape[1] // 2:
            return _inverse_by_users(raters, regularization, options)
        return _inverse_by_items(raters, regularization, options)


def _inverse_by_items(
    raters: csr_matrix, regularization: float, options: ComputeLimits
) -> SymmetricMatrix:
    """Let one matrix hold the Gram matrix, its Cholesky factor and the inverse in turn."""
    # One throughout: a second one of items x items would double the peak.
    return invert(_gram(raters, options), regularization)


def invert(gram: SymmetricMatrix, regularization: float) -> SymmetricMatrix:
    """Put `inv(G + lambda I)` in the place of G, and return it."""
    factor = _cholesky(gram, regularization)
    _check(factor.invert(), factor.size, regularization)
    return factor


def _inverse_by_users(
    raters: csr_matrix, regularization: float, options: ComputeLimits
) -> SymmetricMatrix:
    """Compute `(I - X' inv(XX' + lambda I) X) / lambda`, with one dense users x items array."""
    factor = _cholesky(_gram(raters.T.tocsr(), options), regularization)
    # inv(L) X alone is needed: its Gram matrix is X' inv(XX' + lambda I) X.
    half = raters.toarray(order="F")
    factor.solve(half)
    inverse = SymmetricMatrix.zeros(raters.shape[1])
    inverse.add_to_diagonal(1 / regularization)
    inverse.add_gram(half, -1 / regularization)
    return inverse


def _cholesky(gram: SymmetricMatrix, regularization: float) -> SymmetricMatrix:
    # lambda > 0 makes the matrix positive definite for any ratings.
    gram.add_to_diagonal(regularization)
    _check(gram.cholesky(), gram.size, regularization)
    return gram


def _check(failed: int, size: int, regularization: float) -> None:
    if failed:
        raise RecsysError(
            f"the Gram matrix of size {size} plus {regularization:g} on its diagonal "
            f"cannot be inverted in single precision (LAPACK info {failed})",
            hint="Raise the model's parameter regularization.",
        )


def _gram(raters: csr_matrix, options: ComputeLimits) -> SymmetricMatrix:
    """Return `X'X` of the rows X, items x items."""
    gram = SymmetricMatrix.zeros(raters.shape[1])
    add_gram(gram, raters, options)
    return gram


def add_gram(gram: SymmetricMatrix, raters: csr_matrix, options: ComputeLimits) -> None:
    """Add `X'X` of the rows X, float32."""
    items = raters.shape[1]
    item_users = raters.T.tocsr()
    step = max(1, -(-items // _TRIANGLE_STEPS))
    for first in range(0, items, step):
        # Pairs with earlier items are in their columns.
        _add_columns(gram, first, item_users[first : first + step], raters[:, first:], options)


def _add_columns(
    gram: SymmetricMatrix, first: int, own: csr_matrix, raters: csr_matrix, options: ComputeLimits
) -> None:
    """Add the pairs of some items (`own`: items x users) with those from the first of them on."""

    def work(start: int, stop: int) -> None:
        products = (own[start:stop] @ raters).toarray()
        gram.add_columns(first + start, products[:, start:])

    map_blocks(own.shape[0], BYTES_A_COLUMN * raters.shape[1], options, work)


def strongest(
    weights_of: Callable[[int, int], Float32],
    items: int,
    count: int,
    least: float,
    options: ComputeLimits,
) -> RankedLists:
    """List for each item the `count` targets of the largest weights by magnitude, by weight.

    `weights_of(start, stop)` returns the weights of some items, dense, in an array of its own. An
    item is no target of itself. Weights of 0 or of a magnitude below `least` are left out.
    """

    def work(start: int, stop: int) -> RankedLists:
        weights = weights_of(start, stop)
        own = np.arange(start, stop)
        weights[own - start, own] = 0
        # The largest by magnitude are chosen: a negative weight tells as much as a positive one.
        strength = np.abs(weights)
        strength[(strength == 0) | (strength < least)] = -np.inf
        rows, cols = top_k(strength, count)
        return ranked(rows, cols, weights[rows, cols], stop - start)

    return concatenate(RankedLists, map_blocks(items, BYTES_A_COLUMN * items, options, work))
