"""Liveness and readiness: whether the process runs, and whether it can serve published results."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from recsys.errors import NotPublished, RecsysError
from recsys.service.queries.query import Rows
from recsys.service.types import Freshness
from recsys.web.api import openapi
from recsys.web.api.responses import uncached

MAX_AGE_S = 2.0
router = APIRouter()


class FreshnessCache:
    """The freshness of published results, read at most every `MAX_AGE_S` seconds.

    A failure is cached as well, so that probes do not add load to a database in trouble.
    """

    def __init__(self, read: Callable[[], Awaitable[Rows[Freshness]]]) -> None:
        self._read = read
        self._lock = asyncio.Lock()
        self._expires = 0.0
        self._cached: Rows[Freshness] | RecsysError = Rows(Freshness)

    async def get(self) -> Rows[Freshness]:
        # Concurrent probes wait for one read instead of starting their own.
        async with self._lock:
            if time.monotonic() >= self._expires:
                try:
                    self._cached = await self._read()
                except RecsysError as exc:
                    self._cached = exc
                self._expires = time.monotonic() + MAX_AGE_S
        if isinstance(self._cached, RecsysError):
            # The same exception is raised many times; its traceback would grow each time.
            raise self._cached.with_traceback(None)
        return self._cached


async def freshness_cache(request: Request) -> FreshnessCache:
    """Return the freshness cache of the app."""
    cache: FreshnessCache = request.app.state.freshness
    return cache


FreshnessCacheDep = Annotated[FreshnessCache, Depends(freshness_cache)]


@dataclass(frozen=True, slots=True)
class Alive:
    status: str


@dataclass(frozen=True, slots=True)
class Ready:
    """The published run, and whether any of its results are stale."""

    status: str
    run_id: int
    published_at: datetime | None
    age_seconds: float | None
    """Seconds since the run read the ratings."""
    stale: bool


@router.get(
    "/health/live",
    summary="Does it run?",
    response_model=Alive,
    responses=openapi.responses({"status": "alive"}),
)
async def live() -> Response:
    """Return 200 while the process runs, without using the database."""
    return uncached(Alive("alive"))


@router.get("/health", include_in_schema=False)
@router.get(
    "/health/ready",
    summary="Can it serve?",
    response_model=Ready,
    responses=openapi.responses(openapi.READY, 503),
)
async def ready(cache: FreshnessCacheDep) -> Response:
    """Return 200 if the database answers and a run is published, even if its results are stale.

    The response is at most two seconds old.
    """
    rows = await cache.get()
    run = next((row for row in rows if row.run_id is not None), None)
    if run is None or run.run_id is None:
        raise NotPublished("nothing is published yet")
    stale = any(row.stale for row in rows)
    return uncached(Ready("ready", run.run_id, run.published_at, run.age_seconds, stale))
