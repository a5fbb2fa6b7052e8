"""What a refresh is to compute, checked before anything is read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Any

from recsys.config.settings import RefreshSettings
from recsys.errors import ConfigError
from recsys.models.registry import MODELS, ModelSpec, make_config

BEST_FOR_STRANGERS = (
    "popular", "most_rated", "top_rated", "trending", "exploratory", "random",
)  # fmt: skip
"""Charts, those that more strangers like first."""
BEST_PREDICTORS = ("bayes_fm", "mf", "svd", "user_knn", "item_knn")
"""Models that predict ratings, the most accurate on the usual protocols first."""

BEST_LIVE = ("collective_ease", "ease", "item_knn")
"""Models whose lists can be had for ratings they never saw, the most accurate first."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a refresh computes, checked."""

    specs: tuple[ModelSpec, ...]
    """In the order of the registry, so that parts come before what is composed of them."""
    configs: dict[str, Any]
    settings: RefreshSettings
    publish: bool
    whole: bool = True
    """Whether these are all models of the settings, not some for trying out."""

    @property
    def descriptions(self) -> list[dict[str, str | None]]:
        """Return what the database is told of each model."""
        return [
            {
                "name": spec.name,
                "kind": spec.kind,
                "prediction": spec.prediction,
                "scoring": spec.scoring,
                "score_meaning": spec.score_meaning,
                "description": spec.description,
            }
            for spec in self.specs
        ]

    @property
    def rating_model(self) -> str | None:
        """Return the model that predicts ratings when none is named."""
        return self.settings.rating_model or self._first(BEST_PREDICTORS)

    @property
    def cold_start(self) -> str | None:
        """Return the chart that serves people of whom nothing is known."""
        return self.settings.cold_start or self._first(BEST_FOR_STRANGERS)

    @property
    def live_model(self) -> str | None:
        """Return the model that serves ratings given since the run where the one asked cannot."""
        default = self.settings.default_model
        return default if default in BEST_LIVE else self._first(BEST_LIVE)

    def _first(self, names: Iterable[str]) -> str | None:
        return next((name for name in names if name in self.configs), None)

    @property
    def parameters(self) -> dict[str, Any]:
        """Return what the run is to record, in the form the database gives it back."""
        parameters = {
            "models": {spec.name: asdict(self.configs[spec.name]) for spec in self.specs},
            "neighbours": self.settings.neighbours,
            "list_length": self.settings.list_length,
            "default_model": self.settings.default_model,
            "cold_start": self.cold_start,
            "rating_model": self.rating_model,
            "live_model": self.live_model,
        }
        found: dict[str, Any] = json.loads(json.dumps(parameters))  # a tuple becomes a list
        return found


def plan(
    settings: RefreshSettings, models: Sequence[str] | None = None, *, publish: bool = True
) -> Plan:
    """Check names and parameters of the models to refresh, and add those they are composed of.

    A choice of models is for trying out and is not published. Raises ConfigError, naming the line
    of `recsys.toml`.
    """
    _check_names(settings, models or ())
    configs: dict[str, Any] = {}
    for name in models or settings.models:
        _add(configs, settings, name)
    specs = tuple(spec for name, spec in MODELS.items() if name in configs)
    whole = models is None
    chosen = Plan(specs, configs, settings, publish and whole, whole)
    for spec in specs:
        _check_package(settings, spec)
    if models is None:
        _check_roles(chosen)
    return chosen


def _check_names(settings: RefreshSettings, models: Sequence[str]) -> None:
    """Raise ConfigError for names nobody bears, and for parameters of models left out as well."""
    for name in models:
        _check_name(name)
    try:
        for name in settings.models:
            _check_name(name)
    except ConfigError as exc:
        raise settings.located(exc, "refresh", "models") from exc
    for name in settings.parameters:
        _config(settings, name)


def _check_name(name: str) -> None:
    if name not in MODELS:
        raise ConfigError(f"unknown model {name!r}", hint=f"models: {', '.join(MODELS)}")


def _config(settings: RefreshSettings, name: str) -> Any:
    """Build a model's config and check what it is composed of."""
    try:
        _check_name(name)
        config = make_config(MODELS[name], settings.parameters.get(name, {}))
        _check_parts(name, MODELS[name].parts(config))
    except ConfigError as exc:
        raise settings.located(exc, "models", name) from exc
    return config


def _check_parts(model: str, parts: Iterable[str]) -> None:
    """Raise ConfigError unless the parts come before the model in the registry and give lists."""
    names = list(MODELS)
    before = names[: names.index(model)]
    allowed = [name for name in before if MODELS[name].kind in ("personal", "chart")]
    for part in parts:
        if part not in allowed:
            raise ConfigError(
                f"model {model} cannot be made of {part!r}", hint=f"of: {', '.join(allowed)}"
            )


def _add(configs: dict[str, Any], settings: RefreshSettings, name: str) -> None:
    """Add a model's config and those of its parts."""
    if name not in configs:
        configs[name] = _config(settings, name)
        for part in MODELS[name].parts(configs[name]):
            _add(configs, settings, part)


def _check_package(settings: RefreshSettings, spec: ModelSpec) -> None:
    if spec.requires is None or find_spec(spec.requires[0]) is not None:
        return
    package, extra = spec.requires
    error = ConfigError(
        f"model {spec.name} needs the package {package}, which is not installed",
        hint=f"pip install 'recsys[{extra}]', or leave the model out",
    )
    raise settings.located(error, "refresh", "models")


def _check_roles(chosen: Plan) -> None:
    """Raise ConfigError unless the models that readers get without naming one are there."""
    settings = chosen.settings
    kinds = {spec.name: spec.kind for spec in chosen.specs}
    personal = [name for name, kind in kinds.items() if kind == "personal"]
    charts = [name for name, kind in kinds.items() if kind == "chart"]
    predicting = [spec.name for spec in chosen.specs if spec.prediction]
    roles: tuple[tuple[str, str | None, list[str], str], ...] = (
        ("default_model", settings.default_model, personal, "gives personal lists"),
        ("cold_start", chosen.cold_start or "", charts, "is a chart"),
        ("rating_model", settings.rating_model, predicting, "predicts ratings"),
    )
    for key, name, fitting, what in roles:
        if name is None or name in fitting:
            continue
        wrong = f"{key} = {name!r} is none that {what if name in kinds else 'is refreshed'}"
        error = ConfigError(
            wrong if fitting else f"none of the models refreshed {what}",
            hint=f"of the models refreshed: {', '.join(fitting)}"
            if fitting
            else f"add one that {what} to [refresh] models",
        )
        given = settings.source is not None and settings.source.line(("refresh", key))
        raise settings.located(error, "refresh", key if given else "models")
