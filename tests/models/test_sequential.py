"""Models of sequences, against plain loops over the ratings of each user in the order of time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from computing import compute
from scipy.sparse import csr_matrix

from recsys.domain import FittedModel, Interactions, Neighbours, RatingWeights, UserRows
from recsys.jobs.training import fit_model
from recsys.models.ensembles.next_movies import NextConfig
from recsys.models.registry import MODELS, FitOptions, make_config
from recsys.models.sequential import slist
from tests.models import helpers
from tests.models.helpers import assert_lists

USERS, ITEMS = 25, 14


def interactions(seed: int = 1) -> Interactions:
    """Return ratings at times of their own: none of item 5, one of user 3, none of user 4."""
    random = np.random.default_rng(seed)
    dense = helpers.ratings(USERS, ITEMS, seed, 0.5)
    dense[:, 5] = 0
    dense[3], dense[4] = 0, 0
    dense[3, 2] = 4
    ratings = csr_matrix(dense)
    times = random.permutation(ratings.nnz).astype(float)
    return Interactions(ratings, csr_matrix((ITEMS, 0)), (), times)


def sequences(data: Interactions) -> list[list[int]]:
    """Return the items of each user, the oldest first."""
    ratings, times = data.user_items, data.rated_at
    assert times is not None
    return [
        ratings.indices[a:b][np.argsort(times[a:b])].tolist()
        for a, b in zip(ratings.indptr, ratings.indptr[1:], strict=False)
    ]


def weights_of(data: Interactions, recency: float, window: int, penalty: float) -> np.ndarray:
    before, after = [], []
    for items in sequences(data):
        for t in range(1, len(items)):
            row, target = np.zeros(ITEMS), np.zeros(ITEMS)
            for age in range(1, min(t, window) + 1):
                row[items[t - age]] = recency ** (age - 1)
            target[items[t]] = 1
            before.append(row)
            after.append(target)
    s, t = np.array(before), np.array(after)
    return np.linalg.solve(s.T @ s + penalty * np.eye(ITEMS), s.T @ t)


def scores_of(data: Interactions, weights: np.ndarray, recency: float, window: int) -> np.ndarray:
    scores = np.zeros((USERS, ITEMS))
    for user, items in enumerate(sequences(data)):
        for age, item in enumerate(reversed(items[-window:]), 1):
            scores[user] += np.float32(recency ** (age - 1)) * weights[item]
    scores[(scores <= 0) | (data.user_items.toarray() != 0)] = -np.inf
    return scores


def fit(name: str, data: Interactions, **params: Any):
    spec = MODELS[name]
    return compute(spec, make_config(spec, params), data, FitOptions(threads=2), 8)


@pytest.mark.parametrize(("recency", "window"), [(0.5, 3), (0.9, 30), (1.0, 2)])
@pytest.mark.parametrize("name", ["slist", "slist_newest"])
def test_weights_and_lists(name: str, recency: float, window: int, monkeypatch) -> None:
    monkeypatch.setattr(slist, "_ENTRIES_AT_ONCE", 400)  # many users at a time, cut anywhere
    data = interactions()
    found = fit(name, data, recency=recency, window=window, regularization=2.0, grades="none")
    weights = weights_of(data, recency, window, 2.0)
    np.fill_diagonal(weights, 0)
    np.testing.assert_allclose(helpers.dense(found.neighbours, ITEMS), weights, atol=2e-6)
    assert_lists(
        found.recommendations, scores_of(data, weights, recency, window), 8, 1e-4, near_ties=True
    )


def test_graded_examples_leave_out_what_was_disliked() -> None:
    data = interactions(2)
    values = data.user_items.copy()
    values.data = np.where(np.arange(values.nnz) % 3, values.data, 0.5)
    data = replace(data, user_items=values, rating_range=(0.5, 5.0))
    plain, graded = (
        helpers.dense(fit("slist", data, grades=grades, regularization=2.0).neighbours, ITEMS)
        for grades in ("watched", "relative")
    )
    assert np.abs(plain - graded).max() > 0.01
    # A user who gave only the lowest grade has no list.
    model = fitted("slist", data)
    for rating, length in ((0.5, 0), (5.0, 5)):
        rows = csr_matrix((np.full(3, rating), ([0, 0, 0], [1, 2, 3])), (1, ITEMS))
        assert len(model.rank(UserRows.all(rows, np.arange(3.0)), 5)) == length


def fitted(name: str, data: Interactions, **params: Any) -> FittedModel:
    spec = MODELS[name]
    config = make_config(spec, params)
    parts = {part: fitted(part, data) for part in spec.parts(config)}
    return fit_model(spec, config, data, FitOptions(threads=1), parts)


def test_ties_of_time_are_broken_by_the_seed_to_learn_from() -> None:
    data = interactions()
    tied = replace(data, rated_at=np.floor(np.asarray(data.rated_at) / 40))
    spec, config = MODELS["slist"], make_config(MODELS["slist"], {"regularization": 2.0})
    one, same, other = (
        compute(spec, config, tied, FitOptions(seed=seed)).neighbours for seed in (1, 1, 2)
    )
    assert np.array_equal(one.scores, same.scores)
    assert not np.array_equal(one.scores, other.scores)


def test_only_the_most_rated_take_part() -> None:
    data = interactions()
    found = fit("slist", data, max_items=6, regularization=2.0).neighbours
    votes = np.bincount(data.user_items.indices, minlength=ITEMS)
    kept = set(np.argsort(-votes, kind="stable")[:6].tolist())
    assert set(np.flatnonzero(np.diff(found.indptr)).tolist()) == kept
    assert set(found.indices.tolist()) == kept


def test_next_is_the_sum_of_its_models() -> None:
    data = interactions()
    parts = {name: fitted(name, data) for name in ("slist", "slist_newest", "ease")}
    config = NextConfig(weights=(1.0, 0.5, 0.25), recency=0.8, window=4)
    model = fit_model(MODELS["next"], config, data, FitOptions(threads=1), parts)
    scores = np.zeros((USERS, ITEMS))
    for name, factor in zip(config.models, config.weights, strict=True):
        lists = parts[name].fitted
        assert isinstance(lists, Neighbours)
        own = lists.weights
        if name == "ease":
            assert (own.recency, own.window) == (1, 0)
            own = replace(own, recency=0.8, window=4)
        weights = helpers.dense(lists, ITEMS)
        for user, counts in enumerate(plain_counts(own, data)):
            scores[user] += factor * (counts @ weights)
    scores[(scores <= 0) | (data.user_items.toarray() != 0)] = -np.inf
    found = model.rank(UserRows.all(data.user_items, data.rated_at), 8)
    assert_lists(found, scores, 8, 1e-5, near_ties=True)


def plain_counts(weights: RatingWeights, data: Interactions) -> np.ndarray:
    """Return the grade times the age of each rating, in plain loops."""
    dense = data.user_items.toarray()
    counts = np.zeros(dense.shape)
    for user, items in enumerate(sequences(data)):
        row = dense[user]
        mean = (row.sum() + 5 * weights.mean) / (len(items) + 5)
        for age, item in enumerate(reversed(items[-weights.window :])):
            rating, grade = row[item], 1.0
            if weights.grades == "relative":
                low, high = weights.low, weights.high
                grade = (
                    (rating - low) / (mean - low)
                    if rating < mean
                    else 1 + weights.effect * (rating - mean) / (high - mean)
                )
            counts[user, item] = grade * weights.recency**age
    return counts
