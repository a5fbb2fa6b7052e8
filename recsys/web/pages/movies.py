"""The pages about movies: home, charts, search and single movies."""

from __future__ import annotations

import math
from asyncio import gather
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from recsys.errors import NotPublished
from recsys.service.async_recommender import AsyncRecommender
from recsys.service.types import (
    ChartPlace,
    MovieCard,
    PublishedModel,
    RatingRange,
    SimilarMovie,
)
from recsys.web.api.params import TEXT, Genre, MovieKey, RecommenderDep
from recsys.web.pages.histogram import histogram
from recsys.web.pages.templating import page

SHELF_LENGTH = 12
GENRE_SHELVES = 8
CHART_LENGTH = 60
FOUND = 30
COMPARED = 8

router = APIRouter(include_in_schema=False)

SearchText = Annotated[str, Query(pattern=TEXT, max_length=500)]
ModelName = Annotated[str | None, Query(pattern=TEXT, max_length=100)]


@dataclass(frozen=True, slots=True)
class Shelf:
    """A row of movies from a chart of all genres or of one."""

    chart: str
    genre: str | None
    places: Sequence[ChartPlace]


@dataclass(frozen=True, slots=True)
class SimilarByModel:
    """The movies that one model finds similar."""

    model: PublishedModel
    movies: Sequence[SimilarMovie]


@router.get("/")
async def home(recommender: RecommenderDep) -> Response:
    models, published, scale = await gather(
        recommender.models(), recommender.published(), recommender.rating_scale()
    )
    charts = charts_of(models)
    # Charts of the role "top" have a shelf; without any the first chart has one.
    wanted = [chart.model for chart in charts if chart.top_order is not None]
    wanted = wanted or [chart.model for chart in charts[:1]]
    leading = wanted[0] if wanted else None
    shelves = _shelves(await recommender.charts(SHELF_LENGTH, by_genre=leading), wanted)
    cards = await cards_of(recommender, (p.movie_id for shelf in shelves for p in shelf.places))
    values = {"shelves": shelves, "cards": cards, "published": published}
    values |= {"graded": is_graded(scale)}
    return page("home.html", values | {"names": names_of(models)})


def charts_of(
    models: Sequence[PublishedModel], role: Literal["top", "popularity"] = "top"
) -> list[PublishedModel]:
    """Return the published charts, the candidates for a role first, in order of preference."""

    def sort_key(chart: PublishedModel) -> tuple[float, float, str]:
        order = chart.top_order if role == "top" else chart.popularity_order
        orders = (order, chart.cold_start_order)
        first, second = (math.inf if each is None else each for each in orders)
        return first, second, chart.model

    return sorted((model for model in models if model.kind == "chart"), key=sort_key)


def names_of(models: Sequence[PublishedModel]) -> Mapping[str, str]:
    """Return the display names of the models by name."""
    return {model.model: model.display_name for model in models}


def _shelves(places: Sequence[ChartPlace], wanted: Sequence[str]) -> list[Shelf]:
    """Return the first charts of all genres, then the genres with the most ratings."""
    found = [
        Shelf(chart, genre, list(members))
        for (chart, genre), members in groupby(places, key=lambda place: (place.chart, place.genre))
    ]
    filled = [shelf for shelf in found if shelf.genre is None]
    # Without times trending has no movies, and without ratings there is no top_rated.
    overall = [shelf for shelf in filled if shelf.chart in wanted] or filled[:1]
    genres = [shelf for shelf in found if shelf.genre is not None]
    genres.sort(key=lambda shelf: -sum(place.votes for place in shelf.places))
    if len(overall) > 1:
        overall.sort(key=lambda shelf: wanted.index(shelf.chart))
    return overall + genres[:GENRE_SHELVES]


async def cards_of(
    recommender: AsyncRecommender, movie_ids: Iterable[int]
) -> Mapping[int, MovieCard]:
    """Return the cards of the movies by id, read by one query."""
    cards = await recommender.movie_cards(list(dict.fromkeys(movie_ids)))
    return {card.movie_id: card for card in cards}


