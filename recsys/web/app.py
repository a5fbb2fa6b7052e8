"""The web application: JSON API, pages and middleware over one recommender."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version

from fastapi import FastAPI

from recsys.service.async_recommender import AsyncRecommender
from recsys.web.api import health, openapi
from recsys.web.api import routes as api_routes
from recsys.web.middleware import errors, metrics
from recsys.web.middleware.security import BodyLimitMiddleware, SecurityHeadersMiddleware
from recsys.web.pages import problems
from recsys.web.pages import routes as page_routes


def create_app(recommender: AsyncRecommender | None = None, *, token: str | None = None) -> FastAPI:
    """Create the app over a recommender, or over one that it connects itself while it runs.

    Requests that write must send `token`; None turns writing off.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if recommender is not None:
            _use(app, recommender)
            yield
            return
        async with AsyncRecommender.connect() as connected:
            _use(app, connected)
            yield

    app = FastAPI(
        title="recsys",
        version=version("recsys"),
        lifespan=lifespan,
        # They load their scripts from a CDN, which the security headers forbid.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.token = token
    app.state.metrics = metrics.Metrics()
    # Not include_router: FastAPI would search each included router twice for every request.
    for part in (api_routes, health, metrics, page_routes):
        app.router.routes.extend(part.router.routes)
    errors.add_handlers(app)
    problems.add_error_pages(app)
    openapi.use_problem_details(app)
    # The middleware added last sees a request first.
    app.add_middleware(errors.HeadMiddleware)
    app.add_middleware(BodyLimitMiddleware)
    app.add_middleware(errors.ErrorMiddleware)
    app.add_middleware(metrics.MetricsMiddleware, metrics=app.state.metrics)
    app.add_middleware(SecurityHeadersMiddleware)
    return app


def _use(app: FastAPI, recommender: AsyncRecommender) -> None:
    app.state.recommender = recommender
    read = partial(recommender.freshness, count_ratings=False)
    app.state.freshness = health.FreshnessCache(read)
    app.state.metrics.add_pool(recommender)
