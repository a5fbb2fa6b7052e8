"""Chart: all movies of the catalogue in random order, so that new ones are shown at all."""

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
class RandomConfig(Params):
    """Nothing to choose; the order is that of the run's seed."""


def learn(shards: Shards, config: RandomConfig, options: FitOptions) -> Charts:
    """Shuffle all movies, also unrated ones; the charts of genres keep this order.

    The score is 1 for the first of all and falls evenly to `1 / movies` for the last.
    """
    catalogue = shards.catalogue
    items = catalogue.user_items.shape[1]
    scores = np.random.default_rng(options.seed).permutation(np.arange(1, items + 1)) / items
    votes = votes_of(shards)
    charts = build_charts(catalogue, votes, lambda members: scores[members], np.arange(items))
    return Charts(charts)


fit = in_memory(learn)


SPEC = ModelSpec(
    name="random",
    display_name="Picked at random",
    family="charts",
    kind="chart",
    config=RandomConfig,
    fit=fit,
    learn=learn,
    cost=chart(1.0),
    score_meaning="place in a random order: 1 for the first, near 0 for the last",
    description="All movies in random order, unrated ones included",
    personal_start=True,
    roles={"cold_start": 60},
)
