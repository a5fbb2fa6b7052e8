"""Fill the reference pages from the code at build time, so that they cannot be out of date.

A page names its generator in a line of its own, for example `<!-- generated: commands -->`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_type_hints

ROOT = Path(__file__).resolve().parents[2]
COOKBOOK = ROOT / "sql" / "cookbook"
DOCS = ROOT / "docs"
LINK = re.compile(r"(?<!!)\[(?P<text>[^]]+)\]\((?P<target>(?!\w+:)[^)#]+)(?P<anchor>#[^)]*)?\)")
MARKER = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)
METHODS = ("get", "put", "post", "delete")


def setup(app: Any) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("source-read", _fill)
    return {"parallel_read_safe": True}


def _fill(app: Any, name: str, source: list[str]) -> None:
    text = MARKER.sub(lambda marker: GENERATORS[marker[1]](), source[0])
    folder = Path(app.srcdir, name).parent
    source[0] = LINK.sub(lambda link: _within_site(link, folder), text)


def _within_site(link: re.Match[str], folder: Path) -> str:
    """Name a file that the site does not have instead of linking to it."""
    target = Path(os.path.normpath(folder / link["target"]))
    if target.is_relative_to(DOCS):
        return link[0]
    file = target.relative_to(ROOT).as_posix()
    return f"`{file}`" if link["text"] in file else f"{link['text']} (`{file}`)"


# --- contributing ---------------------------------------------------------------------------------


def contributing() -> str:
    """Return CONTRIBUTING.md as a page of the site."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    outside = LINK.sub(r"[\g<text>](../\g<target>\g<anchor>)", text)
    return outside.replace("](../docs/", "](")


# --- the command line -----------------------------------------------------------------------------


def commands() -> str:
    """Describe every command: usage, help, arguments and options."""
    import typer.main

    from recsys.cli.app import app

    root = typer.main.get_command(app)
    parts = [_parameters(root, "completion", "help")]
    parts += [_command(words, command) for words, command in _leaves(root, ("recsys",))]
    return "\n\n".join(parts)


