"""All models by name. A new one is a file of its own and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from recsys.algorithms import (
    als,
    bayes_fm,
    blend,
    bpr,
    collective_als,
    collective_blend,
    collective_ease,
    content,
    content_genres,
    content_text,
    ease,
    exploratory,
    hybrid_mixed,
    hybrid_switching,
    item_knn,
    mf,
    most_rated,
    pearson_average,
    popular,
    random_order,
    svd,
    top_rated,
    trending,
    user_knn,
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
            popular.SPEC,
            trending.SPEC,
            exploratory.SPEC,
            random_order.SPEC,
            pearson_average.SPEC,
            item_knn.SPEC,
            user_knn.SPEC,
            content_genres.SPEC,
            content_text.SPEC,
            content.SPEC,
            svd.SPEC,
            mf.SPEC,
            bayes_fm.SPEC,
            ease.SPEC,
            als.SPEC,
            bpr.SPEC,
            collective_ease.SPEC,
            collective_als.SPEC,
            blend.SPEC,
            collective_blend.SPEC,
            hybrid_switching.SPEC,
            hybrid_mixed.SPEC,
        )
    }
)
