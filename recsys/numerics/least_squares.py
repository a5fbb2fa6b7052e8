"""Least squares problems of many rows over shared vectors, such as users over factors of items."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.domain import Float64


def solve_rows(
    rows: csr_matrix,
    weights: NDArray[np.floating],
    targets: NDArray[np.floating],
    vectors: Float64,
    base: Float64,
) -> Float64:
    """Return for each row `inv(base + V' W V) V' t`, rows x f; 0 for a row without entries.

    V are the vectors of the row's entries, W their `weights` and t their `targets`, both in the
    order of the entries. `base` is symmetric, f x f.
    """
    result = np.zeros((rows.shape[0], vectors.shape[1]))
    for row in np.flatnonzero(np.diff(rows.indptr)):
        own = slice(rows.indptr[row], rows.indptr[row + 1])
        seen = vectors[rows.indices[own]]
        matrix = base + seen.T @ (weights[own, None] * seen)
        result[row] = np.linalg.solve(matrix, seen.T @ targets[own])
    return result
