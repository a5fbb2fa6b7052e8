"""What executors of a cluster tell the driver."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from recsys.domain import ComputeLimits, FittedModel, IdMap, Interactions, TopN
from recsys.engine.node import Facts
from recsys.engine.spark import SparkShards
from recsys.errors import GateRefused
from recsys.jobs.cluster.place import SparkLists
from recsys.jobs.cluster.tasks import Reach, WriteLists, WrittenPart
from recsys.jobs.gate import refuse_scores


def test_scores_that_are_not_finite_are_told_and_not_written():
    """The server is not reached: a task that failed would be tried again."""
    found = TopN(np.array([0, 2, 3]), np.array([0, 1, 1], np.int32), np.array([1, np.nan, np.inf]))
    model = FittedModel("wild", None, lambda fitted, users, n, limits: found)
    shard = Interactions(csr_matrix((2, 2)), csr_matrix((2, 0)), (), first_user=5)
    nowhere = Reach("postgresql://127.0.0.1:1/none")
    write = WriteLists(nowhere, "none", 1, IdMap(np.arange(2)), {"wild": 1}, {5: (0, 5, 6)})
    part = write(model, shard, 2, ComputeLimits())
    assert (part.first_user, part.stop, part.not_finite) == (5, 7, 2)
    with pytest.raises(GateRefused, match="2 scores of wild are not finite"):
        refuse_scores("wild", part.not_finite)
    refuse_scores("tame", 0)


class ToldShards(SparkShards):
    """Shards whose tasks have told what they wrote."""

    def each(self, work):
        lengths = np.array([2], np.int32)
        return [WrittenPart(1, 2, lengths, b"", 3), WrittenPart(0, 1, lengths, b"")]


def test_the_driver_refuses_what_a_task_tells_before_it_counts_the_lists():
    data = Interactions(csr_matrix((2, 2)), csr_matrix((2, 0)), ())
    facts = Facts(2, np.zeros(2, np.int64), 0.0, (0.0, 0.0))
    told = ToldShards(None, (), None, facts, data, 2, 0)
    place = SimpleNamespace(reach=None, snapshot="", bounds={})
    writer = SimpleNamespace(run_id=1, model_ids={"wild": 7}, note=lambda *_: None)
    lists = SparkLists(place, None, SimpleNamespace(shards=told, movies=None), writer)
    model = FittedModel("wild", None, None)
    with pytest.raises(GateRefused, match="3 scores of wild are not finite"):
        next(lists.make(model, 2, ComputeLimits(), None))
    assert lists.made == {}
