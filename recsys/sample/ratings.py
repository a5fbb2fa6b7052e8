"""Generate the ratings of the sample from fictional users' preferences.

A user belongs to circles of taste, which like themes; likes or avoids certain genres, decades and
series; and has latent preferences that no metadata shows. Users see well-known movies more often,
and mostly watch movies that they will like.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from recsys.domain import Float64, Int64, Ratings
from recsys.sample.draw import Draw, words
from recsys.sample.movies import SampleMovie

PEOPLE = 600
RATINGS = 60_000
FEWEST, MOST = 20, 420
LEANINGS = 6
DAY = 86_400

# How strongly each trait moves the liking, whose spread over the movies is then made 1.
THEME, GENRE, LEANING, SERIES, DECADE = 1.0, 0.3, 0.4, 0.6, 0.3
CHOOSINESS = 3.0
"""Weight of the liking, against fame and chance, in the choice of movies."""


@dataclass(frozen=True, slots=True)
class _Traits:
    """The movies as columns and matrices, one row a movie."""

    themes: Float64
    genres: Float64
    series: Float64
    years: Float64


def sample_ratings(movies: Sequence[SampleMovie], released: Int64, seed: int) -> Ratings:
    """Return exactly `RATINGS` ratings, by user and time; movie ids are positions plus one.

    `released` is in Unix seconds: no movie is rated before its release.
    """
    draw = Draw(seed, 3)
    liking = _liking(_traits(movies), draw)
    counts = _activity(draw)
    luck = -np.log(-np.log(draw.uniforms(PEOPLE, len(movies))))
    # Gumbel-top-k: the largest sums of log weight and noise are a sample without replacement.
    appeal = np.array([movie.fame for movie in movies]) + CHOOSINESS * liking + luck
    values = _values(liking, np.array([movie.quality for movie in movies]), draw)
    users, items, times = [], [], []
    for user in range(PEOPLE):
        sessions = _sessions(int(counts[user]), draw)
        # Films released after the last evening cannot be rated: -inf sorts behind all others.
        wanted = np.where(released <= sessions[-1], appeal[user], -np.inf)
        watched = np.sort(np.argsort(-wanted, kind="stable")[: counts[user]])
        rated_at = _rated_at(sessions, released[watched], draw)
        order = np.argsort(rated_at, kind="stable")
        users.append(np.full(len(watched), user))
        items.append(watched[order])
        times.append(rated_at[order])
    user_rows, item_rows = np.concatenate(users), np.concatenate(items)
    return Ratings(
        (user_rows + 1).astype(np.int32),
        (item_rows + 1).astype(np.int32),
        values[user_rows, item_rows],
        np.concatenate(times),
    )


def _traits(movies: Sequence[SampleMovie]) -> _Traits:
    return _Traits(
        themes=_indicator([movie.themes for movie in movies], sorted(words("themes"))),
        genres=_indicator(
            [movie.genres for movie in movies], sorted({g for m in movies for g in m.genres})
        ),
        series=_indicator(
            [(movie.series,) if movie.series else () for movie in movies],
            sorted({movie.series for movie in movies if movie.series}),
        ),
        years=np.array([movie.year for movie in movies], np.float64),
    )


def _indicator(rows: Sequence[Sequence[str]], names: Sequence[str]) -> Float64:
    """Return the share of each name in each row, rows x names; the first name counts double."""
    column = {name: i for i, name in enumerate(names)}
    out = np.zeros((len(rows), len(names)))
    for r, row in enumerate(rows):
        for place, name in enumerate(row):
            out[r, column[name]] = 1.0 if place == 0 else 0.5
    return out


def _liking(traits: _Traits, draw: Draw) -> Float64:
    """Return how much each person would like each movie, people x movies, spread 1 a person."""
    theme = _circles(traits.themes.shape[1], draw) @ traits.themes.T
    genre = draw.bells(PEOPLE, traits.genres.shape[1]) @ traits.genres.T
    leaning = draw.bells(PEOPLE, LEANINGS) @ draw.bells(LEANINGS, len(traits.years))
    series = draw.bells(PEOPLE, traits.series.shape[1]) @ traits.series.T
    decade = (1985.0 + 15.0 * draw.bells(PEOPLE, 1) - traits.years) / 25.0
    total = (
        THEME * _spread(theme)
        + GENRE * _spread(genre)
        + LEANING * _spread(leaning)
        + SERIES * series
        - DECADE * decade**2
    )
    return _spread(total)


def _circles(themes: int, draw: Draw) -> Float64:
    """Return each person's liking of each theme: a main circle, two lesser ones, and whims."""
    names = sorted(words("themes"))
    circles = words("words")["circles"]
    members = _indicator(list(circles.values()), names) > 0
    shares = np.zeros((PEOPLE, len(circles)))
    ranked = np.argsort(draw.uniforms(PEOPLE, len(circles)), axis=1, kind="stable")
    for place, share in enumerate((1.0, 0.55, 0.3)):
        shares[np.arange(PEOPLE), ranked[:, place]] = share
    return shares @ members + 0.25 * draw.bells(PEOPLE, themes)


