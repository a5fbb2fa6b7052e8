"""Make the lists of all users with a fitted model, and write them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from recsys.domain import ComputeLimits, FittedModel, IdMap, Int64
from recsys.engine.local import LocalEngine
from recsys.jobs.gate import check_scores
from recsys.jobs.streaming import ResultStream
from recsys.jobs.training import ModelResults
from recsys.jobs.training_data import Training
from recsys.storage.server.engine import Database


@dataclass(frozen=True, slots=True)
class Listed:
    """Lists of a shard of users, which are written or will be."""

    stop: int
    """Position behind the last of them."""
    lengths: Int64
    """Entries of the list of each."""


class Lists(Protocol):
    """Makes and writes the lists of all users, shard by shard."""

    def make(
        self, model: FittedModel, n: int, limits: ComputeLimits, stream: ResultStream
    ) -> Iterator[Listed]:
        """Yield what is listed, in the order of users."""

    def finish(self, database: Database) -> int:
        """Complete what was written beside the stream; return the rows."""


@dataclass(frozen=True, slots=True)
class LocalLists:
    """Makes lists in this process and hands them to the stream of results."""

    read: Training

    def make(
        self, model: FittedModel, n: int, limits: ComputeLimits, stream: ResultStream
    ) -> Iterator[Listed]:
        data = self.read.shards.whole
        assert data is not None
        for part in LocalEngine().rank(model, data, n, limits):
            lists = ModelResults(recommendations=part.lists)
            check_scores(model.name, lists)
            listed = IdMap(self.read.users.ids[part.shard.start : part.shard.stop])
            stream.write(model.name, lists, listed)
            yield Listed(part.shard.stop, np.diff(part.lists.indptr))

    def finish(self, database: Database) -> int:
        """Do nothing: all lists are in the stream."""
        return 0
