"""Predicted ratings against sums written out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from recsys.domain import Factors, Interactions, ModelOutput, Neighbours, UserNeighbours
from recsys.models.base import Prediction
from recsys.numerics import prediction
from recsys.numerics.prediction import predict_ratings, rating_range

USERS, ITEMS = 12, 9
PAIRS = tuple(np.divmod(np.arange(USERS * ITEMS), ITEMS))


def some_ratings(seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (random.random((USERS, ITEMS)) < 0.4) * random.integers(1, 11, (USERS, ITEMS)) / 2


def interactions(dense: np.ndarray, scale: tuple[float, float] | None = None) -> Interactions:
    no_genres = csr_matrix((dense.shape[1], 0))
    return Interactions(csr_matrix(dense), no_genres, (), rating_range=scale)


def some_lists(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ragged lists of others, with similarities of both signs, descending."""
    random = np.random.default_rng(seed)
    lists = [
        random.permutation(np.delete(np.arange(rows), row))[: random.integers(0, 6)]
        for row in range(rows)
    ]
    scores = [np.sort(random.uniform(-1, 1, len(entries)))[::-1] for entries in lists]
    indptr = np.concatenate(([0], np.cumsum([len(entries) for entries in lists])))
    return indptr, np.concatenate(lists).astype(np.int32), np.concatenate(scores)


def entries(lists: Neighbours | UserNeighbours, row: int) -> list[tuple[int, float]]:
    part = slice(lists.indptr[row], lists.indptr[row + 1])
    return list(zip(lists.indices[part], lists.scores[part], strict=True))


def test_by_factors() -> None:
    random = np.random.default_rng(1)
    factors = Factors(
        random.normal(size=(USERS, 3)).astype(np.float32),
        random.normal(size=(ITEMS, 3)).astype(np.float32),
        random.normal(3, 1, USERS),
        random.normal(0, 1, ITEMS),
    )
    assert factors.user_bias is not None
    assert factors.item_bias is not None
    factors.user_bias[4] = np.nan
    data = interactions(some_ratings(1), (0.5, 5.0))
    found = predict_ratings(data, ModelOutput(factors=factors), "factors", *PAIRS)
    dots = factors.users.astype(float) @ factors.items.astype(float).T
    wanted = factors.user_bias[:, None] + factors.item_bias + dots
    np.testing.assert_allclose(found.reshape(USERS, ITEMS), np.clip(wanted, 0.5, 5), rtol=1e-12)
    assert np.isnan(found.reshape(USERS, ITEMS)[4]).all()
    assert (found == 5).any()
    assert (found == 0.5).any()


def test_by_user_neighbours() -> None:
    dense = some_ratings(2)
    near = UserNeighbours(*some_lists(USERS, 2), np.zeros(0, np.int32))
    means = np.array([row[row > 0].mean() if row.any() else np.nan for row in dense])
    output = ModelOutput(user_neighbours=near, user_means=means)
    found = predict_ratings(interactions(dense, (-9, 9)), output, "user_neighbours", *PAIRS)
    wanted = np.full((USERS, ITEMS), np.nan)
    for user, item in np.ndindex(USERS, ITEMS):
        rated = [(other, s) for other, s in entries(near, user) if dense[other, item]]
        if rated:
            deviations = sum(s * (dense[other, item] - means[other]) for other, s in rated)
            wanted[user, item] = means[user] + deviations / sum(abs(s) for _, s in rated)
    np.testing.assert_allclose(found.reshape(USERS, ITEMS), wanted, rtol=1e-12)
    assert 0 < np.isnan(wanted).sum() < wanted.size


def test_by_movie_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction, "_PAIRS_AT_ONCE", 10)
    dense = some_ratings(3)
    near = Neighbours(*some_lists(ITEMS, 3))
    data = interactions(dense, (-9, 9))
    found = predict_ratings(data, ModelOutput(neighbours=near), "movie_neighbours", *PAIRS)
    wanted = np.full((USERS, ITEMS), np.nan)
    for user, item in np.ndindex(USERS, ITEMS):
        rated = [(other, s) for other, s in entries(near, item) if dense[user, other]]
        if rated:
            sums = sum(s * dense[user, other] for other, s in rated)
            wanted[user, item] = sums / sum(abs(s) for _, s in rated)
    np.testing.assert_allclose(found.reshape(USERS, ITEMS), wanted, rtol=1e-12)
    assert 0 < np.isnan(wanted).sum() < wanted.size


@pytest.mark.parametrize("form", ["user_neighbours", "movie_neighbours"])
def test_the_lists_stay_in_their_order(form: Prediction) -> None:
    near = Neighbours(*some_lists(ITEMS, 4))
    users = UserNeighbours(*some_lists(USERS, 4), np.zeros(0, np.int32))
    before = [array.copy() for lists in (near, users) for array in (lists.indices, lists.scores)]
    output = ModelOutput(neighbours=near, user_neighbours=users, user_means=np.full(USERS, 3.0))
    predict_ratings(interactions(some_ratings(4)), output, form, *PAIRS)
    after = [array for lists in (near, users) for array in (lists.indices, lists.scores)]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_a_rating_of_zero_counts_as_given() -> None:
    ratings = csr_matrix((np.array([0.0, 4.0]), (np.array([0, 0]), np.array([1, 2]))), shape=(1, 3))
    near = Neighbours(np.array([0, 2, 2, 2]), np.array([1, 2], np.int32), np.array([0.5, 0.5]))
    data = Interactions(ratings, csr_matrix((3, 0)), (), rating_range=(0, 5))
    only = np.array([0])
    found = predict_ratings(data, ModelOutput(neighbours=near), "movie_neighbours", only, only)
    assert found.tolist() == [2.0]


def test_the_range_is_the_scale_or_that_of_the_ratings() -> None:
    dense = some_ratings(4)
    assert rating_range(interactions(dense, (0.5, 5.0))) == (0.5, 5.0)
    given = dense[dense > 0]
    assert rating_range(interactions(dense)) == (given.min(), given.max())
    assert rating_range(interactions(np.zeros((2, 2)))) == (0.0, 0.0)
