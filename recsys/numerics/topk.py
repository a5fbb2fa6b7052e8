"""Top-k of each row, exactly: ties go by index, also at the cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from recsys.domain import Float64, Int32, Int64, Neighbours, RankedLists, RatingWeights

Lists = TypeVar("Lists", bound=RankedLists)

_GROUPS, _FEWEST_GROUPS = 4, 256
"""Groups of columns for each entry of a list, and at least: few hold two of the k largest."""


def top_k(keys: NDArray[Any], k: int, above: float = -np.inf) -> tuple[Int64, Int64]:
    """Return the positions (rows, columns) of the k largest keys of each row, in row-major order.

    `keys` is a dense block of floats without NaN; only those above `above` are chosen. Of equal
    keys at the cut the lower columns are chosen.
    """
    rows, cols = _candidates(keys, k, above)
    # A sort only where more than k are left: ties at the cut, or others of its group.
    if len(rows) and np.bincount(rows).max() > k:
        best = np.sort(_best(rows, keys[rows, cols], k))
        rows, cols = rows[best], cols[best]
    return rows, cols


def _candidates(keys: NDArray[Any], k: int, above: float) -> tuple[Int64, Int64]:
    """Return the positions of the k largest keys of each row and of a few others, row-major."""
    columns = keys.shape[1]
    eligible = keys > above
    if k < columns:
        eligible &= keys >= _cuts(keys, k, above)[:, None]
    rows, cols = np.divmod(np.flatnonzero(eligible), max(1, columns))
    return rows, cols


def _cuts(keys: NDArray[Any], k: int, above: float) -> NDArray[Any]:
    """Return for each row a number that all of its k largest keys reach, and hardly any other.

    The columns are dealt into groups. The k-th largest of their maxima is such a number, and
    maxima take a fraction of the time of a selection among all keys.
    """
    groups = max(_GROUPS * k, _FEWEST_GROUPS)
    each = keys.shape[1] // groups
    if each < 2:
        return _kth_largest(keys, k, above)
    # The columns left over are in no group: without them the number is lower, if anything.
    maxima = keys[:, : each * groups].reshape(len(keys), each, groups).max(axis=1)
    return _kth_largest(maxima, k, above)


def _kth_largest(keys: NDArray[Any], k: int, above: float) -> NDArray[Any]:
    """Return the k-th largest key of each row; a number below all if fewer are above `above`."""
    columns = keys.shape[1]
    # numpy's selection is ten times slower on many equal values: excluded entries get distinct
    # values, below all real ones.
    least = np.finfo(keys.dtype).min
    below = np.linspace(least, least / 2, columns, dtype=keys.dtype)
    distinct = np.where(keys > above, keys, below)
    distinct.partition(columns - k, axis=1)
    return distinct[:, columns - k]


def _best(rows: Int64, keys: NDArray[Any], k: int, ties: Int64 | None = None) -> Int64:
    """Return the k largest of each row, best first; `rows` ascend.

    Ties go by `ties`, or else to the earlier one.
    """
    order = np.lexsort((-keys, rows) if ties is None else (ties, -keys, rows))
    return order[np.arange(len(order)) - np.searchsorted(rows, rows) < k]


def ranked(rows: NDArray[Any], cols: NDArray[Any], scores: NDArray[Any], count: int) -> RankedLists:
    """Order scattered entries into one list for each of `count` rows."""
    scores = scores.astype(np.float64, copy=False)
    order = np.lexsort((cols, -scores, rows))
    indptr = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(rows, minlength=count), out=indptr[1:])
    return RankedLists(indptr, cols[order].astype(np.int32), scores[order])


def ranked_top_k(
    scores: NDArray[Any], k: int, above: float = -np.inf, ties: Int64 | None = None
) -> RankedLists:
    """Rank the k largest scores of each row of a dense block, only those above `above`.

    Ties go by the number in `ties` that each column has, or else by column.
    """
    rows, cols = _candidates(scores, k, above)
    found = scores[rows, cols]
    best = _best(rows, found, k, None if ties is None else ties[cols])
    indptr = np.zeros(len(scores) + 1, np.int64)
    np.cumsum(np.bincount(rows[best], minlength=len(scores)), out=indptr[1:])
    return RankedLists(indptr, cols[best].astype(np.int32), found[best].astype(np.float64))


def truncate(lists: RankedLists, k: int) -> RankedLists:
    """Keep the first k entries of each list."""
    lengths = np.diff(lists.indptr)
    kept = np.arange(len(lists)) - np.repeat(lists.indptr[:-1], lengths) < k
    indptr = np.concatenate(([0], np.cumsum(np.minimum(lengths, k))))
    return RankedLists(indptr, lists.indices[kept], lists.scores[kept])


def cut_within_ties(lists: RankedLists, k: int) -> NDArray[np.bool_]:
    """Tell which lists of k + 1 entries have the same score at the last two of them."""
    tied = np.zeros(lists.rows, bool)
    longer = np.flatnonzero(np.diff(lists.indptr) > k)
    first_left_out = lists.indptr[longer] + k
    tied[longer] = lists.scores[first_left_out] == lists.scores[first_left_out - 1]
    return tied


def order_ties(lists: RankedLists) -> RankedLists:
    """Order entries of one list and one score by index; the lists are in the order of scores."""
    rows = np.repeat(np.arange(lists.rows), np.diff(lists.indptr))
    tied = (lists.scores[1:] == lists.scores[:-1]) & (rows[1:] == rows[:-1])
    if not tied.any():
        return lists
    concerned = np.zeros(lists.rows, bool)
    concerned[rows[1:][tied]] = True
    entries = np.flatnonzero(concerned[rows])
    order = np.lexsort((lists.indices[entries], -lists.scores[entries], rows[entries]))
    indices = lists.indices.copy()
    # Scores stay: within a list they are in order already.
    indices[entries] = indices[entries[order]]
    return RankedLists(lists.indptr, indices, lists.scores)


def merged(lists: RankedLists, others: RankedLists, replaced: NDArray[np.bool_]) -> RankedLists:
    """Put `others`, in their order, in place of the lists that are replaced."""
    own = np.repeat(~replaced, np.diff(lists.indptr))
    lengths = np.where(replaced, 0, np.diff(lists.indptr))
    lengths[replaced] = np.diff(others.indptr)
    from_others = np.repeat(replaced, lengths)
    indices, scores = np.empty(len(from_others), np.int32), np.empty(len(from_others))
    indices[from_others], indices[~from_others] = others.indices, lists.indices[own]
    scores[from_others], scores[~from_others] = others.scores, lists.scores[own]
    return RankedLists(np.concatenate(([0], np.cumsum(lengths))), indices, scores)


def concatenate(kind: type[Lists], parts: Sequence[RankedLists]) -> Lists:
    """Stack the lists of consecutive blocks of rows."""
    lengths: Int64 = np.concatenate([np.zeros(1, np.int64), *(np.diff(p.indptr) for p in parts)])
    indices: Int32 = np.concatenate([np.zeros(0, np.int32), *(p.indices for p in parts)])
    scores: Float64 = np.concatenate([np.zeros(0), *(p.scores for p in parts)])
    return kind(np.cumsum(lengths), indices, scores)


def as_neighbours(lists: RankedLists, weights: RatingWeights) -> Neighbours:
    """Return the lists as neighbours of items, with what a rating counts in the lists of users."""
    return Neighbours(lists.indptr, lists.indices, lists.scores, weights)


def scatter(lists: RankedLists, rows: Int64, columns: Int64, count: int) -> RankedLists:
    """Map lists of a subset back to all rows: row r stands for `rows[r]`, index c for `columns[c]`.

    Both maps ascend, so ties stay in order.
    """
    lengths = np.zeros(count + 1, np.int64)
    lengths[rows + 1] = np.diff(lists.indptr)
    indices = columns[lists.indices].astype(np.int32)
    return RankedLists(np.cumsum(lengths), indices, lists.scores)


def rearranged(lists: RankedLists, rows: Int64, columns: Int64) -> RankedLists:
    """Take the given rows of the lists, and put `columns[c]` in place of each index c."""
    lengths = np.diff(lists.indptr)[rows]
    indptr = np.concatenate(([0], np.cumsum(lengths)))
    entries = np.arange(indptr[-1]) + np.repeat(lists.indptr[rows] - indptr[:-1], lengths)
    indices = columns[lists.indices[entries]].astype(np.int32)
    return RankedLists(indptr, indices, lists.scores[entries])


def empty(kind: type[Lists], rows: int) -> Lists:
    """Return `rows` empty lists."""
    return kind(np.zeros(rows + 1, np.int64), np.zeros(0, np.int32), np.zeros(0))
