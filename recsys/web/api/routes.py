"""The JSON routes: each calls one method of the AsyncRecommender."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter, Depends, Request, Response

from recsys.errors import InvalidArgument, UnknownUser
from recsys.service.types import (
    ChartEntry,
    Contribution,
    FoundMovie,
    Movie,
    Recommendation,
    Run,
    RunRecord,
    SimilarMovie,
)
from recsys.web.api import openapi
from recsys.web.api.openapi import error_responses, responses
from recsys.web.api.params import (
    BlockBody,
    ChartName,
    FiltersDep,
    Genre,
    Model,
    MovieKey,
    N,
    RatingBody,
    RatingsBody,
    RecommenderDep,
    RunId,
    Title,
    UserKey,
)
from recsys.web.api.responses import tagged, uncached
from recsys.web.api.strict import StrictRoute
from recsys.web.middleware.errors import problem
from recsys.web.middleware.security import require_token

router = APIRouter(route_class=StrictRoute)
WRITES = [Depends(require_token)]
WRITE_ERRORS = error_responses(400, 401, 403, 404, 413, 422, 503)


# --- movies ---------------------------------------------------------------------------------------


@router.get(
    "/movies",
    summary="Search movies",
    response_model=list[FoundMovie],
    responses=responses(openapi.FOUND, 422, 503),
)
async def search(recommender: RecommenderDep, query: Title, n: N = 10) -> Response:
    """Return movies whose titles match, best match first. Misspelled words match as well."""
    return uncached(await recommender.search(query, n))


@router.get(
    "/movies/{movie_id}",
    summary="One movie",
    response_model=Movie,
    responses=responses(openapi.MOVIE, 404, 422, 503),
)
async def movie(recommender: RecommenderDep, movie_id: MovieKey) -> Response:
    """Return a movie of the catalogue with its current ratings."""
    return uncached(await recommender.movie(movie_id))


@router.get(
    "/movies/{movie_id}/similar",
    summary="Similar movies",
    response_model=list[SimilarMovie],
    responses=responses(openapi.SIMILAR, 404, 422, 503, etag=True),
)
async def similar(
    request: Request,
    recommender: RecommenderDep,
    movie_id: MovieKey,
    n: N = 10,
    model: Model = None,
) -> Response:
    """Return the most similar movies, nearest first. Empty if the movie has no neighbours."""
    return tagged(request, await recommender.similar(movie_id, n, model=model))


@router.get(
    "/charts/{chart}",
    summary="A chart",
    response_model=list[ChartEntry],
    responses=responses(openapi.CHART, 404, 422, 503, etag=True),
)
async def chart(
    request: Request,
    recommender: RecommenderDep,
    chart: ChartName,
    n: N = 10,
    genre: Genre = None,
) -> Response:
    """Return the first movies of a chart, of all genres or of one."""
    try:
        rows = await recommender.top_movies(n, genre=genre, chart=chart)
    except InvalidArgument:
        try:
            # If it fails without the genre as well, the chart is unknown: 404 instead of 422.
            await recommender.top_movies(0, chart=chart)
        except InvalidArgument as unknown:
            return problem(404, str(unknown), unknown.hint)
        raise
    return tagged(request, rows)


# --- users ----------------------------------------------------------------------------------------


@router.get(
    "/users/{user_id}",
    summary="How a user is served",
    response_model=openapi.UserStatusResponse,
    responses=responses(openapi.USER, 422, 503),
)
async def user_status(recommender: RecommenderDep, user_id: UserKey) -> Response:
    """Return how the user gets recommendations and why: stored list, live list or chart.

    An unknown user has a status too.
    """
    return uncached(await recommender.user_status(user_id))


@router.get(
    "/users/{user_id}/recommendations",
    summary="Recommend to a user",
    response_model=list[Recommendation],
    responses=responses(openapi.RECOMMENDED, 414, 422, 503),
)
async def recommendations(
    recommender: RecommenderDep, user_id: UserKey, filters: FiltersDep
) -> Response:
    """Return movies that the user has neither rated nor blocked, best first.

    An unknown user gets a chart. New ratings count at once, so the response is not cached. If the
    named model cannot follow them, `source` is `substitute` and `model` names the one that does.
    """
    return uncached(await recommender.recommend(user_id, **vars(filters)))


@router.get(
    "/users/{user_id}/recommendations/{movie_id}/explanation",
    summary="Why a movie is recommended",
    response_model=list[Contribution],
    responses=responses(openapi.EXPLANATION, 404, 422, 503),
)
async def explanation(
    recommender: RecommenderDep, user_id: UserKey, movie_id: MovieKey, model: Model = None
) -> Response:
    """Return the contribution of each rated movie to the score of a movie, largest first."""
    rows = await recommender.explain(user_id, movie_id, model=model)
    # The contract explains a chart for unknown users too, which says nothing about this user.
    no_ratings = all(row.because_movie_id is None for row in rows)
    if no_ratings and (await recommender.user_status(user_id)).status == "unknown_user":
        raise UnknownUser(f"there is no user {user_id}", hint="the first rating adds a user")
    return uncached(rows)


@router.post(
    "/recommendations",
    summary="Recommend by ratings",
    response_model=list[Recommendation],
    responses=responses(openapi.RECOMMENDED, 400, 404, 413, 422, 503),
)
async def recommend_for(recommender: RecommenderDep, body: RatingsBody) -> Response:
    """Return recommendations for the ratings of the body. Nothing is stored."""
    return uncached(await recommender.recommend_for(body.ratings, **vars(body.filters())))


@router.put(
    "/users/{user_id}/ratings/{movie_id}",
    summary="Rate a movie",
    status_code=204,
    dependencies=WRITES,
    responses=WRITE_ERRORS,
)
async def rate(
    recommender: RecommenderDep, user_id: UserKey, movie_id: MovieKey, body: RatingBody
) -> Response:
    """Store a rating, replacing an earlier one. Adds the user if necessary."""
    await recommender.rate(user_id, movie_id, body.rating)
    return Response(status_code=204)


@router.put(
    "/users/{user_id}/blocks/{movie_id}",
    summary="Block a movie",
    status_code=204,
    dependencies=WRITES,
    responses=WRITE_ERRORS,
)
async def block(
    recommender: RecommenderDep,
    user_id: UserKey,
    movie_id: MovieKey,
    body: BlockBody | None = None,
) -> Response:
    """Exclude a movie from the recommendations of a user, for good or until a given time."""
    await recommender.block(user_id, movie_id, body.until if body else None)
    return Response(status_code=204)


@router.delete(
    "/users/{user_id}/blocks/{movie_id}",
    summary="Lift a block",
    status_code=204,
    dependencies=WRITES,
    responses=error_responses(401, 403, 404, 422, 503),
)
async def unblock(recommender: RecommenderDep, user_id: UserKey, movie_id: MovieKey) -> Response:
    """Recommend a movie again. Succeeds if it was not blocked, too."""
    # The contract would add an unknown user, as it does for a block.
    if (await recommender.user_status(user_id)).status == "unknown_user":
        raise UnknownUser(f"there is no user {user_id}", hint="the first rating adds a user")
    await recommender.block(user_id, movie_id, datetime.now(UTC))
    return Response(status_code=204)


# --- runs -----------------------------------------------------------------------------------------


@router.get(
    "/runs",
    summary="Runs",
    response_model=list[Run],
    responses=responses([openapi.RUN], 422, 503),
)
async def runs(recommender: RecommenderDep, n: N = 20) -> Response:
    """Return refreshes and evaluations, latest first."""
    return uncached(await recommender.runs(n))


@router.get(
    "/runs/{run_id}",
    summary="One run",
    response_model=RunRecord,
    responses=error_responses(404, 422, 503),
)
async def run(recommender: RecommenderDep, run_id: RunId) -> Response:
    """Return the full record of a run: its input, stages, metrics and publications."""
    return uncached(await recommender.run(run_id))
