"""What the app tells Prometheus: requests, connections, what is published; cheap to ask often."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recsys.errors import RecsysError
from recsys.service.async_recommender import AsyncRecommender
from recsys.service.prometheus import as_prometheus
from recsys.web.api.health import Lately

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
POOL = {
    "recsys_pool_connections": ("Connections to the database that are open", "pool_size"),
    "recsys_pool_idle": ("Those that wait for a request", "pool_available"),
    "recsys_pool_waiting": ("Requests that wait for a connection", "requests_waiting"),
}
"""Of each gauge the help, and its name in the figures of the pool."""

router = APIRouter()
# A second series beside each, which nobody reads.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """Counts and times requests by the template of their route, so that ids make no series."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "recsys_http_requests",
            "Requests answered",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "recsys_http_request_seconds",
            "Time until the last byte of the answer was handed over",
            ("method", "route"),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.up = Gauge(
            "recsys_up",
            "1 where the database answers and holds what can be asked",
            registry=self.registry,
        )
        # Looking a series up by its labels costs more than counting in it.
        self._series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def watch(self, recommender: AsyncRecommender) -> None:
        """Tell of the connections of this recommender as well."""
        self.registry.register(_Pool(recommender))

    def seen(self, method: str, route: str, status: int, seconds: float) -> None:
        series = self._series.get((method, route, status))
        if series is None:
            series = (
                self._requests.labels(method, route, status),
                self._seconds.labels(method, route),
            )
            self._series[method, route, status] = series
        series[0].inc()
        series[1].observe(seconds)


class _Pool(Collector):
    def __init__(self, recommender: AsyncRecommender) -> None:
        self._recommender = recommender

    def collect(self) -> Iterator[Metric]:
        stats: Mapping[str, int] = self._recommender.pool_stats()
        for name, (text, key) in POOL.items():
            yield GaugeMetricFamily(name, text, value=stats.get(key, 0))


class Counted:
    """Count and time every request."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500

        async def send_counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        started = time.perf_counter()
        try:
            await self._app(scope, receive, send_counted)
        finally:
            method = scope["method"] if scope["method"] in METHODS else "other"
            route = getattr(scope.get("route"), "path", "none")
            self._metrics.seen(method, route, status, time.perf_counter() - started)


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=PlainTextResponse,
    responses={200: {"content": {"text/plain": {"example": "recsys_up 1.0"}}}},
)
async def metrics(request: Request) -> Response:
    """Requests, connections, and how fresh what is published is, at most two seconds old."""
    kept: Metrics = request.app.state.metrics
    lately: Lately = request.app.state.lately
    try:
        fresh = as_prometheus(await lately.get())
    except RecsysError:
        fresh = ""
    kept.up.set(bool(fresh))
    return Response(f"{generate_latest(kept.registry).decode()}{fresh}\n", media_type=MEDIA_TYPE)
