"""The error family as HTTP: problem details (RFC 9457) that say what to do, and never how we ask.

{"title", "status", "detail", "hint", "errors": [{"field", "message"}]}, the last two where known.
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
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recsys.errors import (
    ConfigError,
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
    ConfigError: 422,
    NotPublished: 503,
    StorageError: 503,
}
NO_RIGHT = ("42501", "25006")  # insufficient privilege, read-only transaction


@dataclass(frozen=True, slots=True)
class FieldError:
    field: str
    """As ratings.7 of a body."""
    message: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a request failed, and what to do about it."""

    title: str
    status: int
    detail: str
    hint: str | None = None
    errors: Sequence[FieldError] = ()
    """Of a request that cannot be read, each field at fault."""


def problem(
    status: int,
    detail: str,
    hint: str | None = None,
    errors: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return an answer that says what went wrong."""
    told = Problem(HTTPStatus(status).phrase, status, detail, hint, errors)
    kept = {"Cache-Control": "no-store", **(headers or {})}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        kept["Retry-After"] = RETRY_AFTER_S
    return Response(to_json(told), status_code=status, headers=kept, media_type=PROBLEM)


def handle(app: FastAPI) -> None:
    """Let the app answer every failure as a problem."""
    app.add_exception_handler(RecsysError, _known)
    app.add_exception_handler(RequestValidationError, _unreadable)
    app.add_exception_handler(HTTPException, _refused)


def _known(request: Request, error: Exception) -> Response:
    assert isinstance(error, RecsysError)
    if isinstance(error, StorageError):
        return _storage(error)
    status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)
    return problem(status, str(error), error.hint)


def _storage(error: StorageError) -> Response:
    # Who asks need not know where the database is, nor who we are there.
    logger.error("%s", error)
    if error.sqlstate in NO_RIGHT:
        return problem(403, "this server may not do that in its database", error.hint)
    if error.sqlstate is None:
        return problem(503, "the database cannot be reached", "try again in a moment")
    return problem(503, f"the database failed ({error.sqlstate})", error.hint)


def _unreadable(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [FieldError(_field(each), str(each["msg"])) for each in error.errors()]
    detail = "; ".join(f"{each.field}: {each.message}" for each in errors[:3])
    return problem(422, detail, errors=errors[:100])


def _field(error: Mapping[str, Any]) -> str:
    """Name what is at fault without saying whether it came in the path, query or body."""
    where, *names = error["loc"]
    # Of text that is no JSON the place is a number.
    return ".".join(map(str, names)) if names and error["type"] != "json_invalid" else str(where)


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404 and "route" not in request.scope:
        path = request.scope["path"]
        return problem(404, f"there is nothing at {path}", "/openapi.json lists what there is")
    return problem(error.status_code, str(error.detail), headers=error.headers)


class Unexpected:
    """Answer what nobody foresaw; what it was is for the log alone."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def send_and_note(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        except Exception:
            logger.exception("unexpected, at %s %s", scope["method"], scope["path"])
            if begun:
                raise
            answer = problem(500, "something went wrong here", "the log of the server says what")
            await answer(scope, receive, send)
