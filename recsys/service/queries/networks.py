"""Queries about the networks of the published run, and rows from scores that one computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg.rows import tuple_row

from recsys.service.queries.query import Query, Rows, rows
from recsys.service.types import Filters, Recommendation
from recsys.storage.server.pool import Statement

PUBLISHED = """
SELECT
    p.run_id, n.run_id, n.model, r.parameters,
    ARRAY(
        SELECT recsys.movie_id(g.key) FROM unnest(CAST(%(keys)s AS text[])) WITH ORDINALITY
            AS g (key, place)
        ORDER BY g.place
    )
FROM recsys.runs AS p
JOIN recsys.networks AS n ON n.model = coalesce(CAST(%(model)s AS text), p.default_model)
JOIN recsys.runs AS r ON r.run_id = n.run_id
WHERE p.published
"""
NETWORK = """
SELECT
    n.network, n.movie_ids, coalesce(n.ratings_mean, 0), coalesce(n.ratings_deviation, 0),
    coalesce(r.rating_min, 0), coalesce(r.rating_max, 0)
FROM recsys.networks AS n
JOIN recsys.runs AS r ON r.run_id = n.run_id
WHERE n.run_id = %(run_id)s AND n.model = %(model)s
"""
# Arrays in binary: text would have to be parsed number by number.
FACTORS = """
SELECT movie_id, bias, array_send(factors) FROM recsys.movie_factors
WHERE model = %(model)s
ORDER BY movie_id
"""
# The candidates are sorted first, so that their movies are looked up until n are found.
LISTED = """
SELECT
    row_number() OVER (ORDER BY c.place), c.movie_id, m.title, m.year, m.genres, m.poster_url,
    c.score, 'network', CAST(%(model)s AS text), CAST(%(run_id)s AS integer),
    recsys.label(CAST(%(model)s AS text), c.score), m.movie_key
FROM (
    SELECT u.movie_id, u.score, u.place
    FROM unnest(CAST(%(movie_ids)s AS integer[]), CAST(%(scores)s AS double precision[]))
        WITH ORDINALITY AS u (movie_id, score, place)
    ORDER BY u.place
) AS c
CROSS JOIN LATERAL (
    SELECT title, year, genres, poster_url, movie_key, available
    FROM recsys.movies WHERE movie_id = c.movie_id OFFSET 0
) AS m
WHERE m.available
  AND (
        CAST(%(genres)s AS text[]) IS NULL
        OR lower(CAST(m.genres AS text))::text[] && lower(CAST(%(genres)s AS text))::text[]
    )
  AND (CAST(%(year_from)s AS integer) IS NULL OR m.year >= CAST(%(year_from)s AS integer))
  AND (CAST(%(year_to)s AS integer) IS NULL OR m.year <= CAST(%(year_to)s AS integer))
ORDER BY c.place
LIMIT CAST(%(n)s AS integer)
"""


def published(model: str | None, keys: Sequence[str]) -> Query[tuple[Any, ...] | None]:
    """Query the network of a model, None for the default one, and the movies of these keys."""
    params = {"model": model, "keys": list(keys)}
    return Query([Statement(PUBLISHED, tuple_row)], params, lambda found: _first(found[0]))


def network(
    run_id: int, model: str
) -> Query[tuple[tuple[Any, ...] | None, list[tuple[int, float, bytes]]]]:
    """Query a network and the factors of movies, each row in the binary form of PostgreSQL."""
    params = {"run_id": run_id, "model": model}
    statements = [Statement(NETWORK, tuple_row), Statement(FACTORS, tuple_row)]
    return Query(statements, params, lambda found: (_first(found[0]), found[1]))


def listed(
    run_id: int, model: str, movie_ids: list[int], scores: list[float], filters: Filters
) -> Query[Rows[Recommendation]]:
    """Query the first n of scored movies, best first, that are available and pass the filters."""
    params = {**vars(filters), "genres": list(filters.genres) if filters.genres else None}
    params |= {"run_id": run_id, "model": model, "movie_ids": movie_ids, "scores": scores}
    return rows(Recommendation, LISTED, params)


def _first(found: list[Any]) -> tuple[Any, ...] | None:
    return found[0] if found else None
