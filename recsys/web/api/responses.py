"""JSON responses whose keys are the contract's column names, and their cache headers.

Times are ISO 8601, durations are seconds.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from fastapi import Request, Response
from pydantic_core import to_json

JSON = "application/json"
NO_CACHE = {"Cache-Control": "private, no-cache"}
"""For responses that depend on ratings, which change at any time."""


def uncached(value: Any) -> Response:
    """Return a response that caches must not reuse."""
    return Response(_json(value), media_type=JSON, headers=NO_CACHE)


def tagged(request: Request, value: Any) -> Response:
    """Return a response with an ETag, or 304 if the client has this content already.

    The tag is a hash of the content, so a rollback brings back the earlier tag.
    """
    body = _json(value)
    tag = f'"{blake2b(body, digest_size=12).hexdigest()}"'
    # no-cache allows storing: caches ask each time whether the tag is still current.
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    known = request.headers.get("if-none-match")
    if known is not None and _matches(known, tag):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=JSON, headers=headers)


def _matches(known: str, tag: str) -> bool:
    # Proxies that compress a response mark its tag as weak.
    return known.strip() == "*" or tag in (
        each.strip().removeprefix("W/") for each in known.split(",")
    )


def _json(value: Any) -> bytes:
    return to_json(value, timedelta_mode="float")
