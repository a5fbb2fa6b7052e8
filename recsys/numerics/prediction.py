"""Ratings predicted from what a model stores, by the sums that `recsys.predict_rating` does."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.domain import Float64, Interactions, ModelOutput, RankedLists
from recsys.models.base import Prediction
from recsys.numerics.scoring import weight_matrix

_PAIRS_AT_ONCE = 1 << 16


def rating_range(data: Interactions) -> tuple[float, float]:
    """Return the lowest and the highest rating there can be; (0, 0) without any."""
    if data.rating_range is not None:
        return data.rating_range
    values = data.user_items.data
    return (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)


def predict_ratings(
    data: Interactions,
    output: ModelOutput,
    prediction: Prediction,
    users: NDArray[np.integer],
    items: NDArray[np.integer],
) -> Float64:
    """Predict the rating of each pair `(users[p], items[p])`, on the scale of the ratings.

    NaN where it cannot be known. By factors: `user_bias + item_bias + users . items`; by user
    neighbours: `rbar_u + sum_v s_uv (r_vi - rbar_v) / sum_v |s_uv|`; by movie neighbours:
    `sum_j s_ij r_uj / sum_j |s_ij|`. Sums run over the stored neighbours that have the rating.
    """
    by_form = {
        "factors": _by_factors,
        "user_neighbours": _by_user_neighbours,
        "movie_neighbours": _by_movie_neighbours,
    }
    predicted = np.empty(len(users))
    for start in range(0, len(users), _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        predicted[part] = by_form[prediction](data, output, users[part], items[part])
    low, high = rating_range(data)
    return np.clip(predicted, low, high)


def _by_factors(
    data: Interactions, output: ModelOutput, users: NDArray[np.integer], items: NDArray[np.integer]
) -> Float64:
    factors = output.factors
    assert factors is not None
    assert factors.user_bias is not None
    assert factors.item_bias is not None
    own, other = factors.users[users].astype(np.float64), factors.items[items].astype(np.float64)
    dots: Float64 = np.einsum("pf,pf->p", own, other)
    result: Float64 = factors.user_bias[users] + factors.item_bias[items] + dots
    return result


def _by_user_neighbours(
    data: Interactions, output: ModelOutput, users: NDArray[np.integer], items: NDArray[np.integer]
) -> Float64:
    assert output.user_neighbours is not None
    assert output.user_means is not None
    ratings, means = data.user_items, output.user_means
    raters = np.repeat(np.arange(ratings.shape[0]), np.diff(ratings.indptr))
    deviations = _with(ratings, ratings.data - means[raters]).T.tocsr()
    mean_deviation = _weighted_mean(_weights(output.user_neighbours)[users], deviations[items])
    result: Float64 = means[users] + mean_deviation
    return result


def _by_movie_neighbours(
    data: Interactions, output: ModelOutput, users: NDArray[np.integer], items: NDArray[np.integer]
) -> Float64:
    assert output.neighbours is not None
    return _weighted_mean(_weights(output.neighbours)[items], data.user_items[users])


def _weighted_mean(weights: csr_matrix, values: csr_matrix) -> Float64:
    """Return for each row the mean of the stored values, by the weights there are for them."""
    given = _with(values, np.ones(values.nnz))
    total = np.asarray(abs(weights).multiply(given).sum(axis=1)).ravel()
    sums = np.asarray(weights.multiply(values).sum(axis=1)).ravel()
    means: Float64 = np.divide(sums, total, out=np.full(len(sums), np.nan), where=total > 0)
    return means


def _weights(lists: RankedLists) -> csr_matrix:
    # A copy: sorted in place, the lists themselves would lose their order.
    return weight_matrix(lists).sorted_indices()


def _with(matrix: csr_matrix, data: Float64) -> csr_matrix:
    """Return the matrix with other values, zeros among them, at the same places."""
    return csr_matrix((data, matrix.indices, matrix.indptr), shape=matrix.shape)
