"""What the OpenAPI document says beside the types: examples, and the failures of each route."""

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
What is published, by HTTP: every route asks one function of the SQL contract, and its JSON is named
as the contract's columns. A failure is a problem (RFC 9457) that says what to do.

Reading is open to whoever can connect. Writing needs `Authorization: Bearer TOKEN`.
"""
FAILURES = {
    400: "The body cannot be read.",
    401: "Writing needs the token of this server.",
    403: "Writing is off, or the server may not write.",
    404: "There is no such movie, user, run or chart.",
    413: "The body is too large.",
    422: "A value cannot be: `errors` names the fields.",
    503: "The database does not answer, or nothing is published yet; try again later.",
}


@dataclass(frozen=True, slots=True)
class UserServed(UserStatus):
    """How a user is served; `run_age` in seconds."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(ser_json_timedelta="float")


def answers(example: Any, *failures: int, tagged: bool = False) -> dict[int | str, dict[str, Any]]:
    """Return what a route answers: an example of it, its failures; `tagged`: 304 as well."""
    documented: dict[int | str, dict[str, Any]] = {
        200: {"content": {"application/json": {"example": json.dumps(example)}}}
    }
    if tagged:
        documented[304] = {"description": "As `If-None-Match` has it."}
        documented[200]["headers"] = {"ETag": {"schema": {"type": "string"}}}
    return documented | refusals(*failures)


def refusals(*failures: int) -> dict[int | str, dict[str, Any]]:
    return {code: {"description": FAILURES[code], "model": Problem} for code in failures}


def describe(app: FastAPI) -> None:
    """Let the app document its failures as what they are: problems."""

    def openapi() -> dict[str, Any]:
        if not app.openapi_schema:
            app.openapi_schema = _as_problems(
                get_openapi(
                    title=app.title,
                    version=app.version,
                    description=DESCRIPTION,
                    routes=app.routes,
                )
            )
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _as_problems(document: dict[str, Any]) -> dict[str, Any]:
    for operations in document["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                content = response.get("content", {})
                if int(status) >= 400 and "application/json" in content:
                    content[PROBLEM] = content.pop("application/json")
                elif "example" in content.get("application/json", {}):
                    # As text until now: FastAPI drops every null of an example.
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
        "score": 0.5457537345355377,
        "source": "stored",
        "model": "ease",
        "run_id": 1,
        "label": None,
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
    }
]
FOUND: list[Mapping[str, Any]] = [{"movie_id": 2571, "title": "The Matrix", "year": 1999}]
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
}
BECAUSE: list[Mapping[str, Any]] = [
    {
        "because_movie_id": 500,
        "because_title": "Mrs. Doubtfire",
        "rating": 3.0,
        "similarity": 0.015410237945616245,
        "contribution": 0.015410237945616245,
        "share": 0.0862012608981851,
        "score": 0.17877044703345746,
        "source": "live",
        "model": "ease",
        "exact": True,
        "shared_genres": [],
        "shared_tags": [],
        "run_id": 1,
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
}
PUBLISHED: Mapping[str, Any] = {
    "status": "ready",
    "run_id": 1,
    "published_at": "2026-11-21T07:16:56.793492Z",
    "age_seconds": 3600.0,
    "stale": False,
}
