"""Ratings held out of a training: which they are, and how the lists of a model rank them."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_matrix

from recsys.domain import FittedModel, Int32, Int64, Interactions, Metric, Neighbours, UserRows
from recsys.errors import EvaluationError
from recsys.evaluation.figures import (
    RankingPart,
    RatingPart,
    joined,
    ranking_metrics,
    ranking_part,
    rating_metrics,
    rating_part,
)
from recsys.evaluation.protocols import Protocol
from recsys.evaluation.ranking import Scale, UserFigures, ranking_figures
from recsys.evaluation.rating import user_mean_fallback
from recsys.evaluation.splits import Bool, Split, divided, last_of_users, rows_of
from recsys.models.base import FitOptions
from recsys.models.shards import Shards
from recsys.numerics.prediction import predict_ratings, rating_range

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
            lambda shard: trained(shard, split_of(shard, marks), times), facts=True
        )

    @property
    def counts(self) -> Int64:
        """Return the number of ratings of each user that are held out."""
        marks = self.marks
        found: Int64 = self.shards.rows(lambda shard: np.diff(split_of(shard, marks).test.indptr))
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
            split = split_of(shard, marks)
            stop = shard.first_user + shard.user_items.shape[0]
            first, last = np.searchsorted(users, (shard.first_user, stop))
            rows = users[first:last] - shard.first_user
            train = trained(shard, split, times)
            own = UserRows.some(train, rows)
            lists = model.rank(replace(own, positions=users[first:last]), n, options)
            found = ranking_figures(lists, split.test[rows], own.ratings, k, scale)
            return [(int(first), replace(found, users=found.users + first))]

        found = sorted(self.shards.reduce(measure), key=operator.itemgetter(0))
        return joined([figures for _, figures in found])

    def ranking(
        self,
        protocol: Protocol,
        model: FittedModel,
        n: int,
        options: FitOptions,
        raters: int,
        seed: int,
    ) -> tuple[Metric, ...]:
        """Return the metrics of the lists of all users; `raters` have train ratings."""
        marks, scale = self.marks, self.shards.catalogue.rating_range
        genres, counts = self.shards.catalogue.item_genres, self.train.catalogue.item_counts
        assert counts is not None

        def measure(shard: Interactions) -> list[tuple[int, RankingPart]]:
            split = split_of(shard, marks)
            train = trained(shard, split, True)
            users = shard.first_user + np.arange(shard.user_items.shape[0])
            lists = model.rank(UserRows(users, train.user_items, train.rated_at), n, options)
            part = ranking_part(protocol.k, lists, split, genres, (counts, raters), scale)
            return [(shard.first_user, part)]

        found = sorted(self.shards.reduce(measure), key=operator.itemgetter(0))
        return ranking_metrics(protocol, [part for _, part in found], len(counts), seed)

    def ratings(
        self, protocol: Protocol, model: FittedModel, train: Shards, seed: int
    ) -> tuple[Metric, ...]:
        """Return the errors of predicted ratings; those of single ones come to this process."""
        marks, mean = self.marks, train.catalogue.rating_mean or 0.0
        counts, scale = train.catalogue.item_counts, rating_range(train.catalogue)
        assert counts is not None

        def measure(shard: Interactions) -> list[tuple[int, RatingPart]]:
            split = split_of(shard, marks)
            rest = replace(trained(shard, split, True), rating_range=scale)
            rows, items = rows_of(split.test), split.test.indices
            users = rows if isinstance(model.fitted, Neighbours) else rows + shard.first_user
            predicted = predict_ratings(rest, model.fitted, users, items)
            fallback = user_mean_fallback(split.train, rows, mean)
            return [(shard.first_user, rating_part(predicted, fallback, split, counts))]

        found = sorted(self.shards.reduce(measure), key=operator.itemgetter(0))
        return rating_metrics(protocol, [part for _, part in found], seed)


def held_out_by(protocol: Protocol, shards: Shards, seed: int) -> Marks:
    """Return what a protocol holds out, of ratings in several places."""
    require_sharded(protocol)
    if protocol.name == "random-90-10":
        return random_part(shards, 0.1, seed)
    return last_ratings(shards, seed)


def require_sharded(protocol: Protocol) -> None:
    """Raise EvaluationError for a protocol that needs all ratings in one place."""
    if protocol.name not in ("random-90-10", "leave-last-out"):
        raise EvaluationError(
            f"protocol {protocol.name} needs all ratings in one place",
            hint="on a cluster there are random-90-10 and leave-last-out; or use --engine local",
        )


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


def split_of(shard: Interactions, marks: Marks) -> Split:
    ratings = shard.user_items
    if not ratings.has_canonical_format:
        ratings = csr_matrix(ratings)
    return divided(ratings, marks(shard))


def trained(shard: Interactions, split: Split, times: bool) -> Interactions:
    # The scale is read off the train part: the highest test rating must not show.
    kept = None
    if times and shard.rated_at is not None:
        kept = shard.rated_at[split.train_entries]
    return replace(shard, user_items=split.train, rated_at=kept, rating_range=None, parts={})
