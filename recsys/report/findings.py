"""The data of a report: rows of the contract, and figures derived from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import pairwise

import numpy as np

from recsys.domain import Float64
from recsys.service.types import RunDifference, RunEpoch

YEARLY_FROM_MONTHS = 60
"""From this span on, ratings are grouped by year instead of month."""
STRAY_SHARE, STRAY_FROM = 1000, 20
"""A thousandth of all counts may be stray; of 20 to 1000, one."""


@dataclass(frozen=True, slots=True)
class RatingGroup:
    """Ratings of one value in one month."""

    rating: float
    month: datetime | None
    """None if the time is unknown."""
    ratings: int
    first_at: datetime | None
    last_at: datetime | None


@dataclass(frozen=True, slots=True)
class CountBin:
    """How many movies, or people, have this number of ratings."""

    ratings: int
    members: int


@dataclass(frozen=True, slots=True)
class Genre:
    genre: str
    movies: int
    ratings: int
    mean: float | None
    """None if none of its movies is rated."""


@dataclass(frozen=True, slots=True)
class Decade:
    """Movies by decade of release."""

    decade: int
    movies: int


@dataclass(frozen=True, slots=True)
class DatabaseState:
    edition: str | None
    implicit: bool
    """Whether it holds interactions; their ratings are counts."""
    as_of: datetime | None
    """End of the latest ingest, run or publication."""


@dataclass(frozen=True, slots=True)
class ReportedRun:
    """A run and its latest publication."""

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
class Staleness:
    stale_from: datetime | None
    """None if it has no maximum age, or if nothing is published."""
    ratings_since: int | None
    consecutive_failures: int
    last_error: str | None


@dataclass(frozen=True, slots=True)
class Reach:
    """Coverage of the stored lists of a model: movies in any top ten, and users with a list."""

    model: str
    movies: int
    users: int


@dataclass(frozen=True, slots=True)
class Measured:
    """One metric of the latest run that used a protocol."""

    protocol: str
    run_id: int
    kind: str
    """evaluation, or refresh, which measures its default model before publication."""
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
    """None without ratings."""


@dataclass(frozen=True)
class Findings:
    """All data of a report, read from one snapshot of the database."""

    state: DatabaseState
    groups: Sequence[RatingGroup]
    people: Sequence[CountBin]
    """People with ratings, by number of ratings."""
    movies: Sequence[CountBin]
    """All movies of the catalogue, by number of ratings."""
    genres: Sequence[Genre]
    titles: Sequence[str]
    decades: Sequence[Decade]
    """Movies whose year is known."""
    fresh: Staleness
    published: ReportedRun | None
    previous: ReportedRun | None
    """The run published before."""
    reach: Sequence[Reach]
    measured: Sequence[Measured]
    changes: Sequence[RunDifference]
    epochs: Sequence[RunEpoch] = ()
    """Epochs of the networks of the published run, by model."""

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
        """Fraction of all pairs of a movie and a person with ratings that have a rating."""
        pairs = self.users_count * self.movies_count
        return self.ratings_count / pairs if pairs else None

    @property
    def default_model(self) -> str | None:
        """The default model of the published run."""
        return self.published.default_model if self.published else None

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
        """Number of ratings without a time."""
        return sum(group.ratings for group in self.groups if group.month is None)

    @cached_property
    def by_value(self) -> list[tuple[float, int]]:
        """Counts of each rating value, ascending by value."""
        counts: Counter[float] = Counter()
        for group in self.groups:
            counts[group.rating] += group.ratings
        return sorted(counts.items())

    @cached_property
    def periods(self) -> list[Period]:
        """Ratings by month, or by year for a long span, including empty periods.

        Stray ratings far from all others would stretch the span, so they are left out.
        """
        found = without_strays(self._by_month, least_gap=12)
        if not found:
            return []
        step = 12 if found[-1] - found[0] >= YEARLY_FROM_MONTHS else 1
        members: dict[int, list[RatingGroup]] = {}
        for group in self.groups:
            if group.month and found[0] <= _months(group.month) <= found[-1]:
                members.setdefault(_months(group.month) // step, []).append(group)
        return [
            _period(number * step, members.get(number, []))
            for number in range(min(members), max(members) + 1)
        ]

    @property
    def _by_month(self) -> dict[int, int]:
        counts: Counter[int] = Counter()
        for group in self.groups:
            if group.month:
                counts[_months(group.month)] += group.ratings
        return counts

    @property
    def strays(self) -> int:
        """Number of ratings that have a time and are in no period."""
        return self.ratings_count - self.undated - sum(period.ratings for period in self.periods)

    @property
    def yearly(self) -> bool:
        """Whether periods are years."""
        return len(self.periods) > 1 and self.periods[1].start.year > self.periods[0].start.year


def without_strays(counts: Mapping[int, int], least_gap: int) -> list[int]:
    """Return the sorted keys, less those at the ends that are few and far from the others.

    Far is more than `least_gap` and more than a quarter of the span of the others.
    """
    keys = sorted(counts)
    total = sum(counts.values())
    few = max(total // STRAY_SHARE, int(total >= STRAY_FROM))
    first, last = _end(keys, counts, few), _end(keys[::-1], counts, few)
    gap = max(least_gap, abs(last - first) // 4) if keys else 0
    start = _grown([key for key in keys if key <= first][::-1], gap)
    end = _grown([key for key in keys if key >= last], gap)
    return [key for key in keys if start <= key <= end]


def _end(keys: Sequence[int], counts: Mapping[int, int], few: int) -> int:
    """Return the key at which more than a few are reached."""
    reached = 0
    for key in keys:
        reached += counts[key]
        if reached > few:
            return key
    return 0


def _grown(keys: Sequence[int], gap: int) -> int:
    """Return the last key before a gap that is too large."""
    for key, following in pairwise(keys):
        if abs(following - key) > gap:
            return key
    return keys[-1] if keys else 0


def _months(moment: datetime) -> int:
    return moment.year * 12 + moment.month - 1


def _period(month: int, members: Sequence[RatingGroup]) -> Period:
    start = datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)
    return Period(start, sum(group.ratings for group in members), _mean(members))


def _mean(groups: Sequence[RatingGroup]) -> float | None:
    count = sum(group.ratings for group in groups)
    return sum(group.rating * group.ratings for group in groups) / count if count else None


# --- how evenly ratings are distributed ---


def concentration(groups: Sequence[CountBin]) -> tuple[Float64, Float64]:
    """Return the Lorenz curve: cumulative shares of members, most ratings first, and of ratings.

    Both start at 0 and end at 1. Members between two points have the same number of ratings.
    """
    ordered = sorted(groups, key=lambda group: -group.ratings)
    members = np.array([group.members for group in ordered], dtype=np.float64)
    ratings = members * np.array([group.ratings for group in ordered], dtype=np.float64)
    return _cumulative_share(members), _cumulative_share(ratings)


def _cumulative_share(parts: Float64) -> Float64:
    return np.concatenate([[0.0], np.cumsum(parts) / parts.sum()])


def top_share(groups: Sequence[CountBin], share: float) -> float:
    """Return the share of ratings that belongs to this share of members with the most ratings."""
    members, ratings = concentration(groups)
    return float(np.interp(share, members, ratings))


def gini(groups: Sequence[CountBin]) -> float:
    """Return the Gini coefficient: 0 for an even distribution, near 1 if few have all ratings."""
    members, ratings = concentration(groups)
    # The largest members come first, so the curve lies above the diagonal, not below it.
    return float(2 * np.trapezoid(ratings, members) - 1)


def median(groups: Sequence[CountBin]) -> float:
    """Return the median number of ratings."""
    ordered = sorted(groups, key=lambda group: group.ratings)
    ends = np.cumsum([group.members for group in ordered])
    # Both middle positions are the same one if the number of members is odd.
    middle = np.searchsorted(ends, [(ends[-1] - 1) // 2, ends[-1] // 2], side="right")
    return float(np.mean([ordered[place].ratings for place in middle]))
