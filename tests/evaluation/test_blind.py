"""The leak probe, put to every model on the path of an evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from leak_probe import Source, check_blind
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.config.settings import RefreshSettings
from recsys.domain import FittedModel, Interactions, UserRows
from recsys.errors import EvaluationError
from recsys.evaluation.splits import Split, divided, random_split
from recsys.jobs.plan import Plan, plan
from recsys.jobs.training import fit_model, fit_options, train_of
from recsys.models.base import ModelSpec
from recsys.models.registry import MODELS
from recsys.numerics.prediction import predict_ratings, rating_range

USERS, ITEMS = 30, 18
SMALL = {
    "ease": {"regularization": 2.0, "min_raters": 0.0},
    "collective_ease": {"regularization": 2.0, "min_raters": 0.0},
    "als": {"factors": 4, "iterations": 3},
    "collective_als": {"factors": 4, "iterations": 3},
    "bpr": {"factors": 4, "iterations": 5},
    "mf": {"factors": 3, "iterations": 3},
    "bayes_fm": {"rank": 2, "chains": 2, "iterations": 12, "burn_in": 4, "stored_factors": 6},
}


@pytest.fixture(scope="module")
def source() -> Source:
    random = np.random.default_rng(5)
    rated = random.random((USERS, ITEMS)) < 0.4
    ratings = csr_matrix(rated * random.integers(1, 6, rated.shape) * 1.0)
    # The end of the scale is known from a test rating only.
    ratings.data[divide(ratings).test_entries[0]] = 9.0
    return Source(ratings, random.uniform(1e9, 1.1e9, ratings.nnz))


@pytest.fixture(scope="module")
def chosen() -> Plan:
    settings = RefreshSettings(
        models=tuple(MODELS), neighbours=5, list_length=10, threads=1, parameters=SMALL
    )
    return plan(settings)


def divide(ratings: csr_matrix) -> Split:
    return random_split(ratings, 0.3, 2)


def known(source: Source) -> Interactions:
    """Return the data a job reads of the source, movies and people, which no rating changes."""
    random = np.random.default_rng(1)
    return Interactions(
        source.ratings,
        csr_matrix((random.random((ITEMS, 3)) < 0.5) * 1.0),
        ("Comedy", "Drama", "War"),
        source.rated_at,
        item_years=random.integers(1950, 2000, ITEMS).astype(np.int32),
        item_texts=tuple(random.choice(["boat", "desert", "ghost", "island"], ITEMS)),
        user_attributes=csr_matrix((random.random((USERS, 3)) < 0.5) * 1.0),
        rating_range=(source.ratings.data.min(), source.ratings.data.max()),
    )


def fitted(spec: ModelSpec, chosen: Plan, train: Interactions) -> FittedModel:
    """Fit a model, and before it the models it is composed of."""
    config = chosen.configs[spec.name]
    parts = {name: fitted(MODELS[name], chosen, train) for name in spec.parts(config)}
    return fit_model(spec, config, train, fit_options(chosen.settings), parts)


def arrays(spec: ModelSpec, chosen: Plan, train: Interactions) -> list[NDArray[Any]]:
    """Return the lists of all users and, if the model predicts, all predictions and their scale."""
    model = fitted(spec, chosen, train)
    lists = model.rank(
        UserRows.all(train.user_items, train.rated_at), 10, fit_options(chosen.settings)
    )
    found = [lists.indptr, lists.indices, lists.scores]
    if spec.prediction is not None:
        users, items = (place.ravel() for place in np.indices((USERS, ITEMS)))
        found.append(predict_ratings(train, model.fitted, users, items))
        found.append(np.array(rating_range(train)))
    return found


@pytest.mark.parametrize(
    "spec",
    [
        # Networks are compiled for seconds.
        pytest.param(spec, id=name, marks=[pytest.mark.slow] if spec.family == "neural" else [])
        for name, spec in MODELS.items()
    ],
)
def test_no_model_sees_the_test_side(spec: ModelSpec, source: Source, chosen: Plan) -> None:
    def fit(told: Source, split: Split) -> list[NDArray[Any]]:
        return arrays(spec, chosen, train_of(known(told), split))

    check_blind(fit, source, divide(source.ratings), seed=3)


@pytest.mark.parametrize("name", ["most_rated", "trending", "ease", "user_knn", "mf"])
def test_the_probe_finds_a_model_that_does(name: str, source: Source, chosen: Plan) -> None:
    def fit(told: Source, split: Split) -> list[NDArray[Any]]:
        everything = divided(told.ratings, np.zeros(told.ratings.nnz, bool))
        return arrays(MODELS[name], chosen, train_of(known(told), everything))

    with pytest.raises(EvaluationError, match="depends on the test ratings"):
        check_blind(fit, source, divide(source.ratings), seed=3)
