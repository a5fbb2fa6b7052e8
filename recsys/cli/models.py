"""`recsys models`: the installed models and their documentation."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from inspect import cleandoc
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recsys.cli import output
from recsys.cli.options import Json
from recsys.cli.program import named
from recsys.config import settings
from recsys.errors import StorageError

if TYPE_CHECKING:
    from recsys.models.base import Choice, ModelSpec, Range

app = typer.Typer()


@dataclass(frozen=True)
class _Line:
    name: str
    family: str
    published: str
    description: str


@dataclass(frozen=True)
class _Parameter:
    parameter: str
    default: str
    meaning: str


@app.command()
def models(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Only this model, with its parameters.")
    ] = None,
    json: Json = False,
) -> None:
    """List the installed models, or document one of them.

    The column `published` needs a database; without one it is empty.
    """
    # The registry imports NumPy and SciPy.
    from recsys.models.registry import MODELS

    if name is not None and name not in MODELS:
        raise typer.BadParameter(f"there is no model {name!r}; models: {', '.join(MODELS)}")
    published = _published_models()
    if name is not None:
        _document(MODELS[name], published, json=json)
    elif json:
        output.write_json([_facts(spec, published) for spec in MODELS.values()])
    else:
        lines = [_line(spec, published) for spec in MODELS.values()]
        columns = ("name", "family", "published", "description")
        caption = named("* refreshed by default; `recsys models NAME` documents a model")
        output.table(lines, columns, title="Models", caption=caption)


def _published_models() -> tuple[str, ...] | None:
    """Return the models of the published run, None if the database cannot be read."""
    from recsys.service import Recommender
    from recsys.storage.server.engine import open_database
    from recsys.storage.server.server_paths import has_server

    current = settings.load()
    # Opening an embedded database that does not exist yet would create it.
    if not current.database_url and not has_server(current.home):
        return None
    try:
        with open_database(current.home, current.database_url) as opened:
            run = Recommender(opened).status().published
    except StorageError as exc:
        output.message(f"The published run cannot be read: {exc}")
        return None
    return tuple(run.models) if run else ()


def _facts(spec: ModelSpec, published: tuple[str, ...] | None) -> dict[str, Any]:
    package, extra = spec.requires or (None, None)
    return {
        "name": spec.name,
        "display_name": spec.display_name,
        "family": spec.family,
        "kind": spec.kind,
        "description": spec.description,
        "default_set": spec.default_set,
        "roles": dict(spec.roles),
        "published": None if published is None else spec.name in published,
        "extra": extra,
        "installed": package is None or find_spec(package) is not None,
    }


def _line(spec: ModelSpec, published: tuple[str, ...] | None) -> _Line:
    # find_spec looks for the package without importing it.
    missing = spec.requires is not None and find_spec(spec.requires[0]) is None
    needs = f" (needs recsys[{spec.requires[1]}])" if spec.requires and missing else ""
    return _Line(
        f"{spec.name} *" if spec.default_set else spec.name,
        spec.family,
        "yes" if published and spec.name in published else "",
        spec.description + needs,
    )


def _document(spec: ModelSpec, published: tuple[str, ...] | None, *, json: bool) -> None:
    from recsys.models.params import parameters

    # The module of the parameters, as several models may share one `fit`.
    text = cleandoc(sys.modules[spec.config.__module__].__doc__ or spec.fit.__doc__ or "")
    described = parameters(spec.config)
    facts = _facts(spec, published)
    if json:
        given = [
            {**asdict(one), "search": asdict(spec.search_space[one.name])}
            if one.name in spec.search_space
            else {**asdict(one), "search": None}
            for one in described
        ]
        output.write_json({**facts, "documentation": text, "parameters": given})
        return
    output.write_line(f"{spec.display_name} ({spec.name})\n\n{text}\n")
    roles = ", ".join(f"{role} {order}" for role, order in spec.roles.items())
    shown = {
        "family": spec.family,
        "kind": spec.kind,
        "score": spec.score_meaning,
        "roles": roles or None,
        "in the default set": "yes" if spec.default_set else "no",
        "published": {None: None, True: "yes", False: "no"}[facts["published"]],
        "extra": f"recsys[{facts['extra']}]" if facts["extra"] else None,
    }
    output.properties("Model", shown)
    lines = [
        _Parameter(
            one.name,
            _written(one.default),
            f"{one.meaning} Allowed: {one.allowed}."
            + (
                f" `recsys tune` tries {_space(spec.search_space[one.name])}."
                if one.name in spec.search_space
                else ""
            ),
        )
        for one in described
    ]
    columns = ("parameter", "default", "meaning")
    caption = None if lines else "this model has no parameters"
    output.table(lines, columns, title="Parameters", caption=caption)


def _written(value: Any) -> str:
    """Return a default as `recsys.toml` writes it, roughly: `[a, b]`, `true`."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return "-" if value is None else str(value)


def _space(space: Choice | Range) -> str:
    """Return the values that `recsys tune` tries."""
    from recsys.models.base import Choice

    if isinstance(space, Choice):
        return ", ".join(map(_written, space.values))
    return f"{space.low:g} to {space.high:g}" + (" (log)" if space.log else "")
