"""Errors as problem details (RFC 9457), without internals of the server or its database.

A problem is {"title", "status", "detail", "hint", "errors": [{"field", "message"}]}.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recsys.errors import (
    InvalidArgument,
    NotPublished,
    RecsysError,
    RunError,
    StorageError,
    UnknownMovie,
    UnknownUser,
)

logger = logging.getLogger(__name__)

PROBLEM = "application/problem+json"
RETRY_AFTER_S = "5"
STATUS: Mapping[type[RecsysError], int] = {
    UnknownMovie: 404,
    UnknownUser: 404,
    RunError: 404,
    InvalidArgument: 422,
    NotPublished: 503,
    StorageError: 503,
}
HINTS: Mapping[type[RecsysError], str] = {
    NotPublished: "try again after the first refresh",
    UnknownMovie: "GET /movies?query=TITLE finds movies by title",
    RunError: "GET /runs lists the runs",
}
"""Hints for clients, who cannot run commands or SQL on the server."""
NO_PRIVILEGE, READ_ONLY, TOO_MANY_CONNECTIONS = "42501", "25006", "53300"


@dataclass(frozen=True, slots=True)
class FieldError:
    field: str
    """Path of the field, such as ratings.7."""
    message: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a request failed and how to correct it."""

    title: str
    status: int
    detail: str
    hint: str | None = None
    errors: Sequence[FieldError] = ()
    """The invalid fields of the request."""


def problem(
    status: int,
    detail: str,
    hint: str | None = None,
    errors: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a problem as a response that is never cached."""
    body = Problem(HTTPStatus(status).phrase, status, detail, hint, errors)
    all_headers = {"Cache-Control": "no-store", **(headers or {})}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        all_headers["Retry-After"] = RETRY_AFTER_S
    return Response(to_json(body), status_code=status, headers=all_headers, media_type=PROBLEM)


def add_handlers(app: FastAPI) -> None:
    """Return every error of the app as a problem."""
    app.add_exception_handler(RecsysError, _recsys_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)


def _recsys_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RecsysError)
    if isinstance(error, StorageError):
        return _storage_error(error)
    kind = next((kind for kind in type(error).__mro__ if kind in STATUS), None)
    if kind is None:
        return problem(500, str(error))
    return problem(STATUS[kind], str(error), HINTS.get(kind, error.hint))


def _storage_error(error: StorageError) -> Response:
    # The message names the server and the role, which are not for clients: it goes to the log.
    logger.error("%s", error)
    if error.sqlstate == NO_PRIVILEGE:
        return problem(403, "the server lacks this privilege in its database")
    if error.sqlstate == READ_ONLY:
        # A standby, or a server that is about to be promoted.
        return problem(503, "the database is read-only at present", "try again later; reads work")
    if error.sqlstate == TOO_MANY_CONNECTIONS:
        return problem(503, "the database accepts no more connections", "try again in a moment")
    if error.sqlstate is None:
        return problem(503, "the database cannot be reached", "try again in a moment")
    hint = "the log of the server has the details"
    return problem(503, f"the database failed ({error.sqlstate})", hint)


def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [FieldError(_field(each), _message(each)) for each in error.errors()]
    detail = "; ".join(f"{each.field}: {each.message}" for each in errors[:3])
    return problem(422, detail, errors=errors[:100])


def _field(error: Mapping[str, Any]) -> str:
    """Return the path of an invalid field, without the leading path, query or body."""
    where, *names = error["loc"]
    # For text that is not JSON the location is a character offset.
    return ".".join(map(str, names)) if names and error["type"] != "json_invalid" else str(where)


def _message(error: Mapping[str, Any]) -> str:
    if error["type"] == "json_invalid":
        return f"invalid JSON at character {error['loc'][-1]}: {error['ctx']['error']}"
    return str(error["msg"])


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404 and "route" not in request.scope:
        path = request.scope["path"]
        return problem(404, f"there is nothing at {path}", "/openapi.json lists the routes")
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(sorted(_allowed_methods(request)))
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=headers)
    return problem(error.status_code, str(error.detail), headers=headers)


def _allowed_methods(request: Request) -> set[str]:
    """Return the methods of all routes at this path; Starlette names those of the first."""
    allowed = {"OPTIONS"}
    for route in request.app.routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] != Match.NONE:
            allowed |= route.methods or set()
    return allowed | {"HEAD"} if "GET" in allowed else allowed


class HeadMiddleware:
    """Answer HEAD like GET, without the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            await send({**message, "body": b""} if "body" in message else message)

        # A copy, because the server decides by the method whether a body may follow.
        get = {**scope, "method": "GET"}
        await self._app(get, receive, send_head)
        if "route" in get:
            scope["route"] = get["route"]


class ErrorMiddleware:
    """Return 500 for an unexpected exception and log it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_started(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, send_started)
        except Exception:
            logger.exception("unexpected error at %s %s", scope["method"], scope["path"])
            # After the first bytes the status cannot change any more.
            if started:
                raise
            response = problem(500, "internal error", "the log of the server has the details")
            await response(scope, receive, send)
