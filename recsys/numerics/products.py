"""The largest entries of each row of a sparse product, which is never held as a whole."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix
from sparse_dot_topn import sp_matmul_topn

from recsys.domain import ComputeLimits, RankedLists
from recsys.numerics.blocks import map_blocks, rows_within
from recsys.numerics.topk import (
    concatenate,
    cut_within_ties,
    merged,
    order_ties,
    ranked_top_k,
    truncate,
)

_ENTRY_BYTES = 64
"""Column and value of an entry of a list, in the product and in its copies."""
_DENSE_BYTES = 32
"""Sparse product, its dense copy, masks."""
_BLOCK_ROWS = 8192
"""Rows of a block at most: Python's lock is held for so long."""


def ranked_products(
    rows: csr_matrix, columns: csr_matrix, k: int, limits: ComputeLimits
) -> RankedLists:
    """Rank the k largest entries of each row of `rows @ columns`, only those above 0.

    Ties go by column. Sums are added in the order of the entries of `rows`. The kernel of
    `sparse_dot_topn` takes a third of the time of a dense block, but cuts ties in any order: rows
    cut within a tie are computed again.
    """
    # One more than k shows whether a tie was cut.
    wanted = min(k + 1, columns.shape[1])
    size = rows_within(limits, limits.workers * _ENTRY_BYTES * wanted, _BLOCK_ROWS)
    parts = []
    for start in range(0, rows.shape[0], size):
        block = rows[start : start + size]
        best = sp_matmul_topn(
            block, columns, wanted, threshold=0.0, sort=True, n_threads=limits.workers
        )
        parts.append(RankedLists(best.indptr.astype(np.int64), best.indices, best.data))
    lists = concatenate(RankedLists, parts)
    tied = cut_within_ties(lists, k)
    lists = order_ties(truncate(lists, k))
    if not tied.any():
        return lists
    again = rows[np.flatnonzero(tied)]

    def work(start: int, stop: int) -> RankedLists:
        return ranked_top_k((again[start:stop] @ columns).toarray(), k, above=0)

    row_bytes = _DENSE_BYTES * columns.shape[1]
    exact = concatenate(RankedLists, map_blocks(again.shape[0], row_bytes, limits, work))
    return merged(lists, exact, tied)
