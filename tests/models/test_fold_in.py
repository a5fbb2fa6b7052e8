"""Users folded into trained factors: exact by hand, and the same as trained for known users."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
from grades import counted
from scipy.sparse import csr_matrix
from scipy.special import expit

from recsys.domain import Factors, Interactions, TopN, TrainedItems, UserNeighbours, UserRows
from recsys.models.base import rank
from recsys.models.knn.similarity import Similarity
from recsys.models.registry import MODELS, FitOptions, make_config
from recsys.numerics.sparse import column_counts
from tests.models.helpers import interactions, row

OPTIONS = FitOptions(threads=1)
ITEMS = np.array([[1, 0], [0.5, 1], [0, 2], [-1, 0.5]], np.float32)
BIAS = np.array([0.25, -0.5, 0, 0.75])
# User 0 rated items 0 and 2, user 1 all but item 1, user 2 none.
RATINGS = csr_matrix(np.array([[4.0, 0, 2.5, 0], [1, 0, 5, 3], [0, 0, 0, 0]]))
SCALE = (0.5, 5.0)
TRAINED = TrainedItems(ITEMS, BIAS, 3.0, 1.5, SCALE, np.array([4, 3, 2, 1]), 0.8)
WITHOUT_BIAS = TrainedItems(ITEMS, np.zeros(4), 3.0, 1.5, SCALE, np.array([4, 3, 2, 1]))


def fold_in(name: str, trained: TrainedItems = TRAINED, ratings=RATINGS, **settings) -> Factors:
    spec = MODELS[name]
    assert spec.fold_in is not None
    return spec.fold_in(trained, UserRows.all(ratings), make_config(spec, settings), OPTIONS)


def by_row(ratings: csr_matrix):
    """Yield the items and the ratings of each user."""
    for start, stop in pairwise(ratings.indptr):
        own = slice(start, stop)
        yield ratings.indices[own], ratings.data[own]


def weighted(confidences: list[np.ndarray], regularization: float) -> np.ndarray:
    """Solve the normal equations of Hu, Koren and Volinsky with dense matrices of confidences."""
    users = []
    for confidence in confidences:
        of_all = np.diag(np.where(confidence > 0, confidence, 1))
        matrix = ITEMS.T @ of_all @ ITEMS + regularization * np.eye(2)
        users.append(np.linalg.solve(matrix, ITEMS.T @ of_all @ (confidence > 0)))
    return np.array(users)


def test_als_solves_the_normal_equations() -> None:
    found = fold_in("als", WITHOUT_BIAS, factors=2, regularization=0.5, alpha=3)
    counts = counted(RATINGS.toarray(), scale=SCALE, mean_of_all=3.0)
    assert found.users == pytest.approx(weighted(list(3.0 * counts), 0.5), rel=1e-6)
    assert found.users[2].tolist() == [0, 0]
    assert (found.user_bias, found.item_bias) == (None, None)


def test_collective_als_weighs_ratings_on_the_scale_of_the_training() -> None:
    found = fold_in(
        "collective_als", WITHOUT_BIAS, factors=2, regularization=0.5, alpha=3, grade_effect=0.5
    )
    counts = counted(RATINGS.toarray(), effect=0.5, scale=SCALE, mean_of_all=3.0)
    assert found.users == pytest.approx(weighted(list(3.0 * counts), 0.5), rel=1e-6)


def test_svd_projects_deviations_from_the_own_mean() -> None:
    found = fold_in("svd", damping=0)
    dense = RATINGS.toarray()
    means = np.array([3.25, 3, 0])
    deviations = np.where(dense > 0, dense - means[:, None], 0)
    assert found.users == pytest.approx(deviations @ ITEMS / (ITEMS**2).sum(axis=0), rel=1e-6)
    assert found.user_bias == pytest.approx([3.25, 3, np.nan], nan_ok=True)


def ridge(penalties: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Regress ratings less mean and item bias on factors and a constant; return both parts."""
    design = np.column_stack([ITEMS, np.ones(4)])
    found = []
    for (items, values), penalty in zip(by_row(RATINGS), penalties, strict=True):
        own, target = design[items], values - 3.0 - BIAS[items]
        # Rows of the penalty below the data: ordinary least squares of the whole is the ridge.
        rows = np.vstack([own, np.diag(np.sqrt(penalty))])
        found.append(np.linalg.lstsq(rows, np.concatenate([target, np.zeros(3)]))[0])
    users = np.array(found)
    bias = np.where(np.diff(RATINGS.indptr) > 0, 3.0 + users[:, -1], np.nan)
    return users[:, :-1], bias


def test_mf_is_a_ridge_regression_with_the_penalties_of_the_fit() -> None:
    found = fold_in("mf", factors=2, regularization=1.2, bias_regularization=3)
    users, bias = ridge([np.array([1.2 * np.sqrt(n), 1.2 * np.sqrt(n), 3]) for n in (2, 3, 1)])
    assert found.users == pytest.approx(users, rel=1e-4)
    assert found.user_bias == pytest.approx(bias, rel=1e-4, nan_ok=True)


def test_bayes_fm_is_a_ridge_regression_with_the_priors_of_the_fit() -> None:
    found = fold_in("bayes_fm", stored_factors=2)
    users, bias = ridge([np.array([0.64, 0.64, 0.64 / 2.25])] * 3)
    assert found.users == pytest.approx(users, rel=1e-6)
    assert found.user_bias == pytest.approx(bias, nan_ok=True)


