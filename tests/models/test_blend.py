"""The blend against standard scores computed user by user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from computing import compute

from recsys.domain import Factors, FittedModel, Neighbours, TopN
from recsys.errors import ConfigError
from recsys.models.base import FitOptions, make_config, rank
from recsys.models.ensembles.blend import SPEC
from recsys.numerics.scoring import standardize
from recsys.numerics.topk import empty, ranked
from tests.models import helpers
from tests.models.helpers import interactions

USERS, ITEMS = 30, 20


def ratings(seed: int = 0) -> np.ndarray:
    """Ratings with two users and two movies that have none."""
    random = np.random.default_rng(seed)
    dense = (random.random((USERS, ITEMS)) < 0.3) * random.uniform(1, 5, (USERS, ITEMS))
    dense[[4, 21]] = 0
    dense[:, [0, 13]] = 0
    return dense


def by_neighbours(seed: int) -> tuple[Neighbours, np.ndarray]:
    """Return stored weights, some negative, and their dense matrix."""
    random = np.random.default_rng(seed)
    rows, columns = np.nonzero(random.random((ITEMS, ITEMS)) < 0.4)
    weights = random.normal(size=len(rows))
    dense = np.zeros((ITEMS, ITEMS))
    dense[rows, columns] = weights
    lists = ranked(rows, columns, weights, ITEMS)
    return Neighbours(lists.indptr, lists.indices, lists.scores), dense


def by_factors(seed: int, dense: np.ndarray, biased: bool) -> tuple[Factors, np.ndarray]:
    """Return factors and all scores."""
    random = np.random.default_rng(seed)
    own = random.normal(size=(USERS, 3)).astype(np.float32)
    other = random.normal(size=(ITEMS, 3)).astype(np.float32)
    scores = own.astype(float) @ other.astype(float).T
    biases = None, None
    if biased:
        user = np.where(dense.any(1), random.normal(size=USERS), np.nan)
        item = np.where(dense.any(0), random.normal(size=ITEMS), np.nan)
        scores = scores + user[:, None] + item
        biases = user, item
    return Factors(own, other, *biases), scores


def blended(dense: np.ndarray, parts: list[np.ndarray], weights: list[float]) -> np.ndarray:
    """Mean of standard scores over rated movies that the user has not rated; -inf elsewhere."""
    scores = np.full(dense.shape, -np.inf)
    for user in range(len(dense)):
        free = (dense[user] == 0) & dense.any(0)
        if dense[user].any() and free.any():
            scores[user, free] = 0
            for part, weight in zip(parts, weights, strict=True):
                own = part[user, free]
                if own.std() > 1e-9:
                    standard = (own - own.mean()) / own.std()
                    scores[user, free] += weight / sum(weights) * standard
    return scores


def fit(
    dense: np.ndarray, learned: Mapping[str, Neighbours | Factors], n: int = 6, **params: Any
) -> TopN:
    parts = {name: FittedModel(name, fitted, rank) for name, fitted in learned.items()}
    data = replace(interactions(dense), parts=parts)
    output = compute(SPEC, make_config(SPEC, params), data, FitOptions(), n)
    assert output.neighbours is None
    assert output.factors is None
    assert output.recommendations is not None
    return output.recommendations


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("weights", [[1.0, 1.0], [3.0, 1.0], [0.0, 2.0]])
def test_mean_of_standard_scores(weights: list[float], biased: bool) -> None:
    dense = ratings()
    linear, weight_matrix = by_neighbours(1)
    product, products = by_factors(2, dense, biased)
    sums = (dense != 0) @ weight_matrix
    for n in (1, 6, 100):
        lists = fit(dense, {"ease": linear, "als": product}, n, weights=weights)
        helpers.assert_lists(lists, blended(dense, [sums, products], weights), n, 1e-9)
        assert (np.diff(lists.indptr)[[4, 21]] == 0).all()
        assert not np.isin([0, 13], lists.indices).any()


def test_any_number_of_models_in_any_order() -> None:
    dense = ratings(3)
    learned = [by_factors(4, dense, True), by_neighbours(5), by_factors(6, dense, False)]
    models, weights = ["mf", "item_knn", "bpr"], [1.0, 2.0, 0.5]
    parts = {name: fitted for name, (fitted, _) in zip(models, learned, strict=True)}
    lists = fit(dense, parts, models=models, weights=weights)
    scores = [learned[0][1], (dense != 0) @ learned[1][1], learned[2][1]]
    helpers.assert_lists(lists, blended(dense, scores, weights), 6, 1e-9)
    alone = fit(dense, parts, models=["item_knn"], weights=[7.0])
    helpers.assert_lists(alone, blended(dense, scores[1:2], [1.0]), 6, 1e-9)


def test_a_model_with_equal_scores_contributes_nothing() -> None:
    dense = ratings()
    product, products = by_factors(2, dense, False)
    # The same for every movie, but for what 32 bits make of a tenth.
    level = Factors(np.full((USERS, 3), 0.1, np.float32), np.full((ITEMS, 3), 0.1, np.float32))
    level.items[::2] += np.float32(1e-8)
    for dull in (level, empty(Neighbours, ITEMS)):
        lists = fit(dense, {"ease": dull, "als": product})
        helpers.assert_lists(
            lists, blended(dense, [np.zeros(dense.shape), products], [1, 1]), 6, 1e-9
        )


def test_standardize() -> None:
    scores = np.array([[1.0, 3, 100, 5], [2, 2, 2, 9], [1, 2, 3, 4], [7, 0, 0, 0]])
    candidates = np.array([[1, 1, 0, 1], [1, 1, 1, 0], [0, 0, 0, 0], [1, 0, 0, 0]], bool)
    high = np.sqrt(1.5)
    expected = [[-high, 0, 0, high], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    np.testing.assert_allclose(standardize(scores, candidates), expected, atol=1e-12)
    assert scores[0, 2] == 100


def test_its_parts_are_the_models_it_names() -> None:
    assert SPEC.parts(make_config(SPEC, {})) == ("ease", "als")
    config = make_config(SPEC, {"models": ["svd", "bayes_fm"], "weights": [1, 2]})
    assert SPEC.parts(config) == ("svd", "bayes_fm")


@pytest.mark.parametrize(
    ("params", "key", "hint"),
    [
        ({"models": []}, "models", "models must name one or more models, each once"),
        ({"models": ["ease", "ease"]}, "models", "models must name one or more models, each once"),
        ({"models": ["ease", "als", "bpr"], "weights": [1, 1]}, "weights", "one number for each"),
        ({"weights": [1.0]}, "weights", "one number for each model"),
        ({"weights": [0.0, 0.0]}, "weights", "at least one of them above 0"),
        ({"weights": [2.0, -1.0]}, "weights", "a list of numbers of at least 0"),
        ({"weights": [1.0, float("nan")]}, "weights", "a list of numbers of at least 0"),
        ({"weights": [1.0, float("inf")]}, "weights", "a list of numbers of at least 0"),
    ],
)
def test_parameters_are_checked(params: dict[str, Any], key: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_config(SPEC, params)
    assert caught.value.key == (key,)
    assert caught.value.hint is not None
    assert hint in caught.value.hint
