"""Chart: popularity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recsys.domain import Charts, Interactions
from recsys.models.base import FitOptions, ModelSpec
from recsys.models.charts.build import build_charts, count_votes
from recsys.models.cost import chart
from recsys.models.params import Params


@dataclass(frozen=True, slots=True)
class MostRatedConfig(Params):
    """Nothing to choose."""


def fit(data: Interactions, config: MostRatedConfig, options: FitOptions) -> Charts:
    """Rank all rated movies by their number of ratings."""
    votes = count_votes(data.user_items)
    counts = votes.counts.astype(np.float64)
    return Charts(build_charts(data, votes, lambda items: counts[items]))


SPEC = ModelSpec(
    name="most_rated",
    display_name="Most rated",
    family="charts",
    kind="chart",
    config=MostRatedConfig,
    fit=fit,
    cost=chart(1.0),
    score_meaning="number of ratings",
    description="Movies with the most ratings, overall and by genre",
    default_set=True,
    roles={"cold_start": 20, "popularity": 10},
)