def test_bpr_is_where_the_gradient_is_zero() -> None:
    random = np.random.default_rng(3)
    items = random.normal(size=(30, 5)).astype(np.float32)
    counts = random.integers(1, 90, 30)
    ratings = csr_matrix((random.random((4, 30)) < 0.2) * 4.0)
    trained = TrainedItems(items, np.zeros(30), 3.0, 1.0, SCALE, counts)
    found = fold_in("bpr", trained, ratings, factors=4, regularization=0.05, grades="none")
    drawn = np.random.default_rng(OPTIONS.seed).choice(30, 1024, p=counts / counts.sum())
    bias = items[:, -1] - np.log(counts)
    for user, (liked, _) in zip(found.users, by_row(ratings), strict=True):
        x, slope = user[:-1].astype(np.float64), np.zeros(4)
        others = [j for j in drawn if j not in liked]
        for i in liked:
            for j in others:
                ahead = items[i, :-1].astype(np.float64) - items[j, :-1]
                slope += expit(-(x @ ahead + bias[i] - bias[j])) * ahead
        assert slope / (len(liked) * len(others)) == pytest.approx(0.05 * x, abs=1e-4)
        assert user[-1] == 1


# --- users that the model knows -------------------------------------------------------------------


def taste(users: int, items: int, rank: int) -> Interactions:
    """Return ratings of users whose tastes are mixtures of a few."""
    random = np.random.default_rng(11)
    liking = random.normal(size=(users, rank)) @ random.normal(size=(rank, items))
    seen = random.random((users, items)) < 0.15 + 0.35 * (liking > 0)
    return interactions(seen * np.clip(np.round(2 * (3 + liking)) / 2, 0.5, 5))


def trained_by(factors: Factors, data: Interactions) -> TrainedItems:
    values, items = data.user_items.data, len(factors.items)
    bias = np.zeros(items) if factors.item_bias is None else factors.item_bias
    counts = column_counts(data.user_items)
    scale = values.min(), values.max()
    return TrainedItems(factors.items, bias, values.mean(), values.std(), scale, counts, 0.5)


def in_common(one: TopN, other: TopN) -> float:
    """Return the mean share of the entries of a list that the other list has too."""
    shares = []
    for number in range(one.rows):
        own = set(one.indices[row(one, number)].tolist())
        shares.append(len(own & set(other.indices[row(other, number)].tolist())) / len(own))
    return float(np.mean(shares))


SETTINGS = {
    "als": {"factors": 6, "regularization": 2, "iterations": 60},
    "collective_als": {"factors": 6, "regularization": 2, "iterations": 60, "genre_weight": 0},
    "svd": {"rank": 6},
    "mf": {"factors": 3, "iterations": 60, "holdout": 0},
    "bayes_fm": {"rank": 3, "chains": 1, "iterations": 60, "burn_in": 20, "stored_factors": 3},
    "bpr": {"factors": 4, "iterations": 60},
}
# How far the factors may be from those of the last half step, and the share of the lists in common.
CLOSE = {
    "als": (5e-3, 0.99),
    "collective_als": (5e-3, 0.99),
    "svd": (1e-6, 1.0),
    "mf": (1e-4, 1.0),
    # Trained by samples: the mean of some draws, and the last of many small steps.
    "bayes_fm": (None, 0.95),
    "bpr": (None, 0.8),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_known_user_is_folded_in_as_trained(name: str) -> None:
    data, spec = taste(150, 60, 3), MODELS[name]
    config = make_config(spec, SETTINGS[name])
    fitted = spec.fit(data, config, OPTIONS)
    assert isinstance(fitted, Factors)
    found = fold_in(name, trained_by(fitted, data), data.user_items, **SETTINGS[name])
    within, common = CLOSE[name]
    if within is not None:
        scale = np.abs(fitted.users).max()
        assert np.abs(found.users - fitted.users).max() <= within * scale
        if fitted.user_bias is not None:
            assert found.user_bias == pytest.approx(fitted.user_bias, abs=within)
    rows = UserRows.all(data.user_items, data.rated_at)
    lists = [rank(each, rows, 10, OPTIONS) for each in (fitted, found)]
    assert in_common(*lists) >= common


def test_every_model_of_factors_can_fold_in() -> None:
    assert {name for name, spec in MODELS.items() if spec.scoring == "factors"} == {
        name for name, spec in MODELS.items() if spec.fold_in
    }


@pytest.mark.parametrize("similarity", get_args(Similarity))
@pytest.mark.parametrize("baselines", [True, False])
def test_user_knn_of_some_users_is_that_of_all(similarity: str, baselines: bool) -> None:
    data, spec = taste(60, 40, 3), MODELS["user_knn"]
    config = make_config(spec, {"similarity": similarity, "shrinkage": 5, "baselines": baselines})
    assert spec.fit_users is not None
    some = np.array([3, 4, 17, 59])
    every = spec.fit(data, config, OPTIONS)
    assert isinstance(every, UserNeighbours)
    trained = TrainedItems(np.zeros((40, 0), np.float32), np.zeros(40), 0.0, 0.0, SCALE)
    if every.baselines is not None:
        base = every.baselines
        trained = replace(trained, mean=base.mean, item_bias=base.items)
    found = spec.fit_users(data, some, trained, config, OPTIONS)
    assert isinstance(found, UserNeighbours)
    assert np.array_equal(found.means, every.means)
    rows = UserRows(some, data.user_items[some])
    lists: list[TopN] = [spec.rank(each, rows, 10, OPTIONS) for each in (every, found)]
    assert lists[0].indices.tolist() == lists[1].indices.tolist()
    assert lists[0].scores.tolist() == pytest.approx(lists[1].scores.tolist(), rel=1e-12)
    assert np.flatnonzero(np.diff(found.indptr)).tolist() == some.tolist()
    for user in some:
        own, mine = row(every, user), row(found, user)
        assert found.indices[mine].tolist() == every.indices[own].tolist()
        assert found.common[mine].tolist() == every.common[own].tolist()
