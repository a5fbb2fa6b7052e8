"""Error pages: browsers get HTML, programs get problem details."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import FastAPI, Request, Response

from recsys.errors import NotPublished, UnknownMovie
from recsys.web.middleware import errors
from recsys.web.pages.templating import page

Handler = Callable[[Request, Any], Response | Awaitable[Response]]
HEADINGS = {
    403: "Not allowed",
    404: "Not found",
    405: "Not allowed here",
    422: "Invalid request",
    503: "Not available yet",
}

HINTS: Mapping[type[Exception], str] = {
    NotPublished: "come back after the first refresh",
    UnknownMovie: "search for its title",
}
"""Hints for visitors, instead of those for programs."""


def add_error_pages(app: FastAPI) -> None:
    """Render the problems of the app's error handlers as pages for browsers."""
    for kind, handler in list(app.exception_handlers.items()):
        if getattr(handler, "__module__", None) == errors.__name__:
            app.add_exception_handler(kind, _for_browsers(handler))


def _for_browsers(handler: Handler) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handle(request: Request, error: Exception) -> Response:
        response = handler(request, error)
        if isinstance(response, Awaitable):
            response = await response
        # Caches must not give a page to a program.
        response.headers["Vary"] = "Accept"
        is_error = response.status_code >= 400  # the methods of a path are none
        if not is_error or "text/html" not in request.headers.get("accept", ""):
            return response
        headers = {
            name: value
            for name, value in response.headers.items()
            if name not in ("content-type", "content-length")
        }
        problem = json.loads(bytes(response.body))
        if type(error) in HINTS:
            problem["hint"] = HINTS[type(error)]
        elif "route" not in request.scope:
            problem["hint"] = None  # it names a URL for programs
        heading = HEADINGS.get(response.status_code, "Something went wrong")
        values = {"heading": heading, "problem": problem}
        return page("problem.html", values, status=response.status_code, headers=headers)

    return handle
