"""Chart: popularity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recsys.domain import Charts
from recsys.models.base import FitOptions, ModelSpec
from recsys.models.charts.build import build_charts, votes_of
from recsys.models.cost import chart
from recsys.models.params import Params
from recsys.models.shards import Shards, in_memory


@dataclass(frozen=True, slots=True)
class MostRatedConfig(Params):
    """Nothing to choose."""


def learn(shards: Shards, config: MostRatedConfig, options: FitOptions) -> Charts:
    """Rank all rated movies by their number of ratings."""
    votes = votes_of(shards)
    counts = votes.counts.astype(np.float64)
    return Charts(build_charts(shards.catalogue, votes, lambda items: counts[items]))


fit = in_memory(learn)


SPEC = ModelSpec(
    name="most_rated",
    display_name="Most rated",
    family="charts",
    kind="chart",
    config=MostRatedConfig,
    fit=fit,
    learn=learn,
    cost=chart(1.0),
    score_meaning="number of ratings",
    description="Movies with the most ratings, overall and by genre",
    default_set=True,
    roles={"cold_start": 20, "popularity": 10},
)
