"""All models by name. A new one is a file of its own and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from recsys.models.base import FitOptions, ModelSpec
from recsys.models.charts import exploratory, most_rated, popular, random_order, top_rated, trending
from recsys.models.content import content, content_genres, content_text
from recsys.models.ensembles import blend, collective_blend, hybrid_mixed, hybrid_switching
from recsys.models.factors import als, bayes_fm, bpr, collective_als, mf, svd
from recsys.models.knn import item_knn, pearson_average, user_knn
from recsys.models.linear import collective_ease, ease
from recsys.models.params import make_config

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
