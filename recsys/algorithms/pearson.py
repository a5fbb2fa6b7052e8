"""Pearson correlation of two movies over the people who rated both, for all pairs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.algorithms.recommend import binarised
from recsys.algorithms.spec import FitOptions
from recsys.algorithms.topk import joined, over_blocks, ranked_top_k
from recsys.domain import Float64, Neighbours, RankedLists

_BYTES_A_COLUMN = 144
"""Six sums over the common raters and what is computed of them, the copy that is partitioned."""
_ROUNDING = 1e-12
"""A variance this small beside the sum of squares is rounding: the ratings are all the same."""


def pearson_neighbours(
    user_items: csr_matrix, min_support: int, shrinkage: float, options: FitOptions
) -> Neighbours:
    """List for each item the k with the highest correlation, negative ones included.

    Each column is centred on its mean over the common raters, as `numpy.corrcoef` does on the
    two lists of common ratings. Pairs with fewer than 2 or `min_support` common raters, or where
    either column is constant over them, are undefined and left out. `shrinkage` is the lambda of
    the factor `n / (n + lambda)`.
    """
    ratings = user_items.astype(np.float64)
    parts = (binarised(ratings), ratings, ratings.multiply(ratings).tocsr())
    rows = tuple(part.T.tocsr() for part in parts)

    def work(start: int, stop: int) -> RankedLists:
        block = tuple(part[start:stop] for part in rows)
        scores, common = _correlations(block, parts)
        if shrinkage > 0:
            scores *= common / (common + shrinkage)
        scores[np.isnan(scores) | (common < max(2, min_support))] = -np.inf
        scores[np.arange(stop - start), np.arange(start, stop)] = -np.inf
        return ranked_top_k(scores, options.k)

    items = user_items.shape[1]
    return joined(Neighbours, over_blocks(items, _BYTES_A_COLUMN * items, options, work))


def _correlations(
    block: tuple[csr_matrix, ...], parts: tuple[csr_matrix, ...]
) -> tuple[Float64, Float64]:
    """Return correlations (NaN where undefined) and numbers of common raters, both dense.

    Multiplied by n throughout, so that ratings in halves give sums without any rounding.
    """
    (rated, values, squares), (all_rated, all_values, all_squares) = block, parts
    common = _dense(rated, all_rated)
    own, other = _dense(values, all_rated), _dense(rated, all_values)
    covariance = common * _dense(values, all_values) - own * other
    spread = _variance(common, own, _dense(squares, all_rated))
    spread *= _variance(common, other, _dense(rated, all_squares))
    with np.errstate(invalid="ignore", divide="ignore"):
        scores = covariance / np.sqrt(spread)
    return np.clip(scores, -1.0, 1.0), common


def _variance(common: Float64, sums: Float64, squares: Float64) -> Float64:
    total = common * squares
    variance: NDArray[np.float64] = total - sums * sums
    variance[variance <= _ROUNDING * total] = np.nan
    return variance


def _dense(left: csr_matrix, right: csr_matrix) -> Float64:
    product: Float64 = (left @ right).toarray()
    return product
