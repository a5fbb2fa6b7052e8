"""Predicted ratings of fitted models, by the same sums as `recsys.predict_rating`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.domain import (
    Baselines,
    Factors,
    Fitted,
    Float64,
    Interactions,
    Neighbours,
    RankedLists,
    UserNeighbours,
)
from recsys.numerics.baselines import deviations, item_biases, residuals, user_levels
from recsys.numerics.sparse import binarize, weight_matrix, with_values

Positions = NDArray[np.integer]
Predictor = Callable[[Positions, Positions], Float64]
"""From the users and the items of pairs to their ratings, not clipped."""


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
    `sum_j s_ij r_uj / sum_j |s_ij|`. With baselines `b_ui` these are
    `b_ui + sum_v s_uv (r_vi - b_vi) / (damping + sum_v |s_uv|)` and
    `b_ui + sum_j a_ij (r_uj - b_uj) / (damping + sum_j |a_ij|)`, where `a_ij` has the sign of
    `s_ij` and the magnitude `|s_ij| ^ amplification`, and `b_ui` alone without neighbours. Sums run
    over the stored neighbours that have the rating.
    Raises TypeError for a model that predicts no ratings.
    """
    predict, predicted = _predictor(data.user_items, fitted), np.empty(len(users))
    for start in range(0, len(users), pairs_at_once):
        part = slice(start, start + pairs_at_once)
        predicted[part] = predict(users[part], items[part])
    low, high = rating_range(data)
    return np.clip(predicted, low, high)


def _predictor(ratings: csr_matrix, fitted: Fitted) -> Predictor:
    if isinstance(fitted, Factors):
        return partial(_by_factors, fitted)
    if isinstance(fitted, UserNeighbours):
        return _by_user_neighbours(fitted)
    if isinstance(fitted, Neighbours):
        return _by_neighbours(ratings, fitted)
    raise TypeError(f"{type(fitted).__name__} predicts no ratings")


def _by_factors(factors: Factors, users: Positions, items: Positions) -> Float64:
    assert factors.user_bias is not None
    assert factors.item_bias is not None
    own, other = factors.users[users].astype(np.float64), factors.items[items].astype(np.float64)
    dots: Float64 = np.einsum("pf,pf->p", own, other)
    result: Float64 = factors.user_bias[users] + factors.item_bias[items] + dots
    return result


def _by_user_neighbours(neighbours: UserNeighbours) -> Predictor:
    values, weights = deviations(neighbours).T.tocsr(), _weights(neighbours)
    biases, damping = item_biases(neighbours), neighbours.damping

    def predict(users: Positions, items: Positions) -> Float64:
        mean_deviation = _weighted_mean(weights[users], values[items], damping)
        start = neighbours.means[users] + biases[items]
        return _moved(start, mean_deviation, neighbours.baselines, items)

    return predict


def _by_neighbours(ratings: csr_matrix, neighbours: Neighbours) -> Predictor:
    base, weights = neighbours.baselines, _weights(neighbours)
    strengths = np.abs(weights.data) ** neighbours.amplification
    weights = with_values(weights, np.copysign(strengths, weights.data))
    levels, biases = np.zeros(ratings.shape[0]), np.zeros(ratings.shape[1])
    if base is not None:
        levels, biases = user_levels(ratings, base), base.of_items
        ratings = residuals(ratings, levels, biases)

    def predict(users: Positions, items: Positions) -> Float64:
        mean_deviation = _weighted_mean(weights[items], ratings[users], neighbours.damping)
        return _moved(levels[users] + biases[items], mean_deviation, base, items)

    return predict


def _moved(
    start: Float64, mean_deviation: Float64, base: Baselines | None, items: Positions
) -> Float64:
    """Add the deviation of the neighbours; without any a baseline stands for itself."""
    if base is not None:
        alone = np.isnan(mean_deviation) & ~np.isnan(base.items[items])
        mean_deviation = np.where(alone, 0.0, mean_deviation)
    result: Float64 = start + mean_deviation
    return result


def _weighted_mean(weights: csr_matrix, values: csr_matrix, damping: float) -> Float64:
    """Return for each row the mean of the stored values, by their weights; NaN without any.

    `damping` is the weight of one more value of 0.
    """
    total = np.asarray(abs(weights).multiply(binarize(values)).sum(axis=1)).ravel()
    sums = np.asarray(weights.multiply(values).sum(axis=1)).ravel()
    unknown = np.full(len(sums), np.nan)
    means: Float64 = np.divide(sums, total + damping, out=unknown, where=total > 0)
    return means


def _weights(lists: RankedLists) -> csr_matrix:
    # A copy: sorted in place, the lists themselves would lose their order.
    return weight_matrix(lists).sorted_indices()
