"""Chart: the weighted rating of the IMDb Top 250, over our own ratings or the metadata's votes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np

from recsys.domain import Charts, Float64, Int64
from recsys.models.base import FitOptions, ModelSpec, Need, Range
from recsys.models.charts.build import build_charts, votes_of, weighted_rating
from recsys.models.cost import chart
from recsys.models.params import Bounds, Params
from recsys.models.shards import Shards, in_memory

VoteSource = Literal["ratings", "metadata"]


@dataclass(frozen=True, slots=True)
class TopRatedConfig(Params):
    q: Annotated[float, Bounds(0, 1)] = 0.90
    """Quantile of the numbers of votes; a movie with fewer votes does not qualify."""
    votes: VoteSource = "ratings"
    """Source of the votes: the `ratings` in the database, or TMDB's counts in the `metadata`."""


def learn(shards: Shards, config: TopRatedConfig, options: FitOptions) -> Charts:
    """Rank the movies that qualify; for a genre, C and m are those of the genre's movies.

    Movies without votes in the chosen source do not count in C and m. Without metadata there are no
    charts of its votes.
    """
    catalogue = shards.catalogue
    votes = votes_of(shards) if config.votes == "ratings" else catalogue.item_votes
    if votes is None:
        return Charts()

    def score(items: Int64) -> Float64:
        result = weighted_rating(votes.counts[items], votes.means[items], config.q)
        return np.where(result.qualifies, result.scores, -np.inf)

    return Charts(build_charts(catalogue, votes, score))


fit = in_memory(learn)


def _needs(config: TopRatedConfig) -> frozenset[Need]:
    return frozenset({"votes"} if config.votes == "metadata" else ())


SPEC = ModelSpec(
    name="top_rated",
    display_name="Top rated",
    family="charts",
    kind="chart",
    config=TopRatedConfig,
    fit=fit,
    learn=learn,
    cost=chart(1.0, share=0.1),
    score_meaning="weighted rating, on the scale of the votes: our ratings', or the metadata's",
    description="Best movies by the weighted rating of the IMDb Top 250, overall and by genre",
    needs=_needs,
    search_space={"q": Range(0.5, 0.99)},
    default_set=True,
    needs_ratings=True,
    roles={"cold_start": 30, "top": 10},
)
