"""Chart: all movies of the catalogue in random order, so that new ones are shown at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recsys.domain import Charts, Interactions
from recsys.models.base import FitOptions, ModelSpec
from recsys.models.charts.build import build_charts, count_votes
from recsys.models.cost import chart
from recsys.models.params import Params


@dataclass(frozen=True, slots=True)
class RandomConfig(Params):
    """Nothing to choose; the order is that of the run's seed."""


def fit(data: Interactions, config: RandomConfig, options: FitOptions) -> Charts:
    """Shuffle all movies, also unrated ones; the charts of genres keep this order.

    The score is 1 for the first of all and falls evenly to `1 / movies` for the last.
    """
    items = data.user_items.shape[1]
    scores = np.random.default_rng(options.seed).permutation(np.arange(1, items + 1)) / items
    votes = count_votes(data.user_items)
    charts = build_charts(data, votes, lambda members: scores[members], np.arange(items))
    return Charts(charts)


SPEC = ModelSpec(
    name="random",
    display_name="Picked at random",
    family="charts",
    kind="chart",
    config=RandomConfig,
    fit=fit,
    cost=chart(1.0),
    score_meaning="place in a random order: 1 for the first, near 0 for the last",
    description="All movies in random order, unrated ones included",
    personal_start=True,
    roles={"cold_start": 60},
)
