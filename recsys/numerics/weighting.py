"""Further evidence for implicit models: the values of ratings, and genres as rows."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from recsys.domain import Float64, Interactions
from recsys.numerics.sparse import has_ratings, with_values

_DEVIATIONS_AT_MOST = 3.0
"""Deviations are clipped here, in standard deviations, so that one rating cannot dominate."""
_ROUNDING = 1e-9
"""Relative spread of ratings below which they count as equal up to rounding."""


def weighted_ratings(
    user_items: csr_matrix, effect: float, scale: tuple[float, float] | None = None
) -> csr_matrix:
    """Return the matrix with `exp(effect * z)` in place of each rating.

    z is the rating less the mean of all, in standard deviations; 0 where all are the same. `scale`
    is this mean and this deviation, if the matrix holds some of the ratings only.
    """
    return with_values(user_items, np.exp(effect * _standardized(user_items.data, scale)))


def genre_rows(data: Interactions, weight: float) -> csr_matrix:
    """Return genres x items, `weight` where an item that has ratings is of the genre.

    At a weight of 0 there are no rows.
    """
    if weight == 0:
        return csr_matrix((0, data.user_items.shape[1]))
    _, known = has_ratings(data.user_items)
    rows = csr_matrix(data.item_genres.multiply(weight * known[:, None]).T)
    rows.eliminate_zeros()  # a stored 0 would be a rating without confidence
    return rows


def _standardized(ratings: Float64, scale: tuple[float, float] | None) -> Float64:
    if not len(ratings):
        return ratings
    mean, spread = scale or (ratings.mean(), ratings.std())
    deviations = ratings - mean
    if spread <= _ROUNDING * np.abs(ratings).max(initial=0):
        return np.zeros_like(deviations)
    return np.clip(deviations / spread, -_DEVIATIONS_AT_MOST, _DEVIATIONS_AT_MOST)
