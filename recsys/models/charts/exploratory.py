"""Chart to learn the taste of a new user: known, disputed movies of all genres and eras.

A. M. Rashid et al.: Getting to Know You: Learning New User Preferences in Recommender Systems,
IUI 2002: log(popularity) * entropy finds movies that people can rate and whose rating tells
something. Alone it finds those of one decade, of few genres; so each (genre, decade) takes turns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from scipy.sparse import csr_matrix
from scipy.special import entr

from recsys.domain import Charts, Float64, Int64, Interactions
from recsys.models.base import FitOptions, ModelSpec
from recsys.models.charts.build import build_charts, votes_of
from recsys.models.cost import chart
from recsys.models.params import Bounds, Params
from recsys.models.shards import Shards, in_memory
from recsys.numerics.prediction import rating_range

YEARS_AN_ERA = 10


@dataclass(frozen=True, slots=True)
class ExploratoryConfig(Params):
    grades: Annotated[int, Bounds(2, 100)] = 5
    """Number of equal parts of the rating scale whose entropy is measured: ratings half a star
    apart do not disagree. The paper has five."""


def learn(shards: Shards, config: ExploratoryConfig, options: FitOptions) -> Charts:
    """Rank the rated movies by `log(votes) * entropy / turn`.

    A movie's turn is its place, by `log(votes) * entropy`, in its cells (genre, era), the last of
    these places where it has several; movies of one and the same turn share no cell. The era is
    the decade; movies without a year, or without genres, have cells of their own. In the chart of
    one genre the last place is that of all the movies of an era.
    """
    data = shards.catalogue
    votes = votes_of(shards)
    given = shards.reduce(lambda shard: _grades_given(shard, config.grades))
    worth = _worth(given, votes.counts)
    eras = _eras(data)

    def score(items: Int64) -> Float64:
        return worth[items] / _turns(worth[items], data.item_genres[items], eras[items])

    return Charts(build_charts(data, votes, score))


fit = in_memory(learn)


def _grades_given(data: Interactions, grades: int) -> Int64:
    """Count how often each item was given each grade, items x grades."""
    ratings = data.user_items
    low, high = rating_range(data)
    # If all ratings are equal, any width puts them into one grade.
    width = (high - low) / grades or 1.0
    grade = np.clip((ratings.data - low) // width, 0, grades - 1).astype(np.int64)
    cells = ratings.indices.astype(np.int64) * grades + grade
    return np.bincount(cells, minlength=ratings.shape[1] * grades).reshape(-1, grades)


def _worth(given: Int64, votes: Int64) -> Float64:
    """Return log(votes) times the entropy, in nats, of the grades each item was given."""
    some = np.maximum(votes, 1)
    # Rounded, so that the same numbers of votes at other grades are a tie.
    worth: Float64 = np.round(np.log(some) * entr(given / some[:, None]).sum(axis=1), 12)
    return worth


def _eras(data: Interactions) -> Int64:
    """Return the era of each item as a number from 0."""
    if data.item_years is None:
        return np.zeros(data.user_items.shape[1], np.int64)
    return np.unique(data.item_years // YEARS_AN_ERA, return_inverse=True)[1].astype(np.int64)


def _turns(worth: Float64, genres: csr_matrix, eras: Int64) -> Int64:
    """Return the place, from 1, of each item in its cells; the last of its places."""
    lengths = np.diff(genres.indptr)
    # Movies without genres form a cell of their own in each era.
    bare = np.flatnonzero(lengths == 0)
    items = np.concatenate((np.repeat(np.arange(len(worth)), lengths), bare))
    columns = np.concatenate((genres.indices, np.full(len(bare), genres.shape[1])))
    cells = columns * (eras.max(initial=0) + 1) + eras[items]
    order = np.lexsort((items, -worth[items], cells))
    items, cells = items[order], cells[order]
    turns = np.zeros(len(worth), np.int64)
    np.maximum.at(turns, items, np.arange(1, len(items) + 1) - np.searchsorted(cells, cells))
    return turns


SPEC = ModelSpec(
    name="exploratory",
    display_name="Off the beaten track",
    family="charts",
    kind="chart",
    config=ExploratoryConfig,
    fit=fit,
    learn=learn,
    cost=chart(3.5),
    score_meaning="log(votes) times entropy of the ratings, over its place in genre and decade",
    description="Well known and disputed movies across genres and decades: to learn a taste",
    needs_ratings=True,
    roles={"cold_start": 50},
)
