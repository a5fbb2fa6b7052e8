"""The collective models in one: the same blend, of parts that learn from all there is."""

from __future__ import annotations

from dataclasses import dataclass

from recsys.models.base import ModelSpec, Range
from recsys.models.ensembles import blend


@dataclass(frozen=True, slots=True)
class CollectiveBlendConfig(blend.BlendConfig):
    models: tuple[str, ...] = ("collective_ease", "collective_als")
    """The models blended."""
    weights: tuple[float, ...] = (1.0, 2.0)
    """Of each model; only their proportions count."""


SPEC = ModelSpec(
    name="collective_blend",
    kind="personal",
    config=CollectiveBlendConfig,
    fit=blend.fit,
    score_meaning="standard deviations above the user's average movie, mean over the models",
    description="The most accurate lists: collective_ease and collective_als, blended",
    parts=lambda config: config.models,
    search={"weights": Range(0.1, 1, each=True)},
)
