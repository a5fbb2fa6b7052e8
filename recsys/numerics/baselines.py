"""Baselines of ratings: what is expected of a user and an item before similar ones are compared.

    b_ui = mean + b_u + b_i
    b_i = sum_u (r_ui - mean) / (n_i + damping)
    b_u = sum_i (r_ui - mean - b_i) / (n_u + damping)

Damping is a number of ratings: biases of few ratings stay near 0.

Y. Koren: Factor in the Neighbors: Scalable and Accurate Collaborative Filtering, TKDD 2010.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from recsys.domain import Baselines, Float64, Int64, UserNeighbours
from recsys.numerics.sparse import column_counts, row_of_entries, row_sums, with_values

_ROUNDING = 1e-12
"""A difference this small, relative to its rating, is rounding and stands for 0."""


def baselines(ratings: csr_matrix, damping: float) -> Baselines:
    """Learn the biases of the items; those of users follow from them and the users' ratings."""
    mean = float(ratings.data.mean()) if ratings.nnz else 0.0
    beyond = np.bincount(ratings.indices, ratings.data - mean, ratings.shape[1])
    return _damped(mean, column_counts(ratings), beyond.astype(np.float64), damping)


def baselines_of_sums(mean: float, counts: Int64, sums: Float64, damping: float) -> Baselines:
    """Return the biases of items from the number and the sum of the ratings of each."""
    return _damped(mean, counts, sums - counts * mean, damping)


def _damped(mean: float, counts: Int64, beyond: Float64, damping: float) -> Baselines:
    unknown = np.full(len(counts), np.nan)
    items = np.divide(beyond, counts + damping, out=unknown, where=counts > 0)
    return Baselines(mean, items, damping)


def user_levels(ratings: csr_matrix, base: Baselines) -> Float64:
    """Return `mean + b_u` of each user, NaN without ratings."""
    counts = np.diff(ratings.indptr)
    beyond = ratings.data - base.mean - base.of_items[ratings.indices]
    sums = row_sums(with_values(ratings, beyond))
    unknown = np.full(len(counts), np.nan)
    levels: Float64 = np.divide(sums, counts + base.damping, out=unknown, where=counts > 0)
    return base.mean + levels


def residuals(ratings: csr_matrix, levels: Float64, of_items: Float64) -> csr_matrix:
    """Return the ratings less the levels of their users and the biases of their items."""
    rest = ratings.data - levels[row_of_entries(ratings)] - of_items[ratings.indices]
    rest[np.abs(rest) <= _ROUNDING * np.abs(ratings.data)] = 0
    return with_values(ratings, rest)


def item_biases(neighbours: UserNeighbours) -> Float64:
    """Return the bias of each item, 0 without ratings or without baselines."""
    if neighbours.baselines is None:
        return np.zeros(neighbours.user_items.shape[1])
    return neighbours.baselines.of_items


def deviations(neighbours: UserNeighbours) -> csr_matrix:
    """Return how far the ratings of all users are from where their predictions start."""
    return residuals(neighbours.user_items, neighbours.means, item_biases(neighbours))
