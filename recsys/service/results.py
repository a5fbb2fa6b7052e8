"""What the service answers with: rows of the contract, their fields named as its columns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Recommendation:
    rank: int
    movie_id: int
    title: str
    score: float
    source: str
    """stored, live, content or popular: where the row comes from."""
    model: str
    """The model that gave the row: of a hybrid, the one it took it from."""
    run_id: int
    label: str | None = None
    """The score in words, where the model has such: strongly recommended and so on."""


@dataclass(frozen=True, slots=True)
class SimilarMovie:
    rank: int
    movie_id: int
    title: str
    score: float
    model: str
    run_id: int


@dataclass(frozen=True, slots=True)
class SimilarUser:
    rank: int
    user_id: int
    score: float
    common_ratings: int
    """Movies both have rated."""
    model: str
    run_id: int


@dataclass(frozen=True, slots=True)
class ChartEntry:
    rank: int
    movie_id: int
    title: str
    score: float
    votes: int
    mean_rating: float | None
    """None: nobody has rated it."""


@dataclass(frozen=True, slots=True)
class FoundMovie:
    movie_id: int
    title: str
    year: int | None


@dataclass(frozen=True, slots=True)
class Rating:
    user_id: int
    movie_id: int
    title: str
    rating: float
    rated_at: datetime | None


@dataclass(frozen=True, slots=True)
class PublishedRun:
    run_id: int
    default_model: str
    models: list[str]
    published_at: datetime
    age_seconds: float
    ratings_count: int
    users_count: int
    movies_count: int
    seconds: float
    peak_memory_mb: int


@dataclass(frozen=True, slots=True)
class Status:
    edition: str | None
    """None: nothing has been ingested."""
    last_ingest_at: datetime | None
    ratings: int
    users: int
    """People who have rated."""
    movies: int
    published: PublishedRun | None
    last_run_id: int | None
    last_run_state: str | None
    last_run_error: str | None