@router.get("/top")
async def top(
    recommender: RecommenderDep, chart: ModelName = None, genre: Genre = None
) -> Response:
    models = await recommender.models()
    charts = charts_of(models)
    if not charts:
        raise NotPublished("no chart is published", hint="the next refresh may add one")
    shown = chart or await _filled(recommender, charts)
    # The form sends an empty genre for all genres.
    entries, places, scale = await gather(
        recommender.top_movies(CHART_LENGTH, genre=genre or None, chart=shown),
        recommender.charts(1, by_genre=shown),
        recommender.rating_scale(),
    )
    genres = sorted({place.genre for place in places if place.genre is not None})
    # The contract ignores case, the list of genres does not.
    shown_genre = next((each for each in genres if each.lower() == (genre or "").lower()), genre)
    cards = await cards_of(recommender, (entry.movie_id for entry in entries))
    chosen = {"charts": charts, "chart": shown, "genres": genres, "genre": shown_genre}
    rows = {"entries": entries, "cards": cards, "names": names_of(models)}
    return page("top.html", chosen | rows | {"graded": is_graded(scale)})


@router.get("/search")
async def search(recommender: RecommenderDep, q: SearchText = "") -> Response:
    words = q.strip()
    found = await recommender.search(words, FOUND) if words else []
    cards = await cards_of(recommender, (movie.movie_id for movie in found))
    return page("search.html", {"query": words, "cards": list(cards.values())})


@router.get("/movie/{movie_id}")
async def movie(recommender: RecommenderDep, movie_id: MovieKey) -> Response:
    (facts, details, bins, scale), (similar, compared, models) = await gather(
        gather(
            recommender.movie(movie_id),
            recommender.movie_details(movie_id),
            recommender.rating_histogram(movie_id),
            recommender.rating_scale(),
        ),
        gather(
            _similar(recommender, movie_id),
            recommender.similar_by_model(movie_id, COMPARED),
            published_models(recommender),
        ),
    )
    by_model = _by_model(compared, models)
    shown = [*similar, *(row for each in by_model for row in each.movies)]
    cards = await cards_of(recommender, (row.movie_id for row in shown))
    graded = is_graded(scale)
    values = {"movie": facts, "details": details, "published": models, "cards": cards}
    values |= {"similar": similar, "by_model": by_model, "names": names_of(models)}
    values |= {"graded": graded, "histogram": histogram(bins) if graded else None}
    return page("movie.html", values | {"best": scale.rating_max or 5})


def is_graded(scale: RatingRange) -> bool:
    """Return whether ratings differ; data of views or purchases have a single value."""
    return scale.rating_min is None or scale.rating_min != scale.rating_max


async def _filled(recommender: AsyncRecommender, charts: Sequence[PublishedModel]) -> str:
    """Return the first chart with movies: without times, trending has none."""
    filled = {place.chart for place in await recommender.charts(1)}
    return next((each.model for each in charts if each.model in filled), charts[0].model)


async def _similar(recommender: AsyncRecommender, movie_id: str) -> Sequence[SimilarMovie]:
    """Return the movies most like one, an empty list if nothing is published."""
    try:
        return await recommender.similar(movie_id, SHELF_LENGTH)
    except NotPublished:
        return []


async def published_models(recommender: AsyncRecommender) -> Sequence[PublishedModel]:
    """Return the published models, an empty list if nothing is published."""
    try:
        return await recommender.models()
    except NotPublished:
        return []


def _by_model(
    similar: Sequence[SimilarMovie], published: Sequence[PublishedModel]
) -> list[SimilarByModel]:
    by_name = {model.model: model for model in published}
    return [
        SimilarByModel(by_name[name], list(members))
        for name, members in groupby(similar, key=lambda each: each.model)
        if name in by_name
    ]
