"""Failures as pages for people, as problem details for programs."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request, Response

from recsys.errors import UnknownMovie
from recsys.web.middleware import errors
from recsys.web.pages.templating import page

Handler = Callable[[Request, Any], Response | Awaitable[Response]]
HEADINGS = {
    403: "Not allowed",
    404: "Not found",
    405: "Not possible here",
    422: "That cannot be shown",
    503: "Not available now",
}


def show(app: FastAPI) -> None:
    """Let browsers get as a page what the app's handlers say went wrong."""
    for kind, handler in list(app.exception_handlers.items()):
        if getattr(handler, "__module__", None) == errors.__name__:
            app.add_exception_handler(kind, _for_browsers(handler))


def _for_browsers(handler: Handler) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(request: Request, error: Exception) -> Response:
        told = handler(request, error)
        if isinstance(told, Awaitable):
            told = await told
        told.headers["Vary"] = "Accept"
        if "text/html" not in request.headers.get("accept", ""):
            return told
        headers = {
            name: value
            for name, value in told.headers.items()
            if name not in ("content-type", "content-length")
        }
        problem = json.loads(bytes(told.body))
        if isinstance(error, UnknownMovie):
            problem["hint"] = "search for its title"
        elif "route" not in request.scope:
            problem["hint"] = None  # it is for programs
        heading = HEADINGS.get(told.status_code, "Something went wrong")
        values = {"heading": heading, "problem": problem}
        return page("problem.html", values, status=told.status_code, headers=headers)

    return answer
