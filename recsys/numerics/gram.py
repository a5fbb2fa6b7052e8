"""Gram matrices of sparse rows, their inverses, and the largest weights that follow from them."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy.sparse import csr_matrix

from recsys.domain import ComputeLimits, Float32, Float64, Int64, RankedLists
from recsys.errors import RecsysError
from recsys.numerics.blocks import map_blocks
from recsys.numerics.symmetric import SymmetricMatrix
from recsys.numerics.topk import concatenate, ranked, top_k

_TRIANGLE_STEPS = 10
"""Steps in which the Gram matrix narrows: 55 % of a square is computed for the half needed."""
_WORTH_CUTTING = 100
"""Entries of a row, on average over entries, from which half of the products take longer."""
BYTES_A_COLUMN = 64
"""Sparse product or weights, their magnitudes, the copy that is partitioned, masks, positions."""


def most_rated_items(votes: Int64, count: int) -> Int64:
    """Return the ascending positions of the `count` items with the most ratings, at least one.

    `votes` are the ratings of each item.
    """
    # Stable, so that ties at the limit go by position.
    ordered = np.argsort(-votes, kind="stable")[:count]
    return np.sort(ordered[votes[ordered] > 0])


def invert(gram: SymmetricMatrix, regularization: float) -> SymmetricMatrix:
    """Put `inv(G + lambda I)` in the place of G, and return it."""
    factor = _cholesky(gram, regularization)
    _check(factor.invert(), factor.size, regularization)
    return factor


def inverse_by_rows(
    rows: csr_matrix, regularization: float, options: ComputeLimits
) -> SymmetricMatrix:
    """Return `inv(X'X + lambda I)` of the rows X, float32, by Woodbury's identity.

    It is `(I - X' inv(XX' + lambda I) X) / lambda`, with one dense array of rows x items: faster
    with many fewer rows than items.
    """
    square = SymmetricMatrix.zeros(rows.shape[0])
    columns = csr_matrix(rows.T)

    def add(start: int, stop: int) -> None:
        square.add_columns(start, (rows[start:stop] @ columns).toarray()[:, start:])

    map_blocks(rows.shape[0], BYTES_A_COLUMN * rows.shape[0], options, add)
    factor = _cholesky(square, regularization)
    # inv(L) X alone is needed: its Gram matrix is X' inv(XX' + lambda I) X.
    half = rows.toarray(order="F")
    factor.solve(half)
    inverse = SymmetricMatrix.zeros(rows.shape[1])
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


def pairs(rows: csr_matrix) -> Callable[[int, int], Float64]:
    """Return a function that returns `X'X` of the rows X for some items and those from them on."""
    columns = csr_matrix(rows.T)
    step = max(1, -(-rows.shape[1] // _TRIANGLE_STEPS))
    # To cut the rows takes as long as some products of each entry.
    if float((np.diff(rows.indptr).astype(np.float64) ** 2).sum()) < _WORTH_CUTTING * rows.nnz:
        step = max(1, rows.shape[1])

    # Blocks ask in their order, side by side: two steps of the triangle are in use at a time.
    @lru_cache(maxsize=2)
    def from_item(first: int) -> csr_matrix:
        return csr_matrix(rows[:, first:]) if first else rows

    def block(start: int, stop: int) -> Float64:
        first = start - start % step
        found: Float64 = (columns[start:stop] @ from_item(first)).toarray()
        return found[:, start - first :]

    return block


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
