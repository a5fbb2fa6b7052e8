"""Result types of the Python API: rows of the SQL contract, with its column names as fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

# Rows are built by position: fields stand in the order of the selected columns.

UserRef = int | str
"""A user: an `int` is the id, a `str` the key; a whole number that is no key is an id too."""
MovieRef = int | str
"""A movie, named in the same way."""


@dataclass(frozen=True)  # without slots, because vars() needs the dictionary of the instance
class Filters:
    """How many recommendations to return, by which model, and from which movies.

    `vars(filters)` gives the keyword arguments of `recommend` and `recommend_for`.
    """

    n: int = 10
    model: str | None = None
    """None means the default model of the published run."""
    genres: Sequence[str] | None = None
    """Keep movies that have any of these genres; None or empty keeps all of them."""
    year_from: int | None = None
    year_to: int | None = None


# --- recommendations ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Recommendation:
    rank: int
    movie_id: int
    title: str
    year: int | None
    genres: list[str]
    poster_url: str | None
    score: float
    source: str
    """Origin of the row: stored, live, substitute, network, content or chart.

    `substitute`: recomputed from the current ratings by `model`, because the model that was named
    cannot be. `network`: computed by the network of `model`, for ratings given instead of a user.
    """
    model: str
    """The model that scored the row; for a hybrid, the part that contributed it."""
    run_id: int
    label: str | None
    """The score in words, such as "strongly recommended", if the model defines labels."""
    movie_key: str


@dataclass(frozen=True, slots=True)
class Contribution:
    """How much one rated movie adds to the score of a recommended movie."""

    because_movie_id: int | None
    """None if no rated movie contributes, as with a chart."""
    because_title: str | None
    rating: float | None
    weight: float | None
    """What the rating counts, by its value and its age."""
    similarity: float | None
    contribution: float | None
    """Weight times similarity, if `exact`."""
    share: float | None
    """The contribution as a fraction of all contributions."""
    score: float
    source: str
    model: str
    exact: bool
    """Whether the contributions add up to the score."""
    shared_genres: list[str]
    shared_tags: list[str]
    run_id: int
    because_movie_key: str | None


@dataclass(frozen=True, slots=True)
class Reason:
    """A rated movie that contributes to one of several recommended movies."""

    movie_id: int
    because_movie_id: int
    because_title: str
    rating: float
    share: float | None
    because_movie_key: str


# --- users ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SimilarUser:
    rank: int
    user_id: int
    score: float
    common_ratings: int
    """Movies that both users have rated."""
    model: str
    run_id: int
    user_key: str


@dataclass(frozen=True, slots=True)
class Rating:
    user_id: int
    movie_id: int
    title: str
    rating: float
    rated_at: datetime | None
    user_key: str
    movie_key: str


@dataclass(frozen=True, slots=True)
class Taste:
    """What a user rates and how high: all their ratings, those of a genre, or of a decade."""

    user_id: int
    facet: str
    """all, genre or decade."""
    name: str | None
    """The genre, or the decade as 1990s; None for all ratings."""
    ratings: int
    share: float
    """Fraction of the user's ratings; a movie counts in each of its genres."""
    mean_rating: float
    against_others: float | None
    """Mean difference to the mean ratings of the movies in the published run."""
    user_key: str


@dataclass(frozen=True, slots=True)
class RatingRange:
    rating_min: float | None
    """None if no ratings have been ingested."""
    rating_max: float | None


@dataclass(frozen=True, slots=True)
class UserStatus:
    """How a user gets recommendations at the moment."""

    status: str
    """personalised, live, cold_start or unknown_user."""
    ratings: int
    ratings_since_run: int | None
    run_age: timedelta | None
    run_id: int | None
    explanation: str


# --- movies and charts ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Movie:
    """A movie of the catalogue with its current ratings."""

    movie_id: int
    title: str
    year: int | None
    genres: list[str]
    ratings_count: int
    ratings_mean: float | None
    """None if the movie has no ratings."""
    imdb_id: str | None
    tmdb_id: int | None
    poster_url: str | None
    movie_key: str
    """What the source calls the movie; for MovieLens the id as text."""
    available: bool
    """Whether it may be recommended."""


@dataclass(frozen=True, slots=True)
class MovieDetails:
    """Metadata of a movie; None or empty if unknown."""

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
    """The first ten in billing order."""
    keywords: list[str]
    movie_key: str


@dataclass(frozen=True, slots=True)
class RatingBin:
    """How often a movie was given a rating, or one of a range of ratings."""

    rating_from: float
    rating_to: float
    """The same value, unless ratings are grouped."""
    ratings: int


@dataclass(frozen=True, slots=True)
class MovieCard:
    """The fields of a movie that lists of movies show."""

    movie_id: int
    title: str
    year: int | None
    genres: list[str]
    poster_url: str | None
    movie_key: str


@dataclass(frozen=True, slots=True)
class FoundMovie:
    movie_id: int
    title: str
    year: int | None
    movie_key: str


@dataclass(frozen=True, slots=True)
class SimilarMovie:
    rank: int
    movie_id: int
    title: str
    score: float
    model: str
    run_id: int
    movie_key: str


@dataclass(frozen=True, slots=True)
class ChartEntry:
    """One row of a single chart."""

    rank: int
    movie_id: int
    title: str
    score: float
    votes: int
    mean_rating: float | None
    """None if the movie has no ratings."""
    movie_key: str


