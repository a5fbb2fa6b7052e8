"""Cosine of the rating columns of two movies, or of two users in the transposed matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from implicit.nearest_neighbours import NearestNeighboursScorer, all_pairs_knn
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.domain import Float64, Int64, Interactions, RankedLists
from recsys.models.base import FitOptions
from recsys.models.shards import Arrays, Grid, Piece, Shards
from recsys.numerics.blocks import map_blocks
from recsys.numerics.exact import exact_sums, total
from recsys.numerics.sparse import binarize, column_counts, with_values
from recsys.numerics.topk import (
    concatenate,
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
_ROUNDING = 1e-12
"""Relative difference that sums of products may have by the order of their addends."""
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
    ratings and therefore cheap, are computed in full. The sums of products are whole numbers if
    the ratings are, which the kernel's are rounded to: both ways then give the same.
    """
    if matrix.nnz == 0:
        return empty(RankedLists, matrix.shape[1] if of is None else len(of))
    columns = _Columns.of(matrix, _norms(matrix))
    if of is not None:
        few = _exact(columns, columns.place[of], min_support, shrinkage, options)
        return rearranged(few, np.arange(len(of)), columns.items)
    every = np.arange(matrix.shape[1])
    lists = _nearest(columns, every, _kernel, min_support, shrinkage, options)
    return order_ties(rearranged(lists, columns.place, columns.items))


def cosine_over_shards(
    shards: Shards, min_support: int, shrinkage: float, options: FitOptions
) -> RankedLists:
    """List for each item the k nearest, as `cosine_neighbours` does to the last bit."""
    items = shards.catalogue.user_items.shape[1]
    largest = float(shards.reduce(_largest, max))
    if largest == 0:
        return empty(RankedLists, items)
    norms = _roots(shards.reduce(lambda shard: _squares(shard.user_items, largest)))
    k, found = options.k, {}

    def work(shard: Interactions) -> Iterator[Piece]:
        ratings = shard.user_items
        raters = with_values(ratings, np.ones(ratings.nnz, np.int32))
        own, own_raters = ratings.T.tocsr(), raters.T.tocsr()
        yield lambda start, stop: [
            (own[start:stop] @ ratings).toarray(),
            (own_raters[start:stop] @ raters).toarray(),
        ]

    def together(everything: Interactions) -> Callable[[int, int], RankedLists]:
        columns = _Columns.of(everything.user_items, norms)

        def nearest(start: int, stop: int) -> RankedLists:
            chosen = columns.place[start:stop]
            lists = _nearest(columns, chosen, _kernel_by_row, min_support, shrinkage, options)
            return order_ties(rearranged(lists, np.arange(len(chosen)), columns.items))

        return nearest

    def finish(sums: Arrays, start: int, stop: int) -> RankedLists:
        chosen = np.arange(start, stop)
        scores = _scored(sums[0], sums[1], norms, chosen, min_support, shrinkage)
        return ranked_top_k(scores, k, above=0)

    def take(lists: RankedLists, start: int, stop: int) -> None:
        found[start] = lists

    grid = Grid(items, 12, _BYTES_A_COLUMN * items, 12 * k)
    shards.sums(work, finish, take, grid, options, together)
    return concatenate(RankedLists, [found[start] for start in sorted(found)])


def _largest(shard: Interactions) -> float:
    return float(np.abs(shard.user_items.data).max(initial=0))


@dataclass(frozen=True)
class _Columns:
    """The columns by falling popularity: most sums then lie side by side, in the fastest cache."""

    matrix: csr_matrix
    norms: Float64
    items: Int64
    """The item of each column, which decides ties."""
    place: Int64
    """The column of each item."""

    @classmethod
    def of(cls, matrix: csr_matrix, norms: Float64) -> _Columns:
        falling = np.argsort(-column_counts(matrix), kind="stable")
        arranged = matrix[:, falling]
        arranged.sort_indices()
        return cls(arranged, norms[falling], falling, np.argsort(falling))

    def unit(self) -> csr_matrix:
        """Return the columns, each of length 1."""
        data = self.matrix.data / self.norms[self.matrix.indices]
        # Copies: the kernel asks for 32-bit buffers it could write to.
        indices, indptr = self.matrix.indices.astype(np.int32), self.matrix.indptr.astype(np.int32)
        return csr_matrix((data, indices, indptr), shape=self.matrix.shape)

    @cached_property
    def scorer(self) -> tuple[csr_matrix, NearestNeighboursScorer]:
        """The columns of length 1 as rows, and what multiplies such a row with all of them."""
        unit = self.unit()
        # The scorer expects a square matrix: it allocates one sum for each row.
        missing = max(0, unit.shape[1] - unit.shape[0])
        indptr = np.append(unit.indptr, np.full(missing, unit.nnz, np.int32))
        square = csr_matrix((unit.data, unit.indices, indptr), (len(indptr) - 1, unit.shape[1]))
        return unit.T.tocsr(), NearestNeighboursScorer(square)

    @cached_property
    def rows(self) -> csr_matrix:
        """The columns as rows."""
        return self.matrix.T.tocsr()

    @cached_property
    def raters(self) -> csr_matrix:
        return binarize(self.matrix, np.float32)

    @cached_property
    def rated_by(self) -> csr_matrix:
        """A row of flags for each column."""
        return self.raters.T.tocsr()

    @cached_property
    def largest(self) -> float:
        return float(np.abs(self.matrix.data).max(initial=0))

    @cached_property
    def full_is_faster(self) -> bool:
        return _full_is_faster(self.matrix)

    @cached_property
    def are_whole(self) -> bool:
        return bool(np.array_equal(self.matrix.data, np.rint(self.matrix.data)))


