"""The values that travel between packages: small, frozen, without behaviour."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

Feedback = Literal["explicit", "implicit"]
"""Whether people rated, or whether what they did was counted."""

Progress = Callable[[int, int], None]
"""Called with the amount done so far and the total, both in the same unit."""

Told = Callable[[int, int, str], None]
"""Called with the epochs done so far, those at most, and a note on the last one."""

# 0 is a valid time, and integers have no NaN.
NO_TIME = np.iinfo(np.int64).min
"""Stands for an unknown time in `Ratings.rated_at`; written to the database as NULL."""

LONGEST_KEY = 512
"""Bytes of the key of a user or movie in UTF-8."""
_WHOLE_NUMBER = re.compile("0|[1-9][0-9]{0,9}")
_CONTROL_OR_SURROGATE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def fault_of_key(key: str) -> str | None:
    """Return why a text cannot be the key of a user or movie, None if it can."""
    if not key:
        return "is empty"
    if found := _CONTROL_OR_SURROGATE.search(key):
        return f"has the character U+{ord(found[0]):04X}"
    # A character has at most four bytes.
    if 4 * len(key) > LONGEST_KEY and len(key.encode()) > LONGEST_KEY:
        return f"is longer than {LONGEST_KEY} bytes"
    return None


def number_of_key(key: str) -> int | None:
    """Return the id that a key names itself, None if it is no whole number in the range of ids."""
    number = int(key) if _WHOLE_NUMBER.fullmatch(key) else None
    return None if number is None or number > np.iinfo(np.int32).max else number


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
class SourceMovie:
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
    available: bool | None = None
    """Whether it may be recommended; None: the source does not tell."""


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
    # A NumPy array of text would pad every tag to the longest.
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
    """One edition as read from its files: typed and validated, not yet loaded.

    With `user_keys` or `movie_keys`, each id of a user or movie is a position in them.
    """

    edition: str
    dialect: str
    scale: RatingScale | None
    """None if the format defines no scale."""
    movies: list[SourceMovie]
    users: list[User]
    """Users with attributes; users who only rate appear in `ratings` alone."""
    ratings: Ratings
    tags: Tags | None
    genome: Genome | None
    rejected: list[RejectedRow]
    """The first of each file; there may be more."""
    rejected_count: int
    """All of them."""
    rows_read: int
    """Data rows of all files, headers aside, rejected ones included."""
    duplicates: int
    """Ratings merged into another one of the same (user, movie) pair."""
    files: tuple[SourceFile, ...]
    user_keys: Sequence[str] | None = None
    """The key of each user, unique; None: the ids as text."""
    movie_keys: Sequence[str] | None = None
    feedback: Feedback = "explicit"
    on_duplicate: str = "latest"
    """How rows of one (user, movie) pair were merged."""
    unrated: int = 0
    """Rows left out because their value stands for no rating."""


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
    """US dollars; None if the source has 0."""
    revenue: int | None = None
    poster_path: str | None = None
    collection: str | None = None
    genres: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MetadataSet:
    """The metadata that `recsys ingest-metadata` loads; every key occurs once."""

    movies: list[MovieMetadata]
    keywords: dict[int, str]
    """Keyword id to keyword."""
    movie_keywords: list[tuple[int, int]]
    """(tmdb_id, keyword id)."""
    people: list[Person]
    credits: list[Credit]
    rejected: list[RejectedRow]
    """The first of each file; there may be more."""
    rejected_count: int
    """All of them."""
    rows_read: int
    duplicates: int
    files: tuple[SourceFile, ...]


# --- what models take and give --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class IdMap:
    """Ids to positions and back: position p stands for `ids[p]`; ids ascend and are unique."""

    ids: Int32

    def __len__(self) -> int:
        return len(self.ids)

    def position(self, id_: int) -> int | None:
        """Return the position of an id, None if it is not in the map."""
        # searchsorted returns the length for an id above all others.
        p = int(np.searchsorted(self.ids, id_))
        return p if p < len(self.ids) and self.ids[p] == id_ else None

    def positions(self, ids: Int32) -> Int64:
        """Return the position of each id, -1 if it is not in the map."""
        if not len(self.ids):
            return np.full(len(ids), -1, np.int64)
        found = np.minimum(np.searchsorted(self.ids, ids), len(self.ids) - 1)
        return np.where(self.ids[found] == ids, found, -1).astype(np.int64)


_processors: int | None = None


def use_processors(count: int) -> None:
    """Let this process, one of several on its machine, work with so many threads at most."""
    global _processors
    _processors = count


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputeLimits:
    """Limits on the memory and the threads of a computation."""

    memory_mb: int = 1024
    """Bound of the working blocks, all threads together, in MiB."""
    threads: int = 0
    """0: one for each processor."""
    block_rows: int = 1024
    """Rows of a block at most. Larger blocks are no faster, only larger."""

    @property
    def workers(self) -> int:
        """Return the number of threads that work side by side."""
        # cpu_count returns None if the number cannot be determined.
        return _processors or self.threads or os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Votes:
    """Votes on each item: their number and mean."""

    counts: Int64
    means: Float64


Grades = Literal["none", "watched", "rating", "scaled", "centred", "relative"]
"""How the value of a rating counts; see `recsys.numerics.weighting`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingWeights:
    """What a rating of a user counts: by its grade, times by its age.

    The formulas are in `recsys.numerics.weighting`, and in `recsys.rating_weights` of the contract.
    """

    grades: Grades = "none"
    effect: float = 0.0
    """What the highest grade counts above 1, or a whole grade above the mean."""
    recency: float = 1.0
    """Factor from each rating to the next older one; 1: age does not count."""
    window: int = 0
    """Number of newest ratings that count; 0: all."""
    low: float = 0.0
    """Lowest rating of the scale."""
    high: float = 0.0
    mean: float = 0.0
    """Mean of all ratings of the run."""

    @property
    def by_age(self) -> bool:
        """Return whether the times of ratings matter."""
        return self.recency != 1 or self.window > 0


