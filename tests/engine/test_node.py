"""What a worker of a cluster keeps at hand, in memory and in files."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from recsys.engine import node
from recsys.engine.node import ReadRatings, ShardOfItems, ShardOfUsers, items_of, made_once, read

RATINGS = csr_matrix(np.array([[4.0, 0, 2], [0, 3, 0]]))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SPARK_LOCAL_DIRS", f"{tmp_path},{tmp_path / 'other'}")
    monkeypatch.setattr(node, "_kept", type(node._kept)())
    monkeypatch.setattr(node, "_made", {})
    return tmp_path


class Server:
    """Hands out one shard, and counts how often."""

    key = "snapshot"

    def __init__(self, times=None):
        self.times, self.asked = times, 0

    def read(self, shard):
        self.asked += 1
        return ReadRatings(RATINGS, self.times, np.array([7, 8]))


@pytest.mark.parametrize("times", [None, np.array([1.0, 2, 3])])
def test_a_shard_is_read_once_on_a_node(times):
    server, shard = Server(times), ShardOfUsers(0, 0, 2, 0, 3)
    for _ in range(2):
        found = read(server, shard)
        assert found.user_items.toarray().tolist() == RATINGS.toarray().tolist()
        assert found.hashes.tolist() == [7, 8]
        assert (found.rated_at is None) == (times is None)
        assert times is None or found.rated_at.tolist() == times.tolist()
    assert server.asked == 1


def test_items_are_gathered_once_on_a_node(folder):
    asked, shard = [], ShardOfItems("snapshot-items-1", 1, 3)

    def gather():
        asked.append(1)
        return csr_matrix(RATINGS.T)

    for again in range(3):
        if again == 1:
            # Another worker of this node has the files only.
            node._kept.clear()
        found = items_of(shard, gather)
        assert found.first_user == 1
        assert found.user_items.toarray().tolist() == RATINGS.T.toarray().tolist()
    assert len(asked) == 1
    # No partial files remain, and the folder is closed to other users.
    [own] = folder.iterdir()
    assert [each.name for each in own.iterdir()] == ["snapshot-items-1-1"]
    assert own.stat().st_mode & 0o777 == 0o700


def test_a_node_without_the_files_gathers_anew(folder):
    shard = ShardOfItems("snapshot-items-2", 0, 3)
    first = items_of(shard, lambda: csr_matrix(RATINGS.T)).user_items.toarray()
    node._kept.clear()
    for file in folder.rglob("*.npy"):
        file.unlink()
    for below in folder.glob("*/*"):
        below.rmdir()
    again = items_of(shard, lambda: csr_matrix(RATINGS.T)).user_items.toarray()
    assert again.tolist() == first.tolist()


def test_what_the_tasks_of_a_sum_share_is_made_once_and_let_go():
    made = []

    def make(name):
        made.append(name)
        return name

    assert made_once("one", lambda: make("a"), last=False) == "a"
    assert made_once("one", lambda: make("b"), last=False) == "a"
    # Another sum replaces what the first one kept.
    assert made_once("two", lambda: make("c"), last=False) == "c"
    assert made_once("one", lambda: make("d"), last=True) == "d"
    assert made_once("one", lambda: make("e"), last=True) == "e"
    assert made == ["a", "c", "d", "e"]
