"""Baselines of ratings against values computed by hand."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from recsys.numerics.baselines import baselines, residuals, user_levels


def test_biases_of_movies_come_first_and_are_damped() -> None:
    # Mean 3: the movies are 3 and -3 above it, over 2 + 1 ratings.
    ratings = csr_matrix(np.array([[5.0, 0, 0, 0], [4, 2, 0, 0], [0, 1, 3, 0], [0, 0, 0, 0]]))
    base = baselines(ratings, 1.0)
    assert (base.mean, base.damping) == (3.0, 1.0)
    assert base.items[:3].tolist() == [1.0, -1.0, 0.0]
    assert np.isnan(base.items[3])
    # Beyond that the users are 1, 0 + 0 and -1 + 0, over 1 + 1, 2 + 1 and 2 + 1 ratings.
    levels = user_levels(ratings, base)
    assert levels[:3].tolist() == [3.5, 3.0, 3 - 1 / 3]
    assert np.isnan(levels[3])
    rest = residuals(ratings, levels, base.of_items)
    wanted = [5 - 4.5, 0, 0, 1 - (2 - 1 / 3), 3 - (3 - 1 / 3)]
    np.testing.assert_allclose(rest.data, wanted, rtol=0, atol=1e-15)
    assert rest.nnz == ratings.nnz


def test_a_movie_that_training_did_not_know_is_average() -> None:
    base = baselines(csr_matrix(np.array([[4.0, 0], [2.0, 0]])), 0.0)
    assert user_levels(csr_matrix(np.array([[0.0, 4.5]])), base).tolist() == [4.5]


def test_rounding_is_no_residual() -> None:
    # The mean of three times 3.7 is not 3.7.
    ratings = csr_matrix(np.full((3, 4), 3.7))
    base = baselines(ratings, 5.0)
    assert not residuals(ratings, user_levels(ratings, base), base.of_items).data.any()


def test_no_ratings() -> None:
    for shape in ((2, 3), (0, 3), (2, 0)):
        ratings = csr_matrix(shape, dtype=np.float64)
        base = baselines(ratings, 5.0)
        assert (base.mean, len(base.items), np.isnan(base.items).all()) == (0.0, shape[1], True)
        assert np.isnan(user_levels(ratings, base)).tolist() == [True] * shape[0]
