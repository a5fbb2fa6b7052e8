"""Queries about one user: recommendations, explanations, ratings and blocks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from psycopg.rows import scalar_row, tuple_row

from recsys.errors import InvalidArgument, NotPublished, UnknownMovie
from recsys.service.queries.query import FIRST_STEPS, HINTS, Query, Rows, by, row, rows, shown
from recsys.service.queries.runs import model_check
from recsys.service.types import (
    Contribution,
    Filters,
    MovieRef,
    Rating,
    RatingRange,
    Reason,
    Recommendation,
    SimilarUser,
    Taste,
    UserRef,
    UserStatus,
)
from recsys.storage.server.pool import Statement

# OFFSET 0 keeps the lookup by key. PostgreSQL expects 1,000 rows of a function, and would join all
# movies.
RECOMMENDATION = """
SELECT
    r.rank, r.movie_id, r.title, m.year, m.genres, m.poster_url, r.score, r.source, r.model,
    r.run_id, recsys.label(r.model, r.score) AS label, r.movie_key
FROM {} AS r
CROSS JOIN LATERAL (
    SELECT year, genres, poster_url FROM recsys.movies WHERE movie_id = r.movie_id OFFSET 0
) AS m
ORDER BY r.rank
"""
RECOMMEND = RECOMMENDATION.format("""recsys.recommend(
    CAST(%(user_id)s AS {user}), CAST(%(n)s AS integer), CAST(%(model)s AS text),
    CAST(%(genres)s AS text[]), CAST(%(year_from)s AS integer), CAST(%(year_to)s AS integer)
)""")
RECOMMEND_FOR = RECOMMENDATION.format("""recsys.recommend_for(
    CAST(%(ratings)s AS jsonb), CAST(%(n)s AS integer), CAST(%(model)s AS text),
    CAST(%(genres)s AS text[]), CAST(%(year_from)s AS integer), CAST(%(year_to)s AS integer),
    CAST(%(by_id)s AS boolean)
)""")
SIMILAR_USERS = """
SELECT rank, user_id, score, common_ratings, model, run_id, user_key
FROM recsys.similar_users({user}, CAST(%(n)s AS integer), CAST(%(model)s AS text))
"""
PREDICT_RATING = """
SELECT recsys.predict_rating({user}, m.movie_id, CAST(%(model)s AS text)) AS rating
FROM recsys.movies AS m
WHERE m.movie_id = {movie}
"""
RATINGS = """
SELECT user_id, movie_id, title, rating, rated_at, user_key, movie_key
FROM recsys.ratings
WHERE user_id = {user}
ORDER BY
    CASE WHEN NOT CAST(%(latest)s AS boolean) THEN rating END DESC, rated_at DESC NULLS LAST,
    rating DESC, movie_id
LIMIT CAST(%(n)s AS integer)
OFFSET CAST(%(offset)s AS integer)
"""
USER_TASTE = """
SELECT
    u.user_id, t.facet, t.name, t.ratings, t.share, t.mean_rating, t.against_others, u.user_key
FROM (
    SELECT r.user_id, r.user_key FROM recsys.ratings AS r WHERE r.user_id = {user} LIMIT 1
) AS u
CROSS JOIN LATERAL recsys.user_taste(u.user_id) WITH ORDINALITY
    AS t (facet, name, ratings, share, mean_rating, against_others, place)
ORDER BY t.place
"""
# Of a sample, because counting the ratings of all would read every rating; the users with about a
# hundred ratings say most about their taste.
EXAMPLE_USERS = """
WITH chosen AS (
    SELECT c.user_id, c.user_key
    FROM (
        SELECT
            u.user_id, u.user_key,
            (SELECT count(*) FROM recsys.ratings AS r WHERE r.user_id = u.user_id) AS ratings
        FROM recsys.sample_users(16) AS u
    ) AS c
    ORDER BY abs(ln(c.ratings / 100.0)), c.user_id
    LIMIT CAST(%(n)s AS integer)
)
SELECT
    c.user_id, t.facet, t.name, t.ratings, t.share, t.mean_rating, t.against_others, c.user_key
FROM chosen AS c
CROSS JOIN LATERAL recsys.user_taste(c.user_id) WITH ORDINALITY
    AS t (facet, name, ratings, share, mean_rating, against_others, place)
