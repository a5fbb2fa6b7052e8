"""Similarity of two columns over the rows that have both: correlations, cosine, Jaccard.

For movies the columns of the ratings are compared, for users those of the transposed matrix. Every
similarity follows from sums over the common raters, and these sums are products of matrices:

    A: 1 where rated;  R: ratings;  Q: squared ratings;  all rows x columns
    n = A'A,  sum_i = R'A,  sum_j = A'R,  product = R'R,  squares_i = Q'A,  squares_j = A'Q
    pearson = (n product - sum_i sum_j) / sqrt((n squares_i - sum_i^2) (n squares_j - sum_j^2))

Two ways lead to the products. Dense sums fill a square of all pairs panel by panel and add quickly,
but also where there is nothing to add; sparse sums touch common raters only. A cost model picks.

B. Sarwar, G. Karypis, J. Konstan, J. Riedl: Item-Based Collaborative Filtering Recommendation
Algorithms, WWW 2001 (adjusted cosine). Y. Koren: Factor in the Neighbors, TKDD 2010 (correlation of
residuals).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.sparse import csc_matrix, csr_matrix

from recsys.domain import Float64, Int64, Interactions, RankedLists
from recsys.models.base import FitOptions
from recsys.models.shards import Arrays, Grid, Piece, Shards, as_one_piece
from recsys.numerics.blocks import map_blocks, rows_within
from recsys.numerics.sparse import binarize, column_counts, with_values
from recsys.numerics.topk import concatenate, ranked_top_k

CoRated = Literal["pearson", "pearson_baseline", "adjusted_cosine", "jaccard"]
Columns = slice | Int64

PANEL = 128
"""Columns of a dense panel at most: a row of it stays in the cache while it is added to."""
_PAIR_BYTES = 144
"""Bytes of a pair: six sums, intermediate results, the similarity and its copies to be ranked."""
_RANK_BYTES = 64
"""Two copies of a similarity, the one that is partitioned, masks and positions."""
_ROUNDING = 1e-12
"""A difference this small, relative to its operands, is rounding and stands for 0."""
_DENSE, _SPARSE, _ENTRY = 0.8, 1.5, 10.0
"""Nanoseconds of an addition to a dense sum, of one to a sparse sum and of an entry of these."""


@dataclass(frozen=True, slots=True)
class _Comparison:
    """The matrices to multiply, and the similarity of two columns from their products."""

    parts: tuple[csc_matrix, ...]
    """Rows x columns with entries at the same places; those of the first are 1."""
    products: tuple[tuple[int, int], ...]
    """Which parts of the one and the other column; the first: the numbers of common raters."""
    score: Callable[[list[Float64], Columns, slice], Float64]
    """From the products of two sets of columns to similarities, NaN where undefined."""
    least_support: int


@dataclass(frozen=True, slots=True)
class _Scorer:
    comparison: _Comparison
    min_support: int
    shrinkage: float

    def __call__(self, sums: list[Float64], one: Columns, other: slice) -> Float64:
        """Score columns against a range of columns; pairs that are not listed score -inf.

        Columns given by position are scored against all.
        """
        scores = self.comparison.score(sums, one, other)
        common = sums[0]
        if self.shrinkage > 0:
            scores *= common / (common + self.shrinkage)
        support = max(self.min_support, self.comparison.least_support)
        scores[np.isnan(scores) | (common < support)] = -np.inf
        if isinstance(one, slice):
            both = np.arange(max(one.start, other.start), min(one.stop, other.stop))
            scores[both - one.start, both - other.start] = -np.inf
        else:
            scores[np.arange(len(one)), one] = -np.inf
        return scores


def co_rated_neighbours(
    matrix: csr_matrix,
    similarity: CoRated,
    min_support: int,
    shrinkage: float,
    options: FitOptions,
    *,
    dense: bool | None = None,
    panel: int = PANEL,
    of: Int64 | None = None,
) -> RankedLists:
    """List for each column the k most similar others, negative similarities included.

    `pearson` centres both columns on their means over the common raters, as `numpy.corrcoef` does
    on the two lists of common ratings; `adjusted_cosine` centres each rating on the mean of all
    ratings of its row; `pearson_baseline` takes residuals of ratings as they are; `jaccard`
    compares the sets of raters. Undefined pairs and those with fewer than `min_support` common
    raters are left out. `shrinkage` is the lambda of the factor `n / (n + lambda)`, n being the
    common raters. `dense` forces dense or sparse sums, which by default are chosen by their cost;
    `panel` is the width of dense panels. With `of` there is one list for each of these columns
    only, by sparse sums.
    """
    counts = column_counts(matrix)
    if of is not None:
        comparison = _COMPARISONS[similarity](matrix.tocsc(), counts)
        return _by_sparse_sums(_Scorer(comparison, min_support, shrinkage), of, options)
    # By falling popularity: of two columns the one with fewer ratings then does the adding up.
    order = np.argsort(-counts, kind="stable")
    if dense is None:
        dense = _dense_is_better(matrix, counts[order], options)
    if not dense:
        comparison = _COMPARISONS[similarity](matrix.tocsc(), counts)
        every = np.arange(matrix.shape[1])
        return _by_sparse_sums(_Scorer(comparison, min_support, shrinkage), every, options)
    comparison = _COMPARISONS[similarity](matrix[:, order].tocsc(), counts[order])
    # One half of the memory is for the square, the other for what is computed on the way.
    half = replace(options, memory_mb=max(1, options.memory_mb // 2))
    square = _square(_Scorer(comparison, min_support, shrinkage), half, panel)
    return _ranked_square(square, np.argsort(order), half)


def co_rated_over_shards(
    shards: Shards, similarity: CoRated, min_support: int, shrinkage: float, options: FitOptions
) -> RankedLists:
    """List for each item the k most similar others, as `co_rated_neighbours` does.

    On whole numbers, whose sums are exact, the lists are the same in any shards.
    """
    of_ratings = _COMPARISONS[similarity]
    columns, k, found = shards.catalogue.user_items.shape[1], options.k, {}
    counts = shards.reduce(lambda shard: column_counts(shard.user_items))
    scorer = _Scorer(of_ratings(csc_matrix((0, columns)), counts), min_support, shrinkage)

    def work(shard: Interactions) -> Iterator[Piece]:
        comparison = of_ratings(shard.user_items.tocsc(), counts)
        parts, products = comparison.parts, comparison.products
        everything = tuple(part.tocsr() for part in parts)

        def piece(start: int, stop: int) -> Arrays:
            block = [part[:, start:stop].T for part in parts]
            return [(block[one] @ everything[other]).toarray() for one, other in products]

        yield piece

    def finish(sums: Arrays, start: int, stop: int) -> RankedLists:
        return ranked_top_k(scorer(sums, np.arange(start, stop), slice(0, columns)), k)

    def take(lists: RankedLists, start: int, stop: int) -> None:
        found[start] = lists

    products = len(scorer.comparison.products)
    grid = Grid(columns, 8 * products, _PAIR_BYTES * columns, 12 * k)
    shards.sums(work, finish, take, grid, options, as_one_piece(work, finish))
    return concatenate(RankedLists, [found[start] for start in sorted(found)])


def _dense_is_better(matrix: csr_matrix, falling: Int64, options: FitOptions) -> bool:
    """Tell whether all pairs fit into half of the memory and dense sums take less time.

    These add up quickly, each pair once, but also where there is nothing to add.
    """
    columns = len(falling)
    if 8 * columns**2 > options.memory_mb * 2**19:
        return False
    dense = _DENSE * float(falling @ np.arange(1, columns + 1) + matrix.shape[0] * columns)
    additions = float((np.diff(matrix.indptr).astype(np.float64) ** 2).sum())
    return dense <= _SPARSE * additions + _ENTRY * columns**2


def _by_sparse_sums(scorer: _Scorer, of: Int64, options: FitOptions) -> RankedLists:
    """Rank the similarities of some columns to all, a block of columns at a time."""
    parts, products = scorer.comparison.parts, scorer.comparison.products
    columns = parts[0].shape[1]
    everything = tuple(part.tocsr() for part in parts)

    def work(start: int, stop: int) -> RankedLists:
        block = [part[:, of[start:stop]].T for part in parts]
        sums = [(block[one] @ everything[other]).toarray() for one, other in products]
        return ranked_top_k(scorer(sums, of[start:stop], slice(0, columns)), options.k)

    return concatenate(RankedLists, map_blocks(len(of), _PAIR_BYTES * columns, options, work))


def _square(scorer: _Scorer, options: FitOptions, panel: int) -> Float64:
    """Compute the similarity of each two columns once, by panels side by side."""
    parts, products = scorer.comparison.parts, scorer.comparison.products
    rows, columns = parts[0].shape
    square = np.empty((columns, columns))

    def work(start: int) -> None:
        stop = min(start + width, columns)
        rest = [part[:, start:].T for part in parts]
        own = [part[:, start:stop].toarray() for part in parts]
        sums = [rest[one] @ own[other] for one, other in products]
        scores = scorer(sums, slice(start, columns), slice(start, stop))
        square[start:, start:stop] = scores
        square[start:stop, start:] = scores.T

    width = rows_within(options, _PAIR_BYTES * columns + 8 * len(parts) * rows, panel)
    with ThreadPoolExecutor(options.workers) as pool:
        list(pool.map(work, range(0, columns, width)))
    return square


def _ranked_square(square: Float64, places: Int64, options: FitOptions) -> RankedLists:
    """Rank the rows of a square whose row and column `places[i]` are those of column i."""

    def work(start: int, stop: int) -> RankedLists:
        # Back in the order of the columns, so that ties go by index.
        return ranked_top_k(square[places[start:stop]][:, places], options.k)

    blocks = map_blocks(len(square), _RANK_BYTES * len(square), options, work)
    return concatenate(RankedLists, blocks)


def _pearson(ratings: csc_matrix, counts: Int64) -> _Comparison:
    def score(sums: list[Float64], one: Columns, other: slice) -> Float64:
        # Multiplied by n throughout, so that ratings in halves give sums without any rounding.
        common, product, sum_one, sum_other, squares_one, squares_other = sums
        covariance = common * product
        covariance -= sum_one * sum_other
        spread = _variance(common, sum_one, squares_one)
        spread *= _variance(common, sum_other, squares_other)
        return _quotient(covariance, np.sqrt(spread, out=spread))

    parts = (binarize(ratings), ratings, with_values(ratings, ratings.data**2))
    return _Comparison(parts, ((0, 0), (1, 1), (1, 0), (0, 1), (2, 0), (0, 2)), score, 2)


def _adjusted_cosine(ratings: csc_matrix, counts: Int64) -> _Comparison:
    return _common_cosine(from_means(ratings), counts)


def from_means(ratings: csc_matrix) -> csc_matrix:
    """Return the ratings less the mean of their row."""
    rows = ratings.shape[0]
    counts = np.bincount(ratings.indices, minlength=rows)
    means = np.bincount(ratings.indices, ratings.data, rows) / np.maximum(counts, 1)
    deviations = ratings.data - means[ratings.indices]
    deviations[np.abs(deviations) <= _ROUNDING * np.abs(ratings.data)] = 0
    return with_values(ratings, deviations)


def _common_cosine(deviations: csc_matrix, counts: Int64) -> _Comparison:
    def score(sums: list[Float64], one: Columns, other: slice) -> Float64:
        _, product, squares_one, squares_other = sums
        return _quotient(product, np.sqrt(squares_one * squares_other))

    squares = with_values(deviations, deviations.data**2)
    parts = (binarize(deviations), deviations, squares)
    return _Comparison(parts, ((0, 0), (1, 1), (2, 0), (0, 2)), score, 2)


def _jaccard(ratings: csc_matrix, counts: Int64) -> _Comparison:
    raters = counts.astype(np.float64)

    def score(sums: list[Float64], one: Columns, other: slice) -> Float64:
        (common,) = sums
        return _quotient(common, raters[one, None] + raters[other] - common)

    return _Comparison((binarize(ratings),), ((0, 0),), score, 1)


_COMPARISONS: dict[CoRated, Callable[[csc_matrix, Int64], _Comparison]] = {
    "pearson": _pearson,
    "pearson_baseline": _common_cosine,
    "adjusted_cosine": _adjusted_cosine,
    "jaccard": _jaccard,
}


def _variance(common: Float64, sums: Float64, squares: Float64) -> Float64:
    total = common * squares
    variance: Float64 = total - sums * sums
    total *= _ROUNDING
    variance[variance <= total] = 0
    return variance


def _quotient(product: Float64, norm: Float64) -> Float64:
    """Divide in place: NaN where the norm is 0; rounding never leads out of [-1, 1]."""
    norm[norm <= 0] = np.nan
    quotient = product / norm
    return np.clip(quotient, -1.0, 1.0, out=quotient)
