"""The plan of a refresh, validated before any data is read."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from typing import Any

from recsys.config.settings import RefreshSettings
from recsys.domain import Term
from recsys.errors import ConfigError
from recsys.models.base import Role
from recsys.models.grades import rating_weights
from recsys.models.registry import DEFAULT_SET, MODELS, ModelSpec, candidates, make_config
from recsys.storage.server.engine import Database
from recsys.storage.snapshot import feedback

logger = logging.getLogger(__name__)

DERIVED = "derived"
"""Key of the recorded parameters of models that followed from the data of a run."""
STORED_ROLES: tuple[Role, ...] = (
    "cold_start", "content", "similar", "similar_users", "popularity", "top",
)  # fmt: skip
"""Roles that SQL resolves while it serves a run; the others are resolved here."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The models and settings of a refresh, validated."""

    specs: tuple[ModelSpec, ...]
    """In the order of the registry: parts come before the models composed of them."""
    configs: dict[str, Any]
    settings: RefreshSettings
    publish: bool
    whole: bool = True
    """False for a selection of the models, which is never published."""
    implicit: bool = False
    """Whether the models learn from interactions, so that none of them predicts ratings."""

    @property
    def descriptions(self) -> list[dict[str, Any]]:
        """Return the columns of `recsys_store.models` for each model."""
        return [
            {
                "name": spec.name,
                "kind": spec.kind,
                "prediction": None if self.implicit else spec.prediction,
                "scoring": spec.scoring,
                "score_meaning": spec.score_meaning,
                "description": spec.description,
                "family": spec.family,
                "display_name": spec.display_name,
                "labels": [words for _, words in spec.labels] or None,
                "label_bounds": [bound for bound, _ in spec.labels] or None,
                "personal_start": spec.personal_start,
                **{f"{role}_order": spec.roles.get(role) for role in STORED_ROLES},
            }
            for spec in self.specs
        ]

    @property
    def terms(self) -> dict[str, tuple[Term, ...]]:
        """Return the sums that make up the scores of each personal model."""
        counted = {name: rating_weights(config) for name, config in self.configs.items()}
        return {
            spec.name: spec.terms(self.configs[spec.name], counted)
            if spec.terms
            else (Term(spec.name, counted[spec.name]),)
            for spec in self.specs
            if spec.kind == "personal"
        }

    @property
    def default_model(self) -> str:
        """Return the model that gives lists when none is named."""
        # The last resort is not refreshed, which is refused with the line that leaves it out.
        return (
            self.settings.default_model
            or self._first("default")
            or self._only_content()
            or candidates("default")[0]
        )

    @property
    def rating_model(self) -> str | None:
        """Return the model that predicts ratings when none is named."""
        if self.implicit:
            return None
        return self.settings.rating_model or self._first("rating")

    @property
    def cold_start(self) -> str | None:
        """Return the chart that serves users without ratings."""
        return self.settings.cold_start or self._first("cold_start")

    @property
    def live_model(self) -> str | None:
        """Return the model that serves ratings newer than the run if the requested one cannot."""
        if self.default_model in candidates("live"):
            return self.default_model
        return self._first("live")

    def _only_content(self) -> str | None:
        """Return the preferred content model if there are no other personal models."""
        personal = [spec.name for spec in self.specs if spec.kind == "personal"]
        only = set(personal) <= set(candidates("content"))
        return self._first("content") if only else None

    def _first(self, role: Role) -> str | None:
        """Return the preferred model for a role among those refreshed."""
        return next((name for name in candidates(role) if name in self.configs), None)

    @property
    def parameters(self) -> dict[str, Any]:
        """Return the parameters to record, in the form in which JSON returns them."""
        parameters = {
            "models": {spec.name: asdict(self.configs[spec.name]) for spec in self.specs},
            "terms": {
                name: [_described(term) for term in terms] for name, terms in self.terms.items()
            },
            "neighbours": self.settings.neighbours,
            "list_length": self.settings.list_length,
            "default_model": self.default_model,
            "cold_start": self.cold_start,
            "rating_model": self.rating_model,
            "live_model": self.live_model,
        }
        found: dict[str, Any] = json.loads(json.dumps(parameters))  # a tuple becomes a list
        return found


def warm_start(config: Any) -> bool:
    """Return whether a model is to start from its network in the published run."""
    return bool(getattr(config, "warm_start", False))


