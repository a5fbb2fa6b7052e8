"""The page "Try it": recommendations for the ratings in the address, without an account."""

from __future__ import annotations

import math
import re
from asyncio import gather
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from recsys.errors import UnknownMovie
from recsys.service.async_recommender import AsyncRecommender
from recsys.service.types import ChartPlace, MovieCard, PublishedModel, RatingRange, Recommendation
from recsys.web.api.params import MAX_ID, MovieId, RecommenderDep
from recsys.web.pages.movies import SearchText, cards_of, charts_of, is_graded
from recsys.web.pages.templating import page

ENOUGH = 5
STARS = 5
MAX_RATINGS = 200
LISTED = 10
TO_RATE = 18
FOUND = 6

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class TryList:
    """The ratings of a visitor and the recommendations for them."""

    ratings: Mapping[int, float]
    rows: Sequence[Recommendation]
    cards: Mapping[int, MovieCard]


@router.get("/try")
async def try_it(request: Request, recommender: RecommenderDep, q: SearchText = "") -> Response:
    words = q.strip()
    listed, scale, models, places, found = await gather(
        _listed(recommender, request),
        recommender.rating_scale(),
        recommender.models(),
        # Movies that are rated or found already are left out.
        recommender.charts(TO_RATE * 2),
        _found(recommender, words),
    )
    known = [each for each in _well_known(places, models) if each not in listed.ratings]
    found = [each for each in found if each not in listed.ratings]
    to_rate = [each for each in known if each not in found][:TO_RATE]
    cards = await cards_of(recommender, [*listed.ratings, *found, *to_rate])
    groups = {
        "Your ratings" if is_graded(scale) else "Your choices": _cards(cards, listed.ratings),
        f"Titles matching “{words}”": _cards(cards, found),
        "Movies many people know": _cards(cards, to_rate),
    }
    values = {"listed": listed, "groups": groups, "enough": ENOUGH, "query": words}
    return page("try.html", values | {"stars": star_values(scale), "graded": is_graded(scale)})


@router.get("/try/list")
async def try_list(request: Request, recommender: RecommenderDep) -> Response:
    """Return only the list, for a script of an open page."""
    listed, scale = await gather(_listed(recommender, request), recommender.rating_scale())
    values = {"listed": listed, "enough": ENOUGH, "graded": is_graded(scale)}
    return page("_try_list.html", values)


@router.get("/try/movie/{movie_id}")
async def try_movie(recommender: RecommenderDep, movie_id: MovieId) -> Response:
    """Return only a movie to rate, for a script of an open page."""
    cards, scale = await gather(recommender.movie_cards([movie_id]), recommender.rating_scale())
    if not cards:
        raise UnknownMovie(f"there is no movie {movie_id}")
    return page("_try_movie.html", {"card": cards[0], "stars": star_values(scale)})


async def _listed(recommender: AsyncRecommender, request: Request) -> TryList:
    in_address = ratings_in(request.query_params.multi_items())
    # A bookmark may contain movies of another catalogue.
    known = await recommender.movie_cards(list(in_address))
    ratings = {card.movie_id: in_address[card.movie_id] for card in known}
    rows = await recommender.recommend_for(ratings, LISTED)
    return TryList(ratings, rows, await cards_of(recommender, (row.movie_id for row in rows)))


def ratings_in(parameters: Iterable[tuple[str, str]]) -> dict[int, float]:
    """Return the ratings in a query string such as m1=5&m2=4.5, without the movies in drop=."""
    parameters = list(parameters)
    # Without scripts the button Clear submits the form with drop=ID.
    dropped = {value for name, value in parameters if name == "drop"}
    ratings = {}
    for name, value in parameters:
        movie = re.fullmatch(r"m(\d{1,10})", name, re.ASCII)
        if movie is None or movie[1] in dropped or int(movie[1]) > MAX_ID:
            continue
        rating = _number(value)
        if rating is not None:
            ratings[int(movie[1])] = rating
    # An address can name any number of movies; the limit bounds the query.
    return dict(list(ratings.items())[-MAX_RATINGS:])


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def star_values(scale: RatingRange) -> list[float]:
    """Return the rating that each number of stars stands for, ascending."""
    low, high = scale.rating_min or 1.0, scale.rating_max or float(STARS)
    zero = min(low, 0.0)
    values = (zero + (high - zero) * star / STARS for star in range(1, STARS + 1))
    return sorted({max(low, round(value, 3)) for value in values})


async def _found(recommender: AsyncRecommender, words: str) -> list[int]:
    if not words:
        return []
    return [movie.movie_id for movie in await recommender.search(words, FOUND)]


def _well_known(places: Sequence[ChartPlace], models: Sequence[PublishedModel]) -> list[int]:
    """Return the movies of the preferred chart by number of ratings."""
    charts = charts_of(models, "popularity")
    first = charts[0].model if charts else None
    return [place.movie_id for place in places if place.chart == first]


def _cards(cards: Mapping[int, MovieCard], movie_ids: Iterable[int]) -> list[MovieCard]:
    return [cards[each] for each in movie_ids if each in cards]
