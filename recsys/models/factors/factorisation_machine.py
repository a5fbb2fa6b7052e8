"""A factorisation machine of users and items, sampled by the `myfm` library.

With features `x` a machine predicts `w0 + w.x + sum_{f<g} V_f.V_g x_f x_g`. A feature tells of the
user or of the item, never of both, so that each draw is a sum of biases and a dot product.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags_array, eye_array, hstack

from recsys.domain import Float64, Int64, Interactions
from recsys.errors import RecsysError
from recsys.models.factors.posterior import Sample
from recsys.numerics.sparse import binarize

_FIRST_SPREAD = 0.1
"""Standard deviation of the factors that the chain starts from; the library's default."""


class Side(NamedTuple):
    """Features of users, or of items."""

    features: csr_matrix
    """Rows x features, float64."""
    squares: csr_matrix
    """The features squared."""
    kinds: Int64
    """The kind of each feature, from 0: weights of one kind share a prior."""


def user_side(data: Interactions) -> Side:
    """Describe users, all with ratings, by id, what and how much they rated, and attributes."""
    blocks = _by_ratings(data.user_items)
    if data.user_attributes is not None:
        blocks.append(data.user_attributes)
    return _side(blocks)


def item_side(data: Interactions) -> Side:
    """Describe items, all with ratings, by id, who and how many rated, genres, year, decade."""
    blocks = [*_by_ratings(data.user_items.T.tocsr()), data.item_genres]
    if data.item_years is not None:
        blocks += [one_of_each(data.item_years), one_of_each(data.item_years // 10)]
    return _side(blocks)


def _by_ratings(ratings: csr_matrix) -> list[Any]:
    """Tell rows apart, give each the set of its n entries, `1 / sqrt(n)` each, and log n.

    The logarithms are standardised, and left out if they are all equal.
    """
    counts = np.diff(ratings.indptr)
    sets = diags_array(1 / np.sqrt(counts)) @ binarize(ratings)
    logs = np.log(counts)
    varied = np.ptp(counts) > 0
    standard = [csr_matrix((logs - logs.mean())[:, None] / logs.std())] if varied else []
    return [eye_array(len(counts)), sets, *standard]


def one_of_each(values: NDArray[np.integer]) -> csr_matrix:
    """Give each distinct value a column of ones; 0 is unknown and has none."""
    known = np.flatnonzero(values)
    distinct, columns = np.unique(values[known], return_inverse=True)
    shape = (len(values), len(distinct))
    return csr_matrix((np.ones(len(known)), (known, columns)), shape=shape)


def _side(blocks: list[Any]) -> Side:
    blocks = [block for block in blocks if block.shape[1]]
    features = csr_matrix(hstack(blocks, format="csr", dtype=np.float64))
    kinds = np.repeat(np.arange(len(blocks)), [block.shape[1] for block in blocks])
    return Side(features, features.power(2), kinds)


def draw(
    ratings: csr_matrix,
    users: Side,
    items: Side,
    rank: int,
    iterations: int,
    seed: int,
    take: Callable[[int, Sample], None],
    kept: int = 1,
) -> Any:
    """Run one chain, on one thread, and give each draw and its number, from 0, to `take`.

    The priors of the library are for ratings about 0 and of a spread of 1. Returns its predictor,
    which holds the last `kept` draws.
    """
    library = _library()
    builder = library.ConfigBuilder()
    builder.set_task_type(library.TaskType.REGRESSION)
    builder.set_n_iter(iterations)
    builder.set_n_kept_samples(kept)
    # Weights of one kind of feature share a prior.
    builder.set_group_index([*users.kinds, *(users.kinds.max() + 1 + items.kinds)])

    def after_each(iteration: int, machine: Any, *_: Any) -> bool:
        take(iteration, sample_of(machine, users, items))
        return False

    raters = np.repeat(np.arange(ratings.shape[0]), np.diff(ratings.indptr))
    blocks = [
        library.RelationBlock(raters, users.features),
        library.RelationBlock(ratings.indices.astype(np.int64), items.features),
    ]
    # All features are in relation blocks: each user and item is stored once, not once per rating.
    nothing = csr_matrix((ratings.nnz, 0))
    settings = seed % 2**31, builder.build()  # a seed is a signed number there
    predictor, _ = library.create_train_fm(
        rank, _FIRST_SPREAD, nothing, blocks, ratings.data, *settings, after_each
    )
    return predictor


def _library() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it asks for its version in a way that is deprecated
            # Its regressor would draw a progress bar.
            return import_module("myfm.gibbs")
    except ModuleNotFoundError as exc:
        raise RecsysError(
            f"bayes_fm: the package myfm cannot be loaded: {exc}",
            hint="pip install 'recsys[bayes]', or leave the model out",
        ) from exc


def sample_of(machine: Any, users: Side, items: Side) -> Sample:
    """Split what a machine predicts into the user's part, the item's and that of both."""
    own = users.features.shape[1]
    user_bias, user_factors = _half(users, machine.w[:own], machine.V[:own])
    item_bias, item_factors = _half(items, machine.w[own:], machine.V[own:])
    return Sample(machine.w0 + user_bias, item_bias, user_factors, item_factors)


def _half(side: Side, linear: Float64, vectors: Float64) -> tuple[Float64, Float64]:
    """Return of each row `w.x` with the products of pairs of its own features, and `V'x`."""
    factors: Float64 = side.features @ vectors
    pairs = (factors**2).sum(axis=1) - side.squares @ (vectors**2).sum(axis=1)
    return side.features @ linear + pairs / 2, factors
