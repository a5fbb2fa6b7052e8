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
    cut_within_ties,
    empty,
    merged,
    order_ties,
    ranked,
    ranked_top_k,
    rearranged,
    truncate,
)

_CANDIDATES = 2
"""Candidates of the kernel, in units of the list: pairs without support are among them."""
_ADDITION, _PAIR, _LIST = 2.0, 6.0, 2e5
"""Nanoseconds that a list in full takes more than one of the kernel, for each addition and each
pair of columns, and less, for each column."""
_COMMON_BYTES = 24
"""An entry of the rows of a pair, and of their product."""
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

    The kernel of `implicit` is fast, but knows no `min_support` and cuts ties in any order. Its
    lists are used where enough candidates have support. The others, mostly of columns with few
    ratings and therefore cheap, are computed in full.
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
    # The kernel cannot shrink, and shrinking changes the order.
    if shrinkage > 0 or _full_is_faster(unit):
        fast = empty(RankedLists, columns)
        unknown = np.ones(columns, bool)
    else:
        largest = float(np.abs(matrix.data).max())
        # The bound guards the division: all ratings may be 0.
        fast, unknown = _by_kernel(unit, norms / max(largest, 1e-300), min_support, options)
    exact = _exact(unit, np.flatnonzero(unknown), falling, min_support, shrinkage, options)
    lists = rearranged(merged(fast, exact, unknown), place, falling)
    return order_ties(lists)


def _full_is_faster(unit: csr_matrix) -> bool:
    """Tell whether lists in full take less time, as they do of few ratings."""
    columns = unit.shape[1]
    additions = float((np.diff(unit.indptr).astype(np.float64) ** 2).sum())
    return _ADDITION * additions + _PAIR * columns**2 < _LIST * columns


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


def _by_kernel(
    unit: csr_matrix, norms: Float64, min_support: int, options: FitOptions
) -> tuple[RankedLists, NDArray[np.bool_]]:
    """List the k nearest of each column; tell the columns whose list is not known by this way.

    `norms` are in units of the largest rating. Of the candidates of the kernel those without
    support are left out; a list is known if k + 1 are left without a tie at the cut, or all.
    """
    wanted = 1 + (options.k if min_support == 1 else _CANDIDATES * options.k)
    lists = _kernel(unit, min(wanted, unit.shape[1]), options)
    whole = np.diff(lists.indptr) < wanted
    lists = _supported(lists, unit, norms, min_support, options)
    short = ~whole & (np.diff(lists.indptr) <= options.k)
    unknown = short | cut_within_ties(lists, options.k)
    return truncate(lists, options.k), unknown


def _supported(
    lists: RankedLists, unit: csr_matrix, norms: Float64, min_support: int, options: FitOptions
) -> RankedLists:
    """Leave out the pairs with fewer than `min_support` common raters."""
    if min_support == 1:
        return lists
    rows = np.repeat(np.arange(lists.rows), np.diff(lists.indptr))
    # Each common rater adds at most `1 / (norm_i * norm_j)` to a cosine, which bounds their number
    # from below. One whole rater is the least that can be missing: 0.5 leaves rounding no say.
    raters = lists.scores * norms[rows] * norms[lists.indices]
    doubtful = np.flatnonzero(raters < min_support - 0.5)
    rated_by = binarize(unit, np.float32).T.tocsr()

    def work(start: int, stop: int) -> NDArray[np.bool_]:
        pairs = doubtful[start:stop]
        both = rated_by[rows[pairs]].multiply(rated_by[lists.indices[pairs]])
        missing: NDArray[np.bool_] = np.diff(both.indptr) < min_support
        return missing

    # A row of the mean length: the doubtful pairs are of columns with few ratings.
    pair_bytes = _COMMON_BYTES * (1 + unit.nnz // max(1, unit.shape[1]))
    missing = map_blocks(len(doubtful), pair_bytes, options, work)
    kept = np.ones(len(rows), bool)
    kept[doubtful] = ~np.concatenate([np.zeros(0, bool), *missing])
    indptr = np.concatenate(([0], np.cumsum(np.bincount(rows[kept], minlength=lists.rows))))
    return RankedLists(indptr, lists.indices[kept], lists.scores[kept])


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
