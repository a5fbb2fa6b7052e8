"""Chart: the movies that a new user is most likely to watch and like.

S. E. Robertson: The Probability Ranking Principle in IR, Journal of Documentation 33(4), 1977. A
list ordered by the probability that its reader gains from each entry has the highest expected
gain, at every length. Of a stranger that probability is the share of people it holds for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from recsys.domain import Charts, Int64, Interactions
from recsys.models.base import FitOptions, ModelSpec
from recsys.models.charts.build import build_charts, votes_of
from recsys.models.cost import chart
from recsys.models.params import Params
from recsys.models.shards import Shards, in_memory

_ROUNDING = 1e-9
"""A sum of many ratings is off by less, and no rating on a scale is this near to a mean."""


@dataclass(frozen=True, slots=True)
class PopularConfig(Params):
    """Nothing to choose."""


def learn(shards: Shards, config: PopularConfig, options: FitOptions) -> Charts:
    """Rank the rated movies by (people who liked it) / (people who have rated anything).

    A rating that is at least the mean of its user's is a like; so are all ratings of a user who
    always gives the same. Rated movies without a like score 0. Charts of genres keep the scores.
    """
    counts = shards.reduce(_count)
    scores = counts[:-1] / max(1, counts[-1])
    votes = votes_of(shards)
    return Charts(build_charts(shards.catalogue, votes, lambda items: scores[items]))


fit = in_memory(learn)


def _count(shard: Interactions) -> Int64:
    """Count the likes of each item, and behind them the people."""
    ratings = shard.user_items
    likes = np.bincount(ratings.indices[liked(ratings)], minlength=ratings.shape[1])
    return np.append(likes, np.count_nonzero(np.diff(ratings.indptr)))


def liked(user_items: csr_matrix) -> np.ndarray:
    """Mark the stored ratings that are at least the mean of their user's ratings."""
    lengths = np.diff(user_items.indptr)
    rows = np.repeat(np.arange(len(lengths)), lengths)
    sums = np.bincount(rows, user_items.data, minlength=len(lengths))
    sizes = np.bincount(rows, np.abs(user_items.data), minlength=len(lengths))
    # A user who always gives the same rating likes everything, in spite of rounding.
    least = (sums - _ROUNDING * sizes) / np.maximum(lengths, 1)
    enough: np.ndarray = user_items.data >= least[rows]
    return enough


SPEC = ModelSpec(
    name="popular",
    display_name="Popular",
    family="charts",
    kind="chart",
    config=PopularConfig,
    fit=fit,
    learn=learn,
    cost=chart(3.5),
    score_meaning="share of the people who rated it no lower than their own mean, up to 1",
    description="Movies that most people watched and liked, for users without ratings",
    default_set=True,
    roles={"cold_start": 10},
)
