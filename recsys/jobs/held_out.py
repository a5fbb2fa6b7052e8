"""Ratings held out of a training: which they are, and how the lists of a model rank them."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_matrix

from recsys.domain import FittedModel, Int32, Int64, Interactions, UserRows
from recsys.evaluation.ranking import Scale, UserFigures, ranking_figures
from recsys.evaluation.splits import Bool, Split, divided, last_of_users
from recsys.models.base import FitOptions
from recsys.models.shards import Shards

Marks = Callable[[Interactions], Bool]
"""Marks the ratings of a shard that are held out."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The interactions of all users, of which some ratings are held out."""

    shards: Shards
    marks: Marks
    times: bool = True
    """Whether the training needs times: they would be copied."""

    @property
    def train(self) -> Shards:
        """Return the rest, from which the scale and all counts are learned anew."""
        # Without this object, which refers to all shards: the function travels to each.
        marks, times = self.marks, self.times
        return self.shards.mapped(
            lambda shard: _trained(shard, _split(shard, marks), times), facts=True
        )

    @property
    def counts(self) -> Int64:
        """Return the number of ratings of each user that are held out."""
        marks = self.marks
        found: Int64 = self.shards.rows(lambda shard: np.diff(_split(shard, marks).test.indptr))
        return found

    def figures(
        self,
        model: FittedModel,
        users: Int64,
        lengths: tuple[int, int],
        options: FitOptions,
        scale: Scale | None = None,
    ) -> UserFigures:
        """Return the figures of some users, whose positions ascend.

        `lengths` are those of the lists and of their beginnings that are measured.
        """
        marks, times = self.marks, self.times
        n, k = lengths

        def measure(shard: Interactions) -> list[tuple[int, UserFigures]]:
            split = _split(shard, marks)
            stop = shard.first_user + shard.user_items.shape[0]
            first, last = np.searchsorted(users, (shard.first_user, stop))
            rows = users[first:last] - shard.first_user
            train = _trained(shard, split, times)
            own = UserRows.some(train, rows)
            lists = model.rank(replace(own, positions=users[first:last]), n, options)
            found = ranking_figures(lists, split.test[rows], own.ratings, k, scale)
            return [(int(first), replace(found, users=found.users + first))]

        found = sorted(self.shards.reduce(measure), key=operator.itemgetter(0))
        return _joined([figures for _, figures in found])


def random_part(shards: Shards, share: float, seed: int) -> Marks:
    """Hold out the ratings that `random_split` does."""
    count = shards.ratings
    marks = np.zeros(count, bool)
    marks[np.random.default_rng(seed).permutation(count)[: round(share * count)]] = True
    # A bit for each rating: this goes to wherever the shards are.
    bits = np.packbits(marks)

    def of_shard(shard: Interactions) -> Bool:
        first, size = shard.first_rating, shard.user_items.nnz
        own = np.unpackbits(bits[first // 8 : (first + size + 7) // 8])
        return own[first % 8 :][:size].astype(bool)

    return of_shard


def last_ratings(shards: Shards, seed: int) -> Marks:
    """Hold out the ratings that `leave_last_out` does."""
    drawn: Int32 = np.random.default_rng(seed).permutation(shards.ratings).astype(np.int32)

    def of_shard(shard: Interactions) -> Bool:
        assert shard.rated_at is not None
        own = drawn[shard.first_rating : shard.first_rating + shard.user_items.nnz]
        return last_of_users(shard.user_items, shard.rated_at, own)

    return of_shard


def _split(shard: Interactions, marks: Marks) -> Split:
    ratings = shard.user_items
    if not ratings.has_canonical_format:
        ratings = csr_matrix(ratings)
    return divided(ratings, marks(shard))


def _trained(shard: Interactions, split: Split, times: bool) -> Interactions:
    # The scale is read off the train part: the highest test rating must not show.
    kept = None
    if times and shard.rated_at is not None:
        kept = shard.rated_at[split.train_entries]
    return replace(shard, user_items=split.train, rated_at=kept, rating_range=None, parts={})


def _joined(parts: list[UserFigures]) -> UserFigures:
    """Put figures of consecutive users together."""
    values, weights = (
        {name: np.concatenate([columns[name] for columns in of_parts]) for name in of_parts[0]}
        for of_parts in ([part.values for part in parts], [part.weights for part in parts])
    )
    return UserFigures(np.concatenate([part.users for part in parts]), values, weights)
