"""All models by name. A new one is a file of its own and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from recsys.algorithms import (
    als,
    content_genres,
    ease,
    item_knn,
    most_rated,
    pearson_average,
    top_rated,
    trending,
)
from recsys.algorithms.config import make_config
from recsys.algorithms.spec import FitOptions, ModelSpec

__all__ = ["MODELS", "FitOptions", "ModelSpec", "make_config"]

MODELS: Mapping[str, ModelSpec] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            top_rated.SPEC,
            most_rated.SPEC,
            trending.SPEC,
            pearson_average.SPEC,
            item_knn.SPEC,
            content_genres.SPEC,
            ease.SPEC,
            als.SPEC,
        )
    }
)
