"""Errors of predicted ratings: RMSE and MAE."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.domain import Float64
from recsys.errors import EvaluationError
from recsys.evaluation.splits import Bool


@dataclass(frozen=True, slots=True)
class RatingErrors:
    """Errors of single predictions, on the scale of the ratings."""

    errors: Float64
    """Predicted minus actual rating."""
    known: Bool
    """True where the model predicted, False where the fallback did."""


def rating_errors(predicted: Float64, given: Float64, fallback: Float64) -> RatingErrors:
    """Compare predictions with ratings; the fallback replaces NaN.

    All models are thus measured on the same pairs. Raises EvaluationError for infinite predictions,
    NaN in the fallback, or arrays of different lengths.
    """
    if not len(predicted) == len(given) == len(fallback):
        raise EvaluationError(
            f"{len(predicted)} predictions and {len(fallback)} fallbacks "
            f"do not fit {len(given)} ratings"
        )
    known = ~np.isnan(predicted)
    used = np.where(known, predicted, fallback)
    # A single infinite error would hide all others in the mean.
    if not np.isfinite(used).all():
        raise EvaluationError(f"{int((~np.isfinite(used)).sum())} predictions are not finite")
    return RatingErrors(used - given, known)


def rmse(errors: Float64) -> float:
    """Return the root mean square error; NaN without errors."""
    return float(np.sqrt(np.mean(errors**2))) if len(errors) else float("nan")


def mae(errors: Float64) -> float:
    """Return the mean absolute error; NaN without errors."""
    return float(np.mean(np.abs(errors))) if len(errors) else float("nan")


def user_mean_fallback(
    train: csr_matrix, users: NDArray[np.integer], mean: float | None = None
) -> Float64:
    """Predict the user's mean train rating, else the overall mean, else 0.

    The overall mean is given if `train` holds some users only.
    """
    counts = np.diff(train.indptr)
    overall = mean
    if overall is None:
        overall = float(train.data.mean()) if train.nnz else 0.0
    sums = np.bincount(np.repeat(np.arange(len(counts)), counts), train.data, len(counts))
    means = np.divide(sums, counts, out=np.full(len(counts), overall), where=counts > 0)
    result: Float64 = means[users]
    return result
