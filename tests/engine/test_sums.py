"""How a task adds up pieces within its memory; the rest of the engine is tested on a cluster."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from recsys.domain import ComputeLimits, Interactions
from recsys.engine import node
from recsys.engine.node import Facts, ReadRatings, ShardOfItems, ShardOfUsers, merged
from recsys.engine.spark import (
    Room,
    Sent,
    SparkItems,
    SparkShards,
    _AllRatings,
    _packed,
    _room,
    _summed,
    _unpacked,
)
from recsys.models.shards import Grid, as_one_piece

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


def work_on(shard):
    """Sums of each item, and of each pair with the first one."""
    matrix = shard.user_items.toarray()
    yield lambda start, stop: [matrix[:, start:stop].T @ matrix[:, :1]]


def in_two_pieces(shard):
    yield from work_on(shard)
    yield lambda start, stop: [np.full((stop - start, 1), 100.0)]


@pytest.mark.parametrize("room", [2, 99])
@pytest.mark.parametrize(("work", "more"), [(work_on, 0), (in_two_pieces, 100)])
def test_a_task_with_all_ratings_arranges_them_once_if_they_fit(room, work, more, monkeypatch):
    monkeypatch.setattr(node, "_made", {})
    shards = [shard(0, [1, 0, 2]), shard(1, [0, 3, 0], [4, 5, 0]), shard(3, [1, 1, 1])]
    arranged = []

    def counted(data):
        arranged.append(data.user_items.shape[0])
        yield from work(data)

    def finish(sums, start, stop):
        return start, sums[0].ravel().tolist()

    everything = _AllRatings(
        "sum", lambda number: shards[number], (0, 1, 2), room == 99, Room(room, 9, 9),
        counted, finish, None if more else as_one_piece(counted, finish),
    )  # fmt: skip
    found = list(everything.results([(0, 2)], False)) + list(everything.results([(2, 3)], True))
    # Users rated item 0 by 1, 4, 1: with the other items 20 + 1 and 2 + 1.
    added = more * (1 if room == 99 else 3)
    assert found == [(0, 2, (0, [18 + added, 21 + added])), (2, 3, (2, [3 + added]))]
    if room < 99:
        assert arranged == [1, 2, 1] * 2
    else:
        # The sums of several pieces are added up again in each round.
        assert arranged == ([4, 4] if more else [4])
    assert node._made == {}


def test_counts_travel_in_16_bits():
    counts = np.array([[0, 1], [65_535, 7]], np.float32)
    packed = _packed(counts)
    assert packed.dtype == np.uint16
    assert _unpacked(packed).dtype == np.float32
    assert _unpacked(packed).tolist() == counts.tolist()
    for other in (65_536, -1, 0.5, np.nan, np.inf):
        result = np.array([1, other], np.float32)
        assert _packed(result) is result
    for result in (np.array([1.0]), (np.ones(1, np.float32), 2), "lists"):
        assert _unpacked(_packed(result)) is result


class Context:
    """Sends arrays to executors."""

    def __init__(self):
        self.sent, self.destroyed = [], []

    def broadcast(self, array):
        self.sent.append(array.tolist())
        return SimpleNamespace(value=array, destroy=lambda: self.destroyed.append(array.tolist()))


def test_shared_arrays_are_sent_once():
    context, sent = Context(), Sent()
    one, other, third = np.ones(1), np.ones(2), np.ones(3)
    for arrays in ((one, other), (other, third), (third, np.ones(3)), ()):
        assert [each.value.tolist() for each in sent.of(context, arrays)] == [
            array.tolist() for array in arrays
        ]
    assert context.sent == [[1], [1, 1], [1, 1, 1], [1, 1, 1]]
    assert context.destroyed == [[1], [1, 1], [1, 1, 1], [1, 1, 1]]


class Local(list):
    """Data of Spark in this process."""

    context = Context()

    def map(self, work):
        return Local(map(work, self))

    def collect(self):
        return list(self)


class Given:
    """The shards of users, as a server would hand them out."""

    key = "given"

    def read(self, of_users):
        ratings = csr_matrix([[[1.0, 0, 2], [0, 3, 0]], [[4.0, 5, 0]]][of_users.number])
        return ReadRatings(ratings, None, np.arange(ratings.shape[0]))


def test_rows_of_items_are_solved_where_their_files_are_missing(tmp_path, monkeypatch):
    """As on another node, where Spark runs a task if theirs is lost or busy."""
    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(tmp_path))
    monkeypatch.setattr(node, "_kept", type(node._kept)())
    users = (ShardOfUsers(0, 0, 2, 0, 3), ShardOfUsers(1, 2, 3, 3, 2))
    facts = Facts(3, np.array([2, 2, 1]), 3.0, (1.0, 5.0))
    nothing = Interactions(csr_matrix((0, 3)), csr_matrix((3, 0)), ())
    doubled = ("double", lambda each: replace(each, user_items=each.user_items * 2))
    shards = SparkShards(None, users, Given(), facts, nothing, 3, 5, (doubled,))
    items = SparkItems(Local([ShardOfItems("turned", 1, 3), ShardOfItems("turned", 0, 1)]), shards)
    for _ in range(2):
        found = items.rows(
            lambda each, more: each.user_items.toarray() + more + each.first_user,
            np.array([100.0, 200, 300]),
        )
        assert found.tolist() == [[102, 200, 308], [101, 207, 311], [105, 201, 301]]


def test_the_room_follows_from_the_memory():
    grid = Grid(items=1000, pair_bytes=8, row_bytes=1, result_bytes=2**20)
    room = _room(16, grid, ComputeLimits(memory_mb=1024))
    assert room.ratings == 2**30 // 80
    assert room.blocks == 2**29 // (8 * 1000 * 16)
    assert room.results == 6
    least = _room(16, replace(grid, items=10**9, result_bytes=2**40), ComputeLimits(memory_mb=64))
    assert (least.blocks, least.results) == (1, 1)
