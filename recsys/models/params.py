"""Parameters: frozen dataclasses that declare their allowed values, and one function to read them.

    @dataclass(frozen=True, slots=True)
    class SvdConfig(Params):
        rank: Annotated[int, Bounds(1, 1024)] = 50
        '''Singular values kept.'''

The tables of `recsys.toml` and the parameters of the models are such classes. They check
themselves on construction, in Python as from a file, and document themselves by `parameters`.
"""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import (
    Annotated,
    Any,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from recsys.errors import ConfigError

NOT_A_KEY: Mapping[str, bool] = {"key": False}
"""Metadata of a field that is no parameter: it is neither read from a table nor checked."""

_WRONG_TYPE = "has the wrong type"
_OUT_OF_RANGE = "is out of range"
_UNKNOWN = "is not known"


@dataclass(frozen=True, slots=True)
class Bounds:
    """The numbers a parameter accepts: from `low` to `high`, without `low` itself if `above`."""

    low: float
    high: float = math.inf
    above: bool = False

    def accept(self, value: float) -> bool:
        return (value > self.low if self.above else value >= self.low) and value <= self.high

    def __str__(self) -> str:
        low, high = f"{self.low:.10g}", f"{self.high:.10g}"
        if math.isinf(self.high):
            return f"above {low}" if self.above else f"of at least {low}"
        return f"above {low} and at most {high}" if self.above else f"from {low} to {high}"


@dataclass(frozen=True, slots=True)
class Called:
    """What a text holds, for messages and documents: a noun without its article."""

    noun: str


ModelName = Annotated[str, Called("model name")]


class Params:
    """Base of a set of parameters, a frozen dataclass whose annotations declare allowed values."""

    __slots__ = ()

    def __post_init__(self) -> None:
        for name, declared in declarations(type(self)).items():
            value = getattr(self, name)
            fault = _fault(declared, value)
            if fault:
                raise ConfigError(
                    f"{name} = {value!r} {fault}",
                    hint=f"{name} must be {allowed(declared)}",
                    key=(name,),
                )
            # The only way to set a field of a frozen dataclass.
            object.__setattr__(self, name, _converted(declared, value))
        self.check()

    def check(self) -> None:
        """Raise ConfigError if parameters do not fit each other. Subclasses override this."""


P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter as messages and documents describe it."""

    name: str
    type: str
    """TOML's term: integer, float, boolean, string or array."""
    default: Any
    allowed: str
    """As `a whole number from 1 to 1024`."""
    meaning: str
    """The text below the field in the source, on one line."""


def read(kind: type[P], values: Mapping[str, Any], where: str, **rest: Any) -> P:
    """Build a set of parameters from named values; those not given keep their defaults.

    `rest` goes to the fields that are no parameters. Raises ConfigError whose message begins with
    `where`, whose hint lists the allowed values, and whose key is the parameter.
    """
    names = tuple(declarations(kind))
    try:
        for name in values:
            if name not in names:
                hint = f"allowed keys: {', '.join(names)}" if names else "there are no keys"
                raise ConfigError(f"unknown key {name!r}", hint=hint, key=(name,))
        return kind(**values, **rest)
    except ConfigError as exc:
        raise ConfigError(f"{where}: {exc}", hint=exc.hint, key=exc.key) from exc


def declarations(kind: type[Any]) -> Mapping[str, Any]:
    """Return the annotation of each parameter, in the order of the fields."""
    hints = get_type_hints(kind, include_extras=True)
    return {
        field.name: hints[field.name] for field in fields(kind) if field.metadata.get("key", True)
    }


def parameters(kind: type[Any]) -> tuple[Parameter, ...]:
    """Describe the parameters of a class for people to read."""
    meanings = _meanings(kind)
    defaults = kind()
    return tuple(
        Parameter(
            name, _toml_type(declared), getattr(defaults, name), allowed(declared),
            meanings.get(name, ""),
        )
        for name, declared in declarations(kind).items()
    )  # fmt: skip


def _meanings(kind: type[Any]) -> dict[str, str]:
    """Return the text below each field, those of base classes included."""
    import ast
    import inspect
    import textwrap

    found: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        if one is object:
            continue
        # Python drops the docstrings of attributes, so that only the source has them.
        [definition] = ast.parse(textwrap.dedent(inspect.getsource(one))).body
        assert isinstance(definition, ast.ClassDef)
        for field, text in zip(definition.body, definition.body[1:], strict=False):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(text, ast.Expr)
                and isinstance(text.value, ast.Constant)
            ):
                found[field.target.id] = " ".join(str(text.value.value).split())
    return found


