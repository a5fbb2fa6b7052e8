"""From named parameters to a model's config, refusing what cannot be meant."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

from recsys.errors import ConfigError

if TYPE_CHECKING:
    from recsys.models.base import ModelSpec


def within(
    config: Any, field: str, low: float, high: float = math.inf, *, above: bool = False
) -> None:
    """Raise ConfigError unless `low <= field <= high` (`low < field` if `above`)."""
    value = getattr(config, field)
    reaches = value > low if above else value >= low
    if math.isfinite(value) and reaches and value <= high:
        return
    lower = f"above {low:g}" if above else f"at least {low:g}"
    upper = "" if math.isinf(high) else f" and at most {high:.10g}"
    raise ConfigError(
        f"{field} = {value!r} is out of range",
        hint=f"{field} must be {lower}{upper}.",
        key=(field,),
    )


def one_of(config: Any, field: str, allowed: tuple[str, ...]) -> None:
    """Raise ConfigError unless the field holds one of the allowed words."""
    value = getattr(config, field)
    if value not in allowed:
        raise ConfigError(
            f"{field} = {value!r} is not known",
            hint=f"{field} must be one of: {', '.join(allowed)}.",
            key=(field,),
        )


def make_config(spec: ModelSpec, params: Mapping[str, Any]) -> Any:
    """Build the model's config; parameters not given keep their defaults.

    Raises ConfigError, whose key is the parameter, on an unknown name, a value of the wrong type or
    one out of range.
    """
    names = [field.name for field in fields(spec.config)]
    hints = get_type_hints(spec.config)
    for name, value in params.items():
        if name not in names:
            raise ConfigError(
                f"model {spec.name}: unknown parameter {name!r}",
                hint=f"Its parameters are: {', '.join(names)}." if names else "It takes none.",
                key=(name,),
            )
        if not _fits(hints[name], value):
            raise ConfigError(
                f"model {spec.name}: {name} = {value!r} is of the wrong type",
                hint=f"{name} must be {_words(hints[name])}.",
                key=(name,),
            )
    try:
        return spec.config(**{name: _widened(hints[name], value) for name, value in params.items()})
    except ConfigError as exc:
        message = f"model {spec.name}: {exc}"
        raise ConfigError(message, hint=exc.hint, key=exc.key) from exc


def _fits(hint: Any, value: Any) -> bool:
    if get_origin(hint) in (Union, types.UnionType):
        return any(_fits(option, value) for option in get_args(hint))
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if isinstance(value, bool):
        return hint is bool
    if hint is float:
        return isinstance(value, int | float)
    origin = get_origin(hint) or hint
    if origin is tuple:
        item = get_args(hint)[0]
        return isinstance(value, list | tuple) and all(_fits(item, element) for element in value)
    return isinstance(value, origin)


def _widened(hint: Any, value: Any) -> Any:
    if hint is float:
        return float(value)
    return tuple(value) if isinstance(value, list) else value


def _words(hint: Any) -> str:
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(_words(option) for option in get_args(hint))
    if get_origin(hint) is Literal:
        return "one of: " + ", ".join(map(str, get_args(hint)))
    words = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    return "nothing" if hint is type(None) else words.get(hint, "a list")
