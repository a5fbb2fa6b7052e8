"""The taste of a person in words and bars, from the rows of `user_taste`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from recsys.service.types import Taste
from recsys.web.pages.sparkline import bars

PRIOR = 5
"""Ratings at the person's own mean that a genre starts with, so that one rating says little."""
CLEAR = 0.1
"""Difference of means that is worth a word, after the prior."""
LIKED, DISLIKED, GENRES = 3, 2, 8


@dataclass(frozen=True, slots=True)
class Facet:
    """A genre or a decade, and the length of its bar."""

    taste: Taste
    length: float


@dataclass(frozen=True, slots=True)
class Profile:
    """What one person rates and how high."""

    overall: Taste
    genres: Sequence[Facet]
    """The most rated ones."""
    decades: Sequence[Facet]
    liked: Sequence[str]
    """Genres rated clearly higher than the person's others; without any the most rated ones."""
    prefers: bool
    """Whether `liked` are rated higher, and not only often."""
    disliked: Sequence[str]


def profile(rows: Sequence[Taste]) -> Profile | None:
    """Summarize the taste of one person; None without ratings."""
    if not rows:
        return None
    overall = rows[0]
    genres = [row for row in rows if row.facet == "genre"]
    by_liking = sorted(genres, key=lambda row: (-_liking(row, overall), row.name or ""))
    liked = [row for row in by_liking if _liking(row, overall) >= CLEAR][:LIKED]
    disliked = [row for row in reversed(by_liking) if _liking(row, overall) <= -CLEAR][:DISLIKED]
    return Profile(
        overall=overall,
        genres=_facets(genres[:GENRES]),
        decades=_facets([row for row in rows if row.facet == "decade"]),
        liked=_names(liked or genres[:LIKED]),
        prefers=bool(liked),
        disliked=_names(disliked),
    )


def profiles(rows: Sequence[Taste]) -> list[Profile]:
    """Summarize the taste of several people, whose rows are adjacent."""
    each = (profile(list(own)) for _, own in groupby(rows, key=lambda row: row.user_id))
    return [one for one in each if one is not None]


def _liking(row: Taste, overall: Taste) -> float:
    return (row.mean_rating - overall.mean_rating) * row.ratings / (row.ratings + PRIOR)


def _facets(rows: Sequence[Taste]) -> list[Facet]:
    lengths = bars([row.ratings for row in rows])
    return [Facet(row, length) for row, length in zip(rows, lengths, strict=True)]


def _names(rows: Sequence[Taste]) -> list[str]:
    return [row.name for row in rows if row.name is not None]
