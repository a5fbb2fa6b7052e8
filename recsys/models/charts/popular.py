"""Chart: the movies that a new user is most likely to watch and like.

S. E. Robertson: The Probability Ranking Principle in IR, Journal of Documentation 33(4), 1977. A
list ordered by the probability that its reader gains from each entry has the highest expected
gain, at every length. Of a stranger that probability is the share of people it holds for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from recsys.domain import Charts, Interactions
from recsys.models.base import FitOptions, ModelSpec
from recsys.models.charts.build import build_charts, count_votes
from recsys.models.cost import chart
from recsys.models.params import Params

_ROUNDING = 1e-9
"""A sum of many ratings is off by less, and no rating on a scale is this near to a mean."""


@dataclass(frozen=True, slots=True)
class PopularConfig(Params):
    """Nothing to choose."""


def fit(data: Interactions, config: PopularConfig, options: FitOptions) -> Charts:
    """Rank the rated movies by (people who liked it) / (people who have rated anything).

    A rating that is at least the mean of its user's is a like; so are all ratings of a user who
    always gives the same. Rated movies without a like score 0. Charts of genres keep the scores.
    """
    likes = np.bincount(
        data.user_items.indices[liked(data.user_items)], minlength=data.user_items.shape[1]
    )
    people = int(np.count_nonzero(np.diff(data.user_items.indptr)))
    scores = likes / max(1, people)
    votes = count_votes(data.user_items)
    return Charts(build_charts(data, votes, lambda items: scores[items]))


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
    cost=chart(3.5),
    score_meaning="share of the people who rated it no lower than their own mean, up to 1",
    description="Movies that most people watched and liked, for users without ratings",
    default_set=True,
    roles={"cold_start": 10},
)
