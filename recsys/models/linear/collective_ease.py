"""EASE that also learns from the values of ratings, from sessions and from genres.

    rows of X: users, their sessions (ratings close in time) and genres;   columns: items
    x_ui = sqrt(1 - session_share) w_ui,  sessions: sqrt(session_share / 2) w_ui, twice, at two cuts
    w_ui: what the rating counts, by its grade
    genres: sqrt(genre_weight) where a movie is of the genre
    B from X'X and lists as in `ease`

O. Jeunen, J. Van Balen, B. Goethals: Closed-Form Models for Collaborative Filtering with
Side-Information, RecSys 2020 (collective EASE); H. Steck: Embarrassingly Shallow Autoencoders for
Sparse Data, WWW 2019.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated

import numpy as np
from scipy.sparse import csr_matrix, vstack

from recsys.domain import Int64, Interactions, Neighbours
from recsys.models.base import FitOptions, ModelSpec, Need, Range
from recsys.models.cost import ADDITION, Cost, Size
from recsys.models.linear import ease
from recsys.models.linear.ease import EaseConfig, LinearConfig, needs_times
from recsys.models.linear.ease import cost as linear_cost
from recsys.models.linear.inverse import Rows
from recsys.models.params import Bounds
from recsys.models.shards import Shards, in_memory
from recsys.numerics.sparse import row_of_entries, with_values
from recsys.numerics.weighting import genre_rows, grade_weights, on_scale_of


@dataclass(frozen=True, slots=True)
class CollectiveEaseConfig(LinearConfig):
    regularization: Annotated[float, Bounds(0, above=True)] = 300.0
    """Value added to the diagonal of the Gram matrix: lambda of the paper."""
    min_raters: Annotated[float, Bounds(0)] = 0.6
    """Weights of a magnitude below `min_raters / regularization` are dropped; 0 keeps all."""
    genre_weight: Annotated[float, Bounds(0, 1000)] = 4.0
    """A genre counts like this many users who rated all its movies. 0: genres are not used."""
    session_share: Annotated[float, Bounds(0, 1)] = 0.67
    """Share of the evidence that comes from movies rated in the same session; the rest comes from
    all movies of a user. 0: times are not used."""
    session_seconds: Annotated[float, Bounds(1, 1e9)] = 300.0
    """Time after which two ratings never share a session. The closer two ratings are, the more
    they count as one session."""


def learn(shards: Shards, config: CollectiveEaseConfig, options: FitOptions) -> Neighbours:
    """Learn weights from all evidence; lists add them up as those of `ease` do."""
    catalogue = shards.catalogue
    weights = on_scale_of(catalogue, config.rating_weights)
    genres = genre_rows(catalogue, np.sqrt(config.genre_weight))
    share, users = config.session_share, shards.users
    count = users + genres.shape[0]
    factors: tuple[float, ...] = (1 - share,)
    begun = 0.0
    if share > 0:
        factors = (1 - share, share / 2)
        begun = shards.reduce(_earliest, np.fmin)
        count += shards.reduce(lambda shard: _both_cuts(shard, config, begun)[1])

    def of_shard(shard: Interactions) -> list[csr_matrix]:
        ratings = ease.exact_weights(shard, weights, 2 * users)
        return [ratings, *_sessions_of(ratings, shard, config, begun)]

    rows = Rows(of_shard, factors, genres, lambda shard: _evidence(shard, config, begun), count)
    return ease.learn_rows(shards, rows, _linear(config), options)


fit = in_memory(learn)


def _linear(config: CollectiveEaseConfig) -> EaseConfig:
    shared = {field.name: getattr(config, field.name) for field in fields(EaseConfig)}
    return EaseConfig(**shared)


def evidence(data: Interactions, config: CollectiveEaseConfig) -> csr_matrix:
    """Return (users, sessions and genres) x items, float32, for the Gram matrix.

    Two movies of one user count `1 - share + share * max(0, 1 - t / session_seconds)`, on average
    over where sessions are cut, times the weights of both ratings; t is the time between them.
    """
    genres = genre_rows(data, np.sqrt(config.genre_weight))
    rows = _evidence(data, config, _earliest(data))
    return csr_matrix(vstack([rows, genres], dtype=np.float32))


def _evidence(shard: Interactions, config: CollectiveEaseConfig, begun: float) -> csr_matrix:
    """Return the rows of users and sessions of a shard, float32."""
    grades = on_scale_of(shard, config.rating_weights)
    # Not `weighted`, which leaves out zeros: the times are in the order of all ratings.
    ratings = with_values(shard.user_items, grade_weights(grades, shard.user_items))
    rows = [ratings * np.sqrt(1 - config.session_share)]
    for sessions in _sessions_of(ratings, shard, config, begun):
        rows.append(sessions * np.sqrt(config.session_share / 2))
    return csr_matrix(vstack(rows, dtype=np.float32))


def _sessions_of(
    ratings: csr_matrix, shard: Interactions, config: CollectiveEaseConfig, begun: float
) -> list[csr_matrix]:
    """Return the ratings by session, of both cuts; no matrix if times are not used."""
    if config.session_share == 0:
        return []
    rows, count = _both_cuts(shard, config, begun)
    twice = np.concatenate((ratings.data, ratings.data)), (rows, np.tile(ratings.indices, 2))
    return [csr_matrix(twice, shape=(count, ratings.shape[1]))]


def _both_cuts(
    shard: Interactions, config: CollectiveEaseConfig, begun: float
) -> tuple[Int64, int]:
    """Number the sessions of two cuts, half a window apart; return them and their number.

    Ratings on both sides of one cut share the other's window.
    """
    first, second = (_sessions(shard, config.session_seconds, shift, begun) for shift in (0.0, 0.5))
    before = int(first.max(initial=-1)) + 1
    rows = np.concatenate((first, before + second))
    return rows, int(rows.max(initial=-1)) + 1


def _sessions(data: Interactions, seconds: float, shift: float, begun: float) -> Int64:
    """Number the sessions of all users, windows of time cut every so many seconds.

    Ratings of unknown time are one session of their user.
    """
    ratings = data.user_items
    users = row_of_entries(ratings)
    times = np.zeros(ratings.nnz) if data.rated_at is None else data.rated_at
    since = np.where(np.isnan(times), 0, times - begun)
    windows = np.floor(since / seconds + shift).astype(np.int64) + 1
    # Window 0 holds the ratings of unknown time.
    windows[np.isnan(times)] = 0
    # One integer for (user, window), renumbered without gaps.
    keys = users * (windows.max(initial=0) + 1) + windows
    return np.unique(keys, return_inverse=True)[1]


def _earliest(data: Interactions) -> float:
    """Return the earliest known time, 0 if times are not read; NaN if none is known."""
    if data.rated_at is None:
        return 0.0
    return float(np.fmin.reduce(data.rated_at, initial=np.nan))


def cost(size: Size, config: CollectiveEaseConfig) -> Cost:
    """Return the cost of `ease`, with the pairs of two cuts into sessions beside those of users."""
    return linear_cost(size, _linear(config)) + Cost(0.6 * ADDITION * size.pairs())


def _needs(config: CollectiveEaseConfig) -> frozenset[Need]:
    return needs_times(config) | frozenset({"times"} if config.session_share > 0 else ())


SPEC = ModelSpec(
    name="collective_ease",
    display_name="Collective EASE",
    family="linear",
    kind="personal",
    config=CollectiveEaseConfig,
    fit=fit,
    learn=learn,
    cost=cost,
    score_meaning="sum of the weights of the movies rated; 1 would be certainty",
    description="EASE that learns from what was given, what was rated in one go, and genres",
    scoring="sum",
    needs=_needs,
    search_space={
        "regularization": Range(50, 3000, log=True),
        "grade_effect": Range(0, 0.5),
        "genre_weight": Range(0, 20),
        "session_share": Range(0.05, 0.95),
        "session_seconds": Range(30, 3600, log=True),
    },
    roles={"live": 10, "similar": 20},
)
