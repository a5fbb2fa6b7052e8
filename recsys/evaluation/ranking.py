"""Ranking metrics of lists against test ratings, user by user.

The lists rank all unseen items; candidates are not sampled. Every test rating is relevant, unless
noted. With `r` the relevant items of a user, `h` those among the first k, `rank` from 1, and
`hits(rank)` the relevant ones up to that rank:

- precision `h / k`, also where the list is shorter than k; recall `h / r`
- nDCG `sum over hits of gain / log2(rank + 1)`, divided by that sum for the best list: the user's
  test ratings with the highest gains first. The gain is 1
- nDCG liked: the same, and relevant are ratings that tell that the user liked the item
- nDCG gain: the same, with the gain `2^rating - 1` (Burges et al. 2005) of ratings on a scale to 5
- MAP: the mean of AP `= sum over hits of hits(rank) / rank, divided by r`. That is what
  `map_at_k` of the recommenders library gave up to version 1.1, and its `map` since; the variant
  that divides by `min(k, r)`, as its later `map_at_k` and that of ml_metrics, is higher
- MRR: `1 / rank` of the first hit, 0 without one; hit rate: 1 with a hit, 0 without
- disliked share: of the hits, those rated 2 or lower on a scale to 5. Each hit weighs the same
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from recsys.domain import Float64, Int64, TopN
from recsys.errors import EvaluationError
from recsys.evaluation.intervals import Sample
from recsys.evaluation.leakage import check_unseen
from recsys.evaluation.splits import Bool, entries_of, rows_of

RANKING_METRICS = (
    "precision", "recall", "ndcg", "map", "mrr", "hit_rate", "ndcg_liked", "ndcg_gain",
    "disliked_share",
)  # fmt: skip
BEST = 5.0
"""Top of the scale that liked and disliked refer to; other scales are mapped to 0..5."""
LIKED_FROM, DISLIKED_TO = 4.0, 2.0

Scale = tuple[float, float]
"""Lowest and highest rating."""


@dataclass(frozen=True, slots=True)
class UserFigures:
    """Metrics per user: each array is aligned with `users`."""

    users: Int64
    """Positions, ascending."""
    values: Mapping[str, Float64]
    """NaN for a user whom the metric does not measure."""
    weights: Mapping[str, Float64] = field(default_factory=dict)
    """Weights of the users in the mean of a metric, where they differ."""

    def sample(self, metric: str) -> Sample:
        """Return the values of a metric, to average and to resample."""
        return Sample(self.values[metric], self.weights.get(metric))

    def of(self, marks: Bool) -> UserFigures:
        """Return the figures of some of the users."""
        values, weights = (
            {name: column[marks] for name, column in columns.items()}
            for columns in (self.values, self.weights)
        )
        return UserFigures(self.users[marks], values, weights)


def ranking_figures(
    lists: TopN, test: csr_matrix, train: csr_matrix, k: int, scale: Scale | None = None
) -> UserFigures:
    """Compute the metrics of the first k of each list; without a scale it is that of the ratings.

    Users without a test rating are left out; users without a list count as 0. Raises
    EvaluationError if a list contains a train item.
    """
    check_unseen(lists, train)
    counts = np.diff(test.indptr).astype(np.int64)
    users = np.flatnonzero(counts)
    hits = _hits(lists, test, k)
    scale = scale or _occurring(train, test)
    stars = to_five(test.data, scale)
    disliked = np.bincount(hits.users, stars[hits.entries] <= DISLIKED_TO, len(counts))
    found = np.bincount(hits.users, minlength=len(counts))
    figures = {
        **_binary(hits, counts, k),
        "ndcg": _ndcg(np.ones(test.nnz), test, hits, k),
        "ndcg_liked": _ndcg(liked(test, train, scale).astype(np.float64), test, hits, k),
        "ndcg_gain": _ndcg(2**stars - 1, test, hits, k),
        "disliked_share": _divide(disliked, found),
    }
    values = {name: figures[name][users] for name in RANKING_METRICS}
    return UserFigures(users, values, {"disliked_share": found[users].astype(np.float64)})


def liked(test: csr_matrix, train: csr_matrix, scale: Scale) -> Bool:
    """Mark the test ratings of items that their user liked.

    On a scale to 5 they are at least 4. On any other they are in the upper third of the user's
    ratings: at least the quantile 2/3 (interpolated linearly) of all of them, train and test.
    """
    if scale[0] >= 0 and scale[1] == BEST:
        return np.asarray(test.data >= LIKED_FROM)
    users = np.concatenate([rows_of(train), rows_of(test)])
    values = np.concatenate([train.data, test.data])
    ordered = values[np.lexsort((values, users))]
    counts = np.bincount(users, minlength=test.shape[0])
    rated = np.flatnonzero(counts)
    # In whole thirds of a place, so that no rounding moves the quantile past a rating.
    place, thirds = np.divmod(2 * (counts[rated] - 1), 3)
    below = (np.cumsum(counts) - counts)[rated] + place
    lower, upper = ordered[below], ordered[below + (thirds > 0)]
    quantiles = np.zeros(test.shape[0])
    quantiles[rated] = lower + (upper - lower) * (thirds / 3)
    return np.asarray(test.data >= quantiles[rows_of(test)])


def to_five(ratings: Float64, scale: Scale) -> Float64:
    """Map ratings linearly to a scale whose top is 5; its 0 is the 0 of a scale without negatives.

    If only 0 can be given, or only one negative rating, it tells as little as any other and is 5.
    """
    bottom = min(scale[0], 0.0)
    if scale[1] <= bottom:
        return np.full(len(ratings), BEST)
    return np.asarray((ratings - bottom) * BEST / (scale[1] - bottom))


def first_entries(lists: TopN, k: int) -> tuple[Int64, Int64, Int64]:
    """Return users, items and ranks (from 1) of the first k entries of each list."""
    if k < 1:
        raise EvaluationError(f"k = {k} is out of range", hint="k must be at least 1.")
    users = np.repeat(np.arange(lists.rows), np.diff(lists.indptr))
    ranks = np.arange(len(lists)) - lists.indptr[users] + 1
    kept = ranks <= k
    return users[kept], lists.indices[kept].astype(np.int64), ranks[kept]


class _Hits(NamedTuple):
    """Entries of lists that are test ratings, sorted by user and rank."""

    users: Int64
    ranks: Int64
    entries: Int64
    """Positions in the data of the test ratings."""


def _hits(lists: TopN, test: csr_matrix, k: int) -> _Hits:
    users, items, ranks = first_entries(lists, k)
    entries = entries_of(test, users, items)
    found = entries >= 0
    return _Hits(users[found], ranks[found], entries[found])


def _occurring(train: csr_matrix, test: csr_matrix) -> Scale:
    values = np.concatenate([train.data, test.data])
    return (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)


def _binary(hits: _Hits, counts: Int64, k: int) -> dict[str, Float64]:
    """Compute the metrics of hits that are all alike.

    `counts` are the relevant items of each user; results of users without any are undefined.
    """
    users, ranks, total = hits.users, hits.ranks, len(counts)
    found = np.bincount(users, minlength=total)
    hits_so_far = np.arange(len(users)) - (np.cumsum(found) - found)[users] + 1
    divisor = np.maximum(1, counts)
    precisions = np.bincount(users, hits_so_far / ranks, total)
    first = hits_so_far == 1
    # Without any hit, bincount returns integers in spite of the weights.
    reciprocal = np.bincount(users[first], 1 / ranks[first], total).astype(np.float64)
    return {
        "precision": found / k,
        "recall": found / divisor,
        "map": precisions / divisor,
        "mrr": reciprocal,
        "hit_rate": (found > 0).astype(np.float64),
    }


def _ndcg(gains: Float64, test: csr_matrix, hits: _Hits, k: int) -> Float64:
    """Return the nDCG of each user by the gain of each test rating; NaN without any gain."""
    users = rows_of(test)
    discounts = 1 / np.log2(np.arange(k) + 2)
    best = gains[np.lexsort((-gains, users))]
    places = np.arange(test.nnz) - test.indptr[users]
    first = places < k
    ideal = np.bincount(users[first], best[first] * discounts[places[first]], test.shape[0])
    reached = np.bincount(
        hits.users, gains[hits.entries] * discounts[hits.ranks - 1], test.shape[0]
    )
    return _divide(reached, ideal)


def _divide(sums: Float64 | Int64, by: Float64 | Int64) -> Float64:
    """Divide element by element; NaN where the divisor is 0."""
    quotients: Float64 = np.divide(sums, by, out=np.full(len(by), np.nan), where=by > 0)
    return quotients
