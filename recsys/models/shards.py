"""What a model may ask of the interactions of all users, wherever they are.

A model that scales learns through these few operations, so that the same code runs over one shard
in this process and over many on other machines. Each hands out one shard of users at a time:
`Interactions` whose rows are these users, and whose `rating_range`, `rating_mean` and `item_counts`
are those of all users. Functions that are handed in must be picklable with what they refer to.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import numpy as np
from scipy.sparse import csr_matrix

from recsys.domain import ComputeLimits, FittedModel, Interactions
from recsys.numerics.blocks import map_blocks
from recsys.numerics.prediction import rating_range
from recsys.numerics.sparse import column_counts

Result = TypeVar("Result")
Arrays = list[np.ndarray]
Piece = Callable[[int, int], Arrays]
"""What a part of a shard adds to the sums of the items from a start to before a stop."""
Finish = Callable[[Arrays, int, int], Result]
"""From the sums of all shards over a block of items to a result."""
Together = Callable[[Interactions], Callable[[int, int], Result]]
"""From all interactions to a function that makes the result of a block of items."""
Take = Callable[[Result, int, int], None]
"""Takes the result of a block of items, with its first item and the one behind its last."""


class Rows(Protocol):
    """A matrix in shards of rows."""

    def rows(self, work: Callable[..., Any], *shared: np.ndarray) -> Any:
        """Return arrays, or sparse matrices, of one row each, put together in order.

        `work` gets a shard and the shared arrays. These travel once, also if the next call, of
        these rows or of the transposed ones, shares them again; they must not change meanwhile.
        """


class Shards(Protocol):
    """The interactions of all users, in shards."""

    @property
    def catalogue(self) -> Interactions:
        """Interactions without users: the features of the items and the facts of all ratings."""

    @property
    def whole(self) -> Interactions | None:
        """All interactions if they are in this process, where a faster way may give the same."""

    @property
    def users(self) -> int: ...

    @property
    def ratings(self) -> int: ...

    def with_parts(self, parts: Mapping[str, FittedModel]) -> Shards:
        """Return shards whose catalogue has the models that a model is composed of."""

    def mapped(
        self, work: Callable[[Interactions], Interactions], *, facts: bool = False
    ) -> Shards:
        """Return other interactions of the same users, which `work` makes of each shard.

        With `facts` what is known of all ratings is learned anew.
        """

    def transposed(self) -> Rows:
        """Return shards of items: matrices of items x users, without facts or times."""

    def reduce(
        self,
        work: Callable[[Interactions], Result],
        merge: Callable[[Result, Result], Result] = operator.add,
    ) -> Result:
        """Return the results of all shards, put together two by two in any order."""

    def rows(self, work: Callable[..., Any], *shared: np.ndarray) -> Any:
        """Return arrays, or sparse matrices, of one row a user, put together by user.

        `work` gets a shard and the shared arrays, as in `Rows`.
        """

    def sums(
        self,
        work: Callable[[Interactions], Iterable[Piece]],
        finish: Finish[Result],
        take: Take[Result],
        grid: Grid,
        limits: ComputeLimits,
        together: Together[Result] | None = None,
    ) -> None:
        """Add up what the pieces of all shards hold for each block of items; take each result.

        The sums must be exact, as their order is not known. `finish` makes a result of the sums of
        a block, where they are; `take` is called with it in this process, for blocks in any order
        and side by side. A task that has all ratings prepares `together`
        once instead, which makes the same results.
        """


@dataclass(frozen=True, slots=True)
class Grid:
    """The sums over pairs of items that a model forms, and what they take."""

    items: int
    pair_bytes: int
    """Bytes of the sums of a pair, on average."""
    row_bytes: int
    """Bytes that an item of a block takes at the peak of its computation."""
    result_bytes: int
    """Bytes of the result of an item of a block, on average."""


@dataclass(frozen=True, slots=True)
class OneShard:
    """All interactions as one shard in this process."""

    data: Interactions

    @property
    def whole(self) -> Interactions | None:
        return self.data

    @property
    def catalogue(self) -> Interactions:
        return catalogue_of(self.data)

    @property
    def users(self) -> int:
        return int(self.data.user_items.shape[0])

    @property
    def ratings(self) -> int:
        return int(self.data.user_items.nnz)

    def with_parts(self, parts: Mapping[str, FittedModel]) -> OneShard:
        return OneShard(replace(self.data, parts=parts))

    def mapped(
        self, work: Callable[[Interactions], Interactions], *, facts: bool = False
    ) -> OneShard:
        made = work(self.data)
        if facts:
            made = replace(made, rating_range=None, rating_mean=None, item_counts=None)
        return OneShard(made)

    def transposed(self) -> OneShard:
        return OneShard(replace(self.data, user_items=self.data.user_items.T.tocsr()))

    def reduce(
        self,
        work: Callable[[Interactions], Result],
        merge: Callable[[Result, Result], Result] = operator.add,
    ) -> Result:
        return work(self.data)

    def rows(self, work: Callable[..., Any], *shared: np.ndarray) -> Any:
        return work(self.data, *shared)

    def sums(
        self,
        work: Callable[[Interactions], Iterable[Piece]],
        finish: Finish[Result],
        take: Take[Result],
        grid: Grid,
        limits: ComputeLimits,
        together: Together[Result] | None = None,
    ) -> None:
        pieces = iter(work(self.data))
        begun = list(itertools.islice(pieces, 2))
        if len(begun) == 1:
            # One piece: its blocks are the sums, and no more than a block is held.
            [piece] = begun

            def block(start: int, stop: int) -> None:
                take(finish(piece(start, stop), start, stop), start, stop)

            map_blocks(grid.items, grid.row_bytes, limits, block)
            return
        held: Held = {}
        while begun:
            # A piece is large: none is kept while the next one is made.
            accumulate(held, begun.pop(0), grid, limits)
            begun += itertools.islice(pieces, 0 if begun else 1)
        for (start, stop), sums in held.items():
            take(finish(sums, start, stop), start, stop)


Held = dict[tuple[int, int], Arrays]
"""The sums of each block, by its first item and the one behind its last."""


def accumulate(held: Held, piece: Piece, grid: Grid, limits: ComputeLimits) -> None:
    """Add all blocks of a piece to those that are held, side by side."""
    map_blocks(
        grid.items, grid.row_bytes, limits, lambda start, stop: add_block(held, piece, start, stop)
    )


def add_block(held: Held, piece: Piece, start: int, stop: int) -> None:
    """Add a block of a piece to the one that is held, if any."""
    sums = piece(start, stop)
    before = held.setdefault((start, stop), sums)
    if before is not sums:
        for one, more in zip(before, sums, strict=True):
            one += more


def as_one_piece(
    work: Callable[[Interactions], Iterable[Piece]], finish: Finish[Result]
) -> Together[Result]:
    """Return `together` of a model of whose sums each shard gives one piece."""

    def together(everything: Interactions) -> Callable[[int, int], Result]:
        [piece] = work(everything)
        return lambda start, stop: finish(piece(start, stop), start, stop)

    return together


def in_shards(data: Interactions | Shards) -> Shards:
    """Return interactions in this process as one shard."""
    return OneShard(data) if isinstance(data, Interactions) else data


def catalogue_of(data: Interactions) -> Interactions:
    """Return what is known without users: the items, and the facts of all ratings."""
    ratings = data.user_items
    mean = data.rating_mean
    if mean is None:
        mean = float(ratings.data.mean()) if ratings.nnz else 0.0
    counts = data.item_counts
    return replace(
        data,
        user_items=csr_matrix((0, ratings.shape[1])),
        rated_at=None if data.rated_at is None else np.zeros(0),
        rating_range=rating_range(data),
        rating_mean=mean,
        item_counts=column_counts(ratings) if counts is None else counts,
        user_attributes=None,
    )


def count_of(data: Interactions) -> int:
    """Return the number of all ratings, of the catalogue of shards too."""
    counts = data.item_counts
    return int(data.user_items.nnz if counts is None else counts.sum())


def in_memory(
    learn: Callable[[Shards, Any, Any], Result],
) -> Callable[[Interactions, Any, Any], Result]:
    """Return the `fit` of a model that learns from shards: it has all interactions as one."""

    def fit(data: Interactions, config: Any, options: Any) -> Result:
        return learn(OneShard(data), config, options)

    fit.__doc__ = learn.__doc__
    return fit


def of_catalogue(
    fit: Callable[[Interactions, Any, Any], Result],
) -> Callable[[Shards, Any, Any], Result]:
    """Return how a model learns from shards whose `fit` asks for nothing about single users."""

    def learn(shards: Shards, config: Any, options: Any) -> Result:
        return fit(shards.catalogue, config, options)

    return learn
