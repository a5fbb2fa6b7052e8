"""The pages about people: recommendations, explanations and liked movies."""

from __future__ import annotations

from asyncio import gather
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import RedirectResponse

from recsys.errors import UnknownUser
from recsys.service.async_recommender import AsyncRecommender
from recsys.service.types import Reason
from recsys.web.api.params import MAX_ID, Id, Model, MovieId, RecommenderDep, UserId
from recsys.web.pages.movies import cards_of, names_of
from recsys.web.pages.sparkline import bars
from recsys.web.pages.templating import page

RECOMMENDED, LIKED = 12, 12
REASONS = 2
SHOWN = 20
SEE_OTHER = 303

router = APIRouter(include_in_schema=False)


@router.get("/person")
async def people(id: Annotated[int | None, Query(ge=0, le=MAX_ID)] = None) -> Response:
    if id is not None:
        return RedirectResponse(f"/person/{id}", SEE_OTHER)
    return page("people.html")


# Before /person/{user_id}, which would read "random" as an invalid number.
@router.get("/person/random")
async def random_person(recommender: RecommenderDep) -> Response:
    user_id = await recommender.a_user(at_random=True)
    # A stored redirect would lead to the same person again.
    return RedirectResponse(f"/person/{user_id}", SEE_OTHER, headers={"Cache-Control": "no-store"})


@router.get("/person/{user_id}")
async def person(
    recommender: RecommenderDep, user_id: UserId, model: Model = None, reasons: bool = False
) -> Response:
    """Show a person; scripts load the reasons later, because they take longest."""
    status, models, liked, recommended = await gather(
        recommender.user_status(user_id),
        recommender.models(),
        recommender.ratings(user_id, LIKED),
        recommender.recommend(user_id, RECOMMENDED, model=model or None),
    )
    if status.status == "unknown_user":
        raise UnknownUser(f"there is no person {user_id}", hint="try a random person")
    ids = [row.movie_id for row in recommended]
    cards, because = await gather(
        cards_of(recommender, [*ids, *(rating.movie_id for rating in liked)]),
        _because(recommender, user_id, ids if reasons else [], model),
    )
    chosen = model or next(each.model for each in models if each.is_default)
    facts = {"user_id": user_id, "status": status, "models": models, "chosen": chosen}
    rows = {"recommended": recommended, "because": because, "liked": liked, "cards": cards}
    return page("person.html", facts | rows)


async def _because(
    recommender: AsyncRecommender, user_id: int, movie_ids: Sequence[int], model: str | None
) -> Mapping[int, list[Reason]]:
    """Return the ratings that contribute most to each of the movies."""
    because: defaultdict[int, list[Reason]] = defaultdict(list)
    if not movie_ids:
        return because
    for reason in await recommender.reasons(user_id, movie_ids, REASONS, model=model or None):
        because[reason.movie_id].append(reason)
    return because


@router.get("/person/{user_id}/because")
async def reasons_fragment(
    recommender: RecommenderDep,
    user_id: UserId,
    movie: Annotated[list[Id], Query(max_length=RECOMMENDED)],
    model: Model = None,
) -> Response:
    """Return only the reasons, for a script of an open page."""
    rows, because = await gather(
        recommender.recommend(user_id, RECOMMENDED, model=model or None),
        _because(recommender, user_id, movie, model),
    )
    shown = [row for row in rows if row.movie_id in movie]
    values = {"user_id": user_id, "rows": shown, "because": because, "chosen": model}
    return page("_reasons.html", values)


@router.get("/person/{user_id}/why/{movie_id}")
async def why(
    recommender: RecommenderDep, user_id: UserId, movie_id: MovieId, model: Model = None
) -> Response:
    movie, models, rows = await gather(
        recommender.movie(movie_id),
        recommender.models(),
        recommender.explain(user_id, movie_id, model=model or None),
    )
    reasons = [row for row in rows if row.because_movie_id is not None]
    lengths = bars([max(0.0, row.share or 0.0) for row in reasons[:SHOWN]])
    values = {"user_id": user_id, "movie": movie, "model": model, "rows": rows}
    values |= {"reasons": reasons, "lengths": lengths, "shown": SHOWN, "names": names_of(models)}
    return page("why.html", values)
