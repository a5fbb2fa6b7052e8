"""The pages about people: what to recommend to them, because of what, and what they liked."""

from __future__ import annotations

from asyncio import gather
from collections import defaultdict
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from recsys.errors import UnknownUser
from recsys.service.web.asked import LARGEST_ID, TEXT, MovieId, UserId, asked
from recsys.service.web.movie_pages import cards_of
from recsys.service.web.rendering import page

RECOMMENDED, LIKED = 12, 12
EXPLAINED = 5  # each takes longer than all the rest of the page
REASONS = 2
SEE_OTHER = 303

router = APIRouter(include_in_schema=False)

ModelName = Annotated[str | None, Query(pattern=TEXT, max_length=100)]


@router.get("/person")
async def people(id: Annotated[int | None, Query(ge=0, le=LARGEST_ID)] = None) -> Response:
    if id is not None:
        return RedirectResponse(f"/person/{id}", SEE_OTHER)
    return page("people.html")


@router.get("/person/random")
async def anybody(request: Request) -> Response:
    user_id = await asked(request).a_user(at_random=True)
    return RedirectResponse(f"/person/{user_id}", SEE_OTHER, headers={"Cache-Control": "no-store"})


@router.get("/person/{user_id}")
async def person(request: Request, user_id: UserId, model: ModelName = None) -> Response:
    recommender = asked(request)
    status, models, liked, recommended = await gather(
        recommender.user_status(user_id),
        recommender.models(),
        recommender.ratings(user_id, LIKED),
        recommender.recommend(user_id, RECOMMENDED, model=model or None),
    )
    if status.status == "unknown_user":
        raise UnknownUser(f"there is no person {user_id}", hint="go to somebody at random")
    ids = [row.movie_id for row in recommended]
    cards, reasons = await gather(
        cards_of(recommender, [*ids, *(rating.movie_id for rating in liked)]),
        recommender.reasons(user_id, ids[:EXPLAINED], REASONS, model=model or None),
    )
    because = defaultdict(list)
    for reason in reasons:
        because[reason.movie_id].append(reason)
    chosen = model or next(each.model for each in models if each.is_default)
    facts = {"user_id": user_id, "status": status, "models": models, "chosen": chosen}
    rows = {"recommended": recommended, "because": because, "liked": liked, "cards": cards}
    return page("person.html", facts | rows)


@router.get("/person/{user_id}/why/{movie_id}")
async def why(
    request: Request, user_id: UserId, movie_id: MovieId, model: ModelName = None
) -> Response:
    recommender = asked(request)
    movie, rows = await gather(
        recommender.movie(movie_id), recommender.explain(user_id, movie_id, model=model or None)
    )
    cards = await cards_of(
        recommender, (row.because_movie_id for row in rows if row.because_movie_id is not None)
    )
    values = {"user_id": user_id, "movie": movie, "rows": rows, "cards": cards, "model": model}
    return page("why.html", values)
