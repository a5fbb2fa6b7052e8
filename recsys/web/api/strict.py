"""Requests without room for interpretation: each has one meaning, or it is 422."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from fastapi import HTTPException, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic_core import PydanticCustomError

MAX_FIELDS = 200
DECIMAL = re.compile(r"0|-?[1-9][0-9]*")
MOMENT = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?([Zz]|[+-]\d\d:?\d\d)", re.ASCII
)
REPEATABLE = ("genres",)
"""Parameters that stand for a list."""


def decimal(value: Any) -> Any:
    """Refuse text such as +1, 1_0, 01 or ' 1 ', which pydantic reads as integers."""
    if isinstance(value, str) and not DECIMAL.fullmatch(value):
        text = "Input should be a valid integer, unable to parse string as an integer"
        raise PydanticCustomError("int_parsing", text)
    return value


def moment(value: Any) -> Any:
    """Refuse all but ISO 8601: pydantic reads numbers as seconds or milliseconds."""
    if value is not None and not (isinstance(value, str) and MOMENT.fullmatch(value)):
        text = "write the time with its offset, such as 2030-01-02T03:04:05Z"
        raise PydanticCustomError("datetime_text", text)
    return value


def future(value: datetime | None) -> datetime | None:
    if value is not None and value <= datetime.now(UTC):
        raise PydanticCustomError("datetime_future", "the time is in the past")
    return value


class StrictRequest(Request):
    """A request whose JSON is UTF-8 and names no key twice."""

    async def json(self) -> Any:
        return strict_loads(await self.body())


def strict_loads(body: bytes) -> Any:
    """Read JSON; raises JSONDecodeError."""
    try:
        text = body.decode()
    except UnicodeDecodeError as exc:
        raise json.JSONDecodeError("not UTF-8", "", exc.start) from None
    return json.loads(text, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        [(name, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise json.JSONDecodeError(f"the key {name!r:.100} occurs more than once", "", 0)
    return found


class StrictRoute(APIRoute):
    """A route that refuses parameters which it does not know, or which occur twice."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        handler = super().get_route_handler()
        known = frozenset(_query_names(self.dependant))

        async def handle(request: Request) -> Response:
            if b"%2f" in request.scope["raw_path"].lower():
                # Decoded, it would name another resource than a proxy in front has seen.
                raise HTTPException(404, f"there is nothing at {request.scope['path']}")
            if request.scope["query_string"]:
                _check_query(request.scope["query_string"], known)
            return await handler(StrictRequest(request.scope, request.receive))

        return handle


def _query_names(dependant: Dependant) -> Iterator[str]:
    for parameter in dependant.query_params:
        yield parameter.alias
    for each in dependant.dependencies:
        yield from _query_names(each)


def _check_query(query: bytes, known: frozenset[str]) -> None:
    try:
        pairs = parse_qsl(
            query.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS
        )
    except UnicodeDecodeError:
        raise _invalid({"query": "the text is not UTF-8"}) from None
    except ValueError:
        raise _invalid({"query": f"there are more than {MAX_FIELDS} parameters"}) from None
    names = Counter(name for name, _ in pairs)
    unknown = {name: "there is no such parameter" for name in names if name not in known}
    twice = {
        name: "the parameter occurs more than once"
        for name, times in names.items()
        if times > 1 and name not in REPEATABLE
    }
    if unknown or twice:
        raise _invalid(twice | unknown)


def _invalid(messages: Mapping[str, str]) -> RequestValidationError:
    return RequestValidationError(
        [
            {"type": "value_error", "loc": ("query", name), "msg": message}
            for name, message in messages.items()
        ]
    )
