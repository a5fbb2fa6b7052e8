"""What the content models share: unit vectors of items, their neighbours, users' profiles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix, hstack

from recsys.domain import Float64, Int64, Neighbours, RankedLists, TopN
from recsys.models.base import FitOptions, making_lists
from recsys.numerics.scoring import exclude
from recsys.numerics.topk import joined, over_blocks, ranked_top_k

_DECIMALS = 13
"""Cosines that differ by rounding only are to tie."""
_BYTES_A_COLUMN = 64
"""Sparse product, its dense copy, the copy that is partitioned, masks and positions."""


def row_sums(matrix: csr_matrix) -> Float64:
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    sums = np.bincount(rows, matrix.data, minlength=matrix.shape[0])
    return sums.astype(np.float64, copy=False)


def unit_rows(matrix: csr_matrix) -> csr_matrix:
    """Return the matrix with each row of length 1, or 0 where it is."""
    norms = np.sqrt(row_sums(matrix.power(2)))
    data = matrix.data / np.repeat(np.where(norms > 0, norms, 1), np.diff(matrix.indptr))
    return csr_matrix((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def side_by_side(parts: Sequence[csr_matrix], weights: Sequence[float]) -> csr_matrix:
    """Join unit vectors into longer ones, each part with its share of the squared length.

    The dot product of two of them is the mean of those of the parts, by the weights, where both
    have all parts. Where one lacks a part, its others take that one's share.
    """
    scaled = [part * np.sqrt(weight) for part, weight in zip(parts, weights, strict=True)]
    return unit_rows(csr_matrix(hstack(scaled, format="csr")))


def nearest_items(vectors: csr_matrix, options: FitOptions, of: Int64 | None = None) -> Neighbours:
    """List for each item, or each of `of`, the k of the largest cosine, where it is above 0."""
    asked = np.arange(vectors.shape[0]) if of is None else of
    columns = vectors.T.tocsr()

    def work(start: int, stop: int) -> RankedLists:
        own = asked[start:stop]
        scores = cosines(vectors[own], columns)
        scores[np.arange(stop - start), own] = -np.inf
        return ranked_top_k(scores, options.k)

    row_bytes = _BYTES_A_COLUMN * vectors.shape[0]
    return joined(Neighbours, over_blocks(len(asked), row_bytes, options, work))


@making_lists
def recommend_by_profile(
    user_items: csr_matrix,
    parts: Sequence[csr_matrix],
    weights: Sequence[float],
    options: FitOptions,
) -> TopN:
    """Score `(u, i)` by the cosine of the item's vector and the user's profile.

    The profile is, part by part, the mean of the unit vectors of the items rated, weighted by the
    rating; a rating not above 0 weighs nothing. Each part is made a unit vector by itself: else
    the one whose vectors are less alike would fade as the ratings become more. Items need no
    ratings. Rated items and scores not above 0 are left out.
    """
    liking = csr_matrix(
        (np.maximum(user_items.data, 0), user_items.indices, user_items.indptr), user_items.shape
    )
    items = side_by_side(parts, weights)
    columns = items.T.tocsr()

    def work(start: int, stop: int) -> RankedLists:
        block = liking[start:stop]
        profiles = side_by_side([unit_rows(block @ part) for part in parts], weights)
        scores = cosines(profiles, columns)
        exclude(scores, block)
        return ranked_top_k(scores, options.n)

    row_bytes = _BYTES_A_COLUMN * items.shape[0]
    return joined(TopN, over_blocks(user_items.shape[0], row_bytes, options, work))


def cosines(rows: csr_matrix, columns: csr_matrix) -> Float64:
    """Return the cosines of unit vectors, dense; -inf where they are not above 0."""
    products = rows @ columns
    products.data = np.round(products.data, _DECIMALS)
    scores: Float64 = products.toarray()
    scores[scores <= 0] = -np.inf
    return scores
