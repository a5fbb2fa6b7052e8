"""Pages for people: all routes that answer with HTML, and what these are drawn with."""

from __future__ import annotations

from fastapi import APIRouter

from recsys.service.web import assets, movie_pages, people_pages, run_pages, try_pages

router = APIRouter(include_in_schema=False)
for part in (assets, movie_pages, people_pages, try_pages, run_pages):
    router.include_router(part.router)
