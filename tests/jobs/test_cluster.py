"""What executors of a cluster tell the driver."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from recsys.domain import ComputeLimits, FittedModel, IdMap, Interactions, TopN
from recsys.errors import GateRefused
from recsys.jobs.cluster.tasks import Reach, WriteLists
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
