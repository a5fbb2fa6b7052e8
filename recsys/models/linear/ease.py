"""EASE^R: a linear item-item model in closed form.

    X: users x items, 1 where rated;   G = X'X + lambda I;   P = inv(G)
    B_ij = -P_ij / P_jj,  B_jj = 0          minimizes |X - XB|^2 + lambda |B|^2 with a zero diagonal
    keep of each row of B the `weights` largest by magnitude
    score(u, j) = sum of B_ij over the rated i that keep j

H. Steck: Embarrassingly Shallow Autoencoders for Sparse Data, WWW 2019, arXiv:1905.03375.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from recsys.domain import Int64, Interactions, Neighbours, RankedLists
from recsys.errors import RecsysError
from recsys.models.base import FitOptions, ModelSpec, Range
from recsys.models.cost import ADDITION, FLOP, SCORE, SINGLE, Cost, Size, list_row, lists_by_sums
from recsys.models.params import Bounds, Params
from recsys.numerics.blocks import map_blocks
from recsys.numerics.sparse import binarize, column_counts
from recsys.numerics.symmetric import SymmetricMatrix
from recsys.numerics.topk import concatenate, empty, ranked, scatter, top_k

_TRIANGLE_STEPS = 10
"""Steps in which the Gram matrix narrows: 55 % of a square is computed for the half needed."""
_BYTES_A_COLUMN = 48
"""Sparse product or weights, their magnitudes, the copy that is partitioned, masks, positions."""


@dataclass(frozen=True, slots=True)
class EaseConfig(Params):
    regularization: Annotated[float, Bounds(0, above=True)] = 600.0
    """Value added to the diagonal of the Gram matrix: lambda of the paper."""
    weights: Annotated[int, Bounds(1, 10_000)] = 400
    """Number of weights kept for each movie, the largest by magnitude."""
    min_raters: Annotated[float, Bounds(0)] = 0.6
    """Weights of a magnitude below `min_raters / regularization` are dropped. One common rater of
    a movie with hardly any other rater amounts to 1. The default drops half of the weights
    without loss of accuracy; 0 keeps all."""
    # Beyond 46,340 a 32-bit LAPACK cannot count the entries of a square.
    max_items: Annotated[int, Bounds(1, 46_340)] = 20_000
    """Number of movies that take part, the most rated. One dense matrix needs `2 * max_items^2`
    bytes."""


def fit(data: Interactions, config: EaseConfig, options: FitOptions) -> Neighbours:
    """Keep each item's strongest weights as its list; negative ones stand at its end."""
    return fit_rows(binarize(data.user_items, np.float32), data.user_items, config, options)


def fit_rows(
    rows: csr_matrix, user_items: csr_matrix, config: EaseConfig, options: FitOptions
) -> Neighbours:
    """Learn the weights from any rows over the items, float32.

    `user_items` tells which items have the most ratings: only those take part.
    """
    items = user_items.shape[1]
    kept = most_rated_items(user_items, config.max_items)
    if not len(kept):
        return empty(Neighbours, items)
    inverse = inverse_gram(rows[:, kept], config.regularization, options)
    least = config.min_raters / config.regularization
    lists = strongest_weights(inverse, config.weights, least, options)
    return concatenate(Neighbours, [scatter(lists, kept, kept, items)])


def most_rated_items(user_items: csr_matrix, count: int) -> Int64:
    """Return the ascending positions of the `count` items with the most ratings, at least one."""
    # Stable, so that ties at the limit go by position.
    votes = column_counts(user_items)
    ordered = np.argsort(-votes, kind="stable")[:count]
    return np.sort(ordered[votes[ordered] > 0])


def inverse_gram(raters: csr_matrix, regularization: float, options: FitOptions) -> SymmetricMatrix:
    """Return `P = inv(X'X + lambda I)`, items x items, of the rows X, float32 as they are.

    With many fewer rows than items Woodbury's identity is faster.
    """
    with threadpool_limits(options.threads or None, "blas"):
        # Half: Woodbury works on users x users, but multiplies back to items x items.
        if raters.shape[0] < raters.shape[1] // 2:
            return _inverse_by_users(raters, regularization, options)
        return _inverse_by_items(raters, regularization, options)


def _inverse_by_items(
    raters: csr_matrix, regularization: float, options: FitOptions
) -> SymmetricMatrix:
    """Let one matrix hold the Gram matrix, its Cholesky factor and the inverse in turn."""
    # One throughout: a second one of items x items would double the peak.
    factor = _cholesky(_gram(raters, options), regularization)
    _check(factor.invert(), factor.size, regularization)
    return factor


