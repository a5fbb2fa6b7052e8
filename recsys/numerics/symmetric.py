"""Symmetric matrices in half the memory of a square, at the speed of BLAS.

The lower triangle is held in LAPACK's rectangular full packed format: the triangle of the last
rows and columns fills what the first columns leave free.

    n = 6, h = 3:   33 43 53        n = 5, h = 3:   00 33 43
                    00 44 54                        10 11 44
                    10 11 55                        20 21 22
                    20 21 22                        30 31 32
                    30 31 32                        40 41 42
                    40 41 42
                    50 51 52

F. Gustavson, J. Wasniewski, J. Dongarra, J. Langou: Rectangular Full Packed Format for Cholesky's
Algorithm, ACM Transactions on Mathematical Software 37(2), 2010.
"""

from __future__ import annotations

from typing import Self

import numpy as np

from recsys.domain import Float32
from recsys.numerics import blas


class SymmetricMatrix:
    """A symmetric matrix, size x size, float32; undefined until it is filled."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._half = (size + 1) // 2
        # The first columns begin one row lower if the size is even, the last ones one column right
        # if it is odd.
        self._down, self._right = 1 - size % 2, size % 2
        shape = (size + self._down, self._half)
        self._packed: Float32 = np.empty(shape, np.float32, order="F")

    @classmethod
    def zeros(cls, size: int) -> Self:
        matrix = cls(size)
        matrix._packed[...] = 0
        return matrix

    @property
    def diagonal(self) -> Float32:
        """Return a copy of the diagonal."""
        first, last = self._diagonals()
        return np.concatenate([first, last])

    def add_to_diagonal(self, value: float) -> None:
        for part in self._diagonals():
            part += np.float32(value)

    def add_columns(self, start: int, columns: Float32) -> None:
        """Add to some columns from `start` on, without what is above the first diagonal entry.

        `columns` has a row for each of them: their entries from row `start` on. Those above the
        diagonal may hold anything.
        """
        stop = start + len(columns)
        if start < self._half < stop:
            split = self._half - start
            self.add_columns(start, columns[:split])
            self.add_columns(self._half, columns[split:, split:])
            return
        own = len(columns)
        corner, rest = self._corner(start, stop), self._below(start, stop)
        # Beyond its triangle lie entries of other columns.
        lower = np.tril_indices(own)
        corner[lower] += columns[:, :own].T[lower]
        rest += columns[:, own:].T

    def rows(self, start: int, stop: int) -> Float32:
        """Return rows `start` to before `stop`, in full."""
        if start < self._half < stop:
            return np.vstack([self.rows(start, self._half), self.rows(self._half, stop)])
        rows = np.empty((stop - start, self.size), np.float32)
        first = min(start, self._half)
        rows[:, :first] = self._packed[start + self._down : stop + self._down, :first]
        if first < start:
            # Of the last triangle a row stands as a column.
            own = self._last[: start - first, start - first : stop - first]
            rows[:, first:start] = own.T
        corner = np.tril(self._corner(start, stop))
        rows[:, start:stop] = corner + np.tril(corner, -1).T
        rows[:, stop:] = self._below(start, stop).T
        return rows

    def cholesky(self) -> int:
        """Put the Cholesky factor in its place; return LAPACK's info, 0 if there is one."""
        return blas.packed_cholesky(self._packed, self.size)

    def invert(self) -> int:
        """Put the inverse in the place of the Cholesky factor; return LAPACK's info."""
        return blas.packed_invert(self._packed, self.size)

    def solve(self, right: Float32) -> None:
        """Put `inv(L) @ right` in place of `right`, L being the Cholesky factor held."""
        blas.packed_solve(self._packed, self.size, right)

    def add_gram(self, rows: Float32, weight: float) -> None:
        """Add `weight * rows' rows`."""
        blas.packed_add_gram(self._packed, self.size, rows, weight)

    @property
    def _last(self) -> Float32:
        """The triangle of the last columns, transposed: entry (i, j) of it at [j, i]."""
        return self._packed[:, self._right :]

    def _diagonals(self) -> tuple[Float32, Float32]:
        """Return views of the diagonal, the first half and the rest."""
        step = self._packed.shape[0] + 1
        flat = self._packed.reshape(-1, order="F")
        begin = self._right * self._packed.shape[0]
        return flat[self._down :: step][: self._half], flat[begin::step][: self.size - self._half]

    def _corner(self, start: int, stop: int) -> Float32:
        """Return a view of rows and columns `start` to before `stop`; its lower triangle counts."""
        if start < self._half:
            return self._packed[start + self._down : stop + self._down, start:stop]
        start, stop = start - self._half, stop - self._half
        return self._last[start:stop, start:stop].T

    def _below(self, start: int, stop: int) -> Float32:
        """Return a view of columns `start` to before `stop`, their rows from `stop` on."""
        if start < self._half:
            return self._packed[stop + self._down :, start:stop]
        start, stop = start - self._half, stop - self._half
        return self._last[start:stop, stop:].T
