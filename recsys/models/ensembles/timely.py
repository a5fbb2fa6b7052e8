"""What suits a person, of what is watched now: personal scores, blended with a chart of late.

score(u, i) = (z_ease(u, i) + 2 z_trending(i)) / 3, z as in `blend`

Models that learn from all ratings alike know nothing of what came out since a person rated last.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from recsys.models.ensembles import blend
from recsys.models.params import Bounds, ModelName


@dataclass(frozen=True, slots=True)
class TimelyConfig(blend.BlendConfig):
    models: tuple[ModelName, ...] = ("ease", "trending")
    """Models whose scores are blended."""
    weights: tuple[Annotated[float, Bounds(0)], ...] = (1.0, 2.0)
    """Weight of each model; only the proportions count."""


SPEC = replace(
    blend.SPEC,
    name="timely",
    display_name="Timely",
    config=TimelyConfig,
    description="What suits you, of the movies that are watched now",
)