# --- what a declaration allows ---


def _options(declared: Any) -> tuple[Any, ...]:
    """Return the members of a union, or the one type there is."""
    union = get_origin(declared) in (Union, types.UnionType)
    return get_args(declared) if union else (declared,)


def _split(declared: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return the type of a declaration and what `Annotated` adds to it."""
    if get_origin(declared) is Annotated:
        inner, *notes = get_args(declared)
        return inner, tuple(notes)
    return declared, ()


def _fault(declared: Any, value: Any) -> str | None:
    """Return the fault of a value, None if the declaration allows it."""
    faults = [_fault_of_one(option, value) for option in _options(declared)]
    if None in faults:
        return None
    # Of `int | None` a number out of range is just that, though it is not None either.
    return next((fault for fault in faults if fault != _WRONG_TYPE), _WRONG_TYPE)


def _fault_of_one(declared: Any, value: Any) -> str | None:
    kind, notes = _split(declared)
    if get_origin(kind) is Literal:
        return None if value in get_args(kind) else _UNKNOWN
    if get_origin(kind) is tuple:
        if not isinstance(value, list | tuple):
            return _WRONG_TYPE
        return next((fault for item in value if (fault := _fault(get_args(kind)[0], item))), None)
    if kind in (int, float):
        return _fault_of_number(kind, notes, value)
    return None if isinstance(value, kind) else _WRONG_TYPE


def _fault_of_number(kind: type[Any], notes: tuple[Any, ...], value: Any) -> str | None:
    # True is an int to Python. The abstract classes admit NumPy's numbers.
    numeric = isinstance(value, Integral if kind is int else Real) and not isinstance(value, bool)
    if not numeric:
        return _WRONG_TYPE
    try:
        number = float(value)  # TOML has whole numbers that no float can hold.
    except OverflowError:
        return _OUT_OF_RANGE
    bounds = (note for note in notes if isinstance(note, Bounds))
    if math.isfinite(number) and all(bound.accept(number) for bound in bounds):
        return None
    return _OUT_OF_RANGE


def _converted(declared: Any, value: Any) -> Any:
    """Return an accepted value in the declared type: TOML's `1` as `1.0`, its arrays as tuples."""
    for option in _options(declared):
        kind, _ = _split(option)
        if get_origin(kind) is tuple and isinstance(value, list | tuple):
            return tuple(_converted(get_args(kind)[0], item) for item in value)
        if kind in (int, float) and isinstance(value, Real):
            return kind(value)
    return value


def allowed(declared: Any) -> str:
    """Describe the values a declaration allows, as `a whole number from 1 to 1024`."""
    kinds = [option for option in _options(declared) if option is not type(None)]
    return " or ".join(_phrase(option, "a ", "") for option in kinds)


def _phrase(declared: Any, article: str, plural: str) -> str:
    kind, notes = _split(declared)
    if get_origin(kind) is Literal:
        return f"one of: {', '.join(map(str, get_args(kind)))}"
    if get_origin(kind) is tuple:
        return f"{article}list{plural} of {_phrase(get_args(kind)[0], '', 's')}"
    if kind is bool:
        return "true or false"
    nouns = {int: "whole number", float: "number", str: "text"}
    noun = next((note.noun for note in notes if isinstance(note, Called)), nouns[kind])
    return " ".join([f"{article}{noun}{plural}", *(str(n) for n in notes if isinstance(n, Bounds))])


def _toml_type(declared: Any) -> str:
    kind = _split(next(one for one in _options(declared) if one is not type(None)))[0]
    names: dict[Any, str] = {int: "integer", float: "float", bool: "boolean", tuple: "array"}
    return names.get(get_origin(kind) or kind, "string")
