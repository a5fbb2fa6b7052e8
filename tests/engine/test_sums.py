"""How a task adds up pieces within its memory; the rest of the engine is tested on a cluster."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from recsys.domain import ComputeLimits, Interactions
from recsys.engine.node import merged
from recsys.engine.spark import _room, _summed
from recsys.models.shards import Grid

BLOCKS = [(0, 2), (2, 4), (4, 5)]


def shard(first_user, *rows):
    ratings = csr_matrix(np.array(rows, float))
    times = first_user + np.arange(ratings.nnz, dtype=float)
    return Interactions(
        ratings, csr_matrix((3, 0)), (), times, first_user=first_user, first_rating=10 * first_user
    )


def test_shards_are_merged_up_to_a_number_of_ratings():
    shards = [
        shard(0, [1, 0, 2]), shard(1, [0, 3, 0], [4, 5, 0]),
        shard(3, [1, 1, 1]), shard(4, [0, 0, 5]),
    ]  # fmt: skip
    found = list(merged(shards, 5))
    assert [one.first_user for one in found] == [0, 3]
    assert [one.first_rating for one in found] == [0, 30]
    assert found[0].user_items.toarray().tolist() == [[1, 0, 2], [0, 3, 0], [4, 5, 0]]
    assert found[0].rated_at.tolist() == [0, 1, 1, 2, 3]
    # One that is larger stays as it is.
    assert [one.user_items.shape[0] for one in merged(shards, 2)] == [1, 2, 1, 1]
    [whole] = merged([replace(one, rated_at=None) for one in shards], 99)
    assert whole.user_items.shape == (5, 3)
    assert whole.rated_at is None


@pytest.mark.parametrize("most", [1, 2, 9])
@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_pieces_are_added_up_by_block(count, most):
    asked = []

    def pieces():
        asked.append([])
        for number in range(1, count + 1):
            asked[-1].append(number)
            yield lambda start, stop, n=number: [np.arange(start, stop) * n, np.full(1, 10.0**n)]

    found = {
        block: [part.tolist() for part in sums] for block, sums in _summed(pieces, BLOCKS, most)
    }
    if count == 0:
        assert found == {}
        return
    times = sum(range(1, count + 1))
    powers = [sum(10.0**n for n in range(1, count + 1))]
    assert found == {
        (start, stop): [(np.arange(start, stop) * times).tolist(), powers] for start, stop in BLOCKS
    }
    # Several pieces are made again for every `most` blocks, so that no more sums are held.
    rounds = 1 if count == 1 else -(-len(BLOCKS) // most)
    assert [len(each) for each in asked] == [count] * rounds


def test_the_room_follows_from_the_memory():
    grid = Grid(items=1000, pair_bytes=8, row_bytes=1, result_bytes=2**20)
    room = _room(16, grid, ComputeLimits(memory_mb=1024))
    assert room.ratings == 2**30 // 80
    assert room.blocks == 2**29 // (8 * 1000 * 16)
    assert room.results == 6
    least = _room(16, replace(grid, items=10**9, result_bytes=2**40), ComputeLimits(memory_mb=64))
    assert (least.blocks, least.results) == (1, 1)
