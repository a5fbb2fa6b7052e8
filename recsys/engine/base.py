"""The shards of users that an engine works on."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.domain import ComputeLimits, TopN

_ENTRY_BYTES = 40
"""Entries of a list: item, score, source, and copies of them while a shard is put together."""


@dataclass(frozen=True, slots=True)
class Shard:
    """A range of users, by position: from `start` to before `stop`."""

    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class ShardLists:
    """The lists of the users of a shard."""

    shard: Shard
    lists: TopN


def shards(bounds: NDArray[np.integer], ratings: int, users: int) -> list[Shard]:
    """Cut the users into ranges of about equal numbers of ratings.

    `bounds` are where the ratings of each user begin, and where the last ones end. A shard has
    about `ratings` of them and at most `users` users.
    """
    ends = bounds[1:]
    # Where the running number of ratings passes a multiple of `ratings`.
    passed = np.flatnonzero(np.diff(ends // max(1, ratings), prepend=0) > 0) + 1
    found = []
    for start, stop in itertools.pairwise(np.unique([0, *passed, len(ends)]).tolist()):
        pieces = -(-(stop - start) // max(1, users))
        edges = np.linspace(start, stop, pieces + 1).astype(int).tolist()
        found += [Shard(*edge) for edge in itertools.pairwise(edges)]
    return found


def users_within(limits: ComputeLimits, n: int) -> int:
    """Return how many users a shard may have, so that its lists take an eighth of the memory."""
    return max(1, limits.memory_mb * 2**17 // (_ENTRY_BYTES * max(1, n)))
