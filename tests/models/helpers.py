"""Made-up ratings, fits and comparisons that the tests of several models share."""

from __future__ import annotations

from typing import Any

import numpy as np
from computing import compute
from scipy.sparse import csr_matrix

from recsys.domain import (
    Charts,
    ComputeLimits,
    FittedModel,
    Interactions,
    RankedLists,
    TopN,
    UserRows,
)
from recsys.jobs.training import ModelResults
from recsys.models.registry import MODELS, FitOptions, make_config

OPTIONS = ("k", "seed", "memory_mb", "threads", "block_rows")


def ratings(users: int, items: int, seed: int, density: float = 0.3) -> np.ndarray:
    """Return a dense matrix of random ratings from 0.5 to 5, 0 where there is none."""
    random = np.random.default_rng(seed)
    return (random.random((users, items)) < density) * random.uniform(0.5, 5, (users, items))


def interactions(
    matrix: np.ndarray | csr_matrix, scale: tuple[float, float] | None = None
) -> Interactions:
    """Return ratings of movies without genres."""
    sparse = csr_matrix(matrix)
    return Interactions(sparse, csr_matrix((sparse.shape[1], 0)), (), rating_range=scale)


def fit(name: str, data: Interactions, n: int = 100, **settings: Any) -> ModelResults:
    """Fit a model; `settings` are options of the fit and parameters of the model."""
    options = FitOptions(**{key: settings.pop(key) for key in OPTIONS if key in settings})
    return compute(MODELS[name], make_config(MODELS[name], settings), data, options, n)


def model_of(name: str, lists: TopN) -> FittedModel:
    """Return a model whose lists are given, one for each of all users."""

    def ranker(fitted: Charts, users: UserRows, n: int, limits: ComputeLimits) -> TopN:
        starts, stops = lists.indptr[users.positions], lists.indptr[users.positions + 1]
        own = [np.arange(a, min(a + n, b)) for a, b in zip(starts, stops, strict=True)]
        entries = np.concatenate([np.zeros(0, np.int64), *own])
        indptr = np.concatenate(([0], np.cumsum([len(each) for each in own], dtype=np.int64)))
        return TopN(indptr, lists.indices[entries], lists.scores[entries])

    return FittedModel(name, Charts(), ranker)


def row(lists: RankedLists, number: int) -> slice:
    """Return where the list of a row is in the arrays."""
    return slice(int(lists.indptr[number]), int(lists.indptr[number + 1]))


def assert_lists(
    lists: RankedLists | None,
    scores: np.ndarray,
    length: int,
    rtol: float,
    atol: float | None = None,
    *,
    decimals: int | None = None,
    near_ties: bool = False,
) -> None:
    """Compare lists with the best of each row of dense scores, where -inf is left out.

    Ties go by index; with `decimals`, scores tie that are equal once rounded. With `near_ties`
    entries may be swapped whose scores differ by less than the tolerance, but are not equal.
    """
    assert lists is not None
    assert lists.rows == len(scores)
    atol = rtol if atol is None else atol
    for number, expected in enumerate(scores):
        keys = expected if decimals is None else np.round(expected, decimals)
        best = np.argsort(-keys, kind="stable")[:length]
        best = best[keys[best] > -np.inf]
        own = row(lists, number)
        found = lists.indices[own]
        if near_ties:
            assert len(set(found.tolist())) == len(found) == len(best)
            np.testing.assert_allclose(expected[found], expected[best], rtol=rtol, atol=atol)
            swapped = found != best
            assert (keys[found[swapped]] != keys[best[swapped]]).all()
        else:
            assert found.tolist() == best.tolist()
        np.testing.assert_allclose(lists.scores[own], expected[found], rtol=rtol, atol=atol)


def dense(lists: RankedLists | None, columns: int) -> np.ndarray:
    """Return the scores of lists as a dense matrix, 0 where nothing is listed."""
    assert lists is not None
    shape = (lists.rows, columns)
    matrix: np.ndarray = csr_matrix((lists.scores, lists.indices, lists.indptr), shape).toarray()
    return matrix
