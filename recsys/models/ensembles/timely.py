"""What suits a person, of what is watched now: personal scores, blended with a chart of late.

score(u, i) = (z_ease(u, i) + 2 z_trending(i)) / 3, z as in `blend`

Models that learn from all ratings alike know nothing of what came out since a person rated last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from recsys.models.base import ModelSpec, Range
from recsys.models.ensembles import blend
from recsys.models.params import Bounds, ModelName


@dataclass(frozen=True, slots=True)
class TimelyConfig(blend.BlendConfig):
    models: tuple[ModelName, ...] = ("ease", "trending")
    """Models whose scores are blended."""
    weights: tuple[Annotated[float, Bounds(0)], ...] = (1.0, 2.0)
    """Weight of each model; only the proportions count."""


SPEC = ModelSpec(
    name="timely",
    display_name="Timely",
    family="ensembles",
    kind="personal",
    config=TimelyConfig,
    fit=blend.fit,
    cost=blend.cost,
    rank=blend.rank,
    score_meaning="standard deviations above the user's average movie, mean over the models",
    description="What suits you, of the movies that are watched now",
    parts=lambda config: config.models,
    search_space={"weights": Range(0.1, 1, each=True)},
    scoring="parts",
    part_scorings=blend.PART_SCORINGS,
)
