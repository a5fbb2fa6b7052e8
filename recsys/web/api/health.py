"""Whether the app runs, and whether it can serve: the database answers, something is published."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter, Request, Response

from recsys.errors import NotPublished, RecsysError
from recsys.service.queries.query import FIRST_STEPS, Rows
from recsys.service.types import Freshness
from recsys.web.api.openapi import PUBLISHED, answers
from recsys.web.api.responses import fresh

KEPT_S = 2.0
router = APIRouter()


class Lately:
    """How fresh what is published is, asked every `KEPT_S` at most; a failure is kept as well."""

    def __init__(self, ask: Callable[[], Awaitable[Rows[Freshness]]]) -> None:
        self._ask = ask
        self._one_asks = asyncio.Lock()
        self._until = 0.0
        self._known: Rows[Freshness] | RecsysError = Rows(Freshness)

    async def get(self) -> Rows[Freshness]:
        async with self._one_asks:
            if time.monotonic() >= self._until:
                try:
                    self._known = await self._ask()
                except RecsysError as exc:
                    self._known = exc
                self._until = time.monotonic() + KEPT_S
        if isinstance(self._known, RecsysError):
            raise self._known.with_traceback(None)
        return self._known


@dataclass(frozen=True, slots=True)
class Alive:
    status: str


@dataclass(frozen=True, slots=True)
class Ready:
    """What is published, and whether any of it is older than it may be."""

    status: str
    run_id: int
    published_at: datetime | None
    age_seconds: float | None
    """Since the run read."""
    stale: bool


@router.get(
    "/health/live",
    summary="Does it run?",
    response_model=Alive,
    responses=answers({"status": "alive"}),
)
async def live() -> Response:
    """The process answers; nothing is asked of the database."""
    return fresh(Alive("alive"))


@router.get("/health", include_in_schema=False)
@router.get(
    "/health/ready",
    summary="Can it serve?",
    response_model=Ready,
    responses=answers(PUBLISHED, 503),
)
async def ready(request: Request) -> Response:
    """The database answers and something is published. What is stale is served all the same.

    At most two seconds old.
    """
    lately: Lately = request.app.state.lately
    rows = await lately.get()
    run = next((row for row in rows if row.run_id is not None), None)
    if run is None or run.run_id is None:
        raise NotPublished("nothing is published yet", hint=FIRST_STEPS)
    stale = any(row.stale for row in rows)
    return fresh(Ready("ready", run.run_id, run.published_at, run.age_seconds, stale))
