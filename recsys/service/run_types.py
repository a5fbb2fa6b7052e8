"""What the service answers of several runs at once, their fields named as the columns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class PublishedModel:
    model: str
    kind: str
    """chart, similarity or personal."""
    score_meaning: str
    description: str
    prediction: str | None
    """By what it predicts ratings: factors, user_neighbours, movie_neighbours; None: not at all."""
    is_default: bool


@dataclass(frozen=True, slots=True)
class Publication:
    publication_id: int
    run_id: int | None
    """None: nothing was published from then on."""
    action: str
    published_at: datetime
    reason: str | None
    published_by: str


@dataclass(frozen=True, slots=True)
class RunFigure:
    """A figure of all users of one of several runs."""

    run_id: int
    started_at: datetime
    model: str
    protocol: str
    metric: str
    value: float
    ci_low: float | None
    ci_high: float | None
