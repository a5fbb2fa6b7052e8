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

from recsys.domain import Float64, Int64, Interactions, Neighbours
from recsys.models.base import FitOptions, ModelSpec, Need, Range
from recsys.models.cost import ADDITION, Cost, Size
from recsys.models.linear import ease
from recsys.models.linear.ease import EaseConfig, LinearConfig, needs_times
from recsys.models.linear.ease import cost as linear_cost
from recsys.models.params import Bounds
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


def fit(data: Interactions, config: CollectiveEaseConfig, options: FitOptions) -> Neighbours:
    """Learn weights from all evidence; lists add them up as those of `ease` do."""
    return ease.fit_rows(evidence(data, config), data, _linear(config), options)


def _linear(config: CollectiveEaseConfig) -> EaseConfig:
    shared = {field.name: getattr(config, field.name) for field in fields(EaseConfig)}
    return EaseConfig(**shared)


def evidence(data: Interactions, config: CollectiveEaseConfig) -> csr_matrix:
    """Return (users, sessions and genres) x items, float32, for the Gram matrix.

    Two movies of one user count `1 - share + share * max(0, 1 - t / session_seconds)`, on average
    over where sessions are cut, times the weights of both ratings; t is the time between them.
    """
    grades = on_scale_of(data, config.rating_weights)
    # Not `weighted`, which leaves out zeros: the times are in the order of all ratings.
    ratings = with_values(data.user_items, grade_weights(grades, data.user_items))
    rows = [ratings * np.sqrt(1 - config.session_share)]
    if config.session_share > 0:
        # Two cuts, half a window apart: ratings on both sides of one cut share the other's window.
        for shift in (0.0, 0.5):
            sessions = _sessions(data, config.session_seconds, shift)
            rows.append(_regrouped(ratings, sessions) * np.sqrt(config.session_share / 2))
    rows.append(genre_rows(data, np.sqrt(config.genre_weight)))
    return csr_matrix(vstack(rows, dtype=np.float32))


def _sessions(data: Interactions, seconds: float, shift: float) -> Int64:
    """Number the sessions of all users, windows of time cut every so many seconds.

    Ratings of unknown time are one session of their user.
    """
    ratings = data.user_items
    users = row_of_entries(ratings)
    times = np.zeros(ratings.nnz) if data.rated_at is None else data.rated_at
    windows = np.floor(_since_first(times) / seconds + shift).astype(np.int64) + 1
    # Window 0 holds the ratings of unknown time.
    windows[np.isnan(times)] = 0
    # One integer for (user, window), renumbered without gaps.
    keys = users * (windows.max(initial=0) + 1) + windows
    return np.unique(keys, return_inverse=True)[1]


def _since_first(times: Float64) -> Float64:
    known = ~np.isnan(times)
    return np.where(known, times - times.min(where=known, initial=np.inf), 0)


def _regrouped(ratings: csr_matrix, rows: Int64) -> csr_matrix:
    """Return the entries of a matrix in other rows, in the order of its arrays."""
    shape = (int(rows.max(initial=-1)) + 1, ratings.shape[1])
    return csr_matrix((ratings.data, (rows, ratings.indices)), shape=shape)


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
