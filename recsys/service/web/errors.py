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
    app.add_exception_handler(Exception, _unexpected)


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
    errors = [FieldError(_field(each["loc"]), str(each["msg"])) for each in error.errors()]
    detail = "; ".join(f"{each.field}: {each.message}" for each in errors[:3])
    return problem(422, detail, errors=errors[:100])


def _field(place: Sequence[Any]) -> str:
    """Name what is at fault without saying whether it came in the path, query or body."""
    return ".".join(str(part) for part in place[1:]) or str(place[0])


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, str(error.detail), headers=error.headers)


def _unexpected(request: Request, error: Exception) -> Response:
    return problem(500, "something went wrong here", "the log of the server says what")
