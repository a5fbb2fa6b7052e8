"""The routes that answer with JSON: each asks one method of the AsyncRecommender."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response

from recsys.errors import ConfigError, UnknownUser
from recsys.service.types import (
    Because,
    ChartEntry,
    FoundMovie,
    Movie,
    Recommendation,
    Run,
    RunRecord,
    SimilarMovie,
)
from recsys.web.api import openapi
from recsys.web.api.openapi import answers, refusals
from recsys.web.api.params import (
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
from recsys.web.api.responses import fresh, of_the_run
from recsys.web.middleware.errors import problem
from recsys.web.middleware.security import writer

router = APIRouter()
WRITES = [Depends(writer)]
WRITING_FAILS = refusals(400, 401, 403, 404, 413, 422, 503)


# --- movies ---------------------------------------------------------------------------------------


@router.get(
    "/movies",
    summary="Search movies",
    response_model=list[FoundMovie],
    responses=answers(openapi.FOUND, 422, 503),
)
async def search(request: Request, query: Title, n: N = 10) -> Response:
    """Movies whose titles match, the best match first; mistyped words are found as well."""
    return fresh(await asked(request).search(query, n))


@router.get(
    "/movies/{movie_id}",
    summary="One movie",
    response_model=Movie,
    responses=answers(openapi.MOVIE, 404, 422, 503),
)
async def movie(request: Request, movie_id: MovieId) -> Response:
    """A movie of the catalogue, its ratings as of now."""
    return fresh(await asked(request).movie(movie_id))


@router.get(
    "/movies/{movie_id}/similar",
    summary="Similar movies",
    response_model=list[SimilarMovie],
    responses=answers(openapi.SIMILAR, 404, 422, 503, tagged=True),
)
async def similar(request: Request, movie_id: MovieId, n: N = 10, model: Model = None) -> Response:
    """Movies like this one, the nearest first; none where nothing is known of it."""
    return of_the_run(request, await asked(request).similar(movie_id, n, model=model))


@router.get(
    "/charts/{chart}",
    summary="A chart",
    response_model=list[ChartEntry],
    responses=answers(openapi.CHART, 404, 422, 503, tagged=True),
)
async def chart(request: Request, chart: Chart, n: N = 10, genre: Genre = None) -> Response:
    """The first movies of a chart, of all genres or of one."""
    recommender = asked(request)
    try:
        rows = await recommender.top_movies(n, genre=genre, chart=chart)
    except ConfigError:
        try:
            # Refused without the genre as well: it is the chart that there is not.
            await recommender.top_movies(0, chart=chart)
        except ConfigError as unknown:
            return problem(404, str(unknown), unknown.hint)
        raise
    return of_the_run(request, rows)


# --- people ---------------------------------------------------------------------------------------


@router.get(
    "/users/{user_id}",
    summary="How a user is served",
    response_model=openapi.UserServed,
    responses=answers(openapi.USER, 422, 503),
)
async def user_status(request: Request, user_id: UserId) -> Response:
    """By a stored list, live, or by a chart, and why; also of a user nobody knows."""
    return fresh(await asked(request).user_status(user_id))


@router.get(
    "/users/{user_id}/recommendations",
    summary="Recommend to a user",
    response_model=list[Recommendation],
    responses=answers(openapi.RECOMMENDED, 422, 503),
)
async def recommendations(
    request: Request,
    user_id: UserId,
    n: N = 10,
    model: Model = None,
    genres: Genres = None,
    year_from: Year = None,
    year_to: Year = None,
) -> Response:
    """Movies the user has neither rated nor blocked, best first; to a user nobody knows, a chart.

    A rating given a moment ago counts already, so no answer may be kept.
    """
    rows = await asked(request).recommend(
        user_id, n, model=model, genres=genres, year_from=year_from, year_to=year_to
    )
    return fresh(rows)


@router.get(
    "/users/{user_id}/recommendations/{movie_id}/explanation",
    summary="Why a movie is recommended",
    response_model=list[Because],
    responses=answers(openapi.BECAUSE, 404, 422, 503),
)
async def explanation(
    request: Request, user_id: UserId, movie_id: MovieId, model: Model = None
) -> Response:
    """What leads to a movie for a user, the strongest first; 404 for a user nobody knows."""
    recommender = asked(request)
    rows = await recommender.explain(user_id, movie_id, model=model)
    # The contract explains the chart to whomever: that says nothing about this user.
    nobody = all(row.because_movie_id is None for row in rows)
    if nobody and (await recommender.user_status(user_id)).status == "unknown_user":
        raise UnknownUser(f"there is no user {user_id}", hint="who rates a movie becomes one")
    return fresh(rows)


@router.post(
    "/recommendations",
    summary="Recommend by ratings",
    response_model=list[Recommendation],
    responses=answers(openapi.RECOMMENDED, 400, 404, 413, 422, 503),
)
async def recommend_for(request: Request, given: RatingsGiven) -> Response:
    """Movies for somebody who gave these ratings, known or not; nothing of it is kept."""
    rows = await asked(request).recommend_for(
        given.ratings,
        given.n,
        model=given.model,
        genres=given.genres,
        year_from=given.year_from,
        year_to=given.year_to,
    )
    return fresh(rows)


@router.put(
    "/users/{user_id}/ratings/{movie_id}",
    summary="Rate a movie",
    status_code=204,
    dependencies=WRITES,
    responses=WRITING_FAILS,
)
async def rate(
    request: Request, user_id: UserId, movie_id: MovieId, given: RatingGiven
) -> Response:
    """Keep a user's rating of a movie in place of an earlier one; a new user is added."""
    await asked(request).rate(user_id, movie_id, given.rating)
    return Response(status_code=204)


@router.put(
    "/users/{user_id}/blocks/{movie_id}",
    summary="Block a movie",
    status_code=204,
    dependencies=WRITES,
    responses=WRITING_FAILS,
)
async def block(
    request: Request,
    user_id: UserId,
    movie_id: MovieId,
    given: BlockGiven | None = None,
) -> Response:
    """Keep a movie out of a user's recommendations, for good or until then."""
    await asked(request).block(user_id, movie_id, given.until if given else None)
    return Response(status_code=204)


# --- runs -----------------------------------------------------------------------------------------


@router.get(
    "/runs",
    summary="Runs",
    response_model=list[Run],
    responses=answers([openapi.RUN], 422, 503),
)
async def runs(request: Request, n: N = 20) -> Response:
    """Refreshes and evaluations, the latest first."""
    return fresh(await asked(request).runs(n))


@router.get(
    "/runs/{run_id}",
    summary="One run",
    response_model=RunRecord,
    responses=refusals(404, 422, 503),
)
async def run(request: Request, run_id: RunId) -> Response:
    """All that is known of a run: what it read, its stages, its figures, when it was published."""
    return fresh(await asked(request).run(run_id))