@dataclass(frozen=True, slots=True)
class Term:
    """One of the sums that make up a score: the model whose weights are added, and its factor."""

    model: str
    weights: RatingWeights
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class Interactions:
    """The training data of a model, in positions instead of ids.

    Positions ascend with the ids, so a tie broken by position is a tie broken by movie_id.
    Users and items are all of the catalogue: rows and columns without ratings are empty.
    A field that no model of a run needs is None.
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
    """The text about each item; empty if there is none."""
    item_votes: Votes | None = None
    """Votes counted by the metadata; mean NaN without any."""
    user_attributes: csr_matrix | None = None
    """Users x attributes (age group, gender, occupation), float64, 1 where the user has it."""
    rating_range: tuple[float, float] | None = None
    """Lowest and highest rating of the scale; None: those that occur."""
    rating_mean: float | None = None
    """Mean of all ratings, if `user_items` holds some users only; otherwise None."""
    item_counts: Int64 | None = None
    """Number of ratings of each item, if `user_items` holds some users only; otherwise None."""
    parts: Mapping[str, FittedModel] = field(default_factory=dict)
    """The models that a model is composed of, fitted on the same ratings, by name."""
    previous: Mapping[str, StoredNetwork] = field(default_factory=dict)
    """The networks of the published run, by model, for those that start from them."""
    first_user: int = 0
    """Position of the first row among all users, if `user_items` is a shard of them."""
    first_rating: int = 0
    """Number of ratings of the users before it."""


@dataclass(frozen=True, slots=True)
class UserRows:
    """A block of users to rank for: their positions and their ratings."""

    positions: Int64
    """Their positions among all users."""
    ratings: csr_matrix
    """Their ratings, block x items, float64."""
    rated_at: Float64 | None = None
    """Unix seconds of each rating, in the order of the entries; NaN where unknown."""

    @classmethod
    def all(cls, user_items: csr_matrix, rated_at: Float64 | None = None) -> UserRows:
        """Return every user of a matrix of ratings, with their times."""
        return cls(np.arange(user_items.shape[0]), user_items, rated_at)

    @classmethod
    def some(cls, data: Interactions, positions: Int64) -> UserRows:
        """Return the users at these positions of the training data."""
        if data.rated_at is None:
            return cls(positions, data.user_items[positions])
        ratings = data.user_items
        times = csr_matrix((data.rated_at, ratings.indices, ratings.indptr), shape=ratings.shape)
        return cls(positions, data.user_items[positions], times[positions].data)

    def block(self, start: int, stop: int) -> UserRows:
        """Return the users from `start` to before `stop` of this block."""
        first, last = self.ratings.indptr[[start, stop]]
        times = None if self.rated_at is None else self.rated_at[first:last]
        return UserRows(self.positions[start:stop], self.ratings[start:stop], times)

    def __len__(self) -> int:
        return len(self.positions)


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


@dataclass(frozen=True, slots=True)
class TopN(RankedLists):
    """For each user the best items that the user has not rated.

    With `sources` the lists combine those of several models. Each score is that of the source
    model, so scores need not descend within a row.
    """

    sources: NDArray[np.int16] | None = None
    """The model of each entry, a position in `source_names`."""
    source_names: tuple[str, ...] = ()


# `fit` returns one of the types below, together called `Fitted`.


@dataclass(frozen=True, slots=True)
class Baselines:
    """What ratings are expected to be, `mean + b_u + b_i`, before neighbours are compared."""

    mean: float
    """Mean of all ratings."""
    items: Float64
    """Bias of each item, NaN without ratings."""
    damping: float
    """Number of ratings at which the bias of a user counts half."""

    @property
    def of_items(self) -> Float64:
        """Return the biases, 0 for items without ratings."""
        return np.nan_to_num(self.items)


@dataclass(frozen=True, slots=True)
class Neighbours(RankedLists):
    """For each item the most similar other items, with their similarities."""

    weights: RatingWeights = RatingWeights()
    """What a rating counts in the lists of users."""
    baselines: Baselines | None = None
    """Where predicted ratings start. None: they are means of the user's ratings."""
    damping: float = 0.0
    """Added to the sum of the weights of a predicted rating: few neighbours change it less."""
    amplification: float = 1.0
    """Exponent that makes a weight of a similarity."""


