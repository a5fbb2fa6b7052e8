"""Predicted ratings against sums written out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from recsys.domain import Baselines, Charts, Factors, Interactions, Neighbours, UserNeighbours
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


def user_neighbours(dense: np.ndarray, means: np.ndarray, seed: int) -> UserNeighbours:
    return UserNeighbours(*some_lists(USERS, seed), np.zeros(0, np.int32), means, csr_matrix(dense))


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
    found = predict_ratings(data, factors, *PAIRS)
    dots = factors.users.astype(float) @ factors.items.astype(float).T
    wanted = factors.user_bias[:, None] + factors.item_bias + dots
    np.testing.assert_allclose(found.reshape(USERS, ITEMS), np.clip(wanted, 0.5, 5), rtol=1e-12)
    assert np.isnan(found.reshape(USERS, ITEMS)[4]).all()
    assert (found == 5).any()
    assert (found == 0.5).any()


def test_by_user_neighbours() -> None:
    dense = some_ratings(2)
    means = np.array([row[row > 0].mean() if row.any() else np.nan for row in dense])
    near = user_neighbours(dense, means, 2)
    found = predict_ratings(interactions(dense, (-9, 9)), near, *PAIRS)
    wanted = np.full((USERS, ITEMS), np.nan)
    for user, item in np.ndindex(USERS, ITEMS):
        rated = [(other, s) for other, s in entries(near, user) if dense[other, item]]
        if rated:
            deviations = sum(s * (dense[other, item] - means[other]) for other, s in rated)
            wanted[user, item] = means[user] + deviations / sum(abs(s) for _, s in rated)
    np.testing.assert_allclose(found.reshape(USERS, ITEMS), wanted, rtol=1e-12)
    assert 0 < np.isnan(wanted).sum() < wanted.size


def test_by_movie_neighbours() -> None:
    dense = some_ratings(3)
    near = Neighbours(*some_lists(ITEMS, 3))
    data = interactions(dense, (-9, 9))
    found = predict_ratings(data, near, *PAIRS, pairs_at_once=10)
    wanted = np.full((USERS, ITEMS), np.nan)
    for user, item in np.ndindex(USERS, ITEMS):
        rated = [(other, s) for other, s in entries(near, item) if dense[user, other]]
        if rated:
            sums = sum(s * dense[user, other] for other, s in rated)
            wanted[user, item] = sums / sum(abs(s) for _, s in rated)
    np.testing.assert_allclose(found.reshape(USERS, ITEMS), wanted, rtol=1e-12)
    assert 0 < np.isnan(wanted).sum() < wanted.size


def some_baselines(dense: np.ndarray) -> tuple[Baselines, np.ndarray, np.ndarray]:
    """Return baselines, the levels of the users and what is expected of each pair."""
    random = np.random.default_rng(9)
    biases = np.where(dense.any(axis=0), random.normal(0, 1, ITEMS), np.nan)
    rated, beyond = dense != 0, dense - 3.25 - np.nan_to_num(biases)
    levels = 3.25 + (beyond * rated).sum(axis=1) / (rated.sum(axis=1) + 2)
    levels[~rated.any(axis=1)] = np.nan
    return Baselines(3.25, biases, 2.0), levels, levels[:, None] + biases


def test_by_movie_neighbours_from_baselines() -> None:
    dense = some_ratings(3)
    dense[4], dense[:, 6] = 0, 0
    base, _, start = some_baselines(dense)
    near = Neighbours(*some_lists(ITEMS, 3), baselines=base, damping=0.5, amplification=2.0)
    found = predict_ratings(interactions(dense, (-9, 9)), near, *PAIRS).reshape(USERS, ITEMS)
    wanted = start.copy()
    for user, item in np.ndindex(USERS, ITEMS):
        rated = [(other, s * abs(s)) for other, s in entries(near, item) if dense[user, other]]
        if rated:
            sums = sum(w * (dense[user, other] - start[user, other]) for other, w in rated)
            moved = sums / (sum(abs(w) for _, w in rated) + 0.5)
            # A movie without ratings of its own counts as average.
            wanted[user, item] = start[user, item] if item != 6 else start[user, 0] - base.items[0]
            wanted[user, item] += moved
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    assert np.isnan(wanted[4]).all()
    assert 0 < np.isnan(wanted[:, 6]).sum() < USERS
    # Without neighbours the baseline stands alone.
    assert ((found == start) & (dense == 0)).any()


def test_by_user_neighbours_from_baselines() -> None:
    dense = some_ratings(2)
    base, levels, start = some_baselines(dense)
    lists = some_lists(USERS, 2)
    near = UserNeighbours(
        *lists, np.zeros(0, np.int32), levels, csr_matrix(dense), baselines=base, damping=0.5
    )
    found = predict_ratings(interactions(dense, (-9, 9)), near, *PAIRS).reshape(USERS, ITEMS)
    wanted = start.copy()
    for user, item in np.ndindex(USERS, ITEMS):
        rated = [(other, s) for other, s in entries(near, user) if dense[other, item]]
        deviations = sum(s * (dense[other, item] - start[other, item]) for other, s in rated)
        wanted[user, item] += deviations / (sum(abs(s) for _, s in rated) + 0.5)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def lists_of(form: str, dense: np.ndarray) -> Neighbours | UserNeighbours:
    if form == "users":
        return user_neighbours(dense, np.full(USERS, 3.0), 4)
    return Neighbours(*some_lists(ITEMS, 4))


@pytest.mark.parametrize("form", ["users", "movies"])
def test_the_lists_stay_in_their_order(form: str) -> None:
    dense = some_ratings(4)
    near = lists_of(form, dense)
    before = near.indices.copy(), near.scores.copy()
    predict_ratings(interactions(dense), near, *PAIRS)
    assert np.array_equal(near.indices, before[0])
    assert np.array_equal(near.scores, before[1])


@pytest.mark.parametrize("form", ["users", "movies"])
def test_the_number_of_pairs_at_once_does_not_matter(form: str) -> None:
    dense = some_ratings(4)
    data, near = interactions(dense), lists_of(form, dense)
    whole = predict_ratings(data, near, *PAIRS)
    assert np.array_equal(predict_ratings(data, near, *PAIRS, pairs_at_once=7), whole, True)


def test_models_that_predict_no_ratings_are_refused() -> None:
    with pytest.raises(TypeError, match="Charts predicts no ratings"):
        predict_ratings(interactions(some_ratings(4)), Charts(), *PAIRS)


def test_a_rating_of_zero_counts_as_given() -> None:
    ratings = csr_matrix((np.array([0.0, 4.0]), (np.array([0, 0]), np.array([1, 2]))), shape=(1, 3))
    near = Neighbours(np.array([0, 2, 2, 2]), np.array([1, 2], np.int32), np.array([0.5, 0.5]))
    data = Interactions(ratings, csr_matrix((3, 0)), (), rating_range=(0, 5))
    only = np.array([0])
    found = predict_ratings(data, near, only, only)
    assert found.tolist() == [2.0]


def test_the_range_is_the_scale_or_that_of_the_ratings() -> None:
    dense = some_ratings(4)
    assert rating_range(interactions(dense, (0.5, 5.0))) == (0.5, 5.0)
    given = dense[dense > 0]
    assert rating_range(interactions(dense)) == (given.min(), given.max())
    assert rating_range(interactions(np.zeros((2, 2)))) == (0.0, 0.0)