Kernel = Callable[[_Columns, Int64, int, FitOptions], tuple[Int64, Int64, Float64]]
"""From columns, the chosen ones and a number k to the k largest cosines of each, in any order:
position among the chosen ones, column, cosine."""


def _full_is_faster(unit: csr_matrix) -> bool:
    """Tell whether lists in full take less time, as they do of few ratings."""
    columns = unit.shape[1]
    additions = float((np.diff(unit.indptr).astype(np.float64) ** 2).sum())
    return _ADDITION * additions + _PAIR * columns**2 < _LIST * columns


def _nearest(
    columns: _Columns,
    chosen: Int64,
    kernel: Kernel,
    min_support: int,
    shrinkage: float,
    options: FitOptions,
) -> RankedLists:
    """List the k nearest columns of each of the chosen ones."""
    # The kernel cannot shrink, and shrinking changes the order.
    if shrinkage > 0 or columns.full_is_faster:
        fast = empty(RankedLists, len(chosen))
        unknown = np.ones(len(chosen), bool)
    else:
        fast, unknown = _by_kernel(columns, chosen, kernel, min_support, options)
    exact = _exact(columns, chosen[unknown], min_support, shrinkage, options)
    return merged(fast, exact, unknown)


def _norms(matrix: csr_matrix) -> Float64:
    """Return the length of each column; 1 for one of zeros, which has no cosine but 0."""
    return _roots(_squares(matrix, float(np.abs(matrix.data).max(initial=0))))


def _roots(squares: Float64) -> Float64:
    norms = np.sqrt(total(squares))
    return np.where(norms > 0, norms, 1.0)


def _squares(matrix: csr_matrix, largest: float) -> Float64:
    """Return the sums of squares of the columns, in two parts."""
    return exact_sums(matrix.indices, matrix.data**2, matrix.shape[1], largest**2)


def _kernel(
    columns: _Columns, chosen: Int64, k: int, options: FitOptions
) -> tuple[Int64, Int64, Float64]:
    """Return the k largest cosines of each column; all are chosen, in their order."""
    pairs = all_pairs_knn(columns.unit(), k, num_threads=options.threads, show_progress=False)
    return pairs.row, pairs.col, pairs.data


def _kernel_by_row(
    columns: _Columns, chosen: Int64, k: int, options: FitOptions
) -> tuple[Int64, Int64, Float64]:
    """Return the k largest cosines of the chosen columns only."""
    (rows, scorer), found = columns.scorer, []
    for column in chosen:
        entries = slice(rows.indptr[column], rows.indptr[column + 1])
        indptr = np.array([0, entries.stop - entries.start], np.int32)
        # A recommendation by the product of a row of weights and the matrix.
        found.append(
            scorer.recommend(
                indptr, rows.indices[entries], rows.data[entries], K=k, remove_own_likes=False
            )
        )
    owners = np.repeat(np.arange(len(chosen)), [len(each) for each, _ in found])
    others = np.concatenate([each for each, _ in found]).astype(np.int64)
    return owners, others, np.concatenate([each for _, each in found])


def _candidates_of(
    columns: _Columns, chosen: Int64, kernel: Kernel, k: int, options: FitOptions
) -> RankedLists:
    """Best k by cosine of each chosen column without itself."""
    rows, others, cosines = kernel(columns, chosen, k + 1, options)
    wanted = (cosines > 0) & (chosen[rows] != others)
    rows, others, cosines = rows[wanted], others[wanted], cosines[wanted]
    if columns.are_whole:
        lengths = columns.norms[chosen[rows]] * columns.norms[others]
        cosines = np.rint(cosines * lengths) / lengths
    return truncate(ranked(rows, others, np.minimum(cosines, 1.0), len(chosen)), k)


