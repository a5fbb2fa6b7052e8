"""Chart: ratings counted with exponential time decay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from recsys.domain import Charts, Float64, Interactions
from recsys.models.base import FitOptions, ModelSpec, Range
from recsys.models.charts.build import build_charts, count_votes
from recsys.models.cost import chart
from recsys.models.params import Bounds, Params

SECONDS_A_DAY = 86_400
_NEWEST, _WEEK = 5_000, 7.0


@dataclass(frozen=True, slots=True)
class TrendingConfig(Params):
    half_life_days: Annotated[float, Bounds(0)] = 0.0
    """Age at which a rating counts half. 0: the time that the newest 5,000 ratings took, at least
    a week, so that small sites have enough votes."""


def fit(data: Interactions, config: TrendingConfig, options: FitOptions) -> Charts:
    """Rank movies by the sum of `2^(-age / half life)` over their ratings.

    Ages count from the newest rating; ratings of unknown time contribute nothing. Movies whose sum
    is 0 are left out; without any times there are no charts. `votes` and `means` of the charts
    are over all ratings.
    """
    if data.rated_at is None or np.isnan(data.rated_at).all():
        return Charts()
    weights = _decayed(data.rated_at, config.half_life_days or _half_life(data.rated_at))
    ratings = data.user_items
    sums = np.bincount(ratings.indices, weights, minlength=ratings.shape[1])
    scores = np.where(sums > 0, sums, -np.inf)
    votes = count_votes(ratings)
    return Charts(build_charts(data, votes, lambda items: scores[items]))


def _half_life(rated_at: Float64) -> float:
    """Return the days that the newest ratings took, at least a week."""
    known = np.sort(rated_at[~np.isnan(rated_at)])
    return float(max(_WEEK, (known[-1] - known[-_NEWEST:][0]) / SECONDS_A_DAY))


def _decayed(rated_at: Float64, half_life_days: float) -> Float64:
    ages = (np.nanmax(rated_at) - rated_at) / (half_life_days * SECONDS_A_DAY)
    # Very old ratings underflow to 0, which is a fair weight for them.
    with np.errstate(under="ignore"):
        return np.nan_to_num(np.exp2(-ages), nan=0.0)


SPEC = ModelSpec(
    name="trending",
    display_name="Trending",
    family="charts",
    kind="chart",
    config=TrendingConfig,
    fit=fit,
    cost=chart(3.5),
    score_meaning="number of ratings, older ones counting less",
    description="Movies rated often of late, overall and by genre",
    needs=lambda config: frozenset({"times"}),
    search_space={"half_life_days": Range(3, 2000, log=True)},
    default_set=True,
    roles={"cold_start": 5, "top": 20},
)
