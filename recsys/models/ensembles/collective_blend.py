"""Blend of the collective models, which learn from ratings, times and genres together.

score(u, i) = w z_collective_ease(u, i) + (1 - w) z_collective_als(u, i), z and w as in `blend`
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from recsys.models.ensembles import blend
from recsys.models.params import ModelName


@dataclass(frozen=True, slots=True)
class CollectiveBlendConfig(blend.BlendConfig):
    models: tuple[ModelName, ...] = ("collective_ease", "collective_als")
    """Models whose scores are blended."""
    usual: ClassVar[tuple[float, ...]] = (1.0, 2.0)


SPEC = replace(
    blend.SPEC,
    name="collective_blend",
    display_name="Collective blend",
    config=CollectiveBlendConfig,
    description="The most accurate lists: collective_ease and collective_als, blended",
)
