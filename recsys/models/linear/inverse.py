"""The inverse of a regularized Gram matrix, whose rows are in shards of users."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix, vstack
from threadpoolctl import threadpool_limits

from recsys.domain import Float32, Int64, Interactions
from recsys.models.base import FitOptions
from recsys.models.shards import Arrays, Grid, Piece, Shards, as_one_piece
from recsys.numerics.gram import BYTES_A_COLUMN, inverse_by_rows, invert, pairs
from recsys.numerics.symmetric import SymmetricMatrix


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows X of a linear model, in groups, of which each counts by a factor of its own."""

    of_shard: Callable[[Interactions], Sequence[csr_matrix]]
    """The groups of a shard, over all items: multiples of a power of two, float64."""
    factors: tuple[float, ...]
    """Factor of the products of each group."""
    shared: csr_matrix
    """Rows that belong to no user, over all items, each factor being in them."""
    of_users: Callable[[Interactions], csr_matrix]
    """The same rows of a shard in one matrix, with the roots of the factors, float32."""
    count: int
    """Number of all rows."""


def inverse_gram(
    shards: Shards, rows: Rows, kept: Int64, regularization: float, options: FitOptions
) -> SymmetricMatrix:
    """Return `inv(X'X + lambda I)` over the kept items.

    With many fewer rows than items these are in one place, as they take less than the matrix.
    """
    with threadpool_limits(options.threads or None, "blas"):
        # Half: Woodbury works on rows x rows, but multiplies back to items x items.
        if rows.count < len(kept) // 2:
            users = shards.rows(lambda shard: rows.of_users(shard)[:, kept])
            everything = vstack([users, rows.shared[:, kept]], "csr", dtype=np.float32)
            return inverse_by_rows(everything, regularization, options)
        return invert(_gram(shards, rows, kept, options), regularization)


def _gram(shards: Shards, rows: Rows, kept: Int64, options: FitOptions) -> SymmetricMatrix:
    gram = SymmetricMatrix.zeros(len(kept))
    shared, factors, of_shard = rows.shared[:, kept], rows.factors, rows.of_shard

    def work(shard: Interactions) -> Iterator[Piece]:
        groups = [pairs(group[:, kept]) for group in of_shard(shard)]
        yield lambda start, stop: [group(start, stop) for group in groups]

    def finish(sums: Arrays, start: int, stop: int) -> Float32:
        weighted = [factor * each for factor, each in zip(factors, sums, strict=True)]
        if shared.shape[0]:
            weighted.append(pairs(shared)(start, stop))
        found: Float32 = sum(weighted[1:], weighted[0]).astype(np.float32)
        return found

    def take(block: Float32, start: int, stop: int) -> None:
        gram.add_columns(start, block)

    items, groups = len(kept), len(factors)
    grid = Grid(items, 4 * groups, BYTES_A_COLUMN * groups * items, 2 * items)
    shards.sums(work, finish, take, grid, options, as_one_piece(work, finish))
    return gram
