"""The pages about movies: home, charts, search and single movies."""

from __future__ import annotations

from asyncio import gather
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Annotated

from fastapi import APIRouter, Query, Response

from recsys.errors import NotPublished
from recsys.service.async_recommender import AsyncRecommender
from recsys.service.types import ChartPlace, MovieCard, PublishedModel, SimilarMovie
from recsys.web.api.params import TEXT, Genre, MovieId, RecommenderDep
from recsys.web.pages.templating import page

SHELF_LENGTH = 12
GENRE_SHELVES = 8
CHART_LENGTH = 60
FOUND = 30
SIMILAR = 8
MODELS_SHOWN = 4
FIRST_CHARTS = ("top_rated", "trending")

router = APIRouter(include_in_schema=False)

SearchText = Annotated[str, Query(pattern=TEXT, max_length=500)]
ChartName = Annotated[str | None, Query(pattern=TEXT, max_length=100)]


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
    models, published = await gather(recommender.models(), recommender.published())
    leading = leading_chart(models)
    shelves = _shelves(await recommender.charts(SHELF_LENGTH, by_genre=leading), leading)
    cards = await cards_of(recommender, (p.movie_id for shelf in shelves for p in shelf.places))
    return page("home.html", {"shelves": shelves, "cards": cards, "published": published})


def leading_chart(models: Sequence[PublishedModel]) -> str | None:
    """Return the chart that comes first; None where no chart is published."""
    charts = [model.model for model in models if model.kind == "chart"]
    return next((name for name in (*FIRST_CHARTS, *charts) if name in charts), None)


def _shelves(places: Sequence[ChartPlace], leading: str | None) -> list[Shelf]:
    """Return the first charts of all genres, then the genres with the most ratings."""
    found = [
        Shelf(chart, genre, list(members))
        for (chart, genre), members in groupby(places, key=lambda place: (place.chart, place.genre))
    ]
    wanted = list(dict.fromkeys((leading, *FIRST_CHARTS)))
    overall = [shelf for shelf in found if shelf.genre is None and shelf.chart in wanted]
    genres = [shelf for shelf in found if shelf.genre is not None]
    genres.sort(key=lambda shelf: -sum(place.votes for place in shelf.places))
    return sorted(overall, key=lambda shelf: wanted.index(shelf.chart)) + genres[:GENRE_SHELVES]


async def cards_of(
    recommender: AsyncRecommender, movie_ids: Iterable[int]
) -> Mapping[int, MovieCard]:
    """Return the cards of the movies by id, read by one query."""
    cards = await recommender.movie_cards(list(dict.fromkeys(movie_ids)))
    return {card.movie_id: card for card in cards}


@router.get("/top")
async def top(
    recommender: RecommenderDep, chart: ChartName = None, genre: Genre = None
) -> Response:
    models = await recommender.models()
    charts = [model.model for model in models if model.kind == "chart"]
    shown = chart or leading_chart(models)
    if shown is None:
        raise NotPublished("no chart is published", hint="name one in [refresh] models")
    entries, places = await gather(
        recommender.top_movies(CHART_LENGTH, genre=genre or None, chart=shown),
        recommender.charts(1, by_genre=shown),
    )
    genres = sorted({place.genre for place in places if place.genre is not None})
    # The contract ignores case, the list of genres does not.
    shown_genre = next((each for each in genres if each.lower() == (genre or "").lower()), genre)
    cards = await cards_of(recommender, (entry.movie_id for entry in entries))
    values = {"charts": charts, "chart": shown, "genres": genres, "genre": shown_genre}
    return page("top.html", values | {"entries": entries, "cards": cards})


@router.get("/search")
async def search(recommender: RecommenderDep, q: SearchText = "") -> Response:
    words = q.strip()
    found = await recommender.search(words, FOUND) if words else []
    cards = await cards_of(recommender, (movie.movie_id for movie in found))
    return page("search.html", {"query": words, "cards": list(cards.values())})


@router.get("/movie/{movie_id}")
async def movie(
    recommender: RecommenderDep, movie_id: MovieId, models: ChartName = None
) -> Response:
    facts, details, scale, similar, published = await gather(
        recommender.movie(movie_id),
        recommender.movie_details(movie_id),
        recommender.rating_scale(),
        recommender.similar_by_model(movie_id, SIMILAR),
        published_models(recommender),
    )
    by_model = _by_model(similar, published)
    shown = by_model if models == "all" else by_model[:MODELS_SHOWN]
    cards = await cards_of(recommender, (row.movie_id for each in shown for row in each.movies))
    values = {"movie": facts, "details": details, "published": published, "cards": cards}
    values |= {"similar": shown, "more": len(by_model) - len(shown), "best": scale.rating_max or 5}
    return page("movie.html", values)


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
