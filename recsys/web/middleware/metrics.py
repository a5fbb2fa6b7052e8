"""Metrics for Prometheus: requests, the connection pool and the freshness of the results."""

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
from recsys.web.api.health import FreshnessCacheDep

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
POOL = {
    "recsys_pool_connections": ("Open connections to the database", "pool_size"),
    "recsys_pool_idle": ("Connections that wait for a request", "pool_available"),
    "recsys_pool_waiting": ("Requests that wait for a connection", "requests_waiting"),
}
"""Help text of each gauge, and the counter of the pool that it shows."""

router = APIRouter()
# They would add a second series to every counter and histogram.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """Counts and latencies of requests by route template, so that ids do not multiply series."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "recsys_http_requests",
            "HTTP requests",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "recsys_http_request_seconds",
            "Time until the last byte of the response was sent",
            ("method", "route"),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.up = Gauge(
            "recsys_up",
            "1 if the database answers and its schema is installed",
            registry=self.registry,
        )
        # Looking up a series by its labels costs more than incrementing it.
        self._series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def add_pool(self, recommender: AsyncRecommender) -> None:
        """Add gauges for the connection pool of a recommender."""
        self.registry.register(PoolCollector(recommender))

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        series = self._series.get((method, route, status))
        if series is None:
            series = (
                self._requests.labels(method, route, status),
                self._seconds.labels(method, route),
            )
            self._series[method, route, status] = series
        series[0].inc()
        series[1].observe(seconds)


class PoolCollector(Collector):
    def __init__(self, recommender: AsyncRecommender) -> None:
        self._recommender = recommender

    def collect(self) -> Iterator[Metric]:
        stats: Mapping[str, int] = self._recommender.pool_stats()
        for name, (text, key) in POOL.items():
            yield GaugeMetricFamily(name, text, value=stats.get(key, 0))


class MetricsMiddleware:
    """Count and time every request."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500

        async def send_with_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        started = time.perf_counter()
        try:
            await self._app(scope, receive, send_with_status)
        finally:
            method = scope["method"] if scope["method"] in METHODS else "other"
            route = getattr(scope.get("route"), "path", "none")
            self._metrics.observe(method, route, status, time.perf_counter() - started)


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=PlainTextResponse,
    responses={200: {"content": {"text/plain": {"example": "recsys_up 1.0"}}}},
)
async def metrics(request: Request, cache: FreshnessCacheDep) -> Response:
    """Return metrics of requests, the connection pool and freshness, at most two seconds old."""
    collected: Metrics = request.app.state.metrics
    try:
        freshness = as_prometheus(await cache.get())
    except RecsysError:
        freshness = ""
    collected.up.set(bool(freshness))
    requests = generate_latest(collected.registry).decode()
    return Response(f"{requests}{freshness}\n", media_type=MEDIA_TYPE)