def _spread(matrix: Float64) -> Float64:
    """Return each row with mean 0 and standard deviation 1."""
    centred = matrix - matrix.mean(axis=1, keepdims=True)
    out: Float64 = centred / centred.std(axis=1, keepdims=True)
    return out


def _activity(draw: Draw) -> Int64:
    """Return how many movies each person rates: long-tailed, `RATINGS` in all."""
    tail = (1.0 - draw.uniforms(PEOPLE)) ** -0.95 - 1.0
    low, high = 1.0, 400.0
    for _ in range(60):  # by halving: the scale that gives the wanted sum
        middle = (low + high) / 2.0
        counts = np.minimum(FEWEST + middle * tail, MOST).astype(np.int64)
        low, high = (middle, high) if counts.sum() < RATINGS else (low, middle)
    counts = np.minimum(FEWEST + low * tail, MOST).astype(np.int64)
    # Whole numbers miss the total by a few ratings, which users with room take over.
    room = np.flatnonzero(counts < MOST)
    counts[room[: RATINGS - int(counts.sum())]] += 1
    return counts


def _values(liking: Float64, quality: Float64, draw: Draw) -> Float64:
    """Return what each person would give each movie, on half stars from 0.5 to 5."""
    bias = 0.35 * draw.bells(PEOPLE, 1)
    noise = 0.55 * draw.bells(*liking.shape)
    stars = 3.0 + bias + 0.45 * liking + 0.3 * quality + noise
    whole = draw.uniforms(PEOPLE, 1) < 0.3  # some people never give half stars
    steps = np.where(whole, 2.0 * np.floor(stars + 0.5), np.floor(2.0 * stars + 0.5))
    out: Float64 = np.clip(steps, np.where(whole, 2.0, 1.0), 10.0) / 2.0
    return out


def _sessions(count: int, draw: Draw) -> Int64:
    """Return the evenings, Unix seconds ascending, on which a user rates `count` movies."""
    first, last = (datetime(year, 1, 1, tzinfo=UTC).timestamp() for year in (2012, 2025))
    joined = draw.uniform(first, last - 30 * DAY)
    stays = (last - joined) * draw.uniform() ** 2
    evenings = max(1, round(count / draw.uniform(8.0, 40.0)))
    days = (joined + stays * np.sort(draw.uniforms(evenings))) // DAY
    seconds = 17 * 3_600 + 5 * 3_600 * draw.uniforms(evenings)
    # Drawn days may coincide; they become one evening.
    return (np.unique(days) * DAY + seconds[: len(np.unique(days))]).astype(np.int64)


def _rated_at(sessions: Int64, released: Int64, draw: Draw) -> Int64:
    """Return when each movie was rated: on an evening after its release, one every half minute."""
    earliest = np.searchsorted(sessions, released)
    evening = earliest + (draw.uniforms(len(released)) * (len(sessions) - earliest)).astype(int)
    order = np.argsort(evening + draw.uniforms(len(released)), kind="stable")
    gaps = 15 + (60 * draw.uniforms(len(released))).astype(np.int64)
    elapsed = np.zeros(len(released), np.int64)
    for one in np.unique(evening):
        here = order[evening[order] == one]
        elapsed[here] = np.cumsum(gaps[here])
    out: Int64 = sessions[evening] + elapsed
    return out