@dataclass(frozen=True, slots=True)
class UserNeighbours(RankedLists):
    """For each user the most similar other users, and the ratings of all users."""

    common: Int32
    """For each entry the number of items that both have rated."""
    means: Float64
    """Mean rating of each user, or `mean + b_u` with baselines; NaN without ratings."""
    user_items: csr_matrix
    """The ratings of all users, users x items."""
    min_neighbours: int = 1
    """Neighbours that must have rated an item for it to be recommended."""
    baselines: Baselines | None = None
    """Where predicted ratings start. None: at the mean of the user."""
    damping: float = 0.0
    """Added to the sum of the weights of a predicted rating: few neighbours change it less."""


@dataclass(frozen=True, slots=True)
class Factors:
    """Dense latent factors, users x f and items x f, float32.

    With biases a rating is predicted as `user_bias + item_bias + users . items`; users and
    items without ratings have a bias of NaN, and factors of 0.
    """

    users: Float32
    items: Float32
    user_bias: Float64 | None = None
    """Of each user, the mean of all ratings included."""
    item_bias: Float64 | None = None

    @property
    def known_users(self) -> NDArray[np.bool_]:
        """Return a mask of the users with learned factors."""
        return _known(self.users, self.user_bias)

    @property
    def known_items(self) -> NDArray[np.bool_]:
        """Return a mask of the items with learned factors."""
        return _known(self.items, self.item_bias)


def _known(factors: Float32, bias: Float64 | None) -> NDArray[np.bool_]:
    # With biases, regularization can shrink the factors of a known row to zero.
    known: NDArray[np.bool_] = np.any(factors, axis=1)
    return known if bias is None else ~np.isnan(bias)


@dataclass(frozen=True, slots=True)
class Epoch:
    """One pass of a network over its training data."""

    loss: float
    """Mean of what it minimizes."""
    validation: float | None
    """Figure of the held-out part; None without one."""
    seconds: float


@dataclass(frozen=True, slots=True)
class TrainingCurve:
    """The epochs of a network, and what their validation figure is."""

    metric: str
    epochs: tuple[Epoch, ...]