ORDER BY c.user_id, t.place
"""
RATING = """
SELECT rating FROM recsys.ratings WHERE (user_id, movie_id) = ({user}, {movie})
"""
A_USER = """
SELECT user_id FROM recsys.ratings
GROUP BY user_id
ORDER BY abs(count(*) - 100), user_id
LIMIT 1
"""
ANY_USER = """
SELECT user_id FROM recsys.sample_users(1, random())
"""
RATING_SCALE = """
SELECT rating_min, rating_max FROM recsys.rating_scale()
"""
EXPLAIN = """
SELECT
    because_movie_id, because_title, rating, weight, similarity, contribution, share, score,
    source, model, exact, shared_genres, shared_tags, run_id, because_movie_key
FROM recsys.explain({user}, {movie}, CAST(%(model)s AS text))
"""
REASONS = """
SELECT
    wanted.movie_id, e.because_movie_id, e.because_title, e.rating, e.share, e.because_movie_key
FROM unnest(CAST(%(movie_ids)s AS integer[])) WITH ORDINALITY AS wanted (movie_id, place)
CROSS JOIN (
    SELECT
        -- At least the middle of the scale, too: a low mean does not make a low rating a liked
        -- one. The mean of equal ratings may be rounded up.
        CASE
            -- Interactions are all alike.
            WHEN min(s.rating_min) = min(s.rating_max) THEN '-Infinity'
            ELSE greatest(avg(r.rating) - 1e-9, (min(s.rating_min) + min(s.rating_max)) / 2)
        END AS least
    FROM recsys.ratings AS r
    CROSS JOIN recsys.rating_scale() AS s
    WHERE r.user_id = {user}
) AS liked
CROSS JOIN LATERAL (
    SELECT * FROM recsys.explain({user}, wanted.movie_id, CAST(%(model)s AS text)) AS x
    -- Models that ignore the value of a rating let movies contribute that the user dislikes.
    WHERE x.because_movie_id IS NOT NULL AND x.contribution > 0 AND x.rating >= liked.least
    ORDER BY x.contribution DESC, x.because_movie_id
    LIMIT CAST(%(n)s AS integer)
) AS e
ORDER BY wanted.place, e.contribution DESC, e.because_movie_id
"""
USER_STATUS = """
SELECT status, ratings, ratings_since_run, run_age, run_id, explanation
FROM recsys.user_status({user})
"""
# By the form of the argument and the form that the function takes.
NAMES = ("user_id", "movie_id")
WRITTEN = {
    ("user", "id", "id"): "CAST(%(user_id)s AS integer)",
    ("user", "key", "key"): "CAST(%(user_id)s AS text)",
    ("movie", "id", "id"): "CAST(%(movie_id)s AS integer)",
    ("movie", "key", "key"): "CAST(%(movie_id)s AS text)",
    ("movie", "key", "id"): "recsys.asked_movie(CAST(%(movie_id)s AS text))",
    ("movie", "id", "key"): "recsys.asked_key(CAST(%(movie_id)s AS integer))",
}
RATE = """
SELECT recsys.rate({user}, {movie}, CAST(%(rating)s AS double precision))
"""
BLOCK = """
SELECT recsys.block({user}, {movie}, CAST(%(until)s AS timestamptz))
"""


def recommend(user_id: UserRef, filters: Filters) -> Query[Rows[Recommendation]]:
    params = {"user_id": user_id} | _filter_params(filters)
    # By the overload with a key, which is faster than to look up the id first.
    query = RECOMMEND.format(user="text" if isinstance(user_id, str) else "integer")
    return rows(Recommendation, query, params)


def recommend_for(
    ratings: Mapping[int, float] | Mapping[str, float], filters: Filters
) -> Query[Rows[Recommendation]]:
    keys = sum(isinstance(movie, str) for movie in ratings)
    if 0 < keys < len(ratings):
        raise InvalidArgument("movies are named by ids and by keys", hint="use one of the two")
    by_movie = json.dumps({str(movie): rating for movie, rating in ratings.items()})
    params = {"ratings": by_movie, "by_id": not keys} | _filter_params(filters)
    return rows(Recommendation, RECOMMEND_FOR, params)


def _filter_params(filters: Filters) -> dict[str, Any]:
    # No genres means all of them, both as None and as an empty list.
    return vars(filters) | {"genres": list(filters.genres) if filters.genres else None}


def similar_users(user_id: UserRef, n: int, model: str | None) -> Query[Rows[SimilarUser]]:
    params = {"user_id": user_id, "n": n, "model": model}
    check = model_check(model, "similar users", lambda known: known.prediction == "user_neighbours")
    return rows(SimilarUser, by(SIMILAR_USERS, user=user_id), params, check_if_empty=check)


def predict_rating(user_id: UserRef, movie_id: MovieRef, model: str | None) -> Query[float | None]:
    def parse(found: list[list[Any]]) -> float | None:
        if not found[0]:
            raise UnknownMovie(f"there is no movie {shown(movie_id)}", hint=HINTS[UnknownMovie])
        rating: float | None = found[0][0]
        return rating

    params = {"user_id": user_id, "movie_id": movie_id, "model": model}
    check = model_check(model, "predicted ratings", lambda known: known.prediction is not None)
    query = by(PREDICT_RATING, user=user_id, movie=movie_id)
    statement = Statement(query, scalar_row)
    return Query([statement], params, parse, check_if_empty=check)


def ratings(user_id: UserRef, n: int, latest: bool, offset: int) -> Query[Rows[Rating]]:
    params = {"user_id": user_id, "n": n, "latest": latest, "offset": offset}
    return rows(Rating, by(RATINGS, user=user_id), params)


def user_taste(user_id: UserRef) -> Query[Rows[Taste]]:
    return rows(Taste, by(USER_TASTE, user=user_id), {"user_id": user_id})


def example_users(n: int) -> Query[Rows[Taste]]:
    return rows(Taste, EXAMPLE_USERS, {"n": n})


def rating(user_id: UserRef, movie_id: MovieRef) -> Query[float | None]:
    def parse(found: list[list[Any]]) -> float | None:
        return found[0][0] if found[0] else None

    params = {"user_id": user_id, "movie_id": movie_id}
    query = by(RATING, user=user_id, movie=movie_id)
    return Query([Statement(query, scalar_row)], params, parse)


def a_user(at_random: bool) -> Query[int]:
    def parse(found: list[list[Any]]) -> int:
        if not found[0]:
            raise NotPublished("there are no ratings yet", hint=FIRST_STEPS)
        return int(found[0][0][0])

    return Query([Statement(ANY_USER if at_random else A_USER, tuple_row)], {}, parse)


def rating_scale() -> Query[RatingRange]:
    return row(RatingRange, RATING_SCALE, {})


def explain(user_id: UserRef, movie_id: MovieRef, model: str | None) -> Query[Rows[Contribution]]:
    params = {"user_id": user_id, "movie_id": movie_id, "model": model}
    return rows(Contribution, by(EXPLAIN, user=user_id, movie=movie_id), params)


def reasons(
    user_id: UserRef, movie_ids: Sequence[int], n: int, model: str | None
) -> Query[Rows[Reason]]:
    params = {"user_id": user_id, "movie_ids": list(movie_ids), "n": n, "model": model}
    return rows(Reason, by(REASONS, user=user_id), params)


def user_status(user_id: UserRef) -> Query[UserStatus]:
    return row(UserStatus, by(USER_STATUS, user=user_id), {"user_id": user_id})


def rate(user_id: UserRef, movie_id: MovieRef, rating: float) -> Query[None]:
    params = {"user_id": user_id, "movie_id": movie_id, "rating": rating}
    return _write(RATE, params)


def block(user_id: UserRef, movie_id: MovieRef, until: datetime | None) -> Query[None]:
    params = {"user_id": user_id, "movie_id": movie_id, "until": until}
    return _write(BLOCK, params)


def _write(query: str, params: Mapping[str, Any]) -> Query[None]:
    """Write by ids or by keys; of two names of both kinds, the movie takes that of the user."""
    user, movie = ("key" if isinstance(params[name], str) else "id" for name in NAMES)
    query = query.format(user=WRITTEN["user", user, user], movie=WRITTEN["movie", movie, user])
    return Query([Statement(query, tuple_row)], params, lambda found: None, writes=True)