def _leaves(group: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _leaves(command, (*words, name))
        else:
            yield (*words, name), command


def _command(words: tuple[str, ...], command: Any) -> str:
    name = " ".join(words)
    context = command.make_context(words[-1], [], resilient_parsing=True)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    paragraphs = [_cell(paragraph) for paragraph in (command.help or "").split("\n\n")]
    parts = [f"## {name}", *paragraphs, f"```\n{usage}\n```", _parameters(command, "help")]
    return "\n\n".join(parts)


def _parameters(command: Any, *left_out: str) -> str:
    hints = get_type_hints(command.callback, include_extras=True)
    rows = [
        _parameter(parameter, hints[parameter.name])
        for parameter in command.params
        if not any(word in parameter.name for word in left_out)
    ]
    return _table(("argument or option", "value", "default", "meaning"), rows) if rows else ""


def _parameter(parameter: Any, hint: Any) -> tuple[str, ...]:
    # The annotations are the same in every release of Typer, unlike the objects made of them.
    kind, info = get_args(hint)[:2]
    argument = parameter.param_type_name == "argument"
    names = [info.metavar or parameter.name.upper()] if argument else parameter.opts
    shown = ", ".join(f"`{name}`" for name in names)
    return shown, _values(kind, info), _default(parameter), _cell(info.help or "")


def _values(kind: Any, info: Any) -> str:
    kind = next((part for part in get_args(kind) if part is not type(None)), kind)
    if kind is bool:
        return "flag"
    if issubclass(kind, Enum):
        return ", ".join(f"`{member.value}`" for member in kind)
    if info.min is not None or info.max is not None:
        return f"{'' if info.min is None else info.min}..{'' if info.max is None else info.max}"
    return {str: "text", int: "whole number", float: "number"}.get(kind, kind.__name__.lower())


def _default(parameter: Any) -> str:
    default = parameter.default
    if parameter.required:
        return "required"
    if isinstance(default, bool) or not isinstance(default, (str, int, float, Enum)):
        return ""
    return f"`{default.value if isinstance(default, Enum) else default}`"


# --- HTTP -----------------------------------------------------------------------------------------


def endpoints() -> str:
    """Describe every path of the OpenAPI document."""
    from recsys.web.app import create_app

    document = create_app().openapi()
    return "\n\n".join(
        _endpoint(document, method.upper(), path, operations[method])
        for path, operations in document["paths"].items()
        for method in METHODS
        if method in operations
    )


def _endpoint(document: Mapping[str, Any], method: str, path: str, operation: Any) -> str:
    parts = [
        f"## {method} {path}",
        f"**{operation['summary']}.** {operation.get('description', '')}",
    ]
    rows = [
        (f"`{p['name']}`", p["in"], _schema(p["schema"]), _cell(p.get("description", "")))
        for p in operation.get("parameters", ())
    ]
    if rows:
        parts.append(_table(("parameter", "in", "type", "meaning"), rows))
    if body := operation.get("requestBody"):
        parts.append("The body is " + _content(document, body) + ".")
    answers = [
        (code, _content(document, answer), _cell(answer["description"]))
        for code, answer in operation["responses"].items()
    ]
    parts.append(_table(("status", "body", "meaning"), answers))
    return "\n\n".join(parts)


def _content(document: Mapping[str, Any], part: Mapping[str, Any]) -> str:
    kinds = [
        f"`{media}`" + (f": {_schema(how['schema'])}" if how.get("schema") else "")
        for media, how in part.get("content", {}).items()
    ]
    return ", ".join(kinds)


def schemas() -> str:
    """Describe the objects that requests and answers hold."""
    from recsys.web.app import create_app

    parts = []
    for name, schema in create_app().openapi()["components"]["schemas"].items():
        rows = [
            (f"`{field}`", _schema(how), _cell(how.get("description", "")))
            for field, how in schema.get("properties", {}).items()
        ]
        parts.append(f"### {name}\n\n{_cell(schema.get('description', ''))}\n")
        parts.append(_table(("field", "type", "meaning"), rows) if rows else "")
    return "\n\n".join(parts)


def _schema(schema: Mapping[str, Any]) -> str:
    if reference := schema.get("$ref"):
        name = reference.rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if options := schema.get("anyOf"):
        return " or ".join(_schema(option) for option in options)
    if schema.get("type") == "array":
        return f"list of {_schema(schema.get('items', {}))}"
    return str(schema.get("type", "any"))


# --- the cookbook ---------------------------------------------------------------------------------


def cookbook() -> str:
    """Show every question of the cookbook with its query, grouped as its folders are."""
    parts, theme = [], ""
    for file in sorted(COOKBOOK.rglob("*.sql")):
        folder = file.parent.relative_to(COOKBOOK).name
        if folder != theme:
            theme = folder
            parts.append(f"## {theme.replace('_', ' ').capitalize()}")
        question, body = _question(file.read_text(encoding="utf-8"))
        level = "###" if theme else "##"
        parts.append(f"{level} {question}\n\n`sql/cookbook/{file.relative_to(COOKBOOK)}`\n\n{body}")
    return "\n\n".join(parts)


def _question(text: str) -> tuple[str, str]:
    """Split a file into its question and the rest, as Markdown."""
    lines = text.splitlines()
    count = next(i for i, line in enumerate(lines) if not line.startswith("--"))
    comment = [line.removeprefix("--").strip() for line in lines[:count]]
    items: list[str] = []
    for line in comment:
        if items and not re.match(r"[A-Z][a-z ]+: ", line):
            items[-1] += f" {line}"
        else:
            items.append(line)
    notes = "\n".join(f"- {_cell(item)}" for item in items[1:])
    query = "\n".join(lines[count:]).strip()
    return items[0].removeprefix("Question: "), f"{notes}\n\n```sql\n{query}\n```"


# --- Markdown -------------------------------------------------------------------------------------


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(text: str) -> str:
    """Return a text as one line in which Markdown finds no markup but code and links."""
    flat = " ".join(text.split())
    return re.sub(r"([|<>*_\[\]])(?=[^`]*(?:`[^`]*`[^`]*)*$)", r"\\\1", flat)


GENERATORS: Mapping[str, Callable[[], str]] = {
    "contributing": contributing,
    "commands": commands,
    "endpoints": endpoints,
    "schemas": schemas,
    "cookbook": cookbook,
}
