"""Packed symmetric matrices against dense ones, for even and odd sizes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import solve_triangular

from recsys.domain import Float32
from recsys.numerics.symmetric import SymmetricMatrix

SIZES = (1, 2, 3, 6, 7, 33, 34)


def gram_of(size: int) -> tuple[Float32, Float32]:
    rows = np.random.default_rng(size).normal(size=(size + 3, size)).astype(np.float32)
    gram = rows.T @ rows + np.eye(size, dtype=np.float32)
    # Of a product of single precision the two halves may differ.
    return rows, np.tril(gram) + np.tril(gram, -1).T


def filled(gram: Float32, width: int) -> SymmetricMatrix:
    """Fill a matrix in columns of a width, last ones first, with NaN above the diagonal."""
    matrix, size = SymmetricMatrix.zeros(len(gram)), len(gram)
    for start in reversed(range(0, size, width)):
        columns = gram[start : start + width, start:].copy()
        columns[np.tril_indices(len(columns), -1)] = np.nan
        matrix.add_columns(start, columns)
    return matrix


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("width", [1, 2, 5, 40])
def test_it_holds_what_was_written(size: int, width: int) -> None:
    _, gram = gram_of(size)
    matrix = filled(gram, width)
    rows = [matrix.rows(a, min(a + width, size)) for a in range(0, size, width)]
    assert np.array_equal(np.vstack(rows), gram)
    assert np.array_equal(matrix.diagonal, np.diagonal(gram))
    matrix.add_to_diagonal(2)
    assert np.array_equal(matrix.rows(0, size), gram + 2 * np.eye(size, dtype=np.float32))


@pytest.mark.parametrize("size", SIZES)
def test_it_takes_half_of_a_square(size: int) -> None:
    assert SymmetricMatrix(size)._packed.size == size * (size + 1) // 2


@pytest.mark.parametrize("size", SIZES)
def test_it_is_factored_solved_and_inverted(size: int) -> None:
    _, gram = gram_of(size)
    matrix = filled(gram, 4)
    assert matrix.cholesky() == 0
    right = np.random.default_rng(1).normal(size=(size, 4)).astype(np.float32)
    solved = right.copy(order="F")
    matrix.solve(solved)
    expected = solve_triangular(np.linalg.cholesky(gram.astype(float)), right, lower=True)
    np.testing.assert_allclose(solved, expected, rtol=1e-3, atol=1e-4)
    assert matrix.invert() == 0
    np.testing.assert_allclose(matrix.rows(0, size), np.linalg.inv(gram), atol=2e-4)


@pytest.mark.parametrize("size", SIZES)
def test_a_gram_matrix_is_added(size: int) -> None:
    rows, _ = gram_of(size)
    matrix = SymmetricMatrix.zeros(size)
    matrix.add_to_diagonal(1)
    matrix.add_gram(np.asfortranarray(rows), -0.5)
    expected = np.eye(size) - 0.5 * rows.T @ rows
    np.testing.assert_allclose(matrix.rows(0, size), expected, rtol=1e-4, atol=1e-4)


def test_lapack_tells_of_a_matrix_that_is_not_positive_definite() -> None:
    matrix = SymmetricMatrix.zeros(3)
    matrix.add_to_diagonal(-1)
    assert matrix.cholesky() == 1
