"""What the service answers with: rows of the contract, their fields named as its columns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any


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
class ChartPlace:
    """A place in one of several charts."""

    chart: str
    genre: str | None
    """None: of all movies."""
    rank: int
    movie_id: int
    votes: int
    mean_rating: float | None


@dataclass(frozen=True, slots=True)
class FoundMovie:
    movie_id: int
    title: str
    year: int | None


@dataclass(frozen=True, slots=True)
class Movie:
    """A movie of the catalogue, its ratings as of now."""

    movie_id: int
    title: str
    year: int | None
    genres: list[str]
    ratings_count: int
    ratings_mean: float | None
    """None: nobody has rated it."""
    imdb_id: str | None
    tmdb_id: int | None
    poster_url: str | None


@dataclass(frozen=True, slots=True)
class MovieDetails:
    """What metadata says of a movie; None and empty where there is none."""

    movie_id: int
    tagline: str | None
    overview: str | None
    release_date: date | None
    runtime: float | None
    """Minutes."""
    original_language: str | None
    """ISO 639-1 code."""
    collection: str | None
    directors: list[str]
    actors: list[str]
    """The first ten."""
    keywords: list[str]


@dataclass(frozen=True, slots=True)
class MovieCard:
    """What is shown of a movie in a list of them."""

    movie_id: int
    title: str
    year: int | None
    genres: list[str]
    poster_url: str | None


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
class Because:
    """What one rated movie adds to the score of another."""

    because_movie_id: int | None
    """None: no rated movie leads to it, as with a chart."""
    because_title: str | None
    rating: float | None
    similarity: float | None
    contribution: float | None
    share: float | None
    score: float
    source: str
    model: str
    exact: bool
    """Whether the score is the sum of the contributions and nothing else."""
    shared_genres: list[str]
    shared_tags: list[str]
    run_id: int


@dataclass(frozen=True, slots=True)
class Reason:
    """A rated movie that leads to another, as one of several are explained."""

    movie_id: int
    because_movie_id: int
    because_title: str
    rating: float
    share: float | None


@dataclass(frozen=True, slots=True)
class RatingScale:
    rating_min: float | None
    """None: nothing has been ingested."""
    rating_max: float | None


@dataclass(frozen=True, slots=True)
class UserStatus:
    status: str
    """personalised, live, cold_start or unknown_user."""
    ratings: int
    ratings_since_run: int | None
    run_age: timedelta | None
    run_id: int | None
    explanation: str


@dataclass(frozen=True, slots=True)
class Freshness:
    """Whether what readers see of one kind of result is fresh."""

    artefact: str
    run_id: int | None
    """None: nothing is published."""
    published_at: datetime | None
    age_seconds: float | None
    """Since the run read."""
    max_age_seconds: float | None
    ratings_since: int | None
    last_attempt_at: datetime | None
    last_error: str | None
    consecutive_failures: int
    stale: bool


@dataclass(frozen=True, slots=True)
class VerifiedLists:
    """Stored lists of a model beside what its similarities lead to."""

    model: str
    users: int
    stored: int
    recomputed: int
    missing: int
    """Rows that should be stored and are not."""
    extra: int
    """Rows that are stored and should not be."""
    run_id: int


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


@dataclass(frozen=True, slots=True)
class Run:
    run_id: int
    kind: str
    """refresh, or evaluation, which has figures but no results."""
    scope: str | None
    """full, models (some, for trying out) or users (changed lists); None: an evaluation."""
    base_run_id: int | None
    """Of scope users the full run whose other results it took over."""
    state: str
    published: bool
    refused: str | None
    started_at: datetime
    seconds: float | None
    """None: it is running."""
    ratings_count: int | None
    models: list[str]
    run_size: int
    """Bytes on disk."""
    pruned_at: datetime | None


@dataclass(frozen=True, slots=True)
class RunStage:
    position: int
    stage: str
    started_at: datetime
    seconds: float
    rows: int
    peak_memory_mb: int


@dataclass(frozen=True, slots=True)
class RunMetric:
    model: str
    protocol: str
    metric: str
    segment: str
    value: float
    ci_low: float | None
    ci_high: float | None
    n: int


@dataclass(frozen=True, slots=True)
class RunPublication:
    publication_id: int
    action: str
    published_at: datetime
    reason: str | None
    published_by: str


@dataclass(frozen=True, slots=True)
class RunRecord:
    """All that is known of a run; what it had not come to yet is None."""

    run_id: int
    kind: str
    scope: str | None
    base_run_id: int | None
    state: str
    published: bool
    refused: str | None
    error: str | None
    started_at: datetime
    finished_at: datetime | None
    seconds: float | None
    default_model: str | None
    cold_start: str | None
    rating_model: str | None
    seed: int
    parameters: dict[str, Any]
    versions: dict[str, str]
    snapshot_at: datetime | None
    ratings_count: int | None
    users_count: int | None
    movies_count: int | None
    rating_min: float | None
    rating_max: float | None
    snapshot_checksum: str | None
    output_checksum: str | None
    peak_memory_mb: int | None
    pruned_at: datetime | None
    run_size: int
    stages: list[RunStage]
    metrics: list[RunMetric]
    publications: list[RunPublication]


@dataclass(frozen=True, slots=True)
class RunDifference:
    part: str
    """lists, rows or metrics."""
    model: str
    protocol: str | None
    metric: str
    segment: str | None
    value_a: float | None
    value_b: float | None
    value: float
    """What compares the two runs: b less a where both have a figure."""
    n: int | None
