"""The collective models against dense computations of their objectives."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from grades import counted
from scipy.sparse import csr_matrix

from recsys.domain import FittedModel, Interactions
from recsys.errors import ConfigError
from recsys.jobs.training import ModelResults, fit_model
from recsys.models.factors import collective_als
from recsys.models.linear import collective_ease
from recsys.models.registry import MODELS, FitOptions, make_config
from recsys.numerics import weighting
from tests.models import helpers
from tests.models.helpers import assert_lists

USERS, ITEMS, GENRES = 30, 18, 3


def interactions(seed: int, seconds: float = 600.0) -> Interactions:
    """Return ratings within some minutes, some at unknown times, two users and movies without."""
    random = np.random.default_rng(seed)
    dense = (random.random((USERS, ITEMS)) < 0.4) * random.integers(1, 11, (USERS, ITEMS)) / 2
    dense[[4, 21]] = 0
    dense[:, [0, 13]] = 0
    ratings = csr_matrix(dense)
    times = 1e9 + random.uniform(0, seconds, ratings.nnz)
    times[random.random(ratings.nnz) < 0.1] = np.nan
    genres = csr_matrix((random.random((ITEMS, GENRES)) < 0.5).astype(float))
    return Interactions(ratings, genres, ("a", "b", "c"), times)


def fit(name: str, data: Interactions, n: int = 7, **params: Any) -> ModelResults:
    return helpers.fit(name, data, n, threads=1, **params)


def weights_of(data: Interactions, effect: float) -> np.ndarray:
    """Return what each rating counts, 0 where there is none."""
    return counted(data.user_items.toarray(), effect=effect)


def genres_of(data: Interactions) -> np.ndarray:
    """Return genres x movies, of movies with ratings alone."""
    return data.item_genres.toarray().T * (data.user_items.toarray() != 0).any(axis=0)


# --- what both learn from -------------------------------------------------------------------------


def test_genres_are_those_of_movies_with_ratings() -> None:
    data = interactions(1)
    found = weighting.genre_rows(data, 2.5).toarray()
    assert found.tolist() == (2.5 * genres_of(data)).tolist()
    assert not found[:, [0, 13]].any()
    assert data.item_genres.toarray()[[0, 13]].any()
    assert weighting.genre_rows(data, 0.0).shape == (0, ITEMS)


# --- collective_als -------------------------------------------------------------------------------


def residual(c: np.ndarray, own: np.ndarray, other: np.ndarray, regularization: float) -> float:
    """Return the largest gradient by `own` of `sum c (p - x . y)^2 + regularization |x|^2`."""
    seen = c > 0
    errors = np.where(seen, c, 1) * (seen - own @ other.T)
    return float(np.abs(errors @ other - regularization * own).max())


@pytest.mark.slow
@pytest.mark.parametrize(("effect", "genre_weight"), [(0.4, 1.5), (0.0, 1.0), (0.4, 0.0)])
def test_collective_als_is_where_the_loss_is_least(effect: float, genre_weight: float) -> None:
    data = interactions(2)
    params = {"factors": 3, "regularization": 2.0, "alpha": 3.0, "iterations": 400}
    params |= {"grade_effect": effect, "genre_weight": genre_weight}
    output = fit("collective_als", data, **params)
    assert output.factors is not None
    users, items = (f.astype(float) for f in (output.factors.users, output.factors.items))
    assert (users.shape, items.shape) == ((USERS, 3), (ITEMS, 3))
    rated = 3.0 * weights_of(data, effect)
    assert residual(rated, users, items, 2.0) < 1e-3
    of_genre = 3.0 * genre_weight * genres_of(data)
    if genre_weight:
        genres = [solved(row, items, 2.0) for row in of_genre]
        rated, users = np.vstack([rated, of_genre]), np.vstack([users, genres])
    assert residual(rated.T, items, users, 2.0) < 1e-3
    assert np.abs(items).max() > 0.1


def solved(c: np.ndarray, items: np.ndarray, regularization: float) -> np.ndarray:
    """Return the factors of one row of confidences, those of the items being given."""
    matrix = (items.T * np.where(c > 0, c, 1)) @ items + regularization * np.eye(items.shape[1])
    return np.linalg.solve(matrix, items.T @ c)


def test_collective_als_recommends_by_its_factors() -> None:
    data = interactions(3)
    output = fit("collective_als", data, factors=4, regularization=1.0)
    assert output.factors is not None
    scores = output.factors.users.astype(float) @ output.factors.items.T.astype(float)
    scores[data.user_items.toarray() != 0] = -np.inf
    scores[[4, 21]] = -np.inf
    scores[:, [0, 13]] = -np.inf
    assert_lists(output.recommendations, scores, 7, 1e-5)
    assert not output.factors.users[[4, 21]].any()
    assert not output.factors.items[[0, 13]].any()


def test_movies_of_one_genre_come_nearer() -> None:
    """Two halves of the users have no movie in common; only genres connect them."""
    dense = np.kron(np.eye(2), np.full((6, 4), 3.0))
    genres = csr_matrix(np.eye(4)[[0, 1, 2, 3] * 2])
    data = Interactions(csr_matrix(dense), genres, ("a", "b", "c", "d"))
    nearer = []
    for weight in (0.0, 5.0):
        params = {"factors": 8, "regularization": 0.1, "genre_weight": weight}
        factors = fit("collective_als", data, **params).factors
        assert factors is not None
        unit = factors.items / np.linalg.norm(factors.items, axis=1, keepdims=True)
        across = unit[:4] @ unit[4:].T
        nearer.append(np.diag(across).mean() - across[~np.eye(4, dtype=bool)].mean())
    assert nearer[0] == pytest.approx(0, abs=1e-3)
    assert nearer[1] > 0.2


# --- collective_ease ------------------------------------------------------------------------------


def gram(data: Interactions, effect: float, genres: float, share: float, window: float) -> Any:
    """Sum over users and pairs of their ratings, one by one."""
    ratings, weights = data.user_items, weights_of(data, effect)
    times = np.zeros(ratings.nnz) if data.rated_at is None else data.rated_at
    first = np.nanmin(times)
    total = genres * genres_of(data).T @ genres_of(data)
    for user in range(USERS):
        entries = range(ratings.indptr[user], ratings.indptr[user + 1])
        for a in entries:
            for b in entries:
                i, j = ratings.indices[a], ratings.indices[b]
                ta, tb = times[a] - first, times[b] - first
                unknown = np.isnan(ta) and np.isnan(tb)
                together = [unknown or ta // window == tb // window]
                together += [unknown or (ta + window / 2) // window == (tb + window / 2) // window]
                evidence = 1 - share + share * np.mean(together)
                total[i, j] += weights[user, i] * weights[user, j] * evidence
    return total


@pytest.mark.parametrize(
    ("effect", "genres", "share", "window"),
    [(0.3, 2.0, 0.6, 100.0), (0.0, 0.0, 0.0, 100.0), (0.3, 0.5, 1.0, 50.0), (0.0, 3.0, 0.5, 1e6)],
)
def test_collective_ease(effect: float, genres: float, share: float, window: float) -> None:
    data = interactions(5)
    known = np.setdiff1d(np.arange(ITEMS), [0, 13])
    expected = gram(data, effect, genres, share, window)[np.ix_(known, known)]
    inverse = np.linalg.inv(expected + 3.0 * np.eye(len(known)))
    weights = np.zeros((ITEMS, ITEMS))
    weights[np.ix_(known, known)] = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    params = {"grade_effect": effect, "genre_weight": genres, "session_share": share}
    params |= {"session_seconds": window, "regularization": 3.0, "min_raters": 0.0}
    output = fit("collective_ease", data, **params)
    np.testing.assert_allclose(helpers.dense(output.neighbours, ITEMS), weights, atol=1e-5)
    seen = data.user_items.toarray() != 0
    scores = weights_of(data, effect) @ weights
    scores[(scores <= 0) | seen] = -np.inf
    assert_lists(output.recommendations, scores, 7, 1e-4)


def test_without_anything_else_it_is_ease() -> None:
    data = interactions(6)
    none = {"genre_weight": 0.0, "session_share": 0.0}
    params = {"regularization": 3.0, "min_raters": 0.0}
    one = fit("ease", data, **params).neighbours
    other = fit("collective_ease", data, **none, **params).neighbours
    assert one is not None
    assert other is not None
    assert one.indices.tolist() == other.indices.tolist()
    np.testing.assert_allclose(one.scores, other.scores, atol=1e-6)


@pytest.mark.parametrize("unknown", [None, np.nan])
def test_without_times_sessions_have_no_part(unknown: float | None) -> None:
    data = interactions(7)
    nothing = None if unknown is None else np.full(data.user_items.nnz, unknown)
    params = {"regularization": 3.0, "min_raters": 0.0}
    output = fit("collective_ease", replace(data, rated_at=nothing), **params).neighbours
    expected = fit("collective_ease", data, session_share=0.0, **params).neighbours
    one, other = (helpers.dense(lists, ITEMS) for lists in (output, expected))
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_needs_times_for_sessions_only() -> None:
    spec = MODELS["collective_ease"]
    assert spec.needs(make_config(spec, {})) == {"times"}
    assert spec.needs(make_config(spec, {"session_share": 0.0})) == frozenset()


@pytest.mark.parametrize(
    ("name", "field", "wrong"),
    [
        ("collective_als", "factors", 0),
        ("collective_als", "regularization", -1.0),
        ("collective_als", "alpha", 0.0),
        ("collective_als", "grade_effect", 10.1),
        ("collective_als", "genre_weight", -0.1),
        ("collective_als", "iterations", 0),
        ("collective_ease", "regularization", 0.0),
        ("collective_ease", "weights", 0),
        ("collective_ease", "min_raters", -1.0),
        ("collective_ease", "max_items", 0),
        ("collective_ease", "grade_effect", -0.1),
        ("collective_ease", "genre_weight", float("inf")),
        ("collective_ease", "session_share", 1.1),
        ("collective_ease", "session_seconds", 0.5),
    ],
)
def test_parameters_are_checked(name: str, field: str, wrong: float) -> None:
    with pytest.raises(ConfigError) as caught:
        make_config(MODELS[name], {field: wrong})
    assert caught.value.key == (field,)


# --- collective_blend -----------------------------------------------------------------------------


def fitted(name: str, data: Interactions, params: dict[str, Any]) -> FittedModel:
    spec = MODELS[name]
    return fit_model(spec, make_config(spec, params), data, FitOptions(threads=1))


def test_collective_blend_is_a_blend_of_the_two() -> None:
    data = interactions(8)
    params = {
        "collective_ease": {"regularization": 3.0, "min_raters": 0.0},
        "collective_als": {"factors": 4, "regularization": 1.0},
    }
    parts = {name: fitted(name, data, own) for name, own in params.items()}
    spec = MODELS["collective_blend"]
    assert spec.parts(make_config(spec, {})) == tuple(parts)
    one = fit("collective_blend", replace(data, parts=parts))
    other = fit("blend", replace(data, parts=parts), models=list(parts), weights=[0.5, 1.0])
    assert one.recommendations is not None
    assert other.recommendations is not None
    assert len(one.recommendations) > 100
    assert one.recommendations.indices.tolist() == other.recommendations.indices.tolist()
    np.testing.assert_allclose(one.recommendations.scores, other.recommendations.scores)


def test_evidence_and_confidences_are_in_the_types_of_the_solvers() -> None:
    data = interactions(9)
    rows = collective_ease.evidence(data, collective_ease.CollectiveEaseConfig())
    known = collective_als.confidences(data, collective_als.CollectiveAlsConfig())
    assert (rows.dtype, known.dtype) == (np.float32, np.float32)
    assert known.shape == (USERS + GENRES, ITEMS)