@dataclass(frozen=True, slots=True)
class ChartPlace:
    """One row of several charts: the place of a movie in one of them."""

    chart: str
    genre: str | None
    """None in a chart of all genres."""
    rank: int
    movie_id: int
    votes: int
    mean_rating: float | None
    movie_key: str


# --- published state ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PublishedRun:
    run_id: int
    default_model: str
    models: list[str]
    published_at: datetime
    age_seconds: float
    """Seconds since publication."""
    ratings_count: int
    users_count: int
    movies_count: int
    seconds: float
    """How long the run took."""
    peak_memory_mb: int


@dataclass(frozen=True, slots=True)
class PublishedModel:
    model: str
    kind: str
    """chart, similarity or personal."""
    score_meaning: str
    description: str
    prediction: str | None
    """How it predicts ratings: factors, user_neighbours, movie_neighbours; None if it does not."""
    family: str
    """charts, knn, content, factors, linear, ensembles, or that of a model from outside."""
    display_name: str
    """Its name on pages."""
    top_order: int | None
    """Order of preference among charts when none is named; None if it is no candidate."""
    popularity_order: int | None
    """Order of preference among charts by number of ratings."""
    cold_start_order: int | None
    """Order of preference among charts for users without ratings."""
    is_default: bool


@dataclass(frozen=True, slots=True)
class PublicationEntry:
    """An entry of the publication log."""

    publication_id: int
    run_id: int | None
    """None if the published run was withdrawn."""
    action: str
    published_at: datetime
    reason: str | None
    published_by: str


@dataclass(frozen=True, slots=True)
class Freshness:
    """Age and staleness of one kind of published result."""

    artefact: str
    run_id: int | None
    """None if nothing is published."""
    published_at: datetime | None
    age_seconds: float | None
    """Seconds since the run read the ratings."""
    max_age_seconds: float | None
    ratings_since: int | None
    last_attempt_at: datetime | None
    last_error: str | None
    consecutive_failures: int
    stale: bool


@dataclass(frozen=True, slots=True)
class VerifiedLists:
    """Stored lists of a model compared with lists recomputed from its similarities."""

    model: str
    users: int
    stored: int
    recomputed: int
    missing: int
    """Rows that should be stored but are not."""
    extra: int
    """Rows that are stored but should not be."""
    run_id: int


@dataclass(frozen=True, slots=True)
class Status:
    """Contents of the database, the published run and the latest refresh."""

    edition: str | None
    """None if nothing has been ingested."""
    last_ingest_at: datetime | None
    ratings: int
    users: int
    """Users who have rated."""
    movies: int
    published: PublishedRun | None
    last_run_id: int | None
    last_run_state: str | None
    last_run_error: str | None


# --- runs -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Run:
    run_id: int
    kind: str
    """refresh, or evaluation, which has metrics but no results."""
    scope: str | None
    """full, models (a trial of some models) or users (changed lists only); None for evaluations."""
    base_run_id: int | None
    """For scope users, the full run that supplies all other results."""
    state: str
    published: bool
    refused: str | None
    started_at: datetime
    seconds: float | None
    """None while the run is in progress."""
    ratings_count: int | None
    models: list[str]
    run_size: int
    """Bytes on disk."""
    pruned_at: datetime | None
    edition: str | None
    """The data set it read."""


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
class RunFigure:
    """One metric over all users, in one of several runs."""

    run_id: int
    started_at: datetime
    model: str
    protocol: str
    metric: str
    value: float
    ci_low: float | None
    ci_high: float | None
    edition: str | None
    """The data set the run read; figures of different ones do not compare."""


@dataclass(frozen=True, slots=True)
class MeasuredMetric:
    """One metric over all users, in the latest run that used its protocol."""

    protocol: str
    run_id: int
    kind: str
    """evaluation, or refresh, which measures its default model before publication."""
    finished_at: datetime | None
    edition: str | None
    model: str
    metric: str
    value: float
    ci_low: float | None
    ci_high: float | None
    n: int
    """Number of users or ratings."""


@dataclass(frozen=True, slots=True)
class RunEpoch:
    """One epoch of the training of a network."""

    model: str
    epoch: int
    """From 1."""
    loss: float
    metric: str | None
    validation: float | None
    """The metric on ratings held out of the training; None without such ratings."""
    seconds: float
    best: bool
    """Whether its validation figure is the best of the training."""


@dataclass(frozen=True, slots=True)
class RunPublication:
    publication_id: int
    action: str
    published_at: datetime
    reason: str | None
    published_by: str


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The full record of a run; fields it has not reached yet are None."""

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
    # Any: models from other packages have parameters of their own.
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
    edition: str | None
    stages: list[RunStage]
    metrics: list[RunMetric]
    publications: list[RunPublication]
    epochs: list[RunEpoch]
    """Of its networks. A run of changed users has those of the full run that it shares."""


@dataclass(frozen=True, slots=True)
class RunDifference:
    """One difference between run a and run b."""

    part: str
    """lists, rows or metrics."""
    model: str
    protocol: str | None
    metric: str
    segment: str | None
    value_a: float | None
    value_b: float | None
    value: float
    """The comparison itself; b minus a if both runs have the metric."""
    n: int | None
