"""Beyond-accuracy metrics of lists: novelty, diversity and popularity share."""

from __future__ import annotations

import math

import numpy as np
from scipy.sparse import csr_matrix

from recsys.domain import Float64, Int64, TopN
from recsys.evaluation.ranking import first_entries
from recsys.evaluation.splits import Bool

POPULAR_SHARE = 0.1
"""Popular items are the most rated tenth of the rated items."""


def novelty(lists: TopN, counts: Int64, raters: int, k: int) -> Float64:
    """Return the mean self-information `-log2 p(i)` of each list, in bits; NaN if it is empty.

    `p(i)` is the share of the `raters`, users with train ratings, who rated the item, by its
    `counts` (Zhou et al. 2010); an unrated item counts as rated once.
    """
    # At least 1: without ratings the logarithm would be infinite.
    information = np.log2(max(1, raters) / np.maximum(1, counts))
    return _mean_over_lists(lists, k, information)


def popularity_share(lists: TopN, counts: Int64, k: int) -> Float64:
    """Return the share of popular items, by the number of their raters, in each list.

    NaN if it is empty.
    """
    return _mean_over_lists(lists, k, popular_items(counts).astype(np.float64))


def popular_items(counts: Int64, share: float = POPULAR_SHARE) -> Bool:
    """Mark the most rated `ceil(share * n)` of the n rated items, ties by position."""
    size = math.ceil(share * np.count_nonzero(counts))
    popular = np.zeros(len(counts), bool)
    popular[np.argsort(-counts, kind="stable")[:size]] = True
    return popular


def diversity(lists: TopN, vectors: csr_matrix, k: int) -> Float64:
    """Return 1 - the mean cosine of all pairs of items of each list; NaN below two items.

    `vectors` is items x features, such as genres; an item without features has cosine 0.
    """
    users, items, _ = first_entries(lists, k)
    squares = np.asarray(vectors.multiply(vectors).sum(axis=1), np.float64).ravel()
    norms = np.sqrt(squares)
    scales = np.divide(1.0, norms, out=np.zeros(len(norms)), where=norms > 0)
    shape = (lists.rows, vectors.shape[0])
    sums = csr_matrix((scales[items], (users, items)), shape=shape) @ vectors
    # |sum of unit vectors|^2 = their number + 2 * sum of the cosines of all pairs.
    total = np.asarray(sums.multiply(sums).sum(axis=1), np.float64).ravel()
    own = np.bincount(users, norms[items] > 0, lists.rows)
    lengths = np.bincount(users, minlength=lists.rows)
    # Ordered pairs, as the sum above counts each pair twice.
    pairs = lengths * (lengths - 1)
    missing = np.full(lists.rows, np.nan)
    cosines: Float64 = np.divide(total - own, pairs, out=missing, where=pairs > 0)
    return 1 - cosines


def _mean_over_lists(lists: TopN, k: int, values: Float64) -> Float64:
    users, items, _ = first_entries(lists, k)
    lengths = np.bincount(users, minlength=lists.rows)
    sums = np.bincount(users, values[items], lists.rows)
    missing = np.full(lists.rows, np.nan)
    means: Float64 = np.divide(sums, lengths, out=missing, where=lengths > 0)
    return means
