"""The reference of the JSON API, rendered from the OpenAPI document: no script, nothing loaded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response

from recsys.web.pages.templating import page

Schema = Mapping[str, Any]
GROUPS = {"movies": "Movies", "charts": "Movies", "users": "Users", "recommendations": "Users"}
GROUPS |= {"runs": "Runs"}
OTHER = "Operation"

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Value:
    """A parameter of a request, or a field of a body."""

    name: str
    place: str
    """path, query or body."""
    kind: str
    required: bool
    default: str | None
    description: str


@dataclass(frozen=True, slots=True)
class Answer:
    status: str
    description: str
    example: str | None
    fields: Sequence[Value]


@dataclass(frozen=True, slots=True)
class Operation:
    name: str
    """The id of its section."""
    group: str
    method: str
    path: str
    summary: str
    description: str
    needs_token: bool
    values: Sequence[Value]
    answers: Sequence[Answer]
    link: str | None
    """An example to follow, of an operation that reads."""


@router.get("/docs")
async def docs(request: Request) -> Response:
    operations = list(read_operations(request.app.openapi()))
    groups = {
        group: [each for each in operations if each.group == group]
        for group in dict.fromkeys(each.group for each in operations)
    }
    description = request.app.openapi()["info"]["description"].split("\n\n")
    return page("docs.html", {"groups": groups, "paragraphs": description})


def read_operations(document: Schema) -> Iterator[Operation]:
    """Read the operations of an OpenAPI document, in its order."""
    resolve = partial(_resolve, document)
    for path, methods in document["paths"].items():
        for method, spec in methods.items():
            parameters = [
                Value(
                    each["name"],
                    each["in"],
                    kind_of(each["schema"], resolve),
                    each.get("required", False),
                    _shown_default(each["schema"]),
                    each.get("description", ""),
                )
                for each in spec.get("parameters", ())
            ]
            content = spec.get("requestBody", {}).get("content", {})
            body = resolve(content.get("application/json", {}).get("schema", {}))
            yield Operation(
                name=f"{method}-{path.strip('/').replace('/', '-')}",
                group=GROUPS.get(path.split("/")[1], OTHER),
                method=method.upper(),
                path=path,
                summary=spec["summary"],
                description=spec.get("description", ""),
                needs_token="security" in spec,
                values=[*parameters, *_fields(body, resolve, "body")],
                answers=[
                    _answer(status, each, resolve) for status, each in spec["responses"].items()
                ],
                link=_link(path, spec) if method == "get" else None,
            )


def _resolve(document: Schema, schema: Schema) -> Schema:
    """Follow a reference, or the one reference beside null."""
    options = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    if len(options) == 1:
        schema = {**schema, **options[0]}
    if "$ref" in schema:
        found: Schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return found
    return schema


def kind_of(schema: Schema, resolve: Any) -> str:
    """Say which values a schema allows."""
    if "anyOf" in schema:
        return " or ".join(kind_of(each, resolve) for each in schema["anyOf"])
    schema = resolve(schema)
    match schema:
        case {"type": "array", "items": items}:
            return f"list of {kind_of(items, resolve)}"
        case {"type": "object", "additionalProperties": {} as values}:
            return f"object of {kind_of(values, resolve)}"
        case {"type": "object", "patternProperties": {} as named}:
            return f"object of {' or '.join(kind_of(each, resolve) for each in named.values())}"
        case {"type": "integer" | "number" as kind, "minimum": low, "maximum": high}:
            return f"{kind}, {int(low)} to {int(high)}"
        case {"type": "string", "maxLength": length}:
            return f"text, at most {length} characters"
        case {"type": "string", "format": "date-time"}:
            return "time"
        case {"type": "string"}:
            return "text"
        case {"type": kind}:
            return str(kind)
    return "any"


def _fields(schema: Schema, resolve: Any, place: str) -> list[Value]:
    if schema.get("type") == "array":
        schema = resolve(schema["items"])
    required = schema.get("required", ())
    return [
        Value(
            name,
            place,
            kind_of(each, resolve),
            name in required,
            _shown_default(each),
            each.get("description", ""),
        )
        for name, each in schema.get("properties", {}).items()
    ]


def _shown_default(schema: Schema) -> str | None:
    default = schema.get("default")
    return None if default is None else json.dumps(default)


def _answer(status: str, spec: Schema, resolve: Any) -> Answer:
    media: Schema = next(iter(spec.get("content", {}).values()), {})
    example = media.get("example")
    if example is not None and not isinstance(example, str):
        example = json.dumps(example, indent=2, ensure_ascii=False)
    # All errors have the same fields, which the page explains once.
    fields = _fields(resolve(media.get("schema", {})), resolve, "") if status == "200" else []
    return Answer(status, spec["description"], example, fields)


def _link(path: str, spec: Schema) -> str:
    """Return an address with the examples of the parameters that are required."""
    query = []
    for each in spec.get("parameters", ()):
        examples = each["schema"].get("examples") or each.get("examples") or [1]
        if each["in"] == "path":
            path = path.replace("{" + each["name"] + "}", str(examples[0]))
        elif each.get("required"):
            query.append(f"{each['name']}={examples[0]}")
    return path + ("?" + "&".join(query) if query else "")
