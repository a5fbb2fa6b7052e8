"""The web application: routes, what holds for all of them, and the recommender they ask."""

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
from recsys.web.middleware.security import BoundedBodies, SafeHeaders
from recsys.web.pages import problems
from recsys.web.pages import routes as page_routes


def create_app(recommender: AsyncRecommender | None = None, *, token: str | None = None) -> FastAPI:
    """Return the app: it asks this recommender, or connects as the settings say while it runs.

    `token`: what requests that write must show; None refuses them all.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if recommender is not None:
            _ask(app, recommender)
            yield
            return
        async with await AsyncRecommender.connect() as connected:
            _ask(app, connected)
            yield

    app = FastAPI(
        title="recsys",
        version=version("recsys"),
        lifespan=lifespan,
        # They would load their scripts from somebody else's server.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.token = token
    app.state.metrics = metrics.Metrics()
    for part in (api_routes, health, metrics, page_routes):
        app.include_router(part.router)
    errors.handle(app)
    problems.show(app)
    openapi.describe(app)
    # The last one added is the first to see a request.
    app.add_middleware(BoundedBodies)
    app.add_middleware(errors.Unexpected)
    app.add_middleware(metrics.Counted, metrics=app.state.metrics)
    app.add_middleware(SafeHeaders)
    return app


def _ask(app: FastAPI, recommender: AsyncRecommender) -> None:
    app.state.recommender = recommender
    app.state.lately = health.Lately(partial(recommender.freshness, count_ratings=False))
    app.state.metrics.watch(recommender)
