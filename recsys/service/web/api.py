"""The routes that answer with JSON: each asks one method of the AsyncRecommender."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response

from recsys.errors import UnknownUser
from recsys.service.web.answers import fresh, of_the_run
from recsys.service.web.asked import (
    BlockGiven,
    Chart,
    Genre,
    Genres,
    Model,
    MovieId,
    N,
    RatingGiven,
    RatingsGiven,
    RunId,
    Title,
    UserId,
    Year,
    asked,
)
from recsys.service.web.security import writer

router = APIRouter()
WRITES = [Depends(writer)]


@router.get("/movies")
async def search(request: Request, query: Title, n: N = 10) -> Response:
    """Movies whose titles match, the best match first; mistyped words are found as well."""
    return fresh(await asked(request).search(query, n))


@router.get("/movies/{movie_id}")
async def movie(request: Request, movie_id: MovieId) -> Response:
    """One movie, with its ratings as of now."""
    return fresh(await asked(request).movie(movie_id))


@router.get("/movies/{movie_id}/similar")
async def similar(request: Request, movie_id: MovieId, n: N = 10, model: Model = None) -> Response:
    """Movies like this one, the nearest first."""
    return of_the_run(request, await asked(request).similar(movie_id, n, model=model))


@router.get("/charts/{chart}")
async def chart(request: Request, chart: Chart, n: N = 10, genre: Genre = None) -> Response:
    """The first movies of a chart, of all genres or of one."""
    return of_the_run(request, await asked(request).top_movies(n, genre=genre, chart=chart))


@router.get("/users/{user_id}")
async def user_status(request: Request, user_id: UserId) -> Response:
    """How a user is served, and why; of an unknown one, that it is unknown."""
    return fresh(await asked(request).user_status(user_id))


@router.get("/users/{user_id}/recommendations")
async def recommendations(
    request: Request,
    user_id: UserId,
    n: N = 10,
    model: Model = None,
    genres: Genres = None,
    year_from: Year = None,
    year_to: Year = None,
) -> Response:
    """Movies to recommend to a user, best first; to an unknown user, a chart."""
    rows = await asked(request).recommend(
        user_id, n, model=model, genres=genres, year_from=year_from, year_to=year_to
    )
    return fresh(rows)


@router.get("/users/{user_id}/recommendations/{movie_id}/explanation")
async def explanation(
    request: Request, user_id: UserId, movie_id: MovieId, model: Model = None
) -> Response:
    """What leads to a movie for a user, the strongest first."""
    recommender = asked(request)
    rows = await recommender.explain(user_id, movie_id, model=model)
    if all(row.because_movie_id is None for row in rows):
        # A chart explains as much of nobody.
        status = await recommender.user_status(user_id)
        if status.status == "unknown_user":
            raise UnknownUser(f"there is no user {user_id}")
    return fresh(rows)


@router.post("/recommendations")
async def recommend_for(request: Request, given: RatingsGiven) -> Response:
    """Movies for somebody who gave these ratings; nothing of it is kept."""
    rows = await asked(request).recommend_for(
        given.ratings,
        given.n,
        model=given.model,
        genres=given.genres,
        year_from=given.year_from,
        year_to=given.year_to,
    )
    return fresh(rows)


@router.put("/users/{user_id}/ratings/{movie_id}", status_code=204, dependencies=WRITES)
async def rate(
    request: Request, user_id: UserId, movie_id: MovieId, given: RatingGiven
) -> Response:
    """Keep a user's rating of a movie; recommendations follow it at once."""
    await asked(request).rate(user_id, movie_id, given.rating)
    return Response(status_code=204)


@router.put("/users/{user_id}/blocks/{movie_id}", status_code=204, dependencies=WRITES)
async def block(
    request: Request,
    user_id: UserId,
    movie_id: MovieId,
    given: BlockGiven | None = None,
) -> Response:
    """Keep a movie out of a user's recommendations, for good or until then."""
    await asked(request).block(user_id, movie_id, given.until if given else None)
    return Response(status_code=204)


@router.get("/runs")
async def runs(request: Request, n: N = 20) -> Response:
    """Refreshes and evaluations, the latest first."""
    return fresh(await asked(request).runs(n))


@router.get("/runs/{run_id}")
async def run(request: Request, run_id: RunId) -> Response:
    """All that is known of a run: stages, figures, when it was published."""
    return fresh(await asked(request).run(run_id))
