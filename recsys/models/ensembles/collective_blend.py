"""Blend of the collective models, which learn from ratings, times and genres together.

score(u, i) = (z_collective_ease(u, i) + 2 z_collective_als(u, i)) / 3, z as in `blend`
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from recsys.models.ensembles import blend
from recsys.models.params import Bounds, ModelName


@dataclass(frozen=True, slots=True)
class CollectiveBlendConfig(blend.BlendConfig):
    models: tuple[ModelName, ...] = ("collective_ease", "collective_als")
    """Models whose scores are blended."""
    weights: tuple[Annotated[float, Bounds(0)], ...] = (1.0, 2.0)
    """Weight of each model; only the proportions count."""


SPEC = replace(
    blend.SPEC,
    name="collective_blend",
    display_name="Collective blend",
    config=CollectiveBlendConfig,
    description="The most accurate lists: collective_ease and collective_als, blended",
)
