"""What the networks have in common: parameters, the held-out part, and what a rating tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.domain import Float64, Int32
from recsys.models.params import Bounds, Params
from recsys.numerics.sequences import in_time
from recsys.numerics.sparse import row_of_entries

Precision = Literal["auto", "single", "mixed"]
REQUIRES = ("keras_rs", "neural")
"""A package of the extra, and the extra."""
DISLIKED, NEUTRAL, LIKED = 1, 2, 3
"""What a rating tells about its movie; 0 stands for no rating."""


@dataclass(frozen=True, slots=True)
class TrainingParams(Params):
    epochs: Annotated[int, Bounds(1, 10_000)] = 100
    """Passes over the training data at most."""
    patience: Annotated[int, Bounds(1, 10_000)] = 5
    """Epochs without a better figure on the validation part after which training stops. The network
    of the best epoch is kept."""
    batch_size: Annotated[int, Bounds(1, 1_000_000)] = 4096
    """Number of examples of one step."""
    learning_rate: Annotated[float, Bounds(0, 1, above=True)] = 0.003
    """Of Adam."""
    precision: Precision = "auto"
    """Of the computation: `single`, `mixed` with 16 bits (bfloat16) in the layers, or `auto`, which
    is mixed on a GPU."""
    warm_start: bool = False
    """Start from the network of the published run, where it has the same shape, instead of from
    random weights. A network that was trained on all ratings then goes on for `patience` epochs."""


@dataclass(frozen=True, slots=True)
class LikingParams(TrainingParams):
    liked: Annotated[float, Bounds(0, 1)] = 0.75
    """Share of the scale from which a rating tells that the user liked the movie: 4 of 1 to 5."""
    disliked: Annotated[float, Bounds(0, 1)] = 0.25
    """Share of the scale up to which it tells the opposite: 2 of 1 to 5."""


def grades_of(ratings: csr_matrix, params: LikingParams, scale: tuple[float, float]) -> Int32:
    """Return for each rating whether it tells that the user liked the movie or the opposite."""
    low, high = scale
    if high <= low:  # all alike
        return np.full(ratings.nnz, NEUTRAL, np.int32)
    shares = (ratings.data - low) / (high - low)
    liked = np.where(shares >= params.liked, LIKED, NEUTRAL)
    return np.where(shares <= params.disliked, DISLIKED, liked).astype(np.int32)


def held_out(
    ratings: csr_matrix, rated_at: Float64 | None, share: float, most: int, seed: int
) -> NDArray[np.bool_]:
    """Mark the newest share of the ratings of some users, at least one of each.

    They are at most `most` users with two or more ratings. Ratings of one time, and all where times
    are unknown, are drawn.
    """
    rows, counts = row_of_entries(ratings), np.diff(ratings.indptr)
    users = np.flatnonzero(counts > 1)
    if len(users) > most:
        users = np.random.default_rng(seed).choice(users, most, replace=False)
    taken = np.zeros(len(counts), int)
    taken[users] = np.maximum(1, (share * counts[users]).astype(int))
    place = np.empty(ratings.nnz, np.int64)
    place[in_time(ratings, rated_at, seed)] = np.arange(ratings.nnz)
    marked: NDArray[np.bool_] = place >= (ratings.indptr[1:] - taken)[rows]
    return marked


def times_of(rated_at: Float64 | None, kept: NDArray[np.bool_]) -> Float64 | None:
    """Return the times of some entries."""
    return None if rated_at is None else rated_at[kept]
