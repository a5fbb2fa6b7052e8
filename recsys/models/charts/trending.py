"""Chart: ratings counted with exponential time decay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from recsys.domain import Charts, Float64, Interactions
from recsys.models.base import FitOptions, ModelSpec, Range
from recsys.models.charts.build import build_charts, votes_of
from recsys.models.cost import chart
from recsys.models.params import Bounds, Params
from recsys.models.shards import Shards, in_memory
from recsys.numerics.exact import exact_sums, total

SECONDS_A_DAY = 86_400
_NEWEST, _WEEK = 5_000, 7.0


@dataclass(frozen=True, slots=True)
class TrendingConfig(Params):
    half_life_days: Annotated[float, Bounds(0)] = 0.0
    """Age at which a rating counts half. 0: the time that the newest 5,000 ratings took, at least
    a week, so that small sites have enough votes."""


def learn(shards: Shards, config: TrendingConfig, options: FitOptions) -> Charts:
    """Rank movies by the sum of `2^(-age / half life)` over their ratings.

    Ages count from the newest rating; ratings of unknown time contribute nothing. Movies whose sum
    is 0 are left out; without any times there are no charts. `votes` and `means` of the charts
    are over all ratings.
    """
    catalogue = shards.catalogue
    if catalogue.rated_at is None:
        return Charts()
    newest = shards.reduce(_newest_of_items, np.fmax)
    if np.isnan(newest).all():
        return Charts()
    latest = float(np.nanmax(newest))
    half_life = SECONDS_A_DAY * (config.half_life_days or _half_life(shards))
    sums = total(shards.reduce(lambda shard: _decayed(shard, newest, half_life)))
    # Ages were counted from the newest rating of each movie, so that sums of old ones stay exact.
    # Very old ratings underflow to 0, which is a fair weight for them.
    with np.errstate(under="ignore"):
        scores = sums * np.nan_to_num(np.exp2((newest - latest) / half_life))
    scores = np.where(scores > 0, scores, -np.inf)
    votes = votes_of(shards)
    return Charts(build_charts(catalogue, votes, lambda items: scores[items]))


fit = in_memory(learn)


def _newest_of_items(shard: Interactions) -> Float64:
    """Return the time of the newest rating of each item, NaN if none is known."""
    assert shard.rated_at is not None
    newest = np.full(shard.user_items.shape[1], np.nan)
    np.fmax.at(newest, shard.user_items.indices, shard.rated_at)
    return newest


def _half_life(shards: Shards) -> float:
    """Return the days that the newest ratings took, at least a week."""
    known = shards.reduce(_newest, lambda one, other: _last(np.concatenate((one, other))))
    return float(max(_WEEK, (known[-1] - known[0]) / SECONDS_A_DAY))


def _newest(shard: Interactions) -> Float64:
    assert shard.rated_at is not None
    return _last(shard.rated_at[~np.isnan(shard.rated_at)])


def _last(times: Float64) -> Float64:
    return np.sort(times)[-_NEWEST:]


def _decayed(shard: Interactions, newest: Float64, half_life: float) -> Float64:
    """Return sums of `2^-age`, ages in half lives from the newest rating of each item."""
    assert shard.rated_at is not None
    items = shard.user_items.indices
    with np.errstate(under="ignore"):
        weights = np.nan_to_num(np.exp2((shard.rated_at - newest[items]) / half_life), nan=0.0)
    return exact_sums(items, weights, len(newest), 1.0)


SPEC = ModelSpec(
    name="trending",
    display_name="Trending",
    family="charts",
    kind="chart",
    config=TrendingConfig,
    fit=fit,
    learn=learn,
    cost=chart(3.5),
    score_meaning="number of ratings, older ones counting less",
    description="Movies rated often of late, overall and by genre",
    needs=lambda config: frozenset({"times"}),
    search_space={"half_life_days": Range(3, 2000, log=True)},
    default_set=True,
    roles={"cold_start": 5, "top": 20},
)
