"""Top-k of each row, exactly: ties go by index, also at the cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from recsys.domain import Float64, Int32, Int64, RankedLists

Lists = TypeVar("Lists", bound=RankedLists)


def top_k(keys: NDArray[Any], k: int) -> tuple[Int64, Int64]:
    """Return the positions (rows, columns) of the k largest keys of each row, in row-major order.

    `keys` is a dense block of floats without NaN; -inf marks what must not be chosen. Of equal
    keys at the cut the lower columns are chosen.
    """
    columns = keys.shape[1]
    eligible = keys > -np.inf
    if k < columns:
        eligible &= keys >= _cuts(keys, eligible, k)[:, None]
    rows, cols = np.divmod(np.flatnonzero(eligible), max(1, columns))
    # Ties at the cut let more than k through; only then is a full sort needed.
    if len(rows) and np.bincount(rows).max() > k:
        kept = np.sort(_best(rows, cols, keys[rows, cols], k))
        rows, cols = rows[kept], cols[kept]
    return rows, cols


def _cuts(keys: NDArray[Any], eligible: NDArray[np.bool_], k: int) -> NDArray[Any]:
    """Return the k-th largest key of each row; below all keys if fewer are eligible."""
    columns = keys.shape[1]
    # numpy's selection is ten times slower on many equal values: excluded entries get distinct
    # values, below all real ones.
    least = np.finfo(keys.dtype).min
    distinct = np.where(eligible, keys, np.linspace(least, least / 2, columns, dtype=keys.dtype))
    distinct.partition(columns - k, axis=1)
    return distinct[:, columns - k]


def _best(rows: Int64, cols: Int64, keys: NDArray[Any], k: int) -> Int64:
    order = np.lexsort((cols, -keys, rows))
    first = np.searchsorted(rows[order], rows[order])
    return order[np.arange(len(order)) - first < k]


def ranked(rows: NDArray[Any], cols: NDArray[Any], scores: NDArray[Any], count: int) -> RankedLists:
    """Order scattered entries into one list for each of `count` rows."""
    scores = scores.astype(np.float64, copy=False)
    order = np.lexsort((cols, -scores, rows))
    indptr = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(rows, minlength=count), out=indptr[1:])
    return RankedLists(indptr, cols[order].astype(np.int32), scores[order])


def ranked_top_k(scores: NDArray[Any], k: int) -> RankedLists:
    """Rank the k largest scores of each row of a dense block; -inf is left out."""
    rows, cols = top_k(scores, k)
    return ranked(rows, cols, scores[rows, cols], len(scores))


def truncate(lists: RankedLists, k: int) -> RankedLists:
    """Keep the first k entries of each list."""
    lengths = np.diff(lists.indptr)
    kept = np.arange(len(lists)) - np.repeat(lists.indptr[:-1], lengths) < k
    indptr = np.concatenate(([0], np.cumsum(np.minimum(lengths, k))))
    return RankedLists(indptr, lists.indices[kept], lists.scores[kept])


def concatenate(kind: type[Lists], parts: Sequence[RankedLists]) -> Lists:
    """Stack the lists of consecutive blocks of rows."""
    lengths: Int64 = np.concatenate([np.zeros(1, np.int64), *(np.diff(p.indptr) for p in parts)])
    indices: Int32 = np.concatenate([np.zeros(0, np.int32), *(p.indices for p in parts)])
    scores: Float64 = np.concatenate([np.zeros(0), *(p.scores for p in parts)])
    return kind(np.cumsum(lengths), indices, scores)


def scatter(lists: RankedLists, rows: Int64, columns: Int64, count: int) -> RankedLists:
    """Map lists of a subset back to all rows: row r stands for `rows[r]`, index c for `columns[c]`.

    Both maps ascend, so ties stay in order.
    """
    lengths = np.zeros(count + 1, np.int64)
    lengths[rows + 1] = np.diff(lists.indptr)
    indices = columns[lists.indices].astype(np.int32)
    return RankedLists(np.cumsum(lengths), indices, lists.scores)


def empty(kind: type[Lists], rows: int) -> Lists:
    """Return `rows` empty lists."""
    return kind(np.zeros(rows + 1, np.int64), np.zeros(0, np.int32), np.zeros(0))
