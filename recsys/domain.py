"""Values that the packages pass to each other: small, frozen, without behaviour."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

Progress = Callable[[int, int], None]
"""Called with the amount done so far and the total, both in the same unit."""

NO_TIME = np.iinfo(np.int64).min
"""Stands for an unknown time in `Ratings.rated_at`; written to the database as NULL."""


# --- what ingest reads from files ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ratings:
    """Ratings as columns of one length; one (user, movie) pair occurs once."""

    user_ids: Int32
    movie_ids: Int32
    values: Float64
    rated_at: Int64
    """Unix seconds, or `NO_TIME`."""

    def __len__(self) -> int:
        return len(self.user_ids)


@dataclass(frozen=True, slots=True)
class Movie:
    movie_id: int
    title: str
    """Without the year, the article in front: `The Matrix`."""
    original_title: str
    """As the file has it: `Matrix, The (1999)`."""
    year: int | None = None
    genres: tuple[str, ...] = ()
    imdb_id: int | None = None
    """The number behind `tt`."""
    tmdb_id: int | None = None


@dataclass(frozen=True, slots=True)
class User:
    user_id: int
    age: int | None = None
    gender: str | None = None
    occupation: str | None = None
    zip_code: str | None = None


@dataclass(frozen=True, slots=True)
class Tags:
    """Free-text tags as columns of one length; a row occurs once."""

    user_ids: Int32
    movie_ids: Int32
    tags: list[str]
    tagged_at: Int64
    """Unix seconds, or `NO_TIME`."""

    def __len__(self) -> int:
        return len(self.tags)


@dataclass(frozen=True, slots=True)
class Genome:
    """The tag genome: `names[i]` is the tag `tag_ids[i]`; the scores are columns of one length."""

    tag_ids: Int32
    names: list[str]
    score_movie_ids: Int32
    score_tag_ids: Int32
    relevance: Float32
    """In [0, 1]."""


@dataclass(frozen=True, slots=True)
class RejectedRow:
    file: str
    line: int
    """From 1."""
    content: str
    reason: str


@dataclass(frozen=True, slots=True)
class SourceFile:
    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class RatingScale:
    minimum: float
    maximum: float
    step: float


@dataclass(frozen=True, slots=True)
class Dataset:
    """One edition, read, typed and validated, with nothing of it in the database yet."""

    edition: str
    dialect: str
    scale: RatingScale | None
    """None where the format promises no scale."""
    movies: list[Movie]
    users: list[User]
    """Only those the files describe; who merely rates is known from `ratings`."""
    ratings: Ratings
    tags: Tags | None
    genome: Genome | None
    rejected: list[RejectedRow]
    rows_read: int
    """Data rows of all files, headers aside, rejected ones included."""
    duplicates: int
    """Ratings merged into another one of the same (user, movie) pair."""
    files: tuple[SourceFile, ...]


@dataclass(frozen=True, slots=True)
class Person:
    person_id: int
    name: str


@dataclass(frozen=True, slots=True)
class Credit:
    """`role` is `cast` (with `position` from 0) or `director`."""

    tmdb_id: int
    person_id: int
    role: str
    position: int
    character: str | None = None


@dataclass(frozen=True, slots=True)
class MovieMetadata:
    tmdb_id: int
    imdb_id: int | None
    title: str
    overview: str | None = None
    tagline: str | None = None
    release_date: str | None = None
    """ISO 8601, checked."""
    runtime: float | None = None
    """Minutes."""
    original_language: str | None = None
    vote_average: float | None = None
    vote_count: int | None = None
    popularity: float | None = None
    budget: int | None = None
    """US dollars; None where the source says 0."""
    revenue: int | None = None
    poster_path: str | None = None
    collection: str | None = None


@dataclass(frozen=True, slots=True)
class MetadataSet:
    """What `recsys ingest-metadata` read; every key occurs once."""

    movies: list[MovieMetadata]
    keywords: dict[int, str]
    """Keyword id to keyword."""
    movie_keywords: list[tuple[int, int]]
    """(tmdb_id, keyword id)."""
    people: list[Person]
    credits: list[Credit]
    rejected: list[RejectedRow]
    rows_read: int
    duplicates: int
    files: tuple[SourceFile, ...]


# --- what algorithms take and give ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class IdMap:
    """Ids to positions and back: position p stands for `ids[p]`; ids ascend and are unique."""

    ids: Int32

    def __len__(self) -> int:
        return len(self.ids)

    def position(self, id_: int) -> int | None:
        p = int(np.searchsorted(self.ids, id_))
        return p if p < len(self.ids) and self.ids[p] == id_ else None


@dataclass(frozen=True, slots=True)
class Votes:
    """Votes on each item: their number and mean."""

    counts: Int64
    means: Float64


@dataclass(frozen=True, slots=True)
class Interactions:
    """All a model may learn from, in positions: no ids, no database.

    Positions ascend with the ids, so a tie broken by position is a tie broken by movie_id.
    Users and items are all of the catalogue: rows and columns without ratings are empty.
    What no model of a run needs is None.
    """

    user_items: csr_matrix
    """Ratings, users x items, float64, canonical (sorted indices, no duplicates)."""
    item_genres: csr_matrix
    """Items x genres, float64, 1 where the item is of the genre."""
    genres: tuple[str, ...]
    """Names of the columns of `item_genres`, ascending."""
    rated_at: Float64 | None = None
    """Unix seconds of each stored entry of `user_items`, in its order; NaN where unknown."""
    item_years: Int32 | None = None
    """Year of release of each item; 0 where unknown."""
    item_texts: tuple[str, ...] | None = None
    """What is written about each item; empty where nothing is."""
    item_votes: Votes | None = None
    """Votes the metadata tells of; mean NaN where it tells none."""
    user_attributes: csr_matrix | None = None
    """Users x attributes (age group, gender, occupation), float64, 1 where the user has it."""
    rating_range: tuple[float, float] | None = None
    """Lowest and highest rating there can be; None: those there are."""
    parts: Mapping[str, ModelOutput] = field(default_factory=dict)
    """Outputs of the models that a model is composed of, by name."""


@dataclass(frozen=True, slots=True)
class RankedLists:
    """One ranked list per row, ragged: row r is `indices[indptr[r]:indptr[r+1]]`, best first.

    Scores are finite, descending within a row, ties by index. Nothing is padded.
    """

    indptr: Int64
    indices: Int32
    scores: Float64

    @property
    def rows(self) -> int:
        return len(self.indptr) - 1

    def __len__(self) -> int:
        return len(self.indices)


class Neighbours(RankedLists):
    """For each item its most similar items, itself excluded."""


@dataclass(frozen=True, slots=True)
class UserNeighbours(RankedLists):
    """For each user the most similar users, itself excluded."""

    common: Int32
    """Items both have rated, of each entry."""


@dataclass(frozen=True, slots=True)
class TopN(RankedLists):
    """For each user the best items not rated by that user.

    With `sources` the lists are put together from those of several models: scores are those of
    the model an entry came from, and only the order of the entries is theirs.
    """

    sources: NDArray[np.int16] | None = None
    """Of each entry the model it came from, a position in `ModelOutput.sources`."""


@dataclass(frozen=True, slots=True)
class Chart:
    """One ranked list of items without personalisation."""

    genre: str | None
    """None: over all genres."""
    items: Int32
    scores: Float64
    votes: Int64
    means: Float64
    """Mean rating of the item; NaN where it has no votes."""


@dataclass(frozen=True, slots=True)
class Factors:
    """Dense latent factors, users x f and items x f, float32.

    With biases a rating is predicted as `user_bias + item_bias + users . items`; users and
    items of which nothing is known have a bias of NaN, and factors of 0.
    """

    users: Float32
    items: Float32
    user_bias: Float64 | None = None
    """Of each user, the mean of all ratings included."""
    item_bias: Float64 | None = None


RATING_METRICS = ("rmse", "mae")
"""Errors of predicted ratings: of these metrics less is better."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One measured figure of a model."""

    protocol: str
    """How it was measured, as `train` or `holdout 0.1`."""
    name: str
    """As `rmse` or `ndcg@10`."""
    value: float
    n: int
    """Over how many users or ratings."""
    segment: str = "all"
    """Over which users or movies, as `new users`."""
    ci_low: float | None = None
    """Ends of the 95 % interval; None where none was computed."""
    ci_high: float | None = None


@dataclass(frozen=True, slots=True)
class ModelOutput:
    """What one model yields; what it does not yield is None or empty."""

    neighbours: Neighbours | None = None
    recommendations: TopN | None = None
    factors: Factors | None = None
    charts: tuple[Chart, ...] = ()
    user_neighbours: UserNeighbours | None = None
    user_means: Float64 | None = None
    """Mean rating of each user, NaN without any, where predictions start from it."""
    sources: tuple[str, ...] = ()
    """Names of the models that `recommendations.sources` points to."""
    metrics: tuple[Metric, ...] = ()
