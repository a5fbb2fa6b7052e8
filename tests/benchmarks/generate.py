"""Ratings with the shape of MovieLens, made up: as arrays, or as the files of an edition.

    python tests/benchmarks/generate.py FOLDER [--users N] [--movies N] [--ratings N] [--seed N]

Popularity of movies has a long tail, the number of ratings of a user is log-normal from 20 on, half
stars fall as they do in ml-latest-small, and people rate and like more what is to their taste. The
same arguments give the same files. What cannot be seen here: text, tags, trends over time.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recsys.domain import Float64, Int32, Int64, Ratings

FEWEST = 20
"""Ratings a user has at least, as in MovieLens."""
CHUNK = 1 << 20
GENRES = (
    *("Action", "Adventure", "Animation", "Children", "Comedy", "Crime", "Documentary", "Drama"),
    *("Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller"),
    *("War", "Western"),
)
STAR_SHARES = (0.014, 0.028, 0.018, 0.075, 0.055, 0.199, 0.130, 0.266, 0.085, 0.130)
"""Share of 0.5, 1.0, ... 5.0 stars in ml-latest-small."""
SPREAD_OF_COUNTS = 1.4
FAVOURITE_BOOST = 4.0
KINDS = 12
"""Kinds of viewers whose favourite is a genre."""
KINDS_OF_A_USER = 2
TRAITS = 8
SPREAD_OF_LIKING = 1.5
"""Standard deviation of the logarithm of how much more often a kind of viewers picks a movie."""
FACTORS = 4
FIRST_START, LAST_START = 822_873_600, 1_537_799_250


@dataclass(frozen=True)
class Catalogue:
    """Movies by position: ids ascend, with gaps; `genre` is the leading one."""

    ids: Int32
    years: Int32
    genre: Int32
    second_genre: Int32
    traits: Float64
    """Movies x `TRAITS`."""
    popularity: Float64
    """Chance of a movie to be the next one rated, but for taste."""


@dataclass(frozen=True)
class Generated:
    movies: Catalogue
    ratings: Ratings
    """Ordered by user and movie."""


def draw(users: int, movies: int, ratings: int, seed: int) -> Generated:
    """Draw an exact number of ratings; every user has 20 or more, no pair occurs twice.

    Raises ValueError where that cannot be, or where users would have to rate most of the movies.
    """
    if not FEWEST * users <= ratings <= users * (movies // 2):
        raise ValueError(
            f"{users} users with {FEWEST} to {movies // 2} of {movies} movies each "
            f"cannot give {ratings} ratings"
        )
    rng = np.random.default_rng(seed)
    catalogue = _draw_movies(rng, movies)
    taste = rng.integers(0, len(GENRES), users)
    counts = _draw_counts(rng, users, ratings, movies // 2)
    pairs = _draw_pairs(rng, counts, _draw_kinds(rng, taste), catalogue)
    user, movie = (part.astype(np.int32) for part in np.divmod(pairs, movies))
    del pairs
    values = _draw_values(rng, user, movie, taste, catalogue)
    rated_at = _draw_times(rng, user, users)
    return Generated(catalogue, Ratings(user + 1, catalogue.ids[movie], values, rated_at))


def generate(folder: Path, users: int, movies: int, ratings: int, seed: int) -> None:
    """Write ratings.csv, movies.csv and links.csv as MovieLens does since 2015."""
    drawn = draw(users, movies, ratings, seed)
    folder.mkdir(parents=True, exist_ok=True)
    _write_movies(folder, drawn.movies)
    columns: dict[str, Int32 | Int64 | Float64] = {
        "userId": drawn.ratings.user_ids,
        "movieId": drawn.ratings.movie_ids,
        "rating": drawn.ratings.values,
        "timestamp": drawn.ratings.rated_at,
    }
    with open(folder / "ratings.csv", "w", encoding="ascii", newline="") as file:
        for part in _parts(ratings):
            chunk = pd.DataFrame({name: column[part] for name, column in columns.items()})
            chunk.to_csv(file, index=False, header=part.start == 0, lineterminator="\n")


def _draw_movies(rng: np.random.Generator, movies: int) -> Catalogue:
    rank = rng.permutation(movies)
    weight = (rank + 40.0) ** -1.4
    genre = rng.integers(0, len(GENRES), movies, np.int32)
    return Catalogue(
        ids=np.sort(rng.choice(5 * movies, movies, replace=False)).astype(np.int32) + 1,
        years=(2018 - rng.gamma(1.5, 15.0, movies).clip(0, 95)).astype(np.int32),
        genre=genre,
        second_genre=rng.integers(0, len(GENRES), movies, np.int32),
        traits=rng.standard_normal((movies, TRAITS)),
        popularity=weight / weight.sum(),
    )


def _draw_counts(rng: np.random.Generator, users: int, ratings: int, most: int) -> Int64:
    """Return log-normal numbers from `FEWEST` to `most` whose sum is `ratings`."""
    weight = rng.lognormal(0.0, SPREAD_OF_COUNTS, users)

    def counts(scale: float) -> Int64:
        return np.minimum(FEWEST + (weight * scale).astype(np.int64), most)

    low, high = 0.0, most / weight.min()
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if counts(middle).sum() <= ratings else (low, middle)
    chosen = counts(low)
    # What rounding down has lost.
    chosen[np.flatnonzero(chosen < most)[: ratings - chosen.sum()]] += 1
    return chosen


def _draw_kinds(rng: np.random.Generator, taste: Int64) -> Int64:
    """Return the kinds of viewers that each user is like, users x `KINDS_OF_A_USER`.

    The first is one of the user's favourite genre.
    """
    kinds = rng.integers(0, len(GENRES) * KINDS, (len(taste), KINDS_OF_A_USER))
    kinds[:, 0] = taste * KINDS + rng.integers(0, KINDS, len(taste))
    return kinds


def _liking(rng: np.random.Generator, catalogue: Catalogue) -> Float64:
    """Return how much more often each kind of viewers picks each movie, kinds x movies.

    By genre, and by traits: without these, movies of a genre would be picked independently of
    each other, and no model could do better than popularity by genre.
    """
    kinds = rng.standard_normal((len(GENRES) * KINDS, TRAITS)) * SPREAD_OF_LIKING / TRAITS**0.5
    genre = np.arange(len(kinds))[:, None] // KINDS
    boost = np.where(catalogue.genre == genre, FAVOURITE_BOOST, 1.0)
    liking: Float64 = boost * np.exp(kinds @ catalogue.traits.T)
    return liking


def _draw_pairs(
    rng: np.random.Generator, counts: Int64, kinds: Int64, catalogue: Catalogue
) -> Int64:
    """Return user * movies + movie of each rating, ascending.

    Pairs that are there already are drawn anew, each time from a flatter popularity: who has rated
    all that is well known goes on into the tail.
    """
    users, movies = len(counts), len(catalogue.ids)
    weight = catalogue.popularity * _liking(rng, catalogue)
    pairs, missing = np.empty(0, np.int64), counts
    for turn in itertools.count():
        user = np.repeat(np.arange(users), missing)
        one_of_theirs = kinds[user, rng.integers(0, KINDS_OF_A_USER, len(user))]
        fresh = np.unique(user * movies + _pick(rng, one_of_theirs, weight**0.9**turn))
        del user
        pairs = np.concatenate([pairs, fresh[~_contained(fresh, pairs)]])
        # Two ascending runs, which this kind of sort merges.
        pairs.sort(kind="stable")
        missing = counts - np.bincount(pairs // movies, minlength=users)
        if not missing.any():
            break
    return pairs


def _pick(rng: np.random.Generator, taste: Int64, weight: Float64) -> Int64:
    """Return a movie for each entry of `taste`, drawn by that row of `weight` (tastes x movies)."""
    shares = np.cumsum(weight / weight.sum(axis=1, keepdims=True), axis=1)
    shares[:, -1] = 1.0
    # One ascending line for all tastes: taste t owns what lies from t to t + 1.
    line = (shares + np.arange(len(weight))[:, None]).ravel()
    picked = np.empty(len(taste), np.int64)
    for part in _parts(len(taste)):
        owner = taste[part]
        found = np.searchsorted(line, owner + rng.random(len(owner)), side="right")
        picked[part] = np.minimum(found - owner * weight.shape[1], weight.shape[1] - 1)
    return picked


def _contained(values: Int64, ascending: Int64) -> NDArray[np.bool_]:
    if not len(ascending):
        return np.zeros(len(values), bool)
    places = np.searchsorted(ascending, values).clip(max=len(ascending) - 1)
    same: NDArray[np.bool_] = ascending[places] == values
    return same


def _draw_values(
    rng: np.random.Generator, user: Int32, movie: Int32, taste: Int64, catalogue: Catalogue
) -> Float64:
    """Return half stars: quality, generosity and taste, cut so that the shares of stars hold."""
    fame = np.log(catalogue.popularity)
    quality = 0.35 * rng.standard_normal(len(fame)) + 0.2 * (fame - fame.mean()) / fame.std()
    generosity = 0.45 * rng.standard_normal(len(taste))
    wants = 0.5 * rng.standard_normal((len(taste), FACTORS), np.float32)
    has = 0.5 * rng.standard_normal((len(fame), FACTORS), np.float32)
    score = np.empty(len(user), np.float32)
    for part in _parts(len(user)):
        u, m = user[part], movie[part]
        liking = np.einsum("rf,rf->r", wants[u], has[m]) + 0.3 * (taste[u] == catalogue.genre[m])
        noise = 0.7 * rng.standard_normal(len(u))
        score[part] = quality[m] + generosity[u] + liking + noise
    sample = score[:: max(1, len(score) // 500_000)]
    edges = np.quantile(sample, np.cumsum(STAR_SHARES)[:-1]).astype(np.float32)
    stars: Float64 = np.arange(0.5, 5.5, 0.5)
    return stars[np.searchsorted(edges, score)]


def _draw_times(rng: np.random.Generator, user: Int32, users: int) -> Int64:
    """Return unix seconds: users rate most movies soon after their first visit."""
    start = rng.integers(FIRST_START, LAST_START, users)
    stay = rng.exponential(50 * 86_400.0, users)
    return start[user] + (rng.random(len(user)) ** 4 * stay[user]).astype(np.int64)


def _write_movies(folder: Path, movies: Catalogue) -> None:
    names = np.array(GENRES)
    first, second = names[movies.genre], names[movies.second_genre]
    genres = [a if a == b else "|".join(sorted((a, b))) for a, b in zip(first, second, strict=True)]
    titles = [f"Movie {id_} ({year})" for id_, year in zip(movies.ids, movies.years, strict=True)]
    table = pd.DataFrame({"movieId": movies.ids, "title": titles, "genres": genres})
    table.to_csv(folder / "movies.csv", index=False)
    imdb = [f"{100_000 + id_:07d}" for id_ in movies.ids.tolist()]
    links = pd.DataFrame({"movieId": movies.ids, "imdbId": imdb, "tmdbId": movies.ids + 500})
    links.to_csv(folder / "links.csv", index=False)


def _parts(rows: int) -> Iterator[slice]:
    return (slice(start, min(start + CHUNK, rows)) for start in range(0, rows, CHUNK))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--users", type=int, default=60_000)
    parser.add_argument("--movies", type=int, default=20_000)
    parser.add_argument("--ratings", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    begun = time.monotonic()
    try:
        generate(chosen.folder, chosen.users, chosen.movies, chosen.ratings, chosen.seed)
    except ValueError as exc:
        parser.error(str(exc))
    seconds = time.monotonic() - begun
    sys.stdout.write(f"{chosen.folder}: {chosen.ratings:,} ratings in {seconds:.1f} s\n")


if __name__ == "__main__":
    main()
