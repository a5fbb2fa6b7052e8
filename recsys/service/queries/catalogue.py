"""Queries about movies: charts, search, metadata and similar movies."""

from __future__ import annotations

from collections.abc import Sequence

from recsys.errors import UnknownMovie
from recsys.service.queries.query import HINTS, Query, Rows, by, row, rows, shown
from recsys.service.queries.runs import model_check
from recsys.service.types import (
    ChartEntry,
    ChartPlace,
    FoundMovie,
    Movie,
    MovieCard,
    MovieDetails,
    MovieRef,
    RatingBin,
    SimilarMovie,
)

SIMILAR = """
SELECT rank, movie_id, title, score, model, run_id, movie_key
FROM recsys.similar({movie}, CAST(%(n)s AS integer), CAST(%(model)s AS text))
"""
SIMILAR_BY_MODEL = """
SELECT s.rank, s.movie_id, s.title, s.score, s.model, s.run_id, s.movie_key
FROM recsys.runs AS r
JOIN recsys.models AS m ON r.parameters -> 'models' ? m.model AND m.kind <> 'chart'
CROSS JOIN LATERAL recsys.similar({movie}, CAST(%(n)s AS integer), m.model) AS s
WHERE r.published
ORDER BY s.model <> r.default_model, s.model, s.rank
"""
TOP_MOVIES = """
SELECT rank, movie_id, title, score, votes, mean_rating, movie_key
FROM recsys.top_movies(CAST(%(n)s AS integer), CAST(%(genre)s AS text), CAST(%(chart)s AS text))
"""
CHARTS = """
SELECT chart, genre, rank, movie_id, votes, mean_rating, movie_key
FROM recsys.charts
WHERE (genre IS NULL OR chart = CAST(%(by_genre)s AS text)) AND rank <= CAST(%(n)s AS integer)
ORDER BY chart, genre NULLS FIRST, rank
"""
SEARCH = """
SELECT movie_id, title, year, movie_key
FROM recsys.search_movies(CAST(%(query)s AS text), CAST(%(n)s AS integer))
"""
MOVIE = """
SELECT
    movie_id, title, year, genres, ratings_count, ratings_mean, imdb_id, tmdb_id, poster_url,
    movie_key, available
FROM recsys.movies
WHERE movie_id = {movie}
"""
MOVIE_DETAILS = """
SELECT
    movie_id, tagline, overview, release_date, runtime, original_language, collection, directors,
    actors, keywords, movie_key
FROM recsys.movie_details
WHERE movie_id = {movie}
"""
RATING_HISTOGRAM = """
SELECT rating_from, rating_to, ratings
FROM recsys.rating_histogram({movie})
"""
MOVIE_CARDS = """
SELECT m.movie_id, m.title, m.year, m.genres, m.poster_url, m.movie_key
FROM unnest(CAST(%(movie_ids)s AS integer[])) WITH ORDINALITY AS wanted (movie_id, place)
JOIN recsys.movies AS m ON m.movie_id = wanted.movie_id
ORDER BY wanted.place
"""


def similar(movie_id: MovieRef, n: int, model: str | None) -> Query[Rows[SimilarMovie]]:
    params = {"movie_id": movie_id, "n": n, "model": model}
    check = model_check(model, "similar movies", lambda known: known.kind != "chart")
    return rows(SimilarMovie, by(SIMILAR, movie=movie_id), params, check_if_empty=check)


def similar_by_model(movie_id: MovieRef, n: int) -> Query[Rows[SimilarMovie]]:
    return rows(SimilarMovie, by(SIMILAR_BY_MODEL, movie=movie_id), {"movie_id": movie_id, "n": n})


def top_movies(n: int, genre: str | None, chart: str | None) -> Query[Rows[ChartEntry]]:
    return rows(ChartEntry, TOP_MOVIES, {"n": n, "genre": genre, "chart": chart})


def charts(n: int, by_genre: str | None) -> Query[Rows[ChartPlace]]:
    return rows(ChartPlace, CHARTS, {"n": n, "by_genre": by_genre})


def search(query: str, n: int) -> Query[Rows[FoundMovie]]:
    return rows(FoundMovie, SEARCH, {"query": query, "n": n})


def movie(movie_id: MovieRef) -> Query[Movie]:
    return row(
        Movie, by(MOVIE, movie=movie_id), {"movie_id": movie_id}, lambda: _no_movie(movie_id)
    )


def movie_details(movie_id: MovieRef) -> Query[MovieDetails]:
    return row(
        MovieDetails,
        by(MOVIE_DETAILS, movie=movie_id),
        {"movie_id": movie_id},
        lambda: _no_movie(movie_id),
    )


def rating_histogram(movie_id: MovieRef) -> Query[Rows[RatingBin]]:
    return rows(RatingBin, by(RATING_HISTOGRAM, movie=movie_id), {"movie_id": movie_id})


def _no_movie(movie_id: MovieRef) -> UnknownMovie:
    return UnknownMovie(f"there is no movie {shown(movie_id)}", hint=HINTS[UnknownMovie])


def movie_cards(movie_ids: Sequence[int]) -> Query[Rows[MovieCard]]:
    return rows(MovieCard, MOVIE_CARDS, {"movie_ids": list(movie_ids)})
