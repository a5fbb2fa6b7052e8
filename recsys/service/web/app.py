"""The web application: routes, what holds for all of them, and the recommender they ask."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from recsys.service.async_recommender import AsyncRecommender
from recsys.service.web import api, errors, pages, problem_pages
from recsys.service.web.security import BoundedBodies, SafeHeaders


def create_app(recommender: AsyncRecommender | None = None, *, token: str | None = None) -> FastAPI:
    """Return the app: it asks this recommender, or connects as the settings say while it runs.

    `token`: what writing requests must show; None refuses them all.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if recommender is not None:
            app.state.recommender = recommender
            yield
            return
        async with await AsyncRecommender.connect() as connected:
            app.state.recommender = connected
            yield

    app = FastAPI(
        title="recsys",
        version=version("recsys"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.token = token
    app.add_middleware(BoundedBodies)
    app.add_middleware(SafeHeaders)
    app.include_router(api.router)
    app.include_router(pages.router)
    errors.handle(app)
    problem_pages.show(app)
    return app