@dataclass(frozen=True, slots=True)
class NetworkFactors(Factors):
    """Factors that a neural network learned, and the network itself."""

    network: bytes = b""
    """Architecture and weights; arrays over items or users have a row for each position."""
    metric: str = ""
    """The validation figure: `rmse` or `ndcg@10`."""
    epochs: tuple[Epoch, ...] = ()
    by_user: bool = False
    """Whether the network has arrays over users. It is dropped when one of them is forgotten."""

    @property
    def curve(self) -> TrainingCurve:
        return TrainingCurve(self.metric, self.epochs)


@dataclass(frozen=True, slots=True)
class StoredNetwork:
    """A network that a run stored, beside the positions of today."""

    network: bytes
    items: Int64
    """For each item its row in the arrays of the network; -1 if it has none."""
    users: Int64
    """The same for each user."""


@dataclass(frozen=True, slots=True)
class TrainedItems:
    """The item side of trained factors, and figures of the ratings they were trained on."""

    items: Float32
    """Items x f; 0 for items without ratings."""
    item_bias: Float64
    """0 for a model without biases; NaN for items without ratings."""
    mean: float
    """Mean of all ratings."""
    deviation: float
    """Their standard deviation."""
    rating_range: tuple[float, float]
    """Lowest and highest rating of their scale."""
    counts: Int64 | None = None
    """Number of ratings of each item; None if it is not known."""
    rmse: float | None = None
    """Error on the training ratings, if the model measures it."""
    network: StoredNetwork | None = None
    """The network whose output the factors are, if it is one."""


@dataclass(frozen=True, slots=True)
class ItemVectors:
    """Unit vectors of items in one or more spaces, such as genres and texts; sparse, float64."""

    parts: tuple[csr_matrix, ...]
    """Items x features, one matrix for each space; a row is empty if the item has no features."""
    weights: tuple[float, ...]
    """Share of each space in a score; they add up to 1."""
    rating_weights: RatingWeights = RatingWeights()
    """What a rating counts in the profile of a user."""


@dataclass(frozen=True, slots=True)
class Chart:
    """One ranked list of items without personalization."""

    genre: str | None
    """None: over all genres."""
    items: Int32
    scores: Float64
    votes: Int64
    means: Float64
    """Mean rating of the item; NaN without votes."""


@dataclass(frozen=True, slots=True)
class Charts:
    """The charts of one model, over all genres and by genre; a chart without items is absent."""

    charts: tuple[Chart, ...] = ()

    @property
    def overall(self) -> Chart | None:
        """Return the chart over all genres, None if there is none."""
        return next((chart for chart in self.charts if chart.genre is None), None)


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Several fitted models and how their lists or scores are combined."""

    members: tuple[FittedModel, ...]
    weights: tuple[float, ...] = ()
    """Weight of each member if scores are added."""
    min_ratings: tuple[int, ...] = ()
    """Ratings that each member requires of a user, if lists are chosen by number of ratings."""
    candidates: NDArray[np.bool_] | None = None
    """Items that may be recommended, if scores are added."""


Fitted = Neighbours | UserNeighbours | Factors | ItemVectors | Charts | Ensemble


@dataclass(frozen=True, slots=True)
class FittedModel:
    """A fitted model and the function that ranks with it."""

    name: str
    fitted: Fitted
    # Any, because each ranker accepts only the type that its own `fit` returns.
    ranker: Callable[[Any, UserRows, int, ComputeLimits], TopN]

    def rank(self, users: UserRows, n: int, limits: ComputeLimits | None = None) -> TopN:
        """Return the best `n` items for each user of a block."""
        return self.ranker(self.fitted, users, n, limits or ComputeLimits())


RATING_METRICS = ("rmse", "mae")
"""Errors of predicted ratings."""


def lower_is_better(metric: str) -> bool:
    """Return whether less of a metric is better; `metric` may end in @k."""
    return metric.partition("@")[0] in (*RATING_METRICS, "disliked_share")


@dataclass(frozen=True, slots=True)
class Metric:
    """One measured figure of a model."""

    protocol: str
    """How it was measured, such as `train` or `holdout 0.1`."""
    name: str
    """Such as `rmse` or `ndcg@10`."""
    value: float
    n: int
    """Number of users or ratings measured on."""
    segment: str = "all"
    """Which users or movies, such as `new users`."""
    ci_low: float | None = None
    """Ends of the 95 % interval; None without an interval."""
    ci_high: float | None = None
