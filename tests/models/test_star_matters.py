"""Half a star and five stars for the same movies give lists that differ to the eye."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from recsys.domain import FittedModel, Interactions, UserRows
from recsys.jobs.training import fit_model
from recsys.models.registry import MODELS, FitOptions, make_config

USERS, ITEMS, LENGTH = 120, 60, 10
LOW, HIGH = USERS, USERS + 1
RATED = [3, 17, 31]
PERSONAL = [name for name, spec in MODELS.items() if spec.kind == "personal"]
GRADED = (
    *("item_knn", "content_genres", "content_text", "content", "ease", "als", "bpr"),
    *("collective_ease", "collective_als", "slist", "slist_newest", "blend", "collective_blend"),
    "next",
)
# The defaults are for real data.
PARAMS = {
    "bayes_fm": {"rank": 2, "chains": 1, "iterations": 20, "burn_in": 5, "stored_factors": 6},
    "user_knn": {"min_neighbours": 1},
    "ease": {"regularization": 5.0, "min_raters": 0.0},
    "collective_ease": {"regularization": 5.0, "min_raters": 0.0},
    # The times are random: held-out ratings would stop it before it has learned anything.
    "sasrec": {"validation_users": 0, "epochs": 60, "dropout": 0.0},
}


@pytest.fixture(scope="module")
def data() -> Interactions:
    """Return ratings of people with tastes, and of two who rated three movies, low and high."""
    random = np.random.default_rng(5)
    liking = random.normal(size=(USERS, 3)) @ random.normal(size=(3, ITEMS))
    seen = random.random((USERS, ITEMS)) < 0.15 + 0.3 * (liking > 0)
    dense = np.zeros((USERS + 2, ITEMS))
    dense[:USERS] = seen * np.clip(np.round(2 * (3 + liking)) / 2, 0.5, 5)
    dense[LOW, RATED], dense[HIGH, RATED] = 0.5, 5.0
    ratings = csr_matrix(dense)
    genres = csr_matrix((random.random((ITEMS, 4)) < 0.4).astype(float))
    words = random.choice(["boat", "desert", "ghost", "island"], (ITEMS, 3))
    return Interactions(
        ratings,
        genres,
        ("Comedy", "Crime", "Drama", "War"),
        random.uniform(0, 1e8, ratings.nnz),
        item_years=np.full(ITEMS, 1990, np.int32),
        item_texts=tuple(map(" ".join, words)),
        user_attributes=csr_matrix((USERS + 2, 2)),
        rating_range=(0.5, 5.0),
    )


@pytest.fixture(scope="module")
def models() -> dict[str, FittedModel]:
    return {}


def fitted(name: str, data: Interactions, models: dict[str, FittedModel]) -> FittedModel:
    if name not in models:
        spec = MODELS[name]
        config = make_config(spec, PARAMS.get(name, {}))
        parts = {part: fitted(part, data, models) for part in spec.parts(config)}
        models[name] = fit_model(spec, config, data, FitOptions(threads=1), parts)
    return models[name]


@pytest.mark.parametrize(
    "name",
    [
        # Networks are compiled for seconds.
        pytest.param(name, marks=[pytest.mark.slow] if MODELS[name].family == "neural" else [])
        for name in PERSONAL
    ],
)
def test_half_a_star_is_not_five(
    name: str, data: Interactions, models: dict[str, FittedModel]
) -> None:
    model = fitted(name, data, models)
    lists = model.rank(UserRows.some(data, np.array([LOW, HIGH])), LENGTH)
    low, high = (lists.indices[a:b] for a, b in zip(lists.indptr, lists.indptr[1:], strict=False))
    assert len(high) > 0
    if name in GRADED:
        # The ratings tell no taste, so that the chart serves instead of an arbitrary order.
        assert len(low) == 0
        return
    if name == "pearson_average":
        # Its formula is a mean of products: the order is the same, and the score is a tenth.
        np.testing.assert_allclose(lists.scores[: len(low)] * 10, lists.scores[len(low) :])
        return
    assert low.tolist()[:3] != high.tolist()[:3]
    assert len(set(low.tolist()) & set(high.tolist())) <= 0.8 * LENGTH
