"""Lists for users and neighbours of items from fitted models.

Every function takes a block of users of any size and works on smaller blocks side by side. Rated
items never enter a list; ties go by item.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack, identity, vstack
from threadpoolctl import threadpool_limits

from recsys.domain import (
    Charts,
    ComputeLimits,
    Factors,
    Float32,
    Float64,
    Int64,
    ItemVectors,
    Neighbours,
    RankedLists,
    TopN,
    UserNeighbours,
    UserRows,
)
from recsys.numerics.baselines import deviations, item_biases
from recsys.numerics.blocks import map_blocks
from recsys.numerics.products import ranked_products
from recsys.numerics.sparse import (
    binarize,
    exclude_rated,
    row_of_entries,
    unit_rows,
    weight_matrix,
    with_values,
)
from recsys.numerics.topk import concatenate, empty, ranked_top_k
from recsys.numerics.weighting import weighted

_DECIMALS = 13
"""Decimals that cosines of content are rounded to: those that differ by rounding only must tie."""

# Bytes that one column of a row takes at the peak of a block.
_AVERAGE_COLUMN = 64  # two products, dense, the copy that is partitioned, masks, positions
_FACTORS_COLUMN = 16  # scores, masks
_USERS_COLUMN = 112  # three sparse products, their dense copies, the copy that is partitioned
_PROFILE_COLUMN = 64  # sparse product, its dense copy, the copy that is partitioned, masks
_CHART_PLACE = 8  # whether a place is free for the user, and a running count


# --- lists for users ------------------------------------------------------------------------------


def rank_by_sum(neighbours: Neighbours, users: UserRows, n: int, limits: ComputeLimits) -> TopN:
    """Score `(u, i)` by the sum of `w_uj s_ji` over the rated j whose list holds i.

    w_uj is what the rating counts by `neighbours.weights`. Scores of 0 or below are left out.
    """
    return rank_by_sums([(neighbours, 1.0)], users, n, limits)


def rank_by_sums(
    terms: Sequence[tuple[Neighbours, float]], users: UserRows, n: int, limits: ComputeLimits
) -> TopN:
    """Score by the sum of several such sums, each with a factor that its weights are times.

    The sums run over the stored, truncated lists, so that SQL can repeat them.
    """
    rows = [weights_of_users(lists, users, factor) for lists, factor in terms]
    columns = [weight_matrix(lists) for lists, _ in terms]
    # What is rated must not be listed: minus infinity is among the addends of its sum.
    rows.append(binarize(users.ratings))
    columns.append(csr_matrix(-np.inf * identity(users.ratings.shape[1], format="csr")))
    found = ranked_products(hstack(rows, "csr"), vstack(columns, "csr"), n, limits)
    return concatenate(TopN, [found])


def weights_of_users(neighbours: Neighbours, users: UserRows, factor: float = 1.0) -> csr_matrix:
    """Return what each rating counts in the lists of the users, users x items."""
    return weighted(neighbours.weights, users.ratings, users.rated_at, factor)


def rank_by_mean_product(
    neighbours: RankedLists, users: UserRows, n: int, limits: ComputeLimits
) -> TopN:
    """Score `(u, i)` by the mean of `s_ji * r_uj` over the rated j whose list holds i.

    A score may be negative: the item is listed all the same, below the others.
    """
    weights = weight_matrix(neighbours)
    listed = binarize(weights)

    def work(start: int, stop: int) -> RankedLists:
        block = users.ratings[start:stop]
        counts = (binarize(block) @ listed).toarray()
        scores = (block @ weights).toarray() / np.maximum(counts, 1)
        scores[counts == 0] = -np.inf
        exclude_rated(scores, block)
        return ranked_top_k(scores, n)

    row_bytes = _AVERAGE_COLUMN * neighbours.rows
    return concatenate(TopN, map_blocks(len(users), row_bytes, limits, work))


def rank_by_factors(factors: Factors, users: UserRows, n: int, limits: ComputeLimits) -> TopN:
    """Score `(u, i)` by the dot product of factors, plus the biases if the model has them.

    Users and items the model knows nothing about are left out. A score may be
    negative.
    """
    own = factors.users[users.positions]
    columns = np.ascontiguousarray(factors.items.T)
    unknown = np.flatnonzero(~factors.known_items)
    silent = ~factors.known_users[users.positions] | (np.diff(users.ratings.indptr) == 0)
    # In single precision, as the factors are: twice as fast.
    item_bias = None if factors.item_bias is None else factors.item_bias.astype(np.float32)

    def work(start: int, stop: int) -> RankedLists:
        # BLAS adds up a single row in another order: a list must not depend on its block.
        scores = (own[[start, start]] if stop - start == 1 else own[start:stop]) @ columns
        scores = scores[: stop - start]
        if item_bias is not None:
            scores += item_bias
        scores[:, unknown] = -np.inf
        scores[silent[start:stop]] = -np.inf
        exclude_rated(scores, users.ratings[start:stop])
        return ranked_top_k(scores, n)

    with threadpool_limits(1, "blas"):  # the blocks run side by side already
        row_bytes = _FACTORS_COLUMN * len(factors.items)
        lists = concatenate(TopN, map_blocks(len(users), row_bytes, limits, work))
    if factors.user_bias is None:
        return lists
    # The same for all items of a user: it changes no order.
    bias = np.repeat(factors.user_bias[users.positions], np.diff(lists.indptr))
    return replace(lists, scores=lists.scores + bias)


def rank_by_user_neighbours(
    neighbours: UserNeighbours, users: UserRows, n: int, limits: ComputeLimits
) -> TopN:
    """Score `(u, i)` by the predicted rating, as `recsys.numerics.prediction` does.

    The sums run over the stored neighbours that rated the item; `min_neighbours` of them are
    required. Scores are not clipped to the rating scale, so that few of them tie.
    """
    ratings = neighbours.user_items
    rated, beyond, biases = binarize(ratings), deviations(neighbours), item_biases(neighbours)
    weights = weight_matrix(neighbours)[users.positions]
    # Not abs(weights), which would sort the lists.
    strengths = with_values(weights, np.abs(weights.data))
    listed = binarize(weights)
    means = neighbours.means[users.positions]

    def work(start: int, stop: int) -> RankedLists:
        totals = (strengths[start:stop] @ rated).toarray()
        counts = (listed[start:stop] @ rated).toarray()
        scores = (weights[start:stop] @ beyond).toarray()
        known = (counts >= neighbours.min_neighbours) & (totals > 0)
        totals += neighbours.damping
        np.divide(scores, totals, out=scores, where=known)
        scores += means[start:stop, None]
        scores += biases
        scores[~known] = -np.inf
        exclude_rated(scores, users.ratings[start:stop])
        return ranked_top_k(scores, n)

    row_bytes = _USERS_COLUMN * ratings.shape[1]
    return concatenate(TopN, map_blocks(len(users), row_bytes, limits, work))


def rank_by_profile(
    vectors: ItemVectors,
    users: UserRows,
    n: int,
    limits: ComputeLimits,
    distinct: tuple[Int64, Int64] | None = None,
) -> TopN:
    """Score `(u, i)` by the cosine of the item's vector and the user's profile.

    The profile is, space by space, the mean of the unit vectors of the rated items, by what each
    rating counts. Each space is normalized by itself:
    otherwise the one whose vectors are less alike would fade as ratings become more. Items need no
    ratings. Scores of 0 or below are left out.

    If many items share a vector, `distinct` saves time: the first item of each distinct vector,
    and for each item the position of its vector among them.
    """
    liking = weighted(vectors.rating_weights, users.ratings, users.rated_at)
    items = weighted_vectors(vectors.parts, vectors.weights)
    columns = (items if distinct is None else items[distinct[0]]).T.tocsr()

    def work(start: int, stop: int) -> RankedLists:
        profiles = [unit_rows(liking[start:stop] @ part) for part in vectors.parts]
        scores = cosines(weighted_vectors(profiles, vectors.weights), columns)
        if distinct is not None:
            scores = np.take(scores, distinct[1], axis=1)
        exclude_rated(scores, users.ratings[start:stop])
        return ranked_top_k(scores, n, above=0)

    row_bytes = _PROFILE_COLUMN * items.shape[0]
    return concatenate(TopN, map_blocks(len(users), row_bytes, limits, work))


def rank_by_chart(charts: Charts, users: UserRows, n: int, limits: ComputeLimits) -> TopN:
    """List for each user the first n of the overall chart that the user has not rated."""
    chart = charts.overall
    if chart is None:
        return empty(TopN, len(users))
    longest = int(np.diff(users.ratings.indptr).max(initial=0))
    # No list reaches further: every earlier place is listed or rated.
    reach = min(len(chart.items), n + longest)
    place = np.full(users.ratings.shape[1], reach)
    place[chart.items[:reach]] = np.arange(reach)

    def work(start: int, stop: int) -> RankedLists:
        block = users.ratings[start:stop]
        free = np.ones((stop - start, reach + 1), bool)
        free[row_of_entries(block), place[block.indices]] = False
        free[:, reach] = False
        free &= np.cumsum(free, axis=1, dtype=np.int32) <= n
        places = np.nonzero(free)[1]
        indptr = np.concatenate(([0], np.cumsum(np.count_nonzero(free, axis=1))))
        return RankedLists(indptr, chart.items[places], chart.scores[places])

    return concatenate(TopN, map_blocks(len(users), _CHART_PLACE * (reach + 1), limits, work))


# --- neighbours of items --------------------------------------------------------------------------


def neighbours_by_factors(items: Float32, k: int, limits: ComputeLimits) -> Neighbours:
    """List for each item the k with the most similar factors, by cosine, where it is above 0.

    Items whose factors are all zero neither have nor become neighbours.
    """
    norms = np.linalg.norm(items, axis=1, keepdims=True)
    unit = items / np.where(norms > 0, norms, 1)
    columns = np.ascontiguousarray(unit.T)

    def work(start: int, stop: int) -> RankedLists:
        scores = unit[start:stop] @ columns
        np.minimum(scores, 1, out=scores)  # rounding may exceed 1
        own = np.arange(start, stop)
        scores[own - start, own] = -np.inf
        return ranked_top_k(scores, k, above=0)

    with threadpool_limits(1, "blas"):
        row_bytes = _FACTORS_COLUMN * len(items)
        return concatenate(Neighbours, map_blocks(len(items), row_bytes, limits, work))


def neighbours_by_vectors(
    vectors: csr_matrix, k: int, limits: ComputeLimits, of: Int64 | None = None
) -> Neighbours:
    """List for each item, or each of `of`, the k of the largest cosine, where it is above 0."""
    wanted = np.arange(vectors.shape[0]) if of is None else of
    columns = vectors.T.tocsr()

    def work(start: int, stop: int) -> RankedLists:
        own = wanted[start:stop]
        scores = cosines(vectors[own], columns)
        scores[np.arange(stop - start), own] = -np.inf
        return ranked_top_k(scores, k, above=0)

    row_bytes = _PROFILE_COLUMN * vectors.shape[0]
    return concatenate(Neighbours, map_blocks(len(wanted), row_bytes, limits, work))


def weighted_vectors(parts: Sequence[csr_matrix], weights: Sequence[float]) -> csr_matrix:
    """Join unit vectors of several spaces, each with its share of the squared length.

    The dot product of two of them is the mean of those of the spaces, by the weights, if both
    have all spaces. Where one lacks a space, its other spaces take that share.
    """
    scaled = [part * np.sqrt(weight) for part, weight in zip(parts, weights, strict=True)]
    return unit_rows(csr_matrix(hstack(scaled, format="csr")))


def cosines(rows: csr_matrix, columns: csr_matrix) -> Float64:
    """Return the cosines of unit vectors, dense."""
    products = rows @ columns
    products.data = np.round(products.data, _DECIMALS)
    scores: Float64 = products.toarray()
    return scores


# --- scores, not ranked ---------------------------------------------------------------------------


def dense_scores(fitted: Neighbours | Factors | Charts, users: UserRows) -> Float64:
    """Return the scores of a small block of users for all items, users x items, float64.

    A constant of each user may be missing; unknown items may be NaN. Rated items have scores too.
    An item that is not on a chart scores 0.
    """
    if isinstance(fitted, Charts):
        of_all = np.zeros(users.ratings.shape)
        if fitted.overall is not None:
            of_all[:, fitted.overall.items] = fitted.overall.scores
        return of_all
    if isinstance(fitted, Factors):
        own = fitted.users[users.positions].astype(np.float64)
        scores: Float64 = own @ fitted.items.T.astype(np.float64)
        return scores if fitted.item_bias is None else scores + fitted.item_bias
    product: Float64 = (weights_of_users(fitted, users) @ weight_matrix(fitted)).toarray()
    return product


def standardize(scores: Float64, candidates: NDArray[np.bool_]) -> Float64:
    """Return each row minus its mean, divided by its standard deviation, over the candidates.

    Other places are 0, and so is a row without spread.
    """
    counts = np.maximum(candidates.sum(axis=1, keepdims=True), 1)
    scores = np.where(candidates, scores, 0)
    largest = np.abs(scores).max(axis=1, keepdims=True, initial=0)
    scores = np.where(candidates, scores - scores.sum(axis=1, keepdims=True) / counts, 0)
    deviation = np.sqrt((scores**2).sum(axis=1, keepdims=True) / counts)
    # A smaller spread may come from equal scores and rounding.
    told = deviation > 1e-6 * largest
    result: Float64 = np.divide(scores, deviation, out=np.zeros_like(scores), where=told)
    return result
