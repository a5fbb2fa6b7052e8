"""What people rate next: a linear model of sequences in closed form.

    for each rating t of a user but the first, in the order of time:
    s_t = sum over the `window` ratings before it of recency^(age - 1) w_j e_j,  age 1: the newest
    t_t = e_i for the movie i that is rated at t;   w_j: what the rating of j counts, by its grade
    W = inv(S'S + lambda I) S'T                     minimizes |T - S W|^2 + lambda |W|^2
    keep of each row of W the `weights` largest by magnitude
    score(u, i) = sum of recency^(age - 1) w_j W_ji over the last `window` ratings j of u

Ratings of one time are put in random order to learn from, and share the mean of the weights of
their places in lists: the order of lines in a file is not the order of watching.

M. Choi, J. Kim, J. Lee, H. Shim, J. Lee: Session-aware Linear Item-Item Models for Session-based
Recommendation, WWW 2021, arXiv:2103.16104 (its SLIT, over whole histories).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from recsys.domain import (
    Float32,
    Int64,
    Interactions,
    Neighbours,
    RankedLists,
    RatingWeights,
)
from recsys.models.base import Choice, FitOptions, ModelSpec, Range
from recsys.models.cost import ADDITION, FLOP, SCORE, SINGLE, Cost, Size, list_row, lists_by_sums
from recsys.models.grades import GradedParams, ParamGrades
from recsys.models.params import Bounds
from recsys.models.shards import Arrays, Grid, Piece, Shards, in_memory
from recsys.numerics.exact import factor_bits, on_grid
from recsys.numerics.gram import BYTES_A_COLUMN, invert, most_rated_items, pairs, strongest
from recsys.numerics.memory import require_matrices
from recsys.numerics.sequences import in_time
from recsys.numerics.sparse import row_of_entries
from recsys.numerics.symmetric import SymmetricMatrix
from recsys.numerics.topk import as_neighbours, empty, scatter
from recsys.numerics.weighting import grade_weights, largest_weight, on_scale_of

MATRIX_BYTES = 18.0
"""Of a Gram matrix, its inverse and the weights, for each pair of movies."""
_ENTRIES_AT_ONCE = 1 << 22
"""Entries of S in memory at a time."""
_RATING, _ENTRY = 1.2e-6, 1.2e-7
"""Seconds to put a rating in order, and to build and multiply an entry of its row of S."""


@dataclass(frozen=True, slots=True)
class SlistConfig(GradedParams):
    # What comes next follows from what was watched, liked or not.
    grades: ParamGrades = "watched"
    regularization: Annotated[float, Bounds(0, above=True)] = 250.0
    """Value added to the diagonal of the Gram matrix: lambda of the paper."""
    recency: Annotated[float, Bounds(0, 1, above=True)] = 0.9
    """Factor from each rating to the next older one. 1: age does not count."""
    window: Annotated[int, Bounds(1, 1000)] = 30
    """Number of newest ratings that count."""
    weights: Annotated[int, Bounds(1, 10_000)] = 400
    """Number of weights kept for each movie, the largest by magnitude."""
    max_items: Annotated[int, Bounds(1, 65_535)] = 6_000
    """Number of movies that take part, the most rated. The matrices need `18 * max_items^2`
    bytes."""

    @property
    def rating_weights(self) -> RatingWeights:
        return RatingWeights(
            grades=self.grades, effect=self.grade_effect, recency=self.recency, window=self.window
        )


def learn(shards: Shards, config: SlistConfig, options: FitOptions) -> Neighbours:
    """Learn from the ratings of all users in the order of time, some users at a time."""
    catalogue = shards.catalogue
    assert catalogue.item_counts is not None
    items = len(catalogue.item_counts)
    kept = most_rated_items(catalogue.item_counts, config.max_items)
    lists = empty(RankedLists, items)
    require_matrices(len(kept), MATRIX_BYTES)
    if len(kept):
        gram, follows = _sums(shards, kept, config, options)
        lists = scatter(_weights(gram, follows, config, options), kept, kept, items)
    return as_neighbours(lists, on_scale_of(catalogue, config.rating_weights))


fit = in_memory(learn)


def _sums(
    shards: Shards, kept: Int64, config: SlistConfig, options: FitOptions
) -> tuple[SymmetricMatrix, Float32]:
    """Return `S'S` and `S'T`."""
    gram = SymmetricMatrix.zeros(len(kept))
    follows = np.zeros((len(kept), len(kept)), np.float32)
    seed, bits = options.seed, factor_bits(shards.users * config.window)

    def work(shard: Interactions) -> Iterator[Piece]:
        for before, next_items in _examples(shard, kept, config, seed, bits):
            yield _piece(before, next_items)

    def finish(sums: Arrays, start: int, stop: int) -> tuple[Float32, Float32]:
        one, other = (each.astype(np.float32) for each in sums)
        return one, other

    def take(found: tuple[Float32, Float32], start: int, stop: int) -> None:
        gram.add_columns(start, found[0])
        follows[start:stop] = found[1]

    grid = Grid(len(kept), 12, 2 * BYTES_A_COLUMN * len(kept), 6 * len(kept))
    shards.sums(work, finish, take, grid, options)
    return gram, follows


def _piece(before: csr_matrix, next_items: Int64) -> Piece:
    """Return what some examples add to the sums."""
    examples = before.shape[0]
    targets = csr_matrix((np.ones(examples), next_items, np.arange(examples + 1)), before.shape)
    columns, together = csr_matrix(before.T), pairs(before)
    return lambda start, stop: [together(start, stop), (columns[start:stop] @ targets).toarray()]


def _examples(
    data: Interactions, kept: Int64, config: SlistConfig, seed: int, bits: int
) -> Iterator[tuple[csr_matrix, Int64]]:
    """Yield S, examples x kept items, and the item that each example leads to.

    The entries of S have so many binary digits, few enough for exact sums of their products.
    """
    grades = on_scale_of(data, config.rating_weights)
    place = np.full(data.user_items.shape[1], -1)
    place[kept] = np.arange(len(kept))
    order = in_time(data.user_items, data.rated_at, seed, data.first_rating)
    order = order[place[data.user_items.indices[order]] >= 0]
    users = row_of_entries(data.user_items)[order]
    items = place[data.user_items.indices[order]]
    counts = grade_weights(grades, data.user_items)[order]
    starts = np.searchsorted(users, users)  # of the user of each rating
    decay = config.recency ** np.arange(config.window)
    step = max(1, _ENTRIES_AT_ONCE // config.window)
    for first in range(0, len(order), step):
        now = np.arange(first, min(first + step, len(order)))
        now = now[now > starts[now]]
        length = np.minimum(now - starts[now], config.window)
        indptr = np.concatenate(([0], np.cumsum(length)))
        age = np.arange(indptr[-1]) - np.repeat(indptr[:-1], length)
        source = np.repeat(now, length) - 1 - age
        values = on_grid(decay[age] * counts[source], largest_weight(grades), bits)
        shape = (len(now), len(kept))
        yield csr_matrix((values, items[source], indptr), shape=shape), items[now]


def _weights(
    gram: SymmetricMatrix, follows: Float32, config: SlistConfig, options: FitOptions
) -> RankedLists:
    """Return the largest weights of each row of W."""
    with threadpool_limits(options.threads or None, "blas"):
        inverse = invert(gram, config.regularization)

    def rows(start: int, stop: int) -> Float32:
        found: Float32 = inverse.rows(start, stop) @ follows
        return found

    with threadpool_limits(1, "blas"):  # the blocks run side by side already
        return strongest(rows, inverse.size, config.weights, 0.0, options)


def cost(size: Size, config: SlistConfig) -> Cost:
    """Return the cost of two matrices over windows of ratings, their quotient, and lists."""
    items = min(len(size.of_movies), config.max_items)
    weights = min(config.weights, items)
    pairs = 0.6 * config.window**2
    of_rating = _RATING + _ENTRY * config.window + ADDITION * pairs
    seconds = of_rating * size.ratings + 4 * FLOP * items**3 + 3 * SCORE * items**2
    memory = MATRIX_BYTES * items**2 + 24.0 * size.ratings + 40.0 * _ENTRIES_AT_ONCE
    fitting = Cost(seconds, memory, items * list_row(weights, 4 + SINGLE))
    recent = replace(size, of_users=np.minimum(size.of_users, config.window))
    return fitting + lists_by_sums(recent, weights)


SPEC = ModelSpec(
    name="slist",
    display_name="SLIST",
    family="sequential",
    kind="personal",
    config=SlistConfig,
    fit=fit,
    learn=learn,
    cost=cost,
    score_meaning="sum of the weights of the newest ratings; 1 would be certainty",
    description="What people rate next: linear model of sequences in closed form",
    needs=lambda config: frozenset({"times"}),
    scoring="sum",
    search_space={
        "regularization": Range(50, 2000, log=True),
        "recency": Range(0.6, 0.98),
        "window": Choice((10, 20, 30, 50)),
        "grades": Choice(("watched", "relative")),
    },
    roles={"live": 40},
)
