"""Sparse matrices of ratings: their patterns, counts and means."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix, csr_matrix

from recsys.domain import Float64, Int64, RankedLists

Matrix = TypeVar("Matrix", csr_matrix, csc_matrix)


def with_values(matrix: Matrix, values: NDArray[np.floating]) -> Matrix:
    """Return the matrix with other stored values at the same places, zeros among them.

    The index arrays are shared with `matrix`, never copied.
    """
    return type(matrix)((values, matrix.indices, matrix.indptr), shape=matrix.shape)


def binarize(matrix: Matrix, dtype: type[np.floating] = np.float64) -> Matrix:
    """Return the matrix with 1 at every stored entry."""
    return with_values(matrix, np.ones(matrix.nnz, dtype))


def row_of_entries(matrix: csr_matrix) -> Int64:
    """Return the row of each stored entry, in the order of the arrays."""
    rows: Int64 = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    return rows


def select_entries(ratings: csr_matrix, kept: NDArray[np.bool_]) -> csr_matrix:
    """Return the matrix with some of the entries of its arrays."""
    counts = np.add.reduceat(np.append(kept, False), ratings.indptr[:-1], dtype=np.int64)
    counts[np.diff(ratings.indptr) == 0] = 0  # which reduceat takes for the entry there
    indptr = np.concatenate(([0], np.cumsum(counts)))
    return csr_matrix((ratings.data[kept], ratings.indices[kept], indptr), shape=ratings.shape)


def row_sums(matrix: csr_matrix) -> Float64:
    """Return the sum of each row, added in the order of the stored entries."""
    sums = np.bincount(row_of_entries(matrix), matrix.data, minlength=matrix.shape[0])
    # Without any rows bincount counts in integers.
    return sums.astype(np.float64, copy=False)


def column_counts(matrix: csr_matrix) -> Int64:
    """Return the number of stored entries of each column."""
    counts: Int64 = np.bincount(matrix.indices, minlength=matrix.shape[1])
    return counts


def has_ratings(user_items: csr_matrix) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which users and which items have ratings."""
    return np.diff(user_items.indptr) > 0, column_counts(user_items) > 0


def mean_ratings(user_items: csr_matrix) -> Float64:
    """Return the mean rating of each user, NaN without any."""
    counts = np.diff(user_items.indptr)
    empty = np.full(len(counts), np.nan)
    means: Float64 = np.divide(row_sums(user_items), counts, out=empty, where=counts > 0)
    return means


def highest_of_rows(matrix: csr_matrix, count: int) -> csr_matrix:
    """Return the matrix with the `count` largest stored values of each row; ties go by column."""
    lengths = np.diff(matrix.indptr)
    kept = np.ones(matrix.nnz, bool)
    for row in np.flatnonzero(lengths > count):
        own = slice(matrix.indptr[row], matrix.indptr[row + 1])
        falling = np.argsort(-matrix.data[own], kind="stable")
        kept[own][falling[count:]] = False
    if kept.all():
        return matrix
    indptr = np.concatenate(([0], np.cumsum(np.minimum(lengths, count))))
    return csr_matrix((matrix.data[kept], matrix.indices[kept], indptr), shape=matrix.shape)


def unit_rows(matrix: csr_matrix) -> csr_matrix:
    """Return the matrix with each row scaled to length 1; rows of zeros stay."""
    norms = np.sqrt(row_sums(matrix.power(2)))
    scale = np.where(norms > 0, norms, 1)
    return with_values(matrix, matrix.data / np.repeat(scale, np.diff(matrix.indptr)))


def weight_matrix(lists: RankedLists) -> csr_matrix:
    """Return item-item lists as a sparse items x items matrix, float64.

    Rows keep the order of the lists: indices are not sorted.
    """
    shape = (lists.rows, lists.rows)
    return csr_matrix((lists.scores, lists.indices, lists.indptr), shape=shape)


def exclude_rated(scores: NDArray[np.floating], ratings: csr_matrix) -> None:
    """Set the scores of rated items to -inf, in place; both are users x items."""
    scores[row_of_entries(ratings), ratings.indices] = -np.inf


def axis_signs(items: Float64) -> Float64:
    """Return for each column of item factors the sign of its largest entry by magnitude.

    Factors are determined up to the sign of each axis: multiplied by this, they are unique.
    """
    largest = np.abs(items).argmax(axis=0)
    return np.where(items[largest, np.arange(items.shape[1])] < 0, -1.0, 1.0)
