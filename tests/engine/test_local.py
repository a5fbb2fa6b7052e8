"""Shards cover all users in order, and lists do not depend on them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix, random_array

from recsys.domain import (
    ComputeLimits,
    FittedModel,
    Interactions,
    Neighbours,
    RatingWeights,
    UserRows,
)
from recsys.engine.base import Shard, shards, users_within
from recsys.engine.local import LocalEngine
from recsys.numerics.scoring import rank_by_sum
from recsys.numerics.topk import concatenate


def users_with(*counts: int) -> csr_matrix:
    """Return ratings of users who have rated the first so many items."""
    indptr = np.concatenate(([0], np.cumsum(counts)))
    indices = np.concatenate([np.arange(count) for count in counts] or [np.zeros(0, int)])
    return csr_matrix((np.ones(len(indices)), indices, indptr), shape=(len(counts), 50))


def ranges(found: list[Shard]) -> list[tuple[int, int]]:
    return [(shard.start, shard.stop) for shard in found]


def test_shards_have_about_equal_numbers_of_ratings() -> None:
    counts = (5, 5, 5, 5, 20, 1, 1, 1, 1, 1)
    assert ranges(shards(users_with(*counts).indptr, 10, 100)) == [(0, 2), (2, 4), (4, 5), (5, 10)]


def test_shards_have_at_most_so_many_users() -> None:
    assert ranges(shards(users_with(*[1] * 7).indptr, 100, 3)) == [(0, 2), (2, 4), (4, 7)]


@pytest.mark.parametrize("counts", [(), (0,), (0, 0, 0), (0, 3, 0)])
def test_users_without_ratings_belong_to_a_shard(counts: tuple[int, ...]) -> None:
    found = ranges(shards(users_with(*counts).indptr, 1, 100))
    covered = [user for start, stop in found for user in range(start, stop)]
    assert covered == list(range(len(counts)))


def test_the_lists_of_a_shard_take_an_eighth_of_the_memory() -> None:
    assert users_within(ComputeLimits(memory_mb=1024), 100) == 2**27 // 4000
    assert users_within(ComputeLimits(memory_mb=1), 10**9) == 1


@pytest.mark.parametrize("shard_ratings", [1, 40, 10**6])
def test_lists_do_not_depend_on_the_shards(shard_ratings: int) -> None:
    ratings = csr_matrix(random_array((60, 30), density=0.2, rng=np.random.default_rng(1)))
    times = np.random.default_rng(2).permutation(ratings.nnz).astype(float)
    data = Interactions(ratings, csr_matrix((30, 0)), (), times)
    near = Neighbours(
        np.arange(0, 91, 3),
        np.arange(90, dtype=np.int32) % 30,
        np.linspace(1, 0.1, 90),
        RatingWeights(recency=0.5, window=3),
    )
    model = FittedModel("near", near, rank_by_sum)
    parts = list(LocalEngine(shard_ratings).rank(model, data, 5, ComputeLimits()))
    assert [part.shard.start for part in parts][:1] == [0]
    assert [part.shard.stop - part.shard.start for part in parts] == [
        part.lists.rows for part in parts
    ]
    whole = model.rank(UserRows.all(ratings, times), 5)
    joined = concatenate(type(whole), [part.lists for part in parts])
    for one, other in zip(
        (joined.indptr, joined.indices, joined.scores),
        (whole.indptr, whole.indices, whole.scores),
        strict=True,
    ):
        assert np.array_equal(one, other)
