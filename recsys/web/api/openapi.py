"""The OpenAPI document: examples of responses, and the errors of each route."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import ConfigDict

from recsys.service.types import UserStatus
from recsys.web.middleware.errors import PROBLEM, Problem

DESCRIPTION = """\
Published recommendations over HTTP. Each route runs one query of the SQL contract and returns its
rows as JSON, with the contract's column names as keys. Errors are problem details (RFC 9457) with a
hint.

Reading needs no authentication. Writing needs the header `Authorization: Bearer TOKEN`.
"""
ERRORS = {
    400: "The body is not valid JSON.",
    401: "The token is missing or wrong.",
    403: "Writing is turned off, or the database role of the server may not write.",
    404: "There is no such movie, user, run or chart.",
    413: "The body is too large.",
    414: "The path and query are too long.",
    422: "An argument is invalid; `errors` names the fields.",
    503: "The database does not answer, or nothing is published yet. Try again later.",
}


@dataclass(frozen=True, slots=True)
class UserStatusResponse(UserStatus):
    """How a user gets recommendations at the moment; `run_age` is in seconds."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(ser_json_timedelta="float")


Responses = dict[int | str, dict[str, Any]]


def responses(example: Any, *errors: int, etag: bool = False) -> Responses:
    """Document the responses of a route: an example, error codes, and 304 if it sends an ETag."""
    documented: Responses = {
        200: {"content": {"application/json": {"example": json.dumps(example)}}}
    }
    if etag:
        documented[304] = {"description": "The content has the tag given in `If-None-Match`."}
        documented[200]["headers"] = {"ETag": {"schema": {"type": "string"}}}
    return documented | error_responses(*errors)


def error_responses(*errors: int) -> Responses:
    return {code: {"description": ERRORS[code], "model": Problem} for code in errors}


def use_problem_details(app: FastAPI) -> None:
    """Document the errors of the app with the media type of problem details."""

    def openapi() -> dict[str, Any]:
        if not app.openapi_schema:
            app.openapi_schema = _with_problems(
                get_openapi(
                    title=app.title,
                    version=app.version,
                    description=DESCRIPTION,
                    routes=app.routes,
                )
            )
        return app.openapi_schema

    # FastAPI's documented way of changing the document.
    app.openapi = openapi  # type: ignore[method-assign]


def _with_problems(document: dict[str, Any]) -> dict[str, Any]:
    for operations in document["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                content = response.get("content", {})
                if int(status) >= 400 and "application/json" in content:
                    content[PROBLEM] = content.pop("application/json")
                elif "example" in content.get("application/json", {}):
                    # Kept as text so far, because FastAPI drops every null of an example.
                    content["application/json"]["example"] = json.loads(
                        content["application/json"]["example"]
                    )
    return document


# --- examples, from ml-latest-small ---------------------------------------------------------------

RECOMMENDED: list[Mapping[str, Any]] = [
    {
        "rank": 1,
        "movie_id": 589,
        "title": "Terminator 2: Judgment Day",
        "year": 1991,
        "genres": ["Action", "Sci-Fi"],
        "poster_url": None,
        "score": 0.5457537345355377,
        "source": "stored",
        "model": "ease",
        "run_id": 1,
        "label": None,
        "movie_key": "589",
    }
]
SIMILAR: list[Mapping[str, Any]] = [
    {
        "rank": 1,
        "movie_id": 3114,
        "title": "Toy Story 2",
        "score": 0.02525472268462181,
        "model": "ease",
        "run_id": 1,
        "movie_key": "3114",
    }
]
CHART: list[Mapping[str, Any]] = [
    {
        "rank": 1,
        "movie_id": 318,
        "title": "The Shawshank Redemption",
        "score": 4.337459602964814,
        "votes": 317,
        "mean_rating": 4.429022082018927,
        "movie_key": "318",
    }
]
FOUND: list[Mapping[str, Any]] = [
    {"movie_id": 2571, "title": "The Matrix", "year": 1999, "movie_key": "2571"}
]
MOVIE: Mapping[str, Any] = {
    "movie_id": 1,
    "title": "Toy Story",
    "year": 1995,
    "genres": ["Adventure", "Animation", "Children", "Comedy", "Fantasy"],
    "ratings_count": 215,
    "ratings_mean": 3.9209302325581397,
    "imdb_id": "tt0114709",
    "tmdb_id": 862,
    "poster_url": None,
    "movie_key": "1",
    "available": True,
}
EXPLANATION: list[Mapping[str, Any]] = [
    {
        "because_movie_id": 500,
        "because_title": "Mrs. Doubtfire",
        "rating": 5.0,
        "weight": 1.2000000476837158,
        "similarity": 0.015410237945616245,
        "contribution": 0.018492286269561,
        "share": 0.1034415130778221,
        "score": 0.17877044703345746,
        "source": "live",
        "model": "ease",
        "exact": True,
        "shared_genres": [],
        "shared_tags": [],
        "run_id": 1,
        "because_movie_key": "500",
    }
]
USER: Mapping[str, Any] = {
    "status": "personalised",
    "ratings": 232,
    "ratings_since_run": 0,
    "run_age": 3723.5,
    "run_id": 1,
    "explanation": "run 1 stored a list by ease",
}
RUN: Mapping[str, Any] = {
    "run_id": 1,
    "kind": "refresh",
    "scope": "full",
    "base_run_id": None,
    "state": "complete",
    "published": True,
    "refused": None,
    "started_at": "2026-11-21T07:16:37.751658Z",
    "seconds": 19.0,
    "ratings_count": 100836,
    "models": ["ease", "top_rated"],
    "run_size": 594001920,
    "pruned_at": None,
    "edition": "ml-latest-small",
}
READY: Mapping[str, Any] = {
    "status": "ready",
    "run_id": 1,
    "published_at": "2026-11-21T07:16:56.793492Z",
    "age_seconds": 3600.0,
    "stale": False,
}
