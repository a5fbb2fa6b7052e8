"""Predicted ratings of fitted models, by the same sums as `recsys.predict_rating`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.domain import (
    Factors,
    Fitted,
    Float64,
    Interactions,
    Neighbours,
    RankedLists,
    UserNeighbours,
)
from recsys.numerics.sparse import binarize, row_of_entries, weight_matrix, with_values

Positions = NDArray[np.integer]


def rating_range(data: Interactions) -> tuple[float, float]:
    """Return the lowest and the highest rating of the scale; (0, 0) without ratings."""
    if data.rating_range is not None:
        return data.rating_range
    values = data.user_items.data
    return (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)


def predict_ratings(
    data: Interactions,
    fitted: Fitted,
    users: Positions,
    items: Positions,
    pairs_at_once: int = 1 << 16,
) -> Float64:
    """Predict the rating of each pair `(users[p], items[p])`, clipped to the rating scale.

    NaN where it cannot be known. By factors: `user_bias + item_bias + users . items`; by user
    neighbours: `rbar_u + sum_v s_uv (r_vi - rbar_v) / sum_v |s_uv|`; by item neighbours:
    `sum_j s_ij r_uj / sum_j |s_ij|`. Sums run over the stored neighbours that have the rating.
    Raises TypeError for a model that predicts no ratings.
    """
    predicted = np.empty(len(users))
    for start in range(0, len(users), pairs_at_once):
        part = slice(start, start + pairs_at_once)
        predicted[part] = _predict(data.user_items, fitted, users[part], items[part])
    low, high = rating_range(data)
    return np.clip(predicted, low, high)


def _predict(ratings: csr_matrix, fitted: Fitted, users: Positions, items: Positions) -> Float64:
    if isinstance(fitted, Factors):
        return _by_factors(fitted, users, items)
    if isinstance(fitted, UserNeighbours):
        return _by_user_neighbours(fitted, users, items)
    if isinstance(fitted, Neighbours):
        return _weighted_mean(_weights(fitted)[items], ratings[users])
    raise TypeError(f"{type(fitted).__name__} predicts no ratings")


def _by_factors(factors: Factors, users: Positions, items: Positions) -> Float64:
    assert factors.user_bias is not None
    assert factors.item_bias is not None
    own, other = factors.users[users].astype(np.float64), factors.items[items].astype(np.float64)
    dots: Float64 = np.einsum("pf,pf->p", own, other)
    result: Float64 = factors.user_bias[users] + factors.item_bias[items] + dots
    return result


def _by_user_neighbours(neighbours: UserNeighbours, users: Positions, items: Positions) -> Float64:
    ratings, means = neighbours.user_items, neighbours.means
    deviations = with_values(ratings, ratings.data - means[row_of_entries(ratings)]).T.tocsr()
    mean_deviation = _weighted_mean(_weights(neighbours)[users], deviations[items])
    result: Float64 = means[users] + mean_deviation
    return result


def _weighted_mean(weights: csr_matrix, values: csr_matrix) -> Float64:
    """Return for each row the mean of the stored values, by their weights; NaN without any."""
    total = np.asarray(abs(weights).multiply(binarize(values)).sum(axis=1)).ravel()
    sums = np.asarray(weights.multiply(values).sum(axis=1)).ravel()
    means: Float64 = np.divide(sums, total, out=np.full(len(sums), np.nan), where=total > 0)
    return means


def _weights(lists: RankedLists) -> csr_matrix:
    # A copy: sorted in place, the lists themselves would lose their order.
    return weight_matrix(lists).sorted_indices()
