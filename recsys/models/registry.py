"""All models by name: the built-in ones and those that installed packages ship.

A new model is a file of its own and a line here, or an entry point of the group `recsys.models`
in a package outside: `my_model = "my_package.my_model:SPEC"`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType

from recsys.errors import ConfigError
from recsys.models.base import FitOptions, ModelSpec, Role, make_config
from recsys.models.charts import exploratory, most_rated, popular, random_order, top_rated, trending
from recsys.models.content import content, content_genres, content_text
from recsys.models.ensembles import (
    blend,
    collective_blend,
    hybrid_mixed,
    hybrid_switching,
    next_movies,
    timely,
)
from recsys.models.factors import als, bayes_fm, bpr, collective_als, mf, svd
from recsys.models.knn import item_knn, pearson_average, user_knn
from recsys.models.linear import collective_ease, ease
from recsys.models.neural import neural_dot, sasrec, youtube_dnn
from recsys.models.sequential import slist, slist_newest

__all__ = [
    "DEFAULT_SET", "MODELS", "FitOptions", "ModelSpec", "candidates", "make_config",
]  # fmt: skip

ENTRY_POINTS = "recsys.models"
BUILT_IN = (
    top_rated,
    most_rated,
    popular,
    trending,
    exploratory,
    random_order,
    pearson_average,
    item_knn,
    user_knn,
    content_genres,
    content_text,
    content,
    svd,
    mf,
    bayes_fm,
    ease,
    als,
    bpr,
    collective_ease,
    collective_als,
    slist,
    slist_newest,
    neural_dot,
    youtube_dnn,
    sasrec,
    blend,
    collective_blend,
    timely,
    next_movies,
    hybrid_switching,
    hybrid_mixed,
)
"""Models come after their parts; hybrids, which take any model as a part, come last."""


def load(entry: EntryPoint) -> ModelSpec:
    """Return the model of an entry point; raises ConfigError naming the entry point."""
    shipped = f"entry point {entry.name} = {entry.value} of {_package(entry)}"
    hint = "mend the package, or uninstall it"
    try:
        spec = entry.load()
    except Exception as exc:  # the code of others may raise anything
        problem = f"{shipped} cannot be loaded: {type(exc).__name__}: {exc}"
        raise ConfigError(problem, hint=hint) from exc
    if not isinstance(spec, ModelSpec):
        raise ConfigError(f"{shipped} is a {type(spec).__name__}, not a ModelSpec", hint=hint)
    return spec


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else "a package"


def by_name(specs: Iterable[ModelSpec]) -> Mapping[str, ModelSpec]:
    """Index models by name, keeping their order; raises ConfigError where two share a name."""
    models: dict[str, ModelSpec] = {}
    for spec in specs:
        if spec.name in models:
            raise ConfigError(f"two models are named {spec.name!r}", hint="names must differ")
        models[spec.name] = spec
    return MappingProxyType(models)


def candidates(role: Role) -> tuple[str, ...]:
    """Return the models that claim a role, the preferred one first."""
    claims = [spec for spec in MODELS.values() if role in spec.roles]
    return tuple(spec.name for spec in sorted(claims, key=lambda spec: spec.roles[role]))


# Sorted, as the order of a search path is no order to rely on.
_SHIPPED = sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: (entry.name, entry.value))
MODELS = by_name((*(module.SPEC for module in BUILT_IN), *map(load, _SHIPPED)))
DEFAULT_SET = tuple(spec.name for spec in MODELS.values() if spec.default_set)
"""Models that are refreshed unless `[refresh] models` says otherwise."""
