"""Chart: the weighted rating of the IMDb Top 250 over our own ratings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recsys.algorithms.charts import build_charts, count_votes, weighted_rating
from recsys.algorithms.config import within
from recsys.algorithms.spec import FitOptions, ModelSpec
from recsys.domain import Float64, Int64, Interactions, ModelOutput


@dataclass(frozen=True, slots=True)
class TopRatedConfig:
    q: float = 0.90
    """Quantile of the votes from which a movie qualifies."""

    def __post_init__(self) -> None:
        within(self, "q", 0, 1)


def fit(data: Interactions, config: TopRatedConfig, options: FitOptions) -> ModelOutput:
    """Rank the movies that qualify; for a genre, C and m are those of the genre's rated movies."""
    votes = count_votes(data.user_items)

    def score(items: Int64) -> Float64:
        result = weighted_rating(votes.counts[items], votes.means[items], config.q)
        return np.where(result.qualifies, result.scores, -np.inf)

    return ModelOutput(charts=build_charts(data, votes, score))


SPEC = ModelSpec(
    name="top_rated",
    kind="chart",
    config=TopRatedConfig,
    fit=fit,
    score_meaning="weighted rating, on the scale of the ratings",
    description="Best movies by the weighted rating of the IMDb Top 250, overall and by genre",
)
