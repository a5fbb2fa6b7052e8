"""The similarities of movies, or of users in the transposed matrix."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.sparse import csr_matrix

from recsys.domain import Int32, Int64, RankedLists
from recsys.models.base import FitOptions
from recsys.models.knn.co_rated import co_rated_neighbours, co_rated_over_shards
from recsys.models.knn.cosine import cosine_neighbours, cosine_over_shards
from recsys.models.shards import Shards
from recsys.numerics.sparse import with_values

Similarity = Literal["pearson", "pearson_baseline", "cosine", "adjusted_cosine", "jaccard"]
CENTRED_SHRINKAGE = 50.0
"""Default lambda of similarities of centred ratings, where two raters always agree or disagree."""

PAIRS_AT_ONCE = 1 << 12
COLUMNS_AT_ONCE = 1 << 13


def similar_columns(
    matrix: csr_matrix,
    similarity: Similarity,
    min_support: int,
    shrinkage: float,
    options: FitOptions,
    of: Int64 | None = None,
) -> RankedLists:
    """List for each column the k most similar others by their ratings.

    For `pearson_baseline` the matrix holds residuals. Pairs with fewer than `min_support` common
    raters, and those whose similarity is undefined, are left out; `shrinkage` is the lambda of the
    factor `n / (n + lambda)`, n being the common raters. A cosine of 0 means no common raters, and
    is left out as well. With `of` there is one list for each of these columns only, in their order.
    """
    if similarity == "cosine":
        return cosine_neighbours(matrix, min_support, shrinkage, options, of)
    return co_rated_neighbours(matrix, similarity, min_support, shrinkage, options, of=of)


def similar_items(
    shards: Shards,
    similarity: Similarity,
    min_support: int,
    shrinkage: float,
    options: FitOptions,
) -> RankedLists:
    """List for each item the k most similar others, as `similar_columns` does.

    On whole numbers the lists are the same in any shards; others leave rounding a say.
    """
    if shards.whole is not None:
        whole = shards.whole.user_items
        return similar_columns(whole, similarity, min_support, shrinkage, options)
    if similarity == "cosine":
        return cosine_over_shards(shards, min_support, shrinkage, options)
    return co_rated_over_shards(shards, similarity, min_support, shrinkage, options)


def common_ratings(
    matrix: csr_matrix,
    lists: RankedLists,
    options: FitOptions,
    pairs_at_once: int = PAIRS_AT_ONCE,
    columns_at_once: int = COLUMNS_AT_ONCE,
) -> Int32:
    """Count for each entry of the lists the columns that its two rows of the matrix both have.

    Rows are compared as strings of bits, `columns_at_once` at a time.
    """
    seen = with_values(matrix.tocsc(), np.ones(matrix.nnz, np.bool_))
    owners = np.repeat(np.arange(lists.rows), np.diff(lists.indptr))
    common = np.zeros(len(lists), np.int32)
    # One byte for each flag before it is packed, within half of the memory.
    room = options.memory_mb * 2**20 // (2 * max(1, lists.rows))
    width = int(min(max(64, room // 64 * 64), columns_at_once))  # whole 64-bit words
    for first in range(0, matrix.shape[1], width):
        bits = _words(seen[:, first : first + width].toarray())
        for start in range(0, len(lists), pairs_at_once):
            part = slice(start, start + pairs_at_once)
            both = bits[owners[part]] & bits[lists.indices[part]]
            common[part] += np.bitwise_count(both).sum(axis=1, dtype=np.int32)
    return common


def _words(flags: np.ndarray) -> np.ndarray:
    """Pack the flags of each row into 64-bit words."""
    packed = np.packbits(flags, axis=1)
    # Padded with zeros, as bitwise_count works on whole words.
    words = np.zeros((len(packed), -(-packed.shape[1] // 8) * 8), np.uint8)
    words[:, : packed.shape[1]] = packed
    return words.view(np.uint64)
