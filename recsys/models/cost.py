"""What a model costs: seconds, memory and disk, by the size of the data.

Each model declares its cost as a sum of terms: steps of its algorithm, times a constant. The
constants are seconds of a step on two cores, fitted to the refreshes in docs/how-to/sizing.md;
`tests/benchmarks/default_refresh.py` prints predictions beside measurements. On another machine its
last run corrects them (`recsys.jobs.forecast`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from recsys.domain import Int64

SINGLE, DOUBLE = 4, 8
"""Bytes of a score in single and in double precision."""
_PAGE, _TUPLE, _ARRAY, _KEY = 8168, 28, 24, 32
"""Bytes of a page for rows, and of what a row, an array and an entry of the key add."""
_IDS = 12
"""Bytes of the ids that lead a row: whose it is, run and model."""
_CHARTS, _CHART_ROW = 3, 110
"""Charts that a movie is on, that of all and those of its genres, and bytes of a place there."""

PASS = 2.0e-8
"""Seconds to go over a rating once: to read, sort or write it."""
ADDITION = 1.8e-9
"""To add to a sum of a sparse product of ratings."""
WEIGHT = 1.4e-9
"""To add a stored weight to the score of a movie for a user."""
SCORE = 2.0e-9
"""To compute and compare the score of a movie for a user in a dense block."""
LIST = 3.5e-5
"""To select, check and write a list."""
FLOP = 3.5e-12
"""Of a step of a dense product in single precision."""

_SQUARE = 2.0**29
"""Bytes of a square of all pairs at most: half of `memory_mb` by default; others are sparse."""


@dataclass(frozen=True, slots=True)
class Size:
    """The size of the data of a refresh and of the lists it makes."""

    of_users: Int64
    """Number of ratings of each user who has any."""
    of_movies: Int64
    """Number of ratings of each movie that has any."""
    movies: int
    """Number of movies, rated or not."""
    list_length: int = 100
    """Entries of the list of a user."""
    neighbours: int = 100
    """Entries of the list of a movie."""
    listed: int | None = None
    """Number of users who get a list; None: all."""

    @property
    def ratings(self) -> int:
        return int(self.of_users.sum())

    @property
    def users(self) -> int:
        return len(self.of_users)

    @property
    def lists(self) -> int:
        """Return the number of lists of users."""
        return self.users if self.listed is None else self.listed

    @property
    def listed_ratings(self) -> float:
        """Return the number of ratings of the users who get a list."""
        return self.ratings * self.lists / max(1, self.users)

    def pairs(self, most: int = 0) -> float:
        """Return the number of pairs of ratings of one user, `most` ratings of each; 0: all."""
        counts = self.of_users.astype(float)
        return float((np.minimum(counts, most or np.inf) ** 2).sum())

    def scaled(self, ratings: int, users: int, movies: int) -> Size:
        """Return data of other numbers whose ratings are spread alike."""
        rated = round(len(self.of_movies) * movies / max(1, self.movies))
        return replace(
            self,
            of_users=_stretched(self.of_users, users, ratings),
            of_movies=_stretched(self.of_movies, rated, ratings),
            movies=movies,
        )


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a stage of a refresh, or of a part of it."""

    seconds: float = 0.0
    memory: float = 0.0
    """Bytes held at a time, beside the ratings themselves."""
    disk: float = 0.0
    """Bytes of the rows written, with their keys."""

    def __add__(self, other: Cost) -> Cost:
        """Add a part that follows: it holds its memory after the other."""
        memory = max(self.memory, other.memory)
        return Cost(self.seconds + other.seconds, memory, self.disk + other.disk)


CostOf = Callable[[Size, Any], Cost]
"""From the size of the data and the parameters of a model to what it costs."""


def chart(passes: float, share: float = 1.0) -> CostOf:
    """Return the cost of a chart that goes so many times over the ratings.

    `share` of the movies are on it.
    """

    def cost(size: Size, config: Any) -> Cost:
        rows = share * size.movies * _CHARTS
        return Cost(passes * PASS * size.ratings, 24.0 * size.ratings, rows * _CHART_ROW)

    return cost


def lists_by_sums(size: Size, weights: int) -> Cost:
    """Return the cost of lists whose scores are sums of stored weights, so many for a movie."""
    seconds = WEIGHT * size.listed_ratings * weights + LIST * size.lists
    return Cost(seconds, disk=user_lists(size))


def lists_by_scores(size: Size, times: float = 1.0) -> Cost:
    """Return the cost of lists from the scores of all movies; `times` is what one costs."""
    return Cost(times * SCORE * size.lists * size.movies, disk=user_lists(size))


def of_factors(size: Size, width: int, precision: int = SINGLE, times: float = 1.0) -> Cost:
    """Return the cost of lists and similar movies from factors, and of storing these.

    `times` is what a similarity costs, in units of a product.
    """
    rated = len(size.of_movies)
    similar = times * SCORE * rated**2
    rows = (size.users + rated) * _row(_ARRAY + 4 * width + 8)
    stored = neighbours(size, size.neighbours, precision) + rows
    return Cost(similar, disk=stored) + lists_by_scores(size, 0.6)


def neighbours(size: Size, entries: int, precision: int) -> float:
    """Return the bytes of the stored neighbours of the rated movies, so many of each."""
    rated = len(size.of_movies)
    return rated * list_row(min(entries, rated), 4 + precision)


def biases(rows: int) -> float:
    """Return the bytes of stored biases without factors."""
    return rows * _row(_ARRAY + 8)


def network(width: int, *rows: int) -> float:
    """Return the bytes of a stored network: so wide, of so many rows of weights."""
    return float(sum(rows) * 4 * width)


def square(side: int) -> float:
    """Return the bytes of a square of similarities, which is not held as a whole if large."""
    return min(8.0 * side**2, _SQUARE)


def list_row(entries: int, entry: int) -> float:
    """Return the bytes of a stored list whose entries take so many."""
    return _row(2 * _ARRAY + entries * entry)


def user_lists(size: Size) -> float:
    """Return the bytes of the stored lists of users."""
    return size.lists * list_row(min(size.list_length, size.movies), 4 + DOUBLE)


def run_users(size: Size) -> float:
    """Return the bytes of what a run notes of each user."""
    return size.users * (_row(16) + 16)  # the key holds all columns


def _row(payload: float) -> float:
    """Return the bytes of a row with its key, whole rows to a page while they fit."""
    row = _TUPLE + _IDS + payload
    per_page = int(_PAGE // row)
    return (_PAGE / per_page if per_page else row) + _KEY


def _stretched(counts: Int64, length: int, total: int) -> Int64:
    """Return so many counts, spread alike, that add up to about `total`."""
    if not len(counts):
        return counts
    places = np.linspace(0, len(counts) - 1, max(1, length)).astype(np.int64)
    chosen = np.sort(counts)[places]
    stretched: Int64 = np.maximum(1, chosen * (total / max(1, chosen.sum()))).astype(np.int64)
    return stretched
