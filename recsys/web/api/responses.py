"""Answers as JSON, keys named as the contract's columns, and how long they hold.

Times are ISO 8601, durations seconds.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from fastapi import Request, Response
from pydantic_core import to_json

JSON = "application/json"
NOT_KEPT = {"Cache-Control": "private, no-cache"}
"""Follows ratings that may come in at any time: nobody may answer it from a cache."""


def fresh(value: Any) -> Response:
    """Answer with what holds now and need not a moment later."""
    return Response(_json(value), media_type=JSON, headers=NOT_KEPT)


def of_the_run(request: Request, value: Any) -> Response:
    """Answer with what holds until something else is published, or 304 to who has it already.

    The tag is of the content, so it is right after a rollback and after new titles as well.
    """
    body = _json(value)
    tag = f'"{blake2b(body, digest_size=12).hexdigest()}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    known = request.headers.get("if-none-match")
    if known is not None and _names(known, tag):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=JSON, headers=headers)


def _names(known: str, tag: str) -> bool:
    return known.strip() == "*" or tag in (
        each.strip().removeprefix("W/") for each in known.split(",")
    )


def _json(value: Any) -> bytes:
    return to_json(value, timedelta_mode="float")
