"""Cosine of the rating columns of two movies, or of two users in the transposed matrix."""

from __future__ import annotations

import numpy as np
from implicit.nearest_neighbours import all_pairs_knn
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.domain import Float64, Int64, RankedLists
from recsys.models.base import FitOptions
from recsys.numerics.blocks import map_blocks
from recsys.numerics.sparse import binarize, column_counts
from recsys.numerics.topk import (
    concatenate,
    empty,
    ranked,
    ranked_top_k,
    rearranged,
    truncate,
)

_BYTES_A_COLUMN = 56
"""Two sparse products, their dense copies, masks."""


def cosine_neighbours(
    matrix: csr_matrix,
    min_support: int,
    shrinkage: float,
    options: FitOptions,
    of: Int64 | None = None,
) -> RankedLists:
    """List for each column the k nearest by the cosine of their ratings, where it is above 0.

    With `of` there is one list for each of these columns only, in their order.

    The kernel of `implicit` is fast, but ignores `min_support` and cuts ties in any order. Its rows
    are used where neither can have mattered. The others, mostly of columns with few ratings and
    therefore cheap, are computed in full.
    """
    columns = matrix.shape[1]
    if matrix.nnz == 0:
        return empty(RankedLists, columns if of is None else len(of))
    # By falling popularity: most sums then lie side by side, in the fastest cache.
    falling = np.argsort(-column_counts(matrix), kind="stable")
    place = np.argsort(falling)
    unit, norms = _unit_columns(matrix[:, falling])
    if of is not None:
        few = _exact(unit, place[of], falling, min_support, shrinkage, options)
        return rearranged(few, np.arange(len(of)), falling)
    # One more than k shows whether a tie was cut.
    fast = _kernel(unit, min(options.k + 1, columns), options)
    largest = float(np.abs(matrix.data).max())
    # The kernel cannot shrink, and shrinking changes the order: no row of it can be used.
    if shrinkage > 0:
        trusted = np.zeros(columns, bool)
    else:
        # The bound guards the division: all ratings may be 0.
        trusted = _trusted(fast, norms / max(largest, 1e-300), min_support, options.k)
    exact = _exact(unit, np.flatnonzero(~trusted), falling, min_support, shrinkage, options)
    merged = _merged(truncate(fast, options.k), exact, trusted)
    return rearranged(merged, place, falling)


def _unit_columns(matrix: csr_matrix) -> tuple[csr_matrix, Float64]:
    matrix.sort_indices()
    squares = np.bincount(matrix.indices, matrix.data**2, minlength=matrix.shape[1])
    norms = np.sqrt(squares)
    data = matrix.data / np.where(norms > 0, norms, 1)[matrix.indices]
    # Copies: the kernel asks for 32-bit buffers it could write to.
    indices, indptr = matrix.indices.astype(np.int32), matrix.indptr.astype(np.int32)
    return csr_matrix((data, indices, indptr), shape=matrix.shape), norms


def _kernel(unit: csr_matrix, k: int, options: FitOptions) -> RankedLists:
    """Best k by cosine of each column without itself."""
    pairs = all_pairs_knn(unit, k + 1, num_threads=options.threads, show_progress=False)
    wanted = (pairs.data > 0) & (pairs.row != pairs.col)
    scores = np.minimum(pairs.data[wanted], 1.0)
    lists = ranked(pairs.row[wanted], pairs.col[wanted], scores, unit.shape[1])
    return truncate(lists, k)


def _trusted(lists: RankedLists, norms: Float64, min_support: int, k: int) -> NDArray[np.bool_]:
    """Tell the rows of k + 1 candidates whose first k stand: supported, and no tie at the cut.

    `norms` are in units of the largest rating: each common rater adds at most
    `1 / (norm_i * norm_j)` to a cosine, which bounds their number from below.
    """
    lengths = np.diff(lists.indptr)
    rows = np.repeat(np.arange(lists.rows), lengths)
    raters = lists.scores * norms[rows] * norms[lists.indices]
    # One whole rater is the least that can be missing, so 0.5 leaves rounding no say.
    weak = raters < min_support - 0.5 if min_support > 1 else np.zeros(len(rows), bool)
    trusted: NDArray[np.bool_] = np.bincount(rows[weak], minlength=lists.rows) == 0
    full = np.flatnonzero(lengths > k)
    last = lists.indptr[full + 1] - 1
    trusted[full] &= lists.scores[last] < lists.scores[last - 1]
    return trusted


def _exact(
    unit: csr_matrix,
    chosen: Int64,
    items: Int64,
    min_support: int,
    shrinkage: float,
    options: FitOptions,
) -> RankedLists:
    """Rank the k nearest of the chosen columns from all pairs of theirs.

    `items` are the items of the columns, which decide ties.
    """
    raters = binarize(unit, np.float32)
    own, own_raters = unit.T.tocsr()[chosen], raters.T.tocsr()[chosen]

    def work(start: int, stop: int) -> RankedLists:
        scores = (own[start:stop] @ unit).toarray()
        np.minimum(scores, 1.0, out=scores)
        common = (own_raters[start:stop] @ raters).toarray()
        if shrinkage > 0:
            scores *= common / (common + np.float64(shrinkage))
        scores *= common >= min_support
        scores[np.arange(stop - start), chosen[start:stop]] = -np.inf
        return ranked_top_k(scores, options.k, above=0, ties=items)

    row_bytes = _BYTES_A_COLUMN * unit.shape[1]
    return concatenate(RankedLists, map_blocks(len(chosen), row_bytes, options, work))


def _merged(fast: RankedLists, exact: RankedLists, trusted: np.ndarray) -> RankedLists:
    """Take the trusted rows of `fast` and, for the others, the rows of `exact` in their order."""
    own = np.repeat(trusted, np.diff(fast.indptr))
    lengths = np.where(trusted, np.diff(fast.indptr), 0)
    lengths[~trusted] = np.diff(exact.indptr)
    from_exact = np.repeat(~trusted, lengths)
    indices = np.empty(len(from_exact), np.int32)
    scores = np.empty(len(from_exact))
    indices[from_exact], indices[~from_exact] = exact.indices, fast.indices[own]
    scores[from_exact], scores[~from_exact] = exact.scores, fast.scores[own]
    return RankedLists(np.concatenate(([0], np.cumsum(lengths))), indices, scores)
