"""What a rating counts, by its grade and by its age; and genres as rows of a training matrix.

    weight of a rating = grade(r) * age(p), rounded to single precision
    m: mean of the user's ratings and of 5 more at the mean of all
    grade(r):  none      1                     rating    the rating itself, of any sign
               watched   1, but 0 if the user gave nothing but the lowest grade
               scaled    r / high
               centred   1 + effect (r - m)
               relative  (r - low) / (m - low) below m,  1 + effect (r - m) / (high - m) above
    age(p):    recency^(p - 1) for the p-th newest rating of a user, 0 beyond the window

With `relative` the lowest grade of the scale has weight 0, the user's mean 1, and the highest
grade 1 + effect. No weight is below 0. Ratings of one time share the mean of the weights of their
places, which is the expected weight under a random order. Their order in a file does not tell the
order of watching. A rating of unknown time is older than all others.

`recsys.rating_weights` of the contract computes the same in SQL. Rounded, the weights do not
depend on how exactly a machine computes powers.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.sparse import csr_matrix

from recsys.domain import Float64, Interactions, RatingWeights, TrainedItems
from recsys.numerics.prediction import rating_range
from recsys.numerics.sparse import has_ratings, row_of_entries, row_sums, with_values

PRIOR_RATINGS = 5
"""Ratings at the global mean that are added to the mean of a user. They keep it above the ratings
of a user who gives only the lowest grade."""


_LOG_OF_NOTHING = -60.0
"""Logarithm of the smallest weight by age: PostgreSQL refuses numbers much smaller."""


def on_scale_of(data: Interactions, weights: RatingWeights) -> RatingWeights:
    """Return the weights with the scale and the mean of the ratings of a run."""
    low, high = rating_range(data)
    values = data.user_items.data
    mean = data.rating_mean
    if mean is None:
        mean = float(values.mean()) if len(values) else 0.0
    return replace(weights, low=low, high=high, mean=mean)


def on_scale_of_training(trained: TrainedItems, weights: RatingWeights) -> RatingWeights:
    """Return the weights with the scale and the mean of the ratings that items were trained on."""
    low, high = trained.rating_range
    return replace(weights, low=low, high=high, mean=trained.mean)


def largest_weight(weights: RatingWeights) -> float:
    """Return a bound of what a rating counts by its grade."""
    if weights.grades == "rating":
        return max(abs(weights.low), abs(weights.high))
    span = weights.high - weights.low
    above = {"relative": weights.effect, "centred": weights.effect * span}
    return 1.0 + above.get(weights.grades, 0.0)


def weighted(
    weights: RatingWeights,
    ratings: csr_matrix,
    rated_at: Float64 | None = None,
    factor: float = 1.0,
) -> csr_matrix:
    """Return the matrix with the weight of each rating in its place, float64, without zeros.

    `rated_at` are Unix seconds in the order of the entries, NaN where unknown; None: all unknown.
    `factor` multiplies the weights, before they are rounded.
    """
    if weights.grades == "rating":
        return ratings
    values = factor * grade_weights(weights, ratings)
    if weights.by_age:
        values = values * _age_weights(weights, ratings, rated_at)
    values = values.astype(np.float32).astype(np.float64)
    if values.all():
        return with_values(ratings, values)
    found = with_values(ratings, values).copy()  # the next line shortens the arrays
    found.eliminate_zeros()
    return found


def grade_weights(weights: RatingWeights, ratings: csr_matrix) -> Float64:
    """Return what each rating counts by its value, at least 0, in the order of the entries."""
    values, users = ratings.data.astype(np.float64, copy=False), row_of_entries(ratings)
    # All ratings alike tell what was watched, and nothing else.
    if weights.grades == "none" or weights.low == weights.high:
        return np.ones(len(values))
    if weights.grades == "watched":
        liked = np.bincount(users, values > weights.low, minlength=ratings.shape[0]) > 0
        known: Float64 = liked[users].astype(np.float64)
        return known
    if weights.grades == "scaled":
        return np.maximum(values / weights.high, 0) if weights.high > 0 else np.ones(len(values))
    counts = np.diff(ratings.indptr) + PRIOR_RATINGS
    means = (row_sums(ratings) + PRIOR_RATINGS * weights.mean) / counts
    own = means[users]
    if weights.grades == "centred":
        centred: Float64 = np.maximum(1 + weights.effect * (values - own), 0)
        return centred
    with np.errstate(divide="ignore", invalid="ignore"):
        below = (values - weights.low) / (own - weights.low)
        above = 1 + weights.effect * (values - own) / (weights.high - own)
    relative = np.where(values < own, below, np.where(own < weights.high, above, 1))
    found: Float64 = np.maximum(relative, 0)
    return found


def _age_weights(weights: RatingWeights, ratings: csr_matrix, rated_at: Float64 | None) -> Float64:
    """Return what each rating counts by its age; those of one time share the mean of theirs."""
    users = row_of_entries(ratings)
    times = np.full(ratings.nnz, -np.inf) if rated_at is None else rated_at
    times = np.where(np.isnan(times), -np.inf, times)
    order = np.lexsort((-times, users))
    users, times = users[order], times[order]
    begins = np.ones(len(order), bool)
    begins[1:] = (users[1:] != users[:-1]) | (times[1:] != times[:-1])
    first = np.flatnonzero(begins)
    size = np.diff(np.append(first, len(order)))
    before = (first - ratings.indptr[users[first]]).astype(np.float64)
    inside = size.astype(np.float64)
    if weights.window:
        inside = np.clip(weights.window - before, 0, inside)
    shared = inside / size
    if weights.recency < 1:
        r = weights.recency
        shared = r**before * (1 - r**inside) / ((1 - r) * size)
        shared[before * np.log(r) < _LOG_OF_NOTHING] = 0
    found = np.empty(len(order))
    found[order] = np.repeat(shared, size)
    return found


def genre_rows(data: Interactions, weight: float) -> csr_matrix:
    """Return genres x items, `weight` where an item that has ratings is of the genre.

    At a weight of 0 there are no rows.
    """
    if weight == 0:
        return csr_matrix((0, data.user_items.shape[1]))
    known = has_ratings(data.user_items)[1] if data.item_counts is None else data.item_counts > 0
    rows = csr_matrix(data.item_genres.multiply(weight * known[:, None]).T)
    rows.eliminate_zeros()  # a stored 0 would be a rating without confidence
    return rows
