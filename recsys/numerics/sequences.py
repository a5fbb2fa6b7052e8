"""Ratings in the order of time."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from recsys.domain import Float64, Int64
from recsys.numerics.sparse import row_of_entries


def in_time(ratings: csr_matrix, rated_at: Float64 | None, seed: int) -> Int64:
    """Return the entries of the ratings by user and time, oldest first.

    Those of one time are in random order, those of an unknown time come first.
    """
    times = np.full(ratings.nnz, np.nan) if rated_at is None else rated_at
    times = np.where(np.isnan(times), -np.inf, times)
    drawn = np.random.default_rng(seed).random(ratings.nnz)
    order: Int64 = np.lexsort((drawn, times, row_of_entries(ratings)))
    return order
