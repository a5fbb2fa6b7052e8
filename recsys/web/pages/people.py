"""The pages about people: recommendations, explanations, taste and ratings."""

from __future__ import annotations

import math
from asyncio import gather
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Response
from fastapi.responses import RedirectResponse

from recsys.errors import UnknownUser
from recsys.service.async_recommender import AsyncRecommender
from recsys.service.types import (
    Contribution,
    PublishedModel,
    Rating,
    Reason,
    Recommendation,
    Taste,
    UserStatus,
)
from recsys.web.api.params import (
    KEY,
    LONGEST_KEY,
    MAX_ID,
    Id,
    Model,
    MovieKey,
    RecommenderDep,
    UserKey,
)
from recsys.web.pages.movies import cards_of, charts_of, is_graded, names_of
from recsys.web.pages.sparkline import bars
from recsys.web.pages.taste import profile, profiles
from recsys.web.pages.templating import ago, page, plural, segment

RECOMMENDED, LATEST = 12, 12
EXAMPLES, FAVOURITES = 6, 4
ON_A_PAGE = 48
REASONS = 2
SHOWN, REST_SHOWN = 20, 100
SEE_OTHER = 303

router = APIRouter(include_in_schema=False)


@router.get("/person")
async def people(
    recommender: RecommenderDep,
    id: Annotated[str | None, Query(pattern=KEY, max_length=LONGEST_KEY)] = None,
) -> Response:
    if id is not None:
        return RedirectResponse(f"/person/{quote(id, safe='')}", SEE_OTHER)
    tastes, scale = await gather(recommender.example_users(EXAMPLES), recommender.rating_scale())
    examples = profiles(tastes)
    best = await gather(
        *(recommender.ratings(each.overall.user_id, FAVOURITES) for each in examples)
    )
    cards = await cards_of(recommender, (rating.movie_id for each in best for rating in each))
    people = list(zip(examples, best, strict=True))
    values = {"people": people, "cards": cards, "keyed": _has_keys(tastes)}
    return page("people.html", values | {"graded": is_graded(scale)})


# Before /person/{user_id}, which would read "random" as an invalid number.
@router.get("/person/random")
async def random_person(recommender: RecommenderDep) -> Response:
    user_id = await recommender.a_user(at_random=True)
    # A stored redirect would lead to the same person again.
    return RedirectResponse(f"/person/{user_id}", SEE_OTHER, headers={"Cache-Control": "no-store"})


@router.get("/person/{user_id}")
async def person(
    recommender: RecommenderDep, user_id: UserKey, model: Model = None, reasons: bool = False
) -> Response:
    """Show a person; scripts load the reasons later, because they take longest."""
    status, models, tastes, scale, latest, recommended = await gather(
        recommender.user_status(user_id),
        recommender.models(),
        recommender.user_taste(user_id),
        recommender.rating_scale(),
        recommender.ratings(user_id, LATEST, latest=True),
        recommender.recommend(user_id, RECOMMENDED, model=model or None),
    )
    ids = [row.movie_id for row in recommended]
    cards, because = await gather(
        cards_of(recommender, (rating.movie_id for rating in latest)),
        _because(recommender, user_id, ids if reasons else [], model),
    )
    chosen = model or next(each.model for each in models if each.is_default)
    facts = _person(user_id, tastes) | {"status": status, "models": models, "chosen": chosen}
    facts |= {"taste": profile(tastes), "graded": is_graded(scale)}
    rows = {"recommended": recommended, "because": because, "latest": latest, "cards": cards}
    rows |= {"origins": _origins(recommended, status, models, chosen, graded=is_graded(scale))}
    return page("person.html", facts | rows)


def _origins(
    recommended: Sequence[Recommendation],
    status: UserStatus,
    models: Sequence[PublishedModel],
    chosen: str,
    *,
    graded: bool,
) -> list[str]:
    """Say how a list was made, one sentence for each origin of its rows."""
    noun, rated, ratings = ("rating", "rated", "ratings")
    if not graded:
        noun, rated, ratings = ("movie", "watched", "movies")
    names, charts = names_of(models), {chart.model for chart in charts_of(models)}
    age = ago(status.run_age.total_seconds()) if status.run_age is not None else ""
    newer = f"{plural(status.ratings_since_run or 0, noun)} newer than the last run"
    sentences = {}
    for row in recommended:
        name = names.get(row.model, row.model)
        origin = row.source
        if row.model in charts and (row.model == chosen or not status.ratings):
            origin = "same"
        sentences[origin] = {
            "same": f"{name} is a chart, which is the same for everybody",
            "stored": f"{name} computed the list from the {ratings} of {age} ago",
            "live": f"{name} follows their {ratings} at once, with {newer}",
            "substitute": f"{names.get(chosen, chosen)} cannot follow {newer}: {name} does",
            "content": f"{name} found movies similar in content to those they {rated}",
            "chart": f"the chart {name} fills the list, because their {ratings} say too little",
        }.get(origin, name)
    return list(sentences.values())


