"""Ranking metrics of lists against test ratings, user by user.

Relevance is binary. The lists rank all unseen items; candidates are not sampled. With
`r` the relevant items of a user, `h` those among the first k, `rank` from 1, and `hits(rank)` the
relevant ones up to that rank:

- precision `h / k`, also where the list is shorter than k; recall `h / r`
- nDCG `sum over hits of 1 / log2(rank + 1)`, divided by that sum over the ranks 1..min(k, r)
- MAP: the mean of AP `= sum over hits of hits(rank) / rank, divided by r`. That is what
  `map_at_k` of the recommenders library gave up to version 1.1, and its `map` since; the variant
  that divides by `min(k, r)`, as its later `map_at_k` and that of ml_metrics, is higher
- MRR: `1 / rank` of the first hit, 0 without one; hit rate: 1 with a hit, 0 without
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from recsys.domain import Float64, Int64, TopN
from recsys.errors import EvaluationError
from recsys.evaluation.leakage import check_unseen
from recsys.evaluation.splits import divided, entries_of

RANKING_METRICS = ("precision", "recall", "ndcg", "map", "mrr", "hit_rate")


@dataclass(frozen=True, slots=True)
class UserFigures:
    """Metrics per user: each array of `values` is aligned with `users`."""

    users: Int64
    """Positions, ascending."""
    values: Mapping[str, Float64]


def ranking_figures(
    lists: TopN, test: csr_matrix, train: csr_matrix, k: int, threshold: float | None = None
) -> UserFigures:
    """Compute the metrics of the first k of each list; relevant are ratings >= `threshold`.

    Without a threshold all test ratings are relevant. Users without a relevant rating are left out;
    users without a list count as 0. Raises EvaluationError if a list contains a train item.
    """
    check_unseen(lists, train)
    relevant = relevant_ratings(test, threshold)
    counts = np.diff(relevant.indptr).astype(np.int64)
    users = np.flatnonzero(counts)
    rows, items, ranks = first_entries(lists, k)
    found = entries_of(relevant, rows, items) >= 0
    figures = _figures(rows[found], ranks[found], counts, k)
    return UserFigures(users, {name: figures[name][users] for name in RANKING_METRICS})


def relevant_ratings(test: csr_matrix, threshold: float | None) -> csr_matrix:
    """Keep the stored entries of at least `threshold`; None: all of them, zeros too."""
    if threshold is None:
        return test
    return divided(test, test.data >= threshold).test


def first_entries(lists: TopN, k: int) -> tuple[Int64, Int64, Int64]:
    """Return users, items and ranks (from 1) of the first k entries of each list."""
    if k < 1:
        raise EvaluationError(f"k = {k} is out of range", hint="k must be at least 1.")
    users = np.repeat(np.arange(lists.rows), np.diff(lists.indptr))
    ranks = np.arange(len(lists)) - lists.indptr[users] + 1
    kept = ranks <= k
    return users[kept], lists.indices[kept].astype(np.int64), ranks[kept]


def _figures(rows: Int64, ranks: Int64, counts: Int64, k: int) -> dict[str, Float64]:
    """Compute all metrics of all users from the hits, sorted by user and rank.

    `counts` are the relevant items of each user; results of users without any are undefined.
    """
    total = len(counts)
    hits = np.bincount(rows, minlength=total)
    hits_so_far = np.arange(len(rows)) - (np.cumsum(hits) - hits)[rows] + 1
    divisor = np.maximum(1, counts)
    discounts = 1 / np.log2(np.arange(k) + 2)
    ideal = np.cumsum(discounts)[np.minimum(divisor, k) - 1]
    # Without any hit, bincount returns integers in spite of the weights.
    gain = np.bincount(rows, discounts[ranks - 1], total).astype(np.float64)
    precisions = np.bincount(rows, hits_so_far / ranks, total)
    first = hits_so_far == 1
    reciprocal = np.bincount(rows[first], 1 / ranks[first], total).astype(np.float64)
    return {
        "precision": hits / k,
        "recall": hits / divisor,
        "ndcg": gain / ideal,
        "map": precisions / divisor,
        "mrr": reciprocal,
        "hit_rate": (hits > 0).astype(np.float64),
    }
