"""Ratings in the order of time."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from recsys.domain import Float64, Int64
from recsys.numerics.sparse import row_of_entries


def in_time(ratings: csr_matrix, rated_at: Float64 | None, seed: int, first: int = 0) -> Int64:
    """Return the entries of the ratings by user and time, oldest first.

    Those of one time are in random order, those of an unknown time come first. `first` is the
    number of ratings before those of a shard, so that the order does not depend on the shards.
    """
    times = np.full(ratings.nnz, np.nan) if rated_at is None else rated_at
    times = np.where(np.isnan(times), -np.inf, times)
    sequence = np.random.PCG64(seed).advance(first)
    drawn = np.random.Generator(sequence).random(ratings.nnz)
    order: Int64 = np.lexsort((drawn, times, row_of_entries(ratings)))
    return order
