"""Votes, means and ranked lists, overall and by genre, for all charts."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.sparse import csc_matrix, csr_matrix

from recsys.domain import Chart, Float64, Int64, Interactions, Votes
from recsys.models.shards import Shards
from recsys.numerics.exact import exact_sums, total
from recsys.numerics.prediction import rating_range
from recsys.numerics.sparse import column_counts


class WeightedRating(NamedTuple):
    scores: Float64
    C: float
    """Mean of all means."""
    m: float
    """Votes from which a movie qualifies."""
    qualifies: np.ndarray


def weighted_rating(votes: np.ndarray, means: Float64, q: float) -> WeightedRating:
    """Compute the weighted rating of the IMDb Top 250, `v/(v+m)*R + m/(v+m)*C`, of every movie.

    `C` is the mean of `means`, `m` the q-quantile of `votes` (interpolated linearly); a movie
    qualifies with `v >= m`. A movie without votes where m is 0 scores C. Nothing given: C = m = 0.
    """
    if len(votes) == 0:
        return WeightedRating(np.zeros(0), 0.0, 0.0, np.zeros(0, bool))
    mean = float(np.mean(means))
    least = float(np.quantile(votes, q))
    total = votes + least
    # Without votes and with m = 0 there is nothing to divide by.
    share = np.divide(votes, total, out=np.zeros(len(votes)), where=total > 0)
    return WeightedRating(share * means + (1 - share) * mean, mean, least, votes >= least)


def count_votes(user_items: csr_matrix) -> Votes:
    """Count and average the ratings of each item; the mean is NaN where there are none."""
    largest = float(np.abs(user_items.data).max(initial=0))
    return _votes(column_counts(user_items), _sums(user_items, largest))


def votes_of(shards: Shards) -> Votes:
    """Count and average the ratings of each item, as `count_votes` does."""
    low, high = rating_range(shards.catalogue)
    largest = max(abs(low), abs(high))
    sums = shards.reduce(lambda shard: _sums(shard.user_items, largest))
    counts = shards.catalogue.item_counts
    assert counts is not None
    return _votes(counts, sums)


def _sums(user_items: csr_matrix, largest: float) -> Float64:
    return exact_sums(user_items.indices, user_items.data, user_items.shape[1], largest)


def _votes(counts: Int64, sums: Float64) -> Votes:
    unknown = np.full(len(counts), np.nan)
    return Votes(counts, np.divide(total(sums), counts, out=unknown, where=counts > 0))


def build_charts(
    data: Interactions, votes: Votes, score: Callable[[Int64], Float64], items: Int64 | None = None
) -> tuple[Chart, ...]:
    """Rank the given items, or those of a known mean, overall and then within each genre.

    `score` gets the positions of the items of one chart and returns their scores, -inf for those
    that do not belong on it. A chart without items is absent.
    """
    taking_part = np.flatnonzero(~np.isnan(votes.means)) if items is None else items
    by_genre = csc_matrix(data.item_genres)
    charts = [_chart(None, taking_part, votes, score)]
    for column, genre in enumerate(data.genres):
        members = by_genre.indices[by_genre.indptr[column] : by_genre.indptr[column + 1]]
        charts.append(_chart(genre, np.intersect1d(taking_part, members), votes, score))
    return tuple(chart for chart in charts if len(chart.items))


def _chart(
    genre: str | None, items: Int64, votes: Votes, score: Callable[[Int64], Float64]
) -> Chart:
    scores = score(items).astype(np.float64)
    listed = scores > -np.inf
    items, scores = items[listed], scores[listed]
    # The last key sorts first: by score, then by position.
    order = np.lexsort((items, -scores))
    best = items[order]
    return Chart(genre, best.astype(np.int32), scores[order], votes.counts[best], votes.means[best])
