"""A checksum of the input of a run, equal for both engines."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.domain import Float64, IdMap, Int32, Interactions

Hashes = NDArray[np.uint64]

_RATINGS_AT_ONCE = 1 << 21


def input_checksum(
    users: IdMap,
    movies: IdMap,
    hashes: Hashes,
    features: Interactions,
    rating_range: tuple[float, float] | None,
) -> str:
    """Return the sha256 over the ids, the features of movies and the hash of each user's ratings.

    It does not depend on where the ratings are: `hashes` are those of `row_hashes`.
    """
    digest = hashlib.sha256()
    for array in (users.ids, movies.ids, hashes, *_arrays(features)):
        digest.update(np.ascontiguousarray(array).data)
    digest.update("\0".join(features.genres).encode())
    for text in features.item_texts or ():
        digest.update(text.encode())
        digest.update(b"\0")
    digest.update(repr(rating_range).encode())
    return digest.hexdigest()


def _arrays(features: Interactions) -> Iterator[NDArray[Any]]:
    votes = features.item_votes
    for matrix in (features.item_genres, features.user_attributes):
        if matrix is not None:
            yield from (matrix.indptr, matrix.indices, matrix.data)
    if features.item_years is not None:
        yield features.item_years
    if votes is not None:
        yield from (votes.counts, votes.means)


def row_hashes(matrix: csr_matrix, columns: Int32, more: Float64 | None = None) -> Hashes:
    """Return a 64-bit hash of each row: of the ids of its columns, and of its values.

    `more` are further values, one for each entry. Two different rows have the same hash with
    probability 2^-64; a row without entries has 0. The hash of a row is the sum of those of its
    entries, by the finalizer of SplitMix64 (G. Steele, D. Lea, C. Flood: Fast Splittable
    Pseudorandom Number Generators, OOPSLA 2014).
    """
    found = np.zeros(matrix.shape[0], np.uint64)
    indptr = matrix.indptr.astype(np.int64)
    start = 0
    while start < len(found):
        reach = indptr[start] + _RATINGS_AT_ONCE
        stop = max(start + 1, int(np.searchsorted(indptr, reach, side="right")) - 1)
        entries = slice(indptr[start], indptr[stop])
        hashed = _mixed(columns[matrix.indices[entries]].astype(np.uint64))
        for values in (matrix.data, more):
            if values is not None:
                bits = np.ascontiguousarray(values[entries], np.float64).view(np.uint64)
                hashed = _mixed(hashed ^ bits)
        # Sums of unsigned numbers wrap around, and so do their differences.
        sums = np.concatenate((np.zeros(1, np.uint64), np.cumsum(hashed)))
        found[start:stop] = np.diff(sums[indptr[start : stop + 1] - indptr[start]])
        start = stop
    return found


def _mixed(numbers: Hashes) -> Hashes:
    mixed = numbers + np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed
