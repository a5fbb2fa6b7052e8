"""Matrix factorization with biases, fitted on the observed ratings by alternating least squares.

    r_ui ~ mean + b_u + b_i + p_u . q_i
    minimize  sum over ratings of the squared error
              + regularization (sum_u sqrt(n_u) |p_u|^2 + sum_i sqrt(n_i) |q_i|^2)
              + bias_regularization (sum_u b_u^2 + sum_i b_i^2)
    repeat: solve the least squares problem of every user, then that of every item

Y. Koren, R. Bell, C. Volinsky: Matrix Factorization Techniques for Recommender Systems,
Computer 42(8), 2009; the penalty by the number of ratings is after Y. Zhou, D. Wilkinson,
R. Schreiber, R. Pan: Large-scale Parallel Collaborative Filtering for the Netflix Prize, 2008.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.spatial.distance import cdist
from threadpoolctl import threadpool_limits

from recsys.domain import (
    Factors,
    Float64,
    Int64,
    Interactions,
    Metric,
    Neighbours,
    RankedLists,
    TrainedItems,
    UserRows,
)
from recsys.models.base import FitOptions, ModelSpec, Range
from recsys.models.cost import DOUBLE, Cost, Size, of_factors
from recsys.models.params import Bounds, Params
from recsys.models.shards import OneShard, Rows, Shards, in_memory
from recsys.numerics.blocks import map_blocks
from recsys.numerics.prediction import predict_ratings, rating_range
from recsys.numerics.sparse import axis_signs, has_ratings, select_entries
from recsys.numerics.topk import concatenate, ranked, ranked_top_k, scatter

_BYTES_A_COLUMN = 16
"""Distances and masks."""
_BLOCK_ENTRIES = 1 << 17
"""Ratings of a block at most, padding included: its vectors are some 10 MB."""
_ENTRY_BYTES = 128
"""Position, vector and residual of a rating of a block."""
_MEASURED_AT_ONCE = 1 << 20
"""Ratings that are predicted at a time."""
_PADDING = 1.15
"""Longest row of a block, in units of its shortest."""


@dataclass(frozen=True, slots=True)
class MfConfig(Params):
    factors: Annotated[int, Bounds(1, 256)] = 15
    """Number of latent factors."""
    regularization: Annotated[float, Bounds(1e-6)] = 1.2
    """Penalty of factors: a factor vector of `n` ratings costs `regularization * sqrt(n)` times
    its squared length. The best value hardly depends on the number of ratings."""
    bias_regularization: Annotated[float, Bounds(1e-6)] = 3.0
    """Penalty of a bias; it acts like this many ratings with a bias of 0."""
    iterations: Annotated[int, Bounds(1)] = 15
    """Number of times users and movies are solved in turn."""
    holdout: Annotated[float, Bounds(0, 0.9)] = 0.1
    """Share of the ratings that a separate fit holds out to measure its error. 0: no such fit."""


def learn(shards: Shards, config: MfConfig, options: FitOptions) -> Factors:
    """Fit factors and biases; users and items without ratings have factors of 0, a bias of NaN."""
    fitted = factorize(shards, config, options)
    assert fitted.user_bias is not None
    assert fitted.item_bias is not None
    users = shards.rows(lambda shard: np.diff(shard.user_items.indptr) > 0)
    assert shards.catalogue.item_counts is not None
    items = shards.catalogue.item_counts > 0
    return replace(
        fitted,
        user_bias=np.where(users, fitted.user_bias, np.nan),
        item_bias=np.where(items, fitted.item_bias, np.nan),
    )


fit = in_memory(learn)


def fold_in(
    trained: TrainedItems, rows: UserRows, config: MfConfig, options: FitOptions
) -> Factors:
    """Solve the least squares problem of each user, the factors and biases of items being given.

    An item without a trained bias counts with a bias of 0 and no factors.
    """
    ratings = rows.ratings
    others = np.column_stack([trained.items, np.nan_to_num(trained.item_bias)])
    with threadpool_limits(1, "blas"):  # blocks of rows run side by side already
        own = _solved(ratings, trained.mean, others, config, options)
    known, _ = has_ratings(ratings)
    bias = np.where(known, trained.mean + own[:, -1], np.nan)
    users = np.where(known[:, None], own[:, :-1], 0).astype(np.float32)
    return Factors(users, trained.items, bias, trained.item_bias)


# --- the fit --------------------------------------------------------------------------------------


def factorize(shards: Shards, config: MfConfig, options: FitOptions) -> Factors:
    """Minimise the squared error on the ratings plus

    `regularization (sum_u sqrt(n_u) |p_u|^2 + sum_i sqrt(n_i) |q_i|^2)`
    `+ bias_regularization (sum_u b_u^2 + sum_i b_i^2)`,

    n being numbers of ratings. Biases of users include the mean of all ratings; without ratings
    a bias is 0, or that mean, and factors are 0.
    """
    catalogue = shards.catalogue
    assert catalogue.item_counts is not None
    items = len(catalogue.item_counts)
    width = config.factors + 1
    own, other = np.zeros((shards.users, width)), np.zeros((items, width))
    if not shards.ratings:
        return _as_factors(own, other, 0.0)
    mean = catalogue.rating_mean or 0.0
    by_item = shards.transposed()
    random = np.random.default_rng(options.seed)
    other[:, :-1] = random.normal(scale=0.1, size=(items, config.factors))
    for _ in range(config.iterations):
        own = _solved_rows(shards, mean, other, config, options)
        other = _solved_rows(by_item, mean, own, config, options)
    # Alternating least squares ends in arbitrary axes; distances by coordinates need fixed ones.
    with threadpool_limits(1, "blas"):
        axes = _principal_axes(other[:, :-1], catalogue.item_counts)
        own[:, :-1] = own[:, :-1] @ axes
        other[:, :-1] = other[:, :-1] @ axes
    return _as_factors(own, other, mean)


def _solved_rows(
    rows: Rows, mean: float, others: Float64, config: MfConfig, options: FitOptions
) -> Float64:
    def solve(shard: Interactions, others: Float64) -> Float64:
        with threadpool_limits(1, "blas"):  # blocks of rows run side by side already
            return _solved(shard.user_items, mean, others, config, options)

    solved: Float64 = rows.rows(solve, others)
    return solved


def _solved(
    ratings: csr_matrix, mean: float, others: Float64, config: MfConfig, options: FitOptions
) -> Float64:
    """Solve the least squares problem of each row, the other side's factors being given.

    Rows are vectors of factors with the bias as last column. A row's matrix is the sum of the
    outer products of those it rated.
    """
    width = others.shape[1]
    counts = np.diff(ratings.indptr)
    # Single precision, in half the time: the penalty keeps the matrices far from singular. The
    # last column is for residuals, the last row stands for no rating.
    vectors = np.zeros((len(others) + 1, width + 1), np.float32)
    vectors[:-1, : width - 1], vectors[:-1, width - 1] = others[:, :-1], 1
    biases = np.append(others[:, -1], 0)
    diagonal = np.arange(width)
    result = np.zeros((len(counts), width))

    def work(block: _Block) -> None:
        rows, places = block.rows, np.arange(block.length)
        known = places < counts[rows, None]
        entries = np.where(known, ratings.indptr[rows, None] + places, 0)
        columns = np.where(known, ratings.indices[entries], len(others))
        near = vectors[columns]
        # The bias of the other side is known here, so the target is the residual.
        near[:, :, -1] = np.where(known, ratings.data[entries] - mean - biases[columns], 0)
        products = np.matmul(near.transpose(0, 2, 1), near).astype(np.float64)
        matrices, sums = products[:, :width, :width], products[:, :width, width:]
        penalty = config.regularization * np.sqrt(counts[rows])
        matrices[:, diagonal[:-1], diagonal[:-1]] += penalty[:, None]
        matrices[:, -1, -1] += config.bias_regularization
        result[rows] = np.linalg.solve(matrices, sums)[:, :, 0]

    with ThreadPoolExecutor(options.workers) as pool:
        list(pool.map(work, _row_blocks(counts, options)))
    return result


@dataclass(frozen=True, slots=True)
class _Block:
    rows: Int64
    length: int
    """Ratings that each row is padded to."""


def _row_blocks(counts: NDArray[np.integer], options: FitOptions) -> list[_Block]:
    """Cut the rows with ratings into blocks of similar numbers of ratings.

    A batch of small dense products is several times faster than sparse ones, which read a whole
    outer product for each rating. What a row is padded to does not depend on the memory.
    """
    rising = np.argsort(counts, kind="stable")
    rising = rising[counts[rising] > 0]
    room = min(_BLOCK_ENTRIES, options.memory_mb * 2**20 // (options.workers * _ENTRY_BYTES))
    blocks, start, lengths = [], 0, counts[rising]
    while start < len(rising):
        stop = int(np.searchsorted(lengths, lengths[start] * _PADDING, side="right"))
        longest = int(lengths[stop - 1])
        size = max(1, room // longest)
        blocks += [
            _Block(rising[first : min(first + size, stop)], longest)
            for first in range(start, stop, size)
        ]
        start = stop
    return blocks


def _principal_axes(items: Float64, counts: NDArray[np.integer]) -> Float64:
    """Return the rotation to the axes that do not depend on where the fit began.

    Predictions and penalty stay as they are when both sides are rotated; distances by
    coordinates do not.
    """
    scatter = (items * np.sqrt(counts)[:, None]).T @ items
    axes: Float64 = np.linalg.eigh(scatter)[1][:, ::-1]
    return axes * axis_signs(items @ axes)


def _as_factors(own: Float64, other: Float64, mean: float) -> Factors:
    users, items = own[:, :-1].astype(np.float32), other[:, :-1].astype(np.float32)
    return Factors(users, items, mean + own[:, -1], other[:, -1].copy())


# --- how well it fits -----------------------------------------------------------------------------


def measure(
    fitted: Factors, data: Interactions, config: MfConfig, options: FitOptions
) -> tuple[Metric, ...]:
    """Measure the RMSE on the training ratings and on a random part held out of a second fit."""
    return measure_shards(fitted, OneShard(data), config, options)


def measure_shards(
    fitted: Factors, shards: Shards, config: MfConfig, options: FitOptions
) -> tuple[Metric, ...]:
    """Measure what `measure` does over shards."""
    scale = rating_range(shards.catalogue)
    return _error("train", shards, fitted, scale) + _holdout_error(shards, config, options)


def _holdout_error(shards: Shards, config: MfConfig, options: FitOptions) -> tuple[Metric, ...]:
    """Fit the rest of a random split and measure on the held-out part.

    A user or movie not in the rest counts with a bias of 0 and no factors.
    """
    size = int(config.holdout * shards.ratings)
    if size == 0:
        return ()
    held = np.zeros(shards.ratings, bool)
    held[_drawn(shards.ratings, size, options.seed)] = True
    # A bit for each rating: this goes to wherever the shards are.
    bits, scale = np.packbits(held), rating_range(shards.catalogue)
    rest = shards.mapped(lambda shard: _part(shard, bits, False), facts=True)
    fitted = factorize(rest, config, options)
    # Predictions are clipped to the scale of all ratings.
    tested = shards.mapped(lambda shard: _part(shard, bits, True), facts=True)
    return _error(f"holdout {config.holdout:g}", tested, fitted, scale)


def _part(shard: Interactions, bits: NDArray[np.uint8], held: bool) -> Interactions:
    """Return the ratings of a shard that are held out, or the rest."""
    first, count = shard.first_rating, shard.user_items.nnz
    own = np.unpackbits(bits[first // 8 : (first + count + 7) // 8])[first % 8 :][:count]
    kept = own.astype(bool) == held
    return replace(shard, user_items=select_entries(shard.user_items, kept), rated_at=None)


def _drawn(count: int, size: int, seed: int) -> NDArray[np.integer]:
    """Draw `size` of the numbers below `count` uniformly, each once, in random order."""
    # Half the memory of the usual 64 bits, and the same numbers.
    width = np.int32 if count < 2**31 else np.int64
    numbers: NDArray[np.integer] = np.arange(count, dtype=width)
    np.random.default_rng(seed).shuffle(numbers)
    return numbers[:size]


def _error(
    protocol: str, shards: Shards, fitted: Factors, scale: tuple[float, float]
) -> tuple[Metric, ...]:
    """Measure the error of the predictions of all ratings, on the scale of the ratings."""
    count = shards.ratings
    if not count:
        return ()
    squares = shards.reduce(lambda shard: _squares(replace(shard, rating_range=scale), fitted))
    return (Metric(protocol, "rmse", float(np.sqrt(squares / count)), count),)


def _squares(shard: Interactions, fitted: Factors) -> float:
    """Return the sum of the squared errors of the predictions of a shard."""
    ratings, squares = shard.user_items, 0.0
    for start in range(0, ratings.nnz, _MEASURED_AT_ONCE):
        entries = np.arange(start, min(start + _MEASURED_AT_ONCE, ratings.nnz))
        users = np.searchsorted(ratings.indptr, entries, side="right") - 1 + shard.first_user
        predicted = predict_ratings(shard, fitted, users, ratings.indices[entries])
        squares += float(np.sum((predicted - ratings.data[entries]) ** 2))
    return squares


def similar(factors: Factors, options: FitOptions) -> Neighbours:
    """List for each known item those whose factors differ least.

    `difference_score` is the sum of absolute differences, and the score `1 / (1 + difference)`.
    """
    positions = np.flatnonzero(factors.known_items)
    vectors = factors.items[positions].astype(np.float64)

    def work(start: int, stop: int) -> RankedLists:
        distances = cdist(vectors[start:stop], vectors, "cityblock")
        np.negative(distances, out=distances)
        own = np.arange(start, stop)
        distances[own - start, own] = -np.inf
        return ranked_top_k(distances, options.k)

    row_bytes = _BYTES_A_COLUMN * len(positions)
    lists = concatenate(RankedLists, map_blocks(len(positions), row_bytes, options, work))
    rows = np.repeat(np.arange(lists.rows), np.diff(lists.indptr))
    # Ranked again: two distances may give one score, and then ties go by item.
    scored = ranked(rows, lists.indices, 1 / (1 - lists.scores), lists.rows)
    return concatenate(Neighbours, [scatter(scored, positions, positions, len(factors.items))])


def cost(size: Size, config: MfConfig) -> Cost:
    """Return the cost of two fits, the second to measure the error, and of its distances."""
    fits = 1 + (1 - config.holdout) * (config.holdout > 0)
    steps = config.iterations * (config.factors + 2) ** 2 * size.ratings
    fitting = Cost(fits * 3.0e-10 * steps, 40.0 * size.ratings)
    return fitting + of_factors(size, config.factors, DOUBLE, 3.0)


SPEC = ModelSpec(
    name="mf",
    display_name="Matrix factorization",
    family="factors",
    kind="personal",
    config=MfConfig,
    fit=fit,
    learn=learn,
    cost=cost,
    fold_in=fold_in,
    similar=similar,
    measure=measure,
    measure_shards=measure_shards,
    score_meaning="predicted rating, not clipped to the scale; similarities 1 / (1 + difference)",
    description="Regularised matrix factorisation with biases, fitted on the observed ratings",
    prediction="factors",
    search_space={
        "factors": Range(5, 64, log=True, whole=True),
        "regularization": Range(0.3, 4, log=True),
        "bias_regularization": Range(0.5, 20, log=True),
        "iterations": Range(5, 30, whole=True),
    },
    scoring="factors",
    default_set=True,
    needs_ratings=True,
    roles={"rating": 20},
)