def _inverse_by_users(
    raters: csr_matrix, regularization: float, options: FitOptions
) -> SymmetricMatrix:
    """Compute `(I - X' inv(XX' + lambda I) X) / lambda`, with one dense users x items array."""
    factor = _cholesky(_gram(raters.T.tocsr(), options), regularization)
    # inv(L) X alone is needed: its Gram matrix is X' inv(XX' + lambda I) X.
    half = raters.toarray(order="F")
    factor.solve(half)
    inverse = SymmetricMatrix.zeros(raters.shape[1])
    inverse.add_to_diagonal(1 / regularization)
    inverse.add_gram(half, -1 / regularization)
    return inverse


def _cholesky(gram: SymmetricMatrix, regularization: float) -> SymmetricMatrix:
    # lambda > 0 makes the matrix positive definite for any ratings.
    gram.add_to_diagonal(regularization)
    _check(gram.cholesky(), gram.size, regularization)
    return gram


def _check(failed: int, size: int, regularization: float) -> None:
    if failed:
        raise RecsysError(
            f"ease: the Gram matrix of size {size} plus {regularization:g} on its diagonal "
            f"cannot be inverted in single precision (LAPACK info {failed})",
            hint="Raise the model's parameter regularization.",
        )


def _gram(raters: csr_matrix, options: FitOptions) -> SymmetricMatrix:
    """Return `X'X` of the rows X, items x items."""
    items = raters.shape[1]
    gram = SymmetricMatrix(items)
    item_users = raters.T.tocsr()
    step = max(1, -(-items // _TRIANGLE_STEPS))
    for first in range(0, items, step):
        # Pairs with earlier items are in their columns.
        _fill_columns(gram, first, item_users[first : first + step], raters[:, first:], options)
    return gram


def _fill_columns(
    gram: SymmetricMatrix, first: int, own: csr_matrix, raters: csr_matrix, options: FitOptions
) -> None:
    """Write the pairs of some items (`own`: items x users) with those from the first of them on."""

    def work(start: int, stop: int) -> None:
        products = (own[start:stop] @ raters).toarray()
        gram.set_columns(first + start, products[:, start:])

    map_blocks(own.shape[0], _BYTES_A_COLUMN * raters.shape[1], options, work)


def strongest_weights(
    inverse: SymmetricMatrix, count: int, least: float, options: FitOptions
) -> RankedLists:
    """List for each item j the targets i with the largest `|B_ji|`, ordered by `B_ji`.

    `B_ji = -P_ji / P_ii` and `B_jj = 0`; j's list is what rating j adds to the scores of others.
    `inverse` is P. Weights of 0 or of a magnitude below `least` are left out.
    """
    items = inverse.size
    diagonal = inverse.diagonal

    def work(start: int, stop: int) -> RankedLists:
        weights = -inverse.rows(start, stop) / diagonal
        own = np.arange(start, stop)
        weights[own - start, own] = 0
        # The largest by magnitude are chosen: a negative weight tells as much as a positive one.
        strength = np.abs(weights)
        strength[(strength == 0) | (strength < least)] = -np.inf
        rows, cols = top_k(strength, count)
        return ranked(rows, cols, weights[rows, cols], stop - start)

    return concatenate(RankedLists, map_blocks(items, _BYTES_A_COLUMN * items, options, work))


def cost(size: Size, config: EaseConfig) -> Cost:
    """Return the cost of the Gram matrix, its inverse, its largest weights, and lists by sums."""
    items = min(len(size.of_movies), config.max_items)
    weights = min(config.weights, items)
    steps = items**3
    if size.users < items // 2:
        steps = size.users**3 + size.users * items**2
    seconds = 0.6 * ADDITION * size.pairs() + FLOP * steps + 3 * SCORE * items**2
    memory = 2.0 * items**2 + 24.0 * size.ratings + 24.0 * items * weights
    fitting = Cost(seconds, memory, items * list_row(weights, 4 + SINGLE))
    return fitting + lists_by_sums(size, weights)


SPEC = ModelSpec(
    name="ease",
    display_name="EASE",
    family="linear",
    kind="personal",
    config=EaseConfig,
    fit=fit,
    cost=cost,
    score_meaning="sum of the weights of the movies rated; 1 would be certainty",
    description="Linear item-item model in closed form (EASE)",
    scoring="sum",
    search_space={"regularization": Range(50, 5000, log=True)},
    default_set=True,
    roles={"default": 10, "live": 20, "similar": 10},
)