def _person(asked: str, rows: Sequence[Taste | Rating]) -> dict[str, Any]:
    """Return how a person is named: by the key, if there are rows of theirs, else as asked for."""
    name = rows[0].user_key if rows else asked
    path = segment(name, rows[0].user_id) if rows else segment(asked, 0)
    return {"user": name, "user_path": path, "keyed": _has_keys(rows) or not name.isdecimal()}


def _has_keys(rows: Sequence[Taste | Rating]) -> bool:
    """Return whether users have keys other than their ids."""
    return any(row.user_key != str(row.user_id) for row in rows)


@router.get("/person/{user_id}/ratings")
async def ratings(
    recommender: RecommenderDep,
    user_id: UserKey,
    page_number: Annotated[int, Query(alias="page", ge=1, le=MAX_ID // ON_A_PAGE)] = 1,
) -> Response:
    """Show all ratings of a person, the latest first."""
    status, scale, rows = await gather(
        recommender.user_status(user_id),
        recommender.rating_scale(),
        recommender.ratings(user_id, ON_A_PAGE, latest=True, offset=(page_number - 1) * ON_A_PAGE),
    )
    if status.status == "unknown_user":
        raise UnknownUser(f"there is no person {user_id}", hint="try a random person")
    cards = await cards_of(recommender, (rating.movie_id for rating in rows))
    values = _person(user_id, rows)
    values |= {"count": status.ratings, "ratings": rows, "cards": cards}
    values |= {"number": page_number, "pages": -(-status.ratings // ON_A_PAGE)}
    return page("ratings.html", values | {"graded": is_graded(scale)})


async def _because(
    recommender: AsyncRecommender, user_id: str, movie_ids: Sequence[int], model: str | None
) -> Mapping[int, list[Reason]]:
    """Return the liked movies that contribute most to each of the movies."""
    because: defaultdict[int, list[Reason]] = defaultdict(list)
    if not movie_ids:
        return because
    for reason in await recommender.reasons(user_id, movie_ids, REASONS, model=model or None):
        because[reason.movie_id].append(reason)
    return because


@router.get("/person/{user_id}/because")
async def reasons_fragment(
    recommender: RecommenderDep,
    user_id: UserKey,
    movie: Annotated[list[Id], Query(max_length=RECOMMENDED)],
    model: Model = None,
) -> Response:
    """Return only the reasons, for a script of an open page."""
    rows, because, scale = await gather(
        recommender.recommend(user_id, RECOMMENDED, model=model or None),
        _because(recommender, user_id, movie, model),
        recommender.rating_scale(),
    )
    shown = [row for row in rows if row.movie_id in movie]
    values = _person(user_id, ()) | {"rows": shown, "because": because, "chosen": model}
    return page("_reasons.html", values | {"graded": is_graded(scale)})


@router.get("/person/{user_id}/why/{movie_id}")
async def why(
    recommender: RecommenderDep, user_id: UserKey, movie_id: MovieKey, model: Model = None
) -> Response:
    movie, models, scale, tastes, rows = await gather(
        recommender.movie(movie_id),
        recommender.models(),
        recommender.rating_scale(),
        recommender.user_taste(user_id),
        recommender.explain(user_id, movie_id, model=model or None),
    )
    found = [row for row in rows if row.because_movie_id is not None]
    mean = tastes[0].mean_rating if tastes else 0.0
    middle = ((scale.rating_min or 0.0) + (scale.rating_max or 0.0)) / 2
    # A mean of equal ratings may be rounded up.
    least = max(mean - 1e-9, middle) if is_graded(scale) else -math.inf
    reasons, others = _split(found, least)
    values = _person(user_id, tastes) | {"movie": movie, "model": model, "rows": rows}
    rest = [*reasons[SHOWN:], *others]
    values |= {"reasons": reasons[:SHOWN], "rest": rest[:REST_SHOWN], "count": len(rest)}
    values |= {"lengths": bars([max(0.0, row.share or 0.0) for row in reasons[:SHOWN]])}
    return page("why.html", values | {"names": names_of(models), "graded": is_graded(scale)})


def _split(
    rows: Sequence[Contribution], least: float
) -> tuple[list[Contribution], list[Contribution]]:
    """Separate the movies that speak for another one and that the person likes from the rest.

    `least` is the rating that a liked movie has at least.
    """
    liked = {
        row.because_movie_id
        for row in rows
        if (row.contribution or 0) > 0 and (row.rating or 0) >= least
    }
    return (
        [row for row in rows if row.because_movie_id in liked],
        [row for row in rows if row.because_movie_id not in liked],
    )