def configured(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return recorded parameters without those that a run derived from its data."""
    return {name: value for name, value in parameters.items() if name != DERIVED}


def _described(term: Term) -> dict[str, Any]:
    """Return a term as SQL reads it; the scale of the ratings is in the run."""
    weights = term.weights
    return {
        "model": term.model,
        "factor": term.factor,
        "grades": weights.grades,
        "effect": weights.effect,
        "recency": weights.recency,
        "window": weights.window,
    }


def as_derived(chosen: Plan, parameters: Mapping[str, Any]) -> Plan:
    """Return the plan with the parameters that a run, which recorded these, derived."""
    found = parameters.get(DERIVED, {})
    configs = {
        name: make_config(MODELS[name], {**asdict(config), **found.get(name, {})})
        for name, config in chosen.configs.items()
    }
    return replace(chosen, configs=configs)


def for_interactions(chosen: Plan) -> Plan:
    """Return the plan for a catalogue of interactions, without the models that need ratings.

    Raises ConfigError if models that the settings name for a role are among them.
    """
    kept: list[ModelSpec] = []
    for spec in chosen.specs:
        parts = spec.parts(chosen.configs[spec.name])
        if not spec.needs_ratings and set(parts) <= {each.name for each in kept}:
            kept.append(spec)
    left_out = [spec.name for spec in chosen.specs if spec not in kept]
    if left_out:
        logger.info("left out, as there are no ratings: %s", ", ".join(left_out))
    configs = {spec.name: chosen.configs[spec.name] for spec in kept}
    settings = replace(chosen.settings, rating_model=None)
    found = replace(chosen, specs=tuple(kept), configs=configs, settings=settings, implicit=True)
    if chosen.whole:
        _check_roles(found)
    elif not kept:
        raise ConfigError(
            f"{', '.join(left_out)} need ratings, and the database holds interactions"
        )
    return found


def for_loaded(database: Database, chosen: Plan) -> Plan:
    """Return the plan for what the database holds: ratings, or interactions."""
    with database.transaction() as connection:
        implicit = feedback.is_implicit(connection)
    return for_interactions(chosen) if implicit else chosen


def plan(
    settings: RefreshSettings, models: Sequence[str] | None = None, *, publish: bool = True
) -> Plan:
    """Check names and parameters of the models to refresh, and add those they are composed of.

    A selection (`models`) is for experiments and is never published. Raises ConfigError, naming the
    line of `recsys.toml`.
    """
    _check_names(settings, models or ())
    configs: dict[str, Any] = {}
    configured = DEFAULT_SET if settings.models is None else settings.models
    for name in models or configured:
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
    """Raise ConfigError for unknown models and bad parameters, also of models not refreshed."""
    for name in models:
        _check_name(name)
    try:
        for name in settings.models or ():
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
        _check_parts(MODELS[name], MODELS[name].parts(config))
    except ConfigError as exc:
        raise settings.located(exc, "models", name) from exc
    return config


def _check_parts(model: ModelSpec, parts: Iterable[str]) -> None:
    """Raise ConfigError unless the parts precede the model in the registry and it can use them."""
    names = list(MODELS)
    # Only earlier models: this rules out cycles, and parts are fitted first.
    before = names[: names.index(model.name)]
    allowed = [name for name in before if _can_use(model, MODELS[name])]
    for part in parts:
        if part not in allowed:
            raise ConfigError(
                f"model {model.name} cannot be composed of {part!r}",
                hint=f"possible parts: {', '.join(allowed)}",
            )


def _can_use(model: ModelSpec, part: ModelSpec) -> bool:
    if model.part_scorings is not None:
        return (part.scoring or part.kind) in model.part_scorings
    return part.kind in ("personal", "chart")


def _add(configs: dict[str, Any], settings: RefreshSettings, name: str) -> None:
    """Add a model's config and those of its parts."""
    if name not in configs:
        configs[name] = _config(settings, name)
        for part in MODELS[name].parts(configs[name]):
            _add(configs, settings, part)


def _check_package(settings: RefreshSettings, spec: ModelSpec) -> None:
    if spec.requires is None or find_spec(spec.requires[0]) is not None:
        return
    # Here and not in fit: the import would fail after minutes of other models.
    package, extra = spec.requires
    error = ConfigError(
        f"model {spec.name} needs the package {package}, which is not installed",
        hint=f"pip install 'recsys[{extra}]', or leave the model out",
    )
    raise settings.located(error, "refresh", "models")


def _check_roles(chosen: Plan) -> None:
    """Raise ConfigError unless the plan has the models that serve requests without a model."""
    settings = chosen.settings
    kinds = {spec.name: spec.kind for spec in chosen.specs}
    personal = [name for name, kind in kinds.items() if kind == "personal"]
    charts = [name for name, kind in kinds.items() if kind == "chart"]
    predicting = [spec.name for spec in chosen.specs if spec.prediction]
    lists = "produce personal recommendations"
    roles: tuple[tuple[str, str | None, list[str], str, str], ...] = (
        ("default_model", chosen.default_model, personal, f"can {lists}", f"does not {lists}"),
        ("cold_start", chosen.cold_start or "", charts, "is a chart", "is not a chart"),
        (
            "rating_model",
            settings.rating_model,
            predicting,
            "can predict ratings",
            "does not predict ratings",
        ),
    )
    for key, name, fitting, can, cannot in roles:
        if name is None or name in fitting:
            continue
        wrong = f"{key} = {name!r} {cannot if name in kinds else 'is not refreshed'}"
        error = ConfigError(
            wrong if fitting else f"no refreshed model {can}",
            hint=f"refreshed models that fit: {', '.join(fitting)}"
            if fitting
            else f"add a model that {can} to [refresh] models",
        )
        # A role that is not set follows from the models, so theirs is the line to change.
        given = settings.source is not None and settings.source.line(("refresh", key))
        raise settings.located(error, "refresh", key if given else "models")
