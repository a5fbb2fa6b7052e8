"""Operations on sparse matrices against the dense ones."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csc_matrix, csr_matrix

from recsys.domain import RankedLists
from recsys.numerics import sparse

DENSE = np.array([[4.0, 0, 2, 0], [0, 0, 0, 0], [1, 3, 5, 0]])
FORMATS = (csr_matrix, csc_matrix)


def with_a_zero() -> csr_matrix:
    """Return ratings of which one is 0, stored as the others are."""
    return csr_matrix((np.array([0.0, 4, 3]), np.array([0, 2, 1]), np.array([0, 2, 2, 3])), (3, 4))


@pytest.mark.parametrize("form", FORMATS)
def test_with_values_takes_the_places_of_another(form: type[csr_matrix] | type[csc_matrix]) -> None:
    matrix = form(DENSE)
    other = sparse.with_values(matrix, np.where(matrix.data > 2, matrix.data, 0))
    assert type(other) is form
    assert other.toarray().tolist() == np.where(DENSE > 2, DENSE, 0).tolist()
    assert other.nnz == matrix.nnz == 5
    assert np.shares_memory(other.indices, matrix.indices)
    assert matrix.toarray().tolist() == DENSE.tolist()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("form", FORMATS)
def test_binarize(form: type[csr_matrix] | type[csc_matrix], dtype: type[np.floating]) -> None:
    found = sparse.binarize(form(DENSE), dtype)
    assert found.dtype == dtype
    assert found.toarray().tolist() == (DENSE != 0).tolist()


def test_a_rating_of_zero_is_an_entry() -> None:
    matrix = with_a_zero()
    assert sparse.binarize(matrix).toarray().tolist() == [[1, 0, 1, 0], [0] * 4, [0, 1, 0, 0]]
    assert sparse.row_of_entries(matrix).tolist() == [0, 0, 2]
    assert sparse.column_counts(matrix).tolist() == [1, 1, 1, 0]
    assert sparse.mean_ratings(matrix).tolist() == pytest.approx([2, np.nan, 3], nan_ok=True)
    users, items = sparse.has_ratings(matrix)
    assert users.tolist() == [True, False, True]
    assert items.tolist() == [True, True, True, False]
    scores = np.ones((3, 4))
    sparse.exclude_rated(scores, matrix)
    assert (scores == -np.inf).tolist() == [
        [True, False, True, False],
        [False] * 4,
        [False, True, False, False],
    ]


def test_sums_counts_and_means() -> None:
    matrix = csr_matrix(DENSE)
    assert sparse.row_sums(matrix).tolist() == DENSE.sum(axis=1).tolist()
    assert sparse.column_counts(matrix).tolist() == (DENSE != 0).sum(axis=0).tolist()
    assert sparse.mean_ratings(matrix).tolist() == pytest.approx([3, np.nan, 3], nan_ok=True)


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_empty_matrices(shape: tuple[int, int]) -> None:
    matrix = csr_matrix(shape)
    assert sparse.row_of_entries(matrix).tolist() == []
    assert sparse.row_sums(matrix).tolist() == [0.0] * shape[0]
    assert sparse.row_sums(matrix).dtype == np.float64
    assert sparse.column_counts(matrix).tolist() == [0] * shape[1]
    assert np.isnan(sparse.mean_ratings(matrix)).tolist() == [True] * shape[0]
    assert sparse.unit_rows(matrix).shape == shape


def test_the_highest_of_each_row_are_kept_and_ties_go_by_column() -> None:
    ratings = csr_matrix(np.array([[3.0, 5, 3, 3], [0, 2, 0, 0], [0, 0, 0, 0], [1, 2, 3, 4]]))
    kept = sparse.highest_of_rows(ratings, 2)
    assert kept.toarray().tolist() == [[3, 5, 0, 0], [0, 2, 0, 0], [0, 0, 0, 0], [0, 0, 3, 4]]
    assert sparse.highest_of_rows(ratings, 4) is ratings
    zero = sparse.highest_of_rows(with_a_zero(), 1)
    assert (zero.nnz, zero.indptr.tolist()) == (2, [0, 1, 1, 2])


def test_unit_rows() -> None:
    lengths = np.linalg.norm(DENSE, axis=1, keepdims=True)
    found = sparse.unit_rows(csr_matrix(DENSE)).toarray()
    np.testing.assert_allclose(found, DENSE / np.where(lengths > 0, lengths, 1), rtol=1e-15)


def test_weight_matrix_keeps_the_order_of_the_lists() -> None:
    lists = RankedLists(
        np.array([0, 2, 2, 3]), np.array([2, 1, 0], np.int32), np.array([0.9, 0.5, -0.1])
    )
    matrix = sparse.weight_matrix(lists)
    assert matrix.toarray().tolist() == [[0, 0.5, 0.9], [0, 0, 0], [-0.1, 0, 0]]
    assert matrix.indices.tolist() == [2, 1, 0]


def test_exclude_rated_is_in_place() -> None:
    scores = np.arange(12, dtype=np.float32).reshape(3, 4)
    expected = np.where(DENSE != 0, -np.inf, scores)
    sparse.exclude_rated(scores, csr_matrix(DENSE))
    assert scores.tolist() == expected.tolist()


def test_axis_signs_are_those_of_the_largest_entries() -> None:
    items = np.array([[1.0, -2, 0], [-3, 1, 0], [2, 1.5, 0]])
    assert sparse.axis_signs(items).tolist() == [-1, -1, 1]
