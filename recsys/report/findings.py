"""What a report tells: the rows it is made of, and the figures that follow from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import numpy as np

from recsys.domain import Float64
from recsys.service.types import RunDifference

YEARLY_FROM_MONTHS = 60
"""Ratings of more months than these are told by the year."""


@dataclass(frozen=True, slots=True)
class RatingGroup:
    """Ratings of one value given in one month."""

    rating: float
    month: datetime | None
    """None: nobody knows when."""
    ratings: int
    first_at: datetime | None
    last_at: datetime | None


@dataclass(frozen=True, slots=True)
class Having:
    """How many movies, or people, have so many ratings."""

    ratings: int
    members: int


@dataclass(frozen=True, slots=True)
class Genre:
    genre: str
    movies: int
    ratings: int
    mean: float | None
    """None: none of its movies is rated."""


@dataclass(frozen=True, slots=True)
class Edition:
    edition: str | None
    as_of: datetime | None
    """When the last ingest, run or publication ended."""


@dataclass(frozen=True, slots=True)
class KnownRun:
    """A run as it was published."""

    run_id: int
    default_model: str
    models: list[str]
    published_at: datetime
    snapshot_at: datetime
    ratings_count: int
    users_count: int
    movies_count: int
    seconds: float
    pruned_at: datetime | None


@dataclass(frozen=True, slots=True)
class Fresh:
    stale_from: datetime | None
    """None: it never is, or nothing is published."""
    ratings_since: int | None
    consecutive_failures: int
    last_error: str | None


@dataclass(frozen=True, slots=True)
class Reach:
    """What the stored lists of a model reach: their first ten movies, and whom."""

    model: str
    movies: int
    users: int


@dataclass(frozen=True, slots=True)
class Measured:
    """One figure of the latest run that measured by a protocol."""

    protocol: str
    run_id: int
    kind: str
    """evaluation, or refresh, whose default model is measured before it is published."""
    seed: int
    model: str
    metric: str
    value: float
    ci_low: float | None
    ci_high: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Period:
    """Ratings of a month or a year."""

    start: datetime
    ratings: int
    mean: float | None
    """None: there is none."""


@dataclass(frozen=True)
class Findings:
    """All that was read, in one state of the database."""

    edition: Edition
    groups: Sequence[RatingGroup]
    people: Sequence[Having]
    """Those who have rated."""
    movies: Sequence[Having]
    """All of the catalogue, those without ratings too."""
    genres: Sequence[Genre]
    titles: Sequence[str]
    fresh: Fresh
    published: KnownRun | None
    previous: KnownRun | None
    """The run that was published before."""
    reach: Sequence[Reach]
    measured: Sequence[Measured]
    changes: Sequence[RunDifference]

    @cached_property
    def ratings_count(self) -> int:
        return sum(group.ratings for group in self.groups)

    @cached_property
    def users_count(self) -> int:
        return sum(group.members for group in self.people)

    @cached_property
    def movies_count(self) -> int:
        return sum(group.members for group in self.movies)

    @cached_property
    def rated_movies_count(self) -> int:
        return sum(group.members for group in self.movies if group.ratings)

    @property
    def density(self) -> float | None:
        """Share of all pairs of a person who rated and a movie that hold a rating."""
        pairs = self.users_count * self.movies_count
        return self.ratings_count / pairs if pairs else None

    @property
    def mean(self) -> float | None:
        return _mean(self.groups)

    @property
    def first_at(self) -> datetime | None:
        return min((g.first_at for g in self.groups if g.first_at), default=None)

    @property
    def last_at(self) -> datetime | None:
        return max((g.last_at for g in self.groups if g.last_at), default=None)

    @property
    def undated(self) -> int:
        """Ratings of which nobody knows when."""
        return sum(group.ratings for group in self.groups if group.month is None)

    @cached_property
    def by_value(self) -> list[tuple[float, int]]:
        """Rating and how often it was given, ascending."""
        counts: Counter[float] = Counter()
        for group in self.groups:
            counts[group.rating] += group.ratings
        return sorted(counts.items())

    @cached_property
    def periods(self) -> list[Period]:
        """Ratings by month, or by year where there are many months; without a gap."""
        dated = [(_months(group.month), group) for group in self.groups if group.month]
        if not dated:
            return []
        months = [month for month, _ in dated]
        step = 12 if max(months) - min(months) >= YEARLY_FROM_MONTHS else 1
        members: dict[int, list[RatingGroup]] = {}
        for month, group in dated:
            members.setdefault(month // step, []).append(group)
        return [
            _period(number * step, members.get(number, []))
            for number in range(min(members), max(members) + 1)
        ]

    @property
    def yearly(self) -> bool:
        """Whether periods are years."""
        return len(self.periods) > 1 and self.periods[1].start.year > self.periods[0].start.year


def _months(moment: datetime) -> int:
    return moment.year * 12 + moment.month - 1


def _period(month: int, members: Sequence[RatingGroup]) -> Period:
    start = datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)
    return Period(start, sum(group.ratings for group in members), _mean(members))


def _mean(groups: Sequence[RatingGroup]) -> float | None:
    count = sum(group.ratings for group in groups)
    return sum(group.rating * group.ratings for group in groups) / count if count else None


# --- how unevenly ratings are spread ---


def concentration(groups: Sequence[Having]) -> tuple[Float64, Float64]:
    """Return shares of the members, those with most ratings first, and of all their ratings.

    Both begin with 0 and end with 1; between two points members have equally many.
    """
    ordered = sorted(groups, key=lambda group: -group.ratings)
    members = np.array([group.members for group in ordered], dtype=np.float64)
    ratings = members * np.array([group.ratings for group in ordered], dtype=np.float64)
    return _cumulated(members), _cumulated(ratings)


def _cumulated(parts: Float64) -> Float64:
    return np.concatenate([[0.0], np.cumsum(parts) / parts.sum()])


def top_share(groups: Sequence[Having], share: float) -> float:
    """Return the share of the ratings that this share of the members has, the most rated."""
    members, ratings = concentration(groups)
    return float(np.interp(share, members, ratings))


def gini(groups: Sequence[Having]) -> float:
    """Return 0 where all have equally many ratings, near 1 where few have all."""
    members, ratings = concentration(groups)
    return float(2 * np.trapezoid(ratings, members) - 1)


def median(groups: Sequence[Having]) -> float:
    """Return the middle number of ratings, the mean of the middle two."""
    ordered = sorted(groups, key=lambda group: group.ratings)
    ends = np.cumsum([group.members for group in ordered])
    middle = np.searchsorted(ends, [(ends[-1] - 1) // 2, ends[-1] // 2], side="right")
    return float(np.mean([ordered[place].ratings for place in middle]))
