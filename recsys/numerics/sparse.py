"""What models of dense factors share: what is known, and axes that do not depend on chance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.domain import Float64


def rated(user_items: csr_matrix) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell the users and the items that have ratings."""
    votes = np.bincount(user_items.indices, minlength=user_items.shape[1])
    return np.diff(user_items.indptr) > 0, votes > 0


def where(known: NDArray[np.bool_], bias: Float64) -> Float64:
    """Return the biases, NaN where nothing is known."""
    return np.where(known, bias, np.nan)


def signs(items: Float64) -> Float64:
    """Return for each column of item factors the sign of its largest entry by magnitude.

    Factors are determined up to the sign of each axis: multiplied by this, they are unique.
    """
    largest = np.abs(items).argmax(axis=0)
    return np.where(items[largest, np.arange(items.shape[1])] < 0, -1.0, 1.0)
