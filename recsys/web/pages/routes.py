"""All routes of the pages, and the assets that they load."""

from __future__ import annotations

from fastapi import APIRouter

from recsys.web.pages import assets, docs, movies, people, posters, runs, try_it

router = APIRouter(include_in_schema=False)
for part in (assets, posters, movies, people, try_it, runs, docs):
    router.routes.extend(part.router.routes)