def _by_kernel(
    columns: _Columns, chosen: Int64, kernel: Kernel, min_support: int, options: FitOptions
) -> tuple[RankedLists, NDArray[np.bool_]]:
    """List the k nearest of each chosen column; tell those whose list is not known by this way.

    Of the candidates of the kernel those without support are left out; a list is known if k + 1
    are left without a tie at the cut, or all.
    """
    wanted = 1 + (options.k if min_support == 1 else _CANDIDATES * options.k)
    most = min(wanted, columns.matrix.shape[1])
    lists = _candidates_of(columns, chosen, kernel, most, options)
    whole = np.diff(lists.indptr) < wanted
    lists = _supported(lists, columns, chosen, min_support, options)
    short = ~whole & (np.diff(lists.indptr) <= options.k)
    unknown = short | _cut_within_rounding(lists, options.k)
    return truncate(lists, options.k), unknown


def _cut_within_rounding(lists: RankedLists, k: int) -> NDArray[np.bool_]:
    """Tell which lists have scores at the cut that rounding could have swapped."""
    tied = np.zeros(lists.rows, bool)
    longer = np.flatnonzero(np.diff(lists.indptr) > k)
    left_out = lists.indptr[longer] + k
    least, best = lists.scores[left_out - 1], lists.scores[left_out]
    tied[longer] = least - best <= _ROUNDING * least
    return tied


def _supported(
    lists: RankedLists, columns: _Columns, chosen: Int64, min_support: int, options: FitOptions
) -> RankedLists:
    """Leave out the pairs with fewer than `min_support` common raters."""
    if min_support == 1:
        return lists
    rows = np.repeat(np.arange(lists.rows), np.diff(lists.indptr))
    own, norms, matrix = chosen[rows], columns.norms, columns.matrix
    # Each common rater adds at most `largest^2 / (norm_i * norm_j)` to a cosine, which bounds their
    # number from below. One whole rater is the least that can be missing: 0.5 leaves rounding no
    # say. The bound guards the division: all ratings may be 0.
    largest = max(columns.largest, 1e-300)
    raters = lists.scores * (norms[own] / largest) * (norms[lists.indices] / largest)
    doubtful = np.flatnonzero(raters < min_support - 0.5)
    rated_by = columns.rated_by

    def work(start: int, stop: int) -> NDArray[np.bool_]:
        pairs = doubtful[start:stop]
        both = rated_by[own[pairs]].multiply(rated_by[lists.indices[pairs]])
        missing: NDArray[np.bool_] = np.diff(both.indptr) < min_support
        return missing

    # A row of the mean length: the doubtful pairs are of columns with few ratings.
    pair_bytes = _COMMON_BYTES * (1 + matrix.nnz // max(1, matrix.shape[1]))
    missing = map_blocks(len(doubtful), pair_bytes, options, work)
    kept = np.ones(len(rows), bool)
    kept[doubtful] = ~np.concatenate([np.zeros(0, bool), *missing])
    indptr = np.concatenate(([0], np.cumsum(np.bincount(rows[kept], minlength=lists.rows))))
    return RankedLists(indptr, lists.indices[kept], lists.scores[kept])


def _exact(
    columns: _Columns, chosen: Int64, min_support: int, shrinkage: float, options: FitOptions
) -> RankedLists:
    """Rank the k nearest of the chosen columns from all pairs of theirs."""
    if not len(chosen):
        return empty(RankedLists, 0)
    matrix, raters = columns.matrix, columns.raters
    own, own_raters = columns.rows[chosen], columns.rated_by[chosen]

    def work(start: int, stop: int) -> RankedLists:
        products = (own[start:stop] @ matrix).toarray()
        common = (own_raters[start:stop] @ raters).toarray()
        scores = _scored(
            products, common, columns.norms, chosen[start:stop], min_support, shrinkage
        )
        return ranked_top_k(scores, options.k, above=0, ties=columns.items)

    row_bytes = _BYTES_A_COLUMN * matrix.shape[1]
    return concatenate(RankedLists, map_blocks(len(chosen), row_bytes, options, work))


def _scored(
    products: Float64,
    common: NDArray[Any],
    norms: Float64,
    chosen: Int64,
    min_support: int,
    shrinkage: float,
) -> Float64:
    """Return the cosines of the chosen columns as they are listed, in place of the products."""
    products /= norms[chosen, None] * norms
    np.minimum(products, 1.0, out=products)
    if shrinkage > 0:
        products *= common / (common + np.float64(shrinkage))
    products *= common >= min_support
    products[np.arange(len(chosen)), chosen] = -np.inf
    return products
