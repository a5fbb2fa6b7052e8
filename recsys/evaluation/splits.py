"""Split ratings into a train and a test side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.domain import Float64, Int64
from recsys.errors import EvaluationError

Bool = NDArray[np.bool_]
Group = Literal["user", "item"]


@dataclass(frozen=True, slots=True)
class Split:
    """Two matrices of the shape of the source; each entry is stored in one of them, or in none."""

    train: csr_matrix
    """Users x items, float64, canonical."""
    test: csr_matrix
    train_entries: Int64
    """Positions in the source's `data` of the entries of `train`, in its order."""
    test_entries: Int64


def divided(ratings: csr_matrix, tested: Bool, dropped: Bool | None = None) -> Split:
    """Split the stored entries: those marked in `tested` are tested; explicit zeros stay stored.

    Those marked in `dropped` are neither tested nor trained on. Raises EvaluationError if `ratings`
    is not canonical or `tested` has another length.
    """
    if not ratings.has_canonical_format:
        raise EvaluationError("the ratings are not sorted by user and item, or hold a pair twice")
    if len(tested) != ratings.nnz:
        raise EvaluationError(f"{len(tested)} marks do not fit {ratings.nnz} ratings")
    trained = ~tested if dropped is None else ~(tested | dropped)
    train_entries, test_entries = np.flatnonzero(trained), np.flatnonzero(tested)
    train, test = _part(ratings, train_entries), _part(ratings, test_entries)
    return Split(train, test, train_entries, test_entries)


def random_split(ratings: csr_matrix, test_share: float, seed: int) -> Split:
    """Test `round(test_share * n)` of all n ratings, drawn uniformly."""
    _check_share("test_share", test_share)
    size = round(test_share * ratings.nnz)
    tested = np.zeros(ratings.nnz, bool)
    tested[np.random.default_rng(seed).permutation(ratings.nnz)[:size]] = True
    return divided(ratings, tested)


def stratified_split(
    ratings: csr_matrix,
    train_share: float,
    seed: int,
    by: Group = "user",
    order: NDArray[np.integer] | None = None,
) -> Split:
    """Shuffle each user's (item's) n ratings and train on the first `round(train_share * n)`.

    The rule of `python_stratified_split` of the recommenders library; halves round to even. With
    `order` (the entries in the order of the lines of a file) the ratings are also shuffled as that
    function does since 2022 (version 1.2.1), so the split of that file is the same.
    """
    _check_share("train_share", train_share)
    if by not in ("user", "item"):
        raise EvaluationError(f"by = {by!r} is not known", hint="by must be one of: user, item.")
    groups = rows_of(ratings) if by == "user" else ratings.indices
    order = np.lexsort((_random_keys(ratings.nnz, seed, order), groups))
    counts = np.bincount(groups, minlength=1)
    starts = np.cumsum(counts) - counts
    rank = np.arange(ratings.nnz) - starts[groups[order]]
    tested = np.zeros(ratings.nnz, bool)
    tested[order] = rank >= np.round(train_share * counts)[groups[order]]
    return divided(ratings, tested)


def _random_keys(length: int, seed: int, order: NDArray[np.integer] | None) -> NDArray[Any]:
    """Return a number for each entry, whose order is random."""
    if order is None:
        return np.random.default_rng(seed).permutation(length)
    if len(order) != length or len(np.unique(order)) != length:
        raise EvaluationError(
            f"the file names {len(np.unique(order))} of {length} ratings, not each once",
            hint="give the file of ratings that was ingested",
        )
    keys = np.empty(length)
    # The library draws one number per line from NumPy's legacy generator.
    keys[order] = np.random.RandomState(seed).random_sample(length)
    return keys


def temporal_split(ratings: csr_matrix, rated_at: Float64, test_share: float) -> Split:
    """Test the newest ratings, at most `test_share` of those with a known time.

    One point in time splits all users. Ratings of the same time stay together, on the train side if
    they would exceed the share; ratings of unknown time (NaN) are trained on.
    """
    _check_share("test_share", test_share)
    _check_times(ratings, rated_at)
    known = np.sort(rated_at[~np.isnan(rated_at)])
    if len(known) == 0:
        return divided(ratings, np.zeros(ratings.nnz, bool))
    newest_trained = known[max(0, len(known) - 1 - round(test_share * len(known)))]
    return divided(ratings, rated_at > newest_trained)  # false of NaN


def of_new_users(split: Split) -> Split:
    """Keep the test ratings of users without train ratings."""
    kept = np.diff(split.train.indptr)[rows_of(split.test)] == 0
    return replace(
        split, test=divided(split.test, kept).test, test_entries=split.test_entries[kept]
    )


def leave_last_out(
    ratings: csr_matrix, rated_at: Float64, seed: int, *, before: bool = False
) -> Split:
    """Test the last rating of every user with at least two.

    With `before` these ratings are dropped, and the ones before them are tested, of every user with
    at least three. Ties of time are broken at random by the seed, in the same way for both; an
    unknown time (NaN) is older than any other.
    """
    _check_times(ratings, rated_at)
    drawn = np.random.default_rng(seed).permutation(ratings.nnz)
    last = last_of_users(ratings, rated_at, drawn)
    if not before:
        return divided(ratings, last)
    order = _in_time(ratings, rated_at, drawn)
    counts, ends = np.diff(ratings.indptr), ratings.indptr[1:]
    return divided(ratings, _marked(ratings.nnz, order[ends[counts >= 3] - 2]), last)


def last_of_users(ratings: csr_matrix, rated_at: Float64, drawn: NDArray[np.integer]) -> Bool:
    """Mark the last rating of every user with at least two; ties go by the numbers drawn."""
    counts, ends = np.diff(ratings.indptr), ratings.indptr[1:]
    order = _in_time(ratings, rated_at, drawn)
    return _marked(ratings.nnz, order[ends[counts >= 2] - 1])


def _in_time(ratings: csr_matrix, rated_at: Float64, drawn: NDArray[np.integer]) -> Int64:
    times = np.where(np.isnan(rated_at), -np.inf, rated_at)
    # lexsort takes the most significant key last.
    return np.lexsort((drawn, times, rows_of(ratings)))


def k_folds(ratings: csr_matrix, k: int, seed: int) -> Iterator[Split]:
    """Test each of k parts of the shuffled ratings in turn; sizes differ by one at most.

    As `KFold` of the Surprise library: the first parts are the larger ones.
    """
    if not 2 <= k <= ratings.nnz:
        raise EvaluationError(
            f"{ratings.nnz} ratings cannot be divided into {k} folds",
            hint="k must be at least 2 and at most the number of ratings.",
        )
    parts = np.array_split(np.random.default_rng(seed).permutation(ratings.nnz), k)
    # One split at a time: all of them would hold the ratings k times.
    return (divided(ratings, _marked(ratings.nnz, part)) for part in parts)


def given_split(
    ratings: csr_matrix, users: NDArray[np.integer], items: NDArray[np.integer]
) -> Split:
    """Test the pairs of positions `(users[p], items[p])`; raises EvaluationError on one unrated."""
    entries = entries_of(ratings, users, items)
    if (entries < 0).any():
        first = int(np.argmax(entries < 0))
        raise EvaluationError(
            f"{int((entries < 0).sum())} of {len(entries)} given test pairs are not rated, "
            f"the first: user {users[first]}, item {items[first]} (positions)",
            hint="The pairs must belong to the ratings that are loaded.",
        )
    return divided(ratings, _marked(ratings.nnz, entries))


# --- entries of a matrix --------------------------------------------------------------------------


def rows_of(matrix: csr_matrix) -> Int64:
    """Return the row of each stored entry."""
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))


def keys_of(matrix: csr_matrix) -> Int64:
    """Return one integer per stored (row, column), ascending in a canonical matrix."""
    return rows_of(matrix) * matrix.shape[1] + matrix.indices


def entries_of(
    matrix: csr_matrix, rows: NDArray[np.integer], columns: NDArray[np.integer]
) -> Int64:
    """Return the index of each pair in `data` of a canonical matrix; -1 if not stored."""
    rows, columns = np.asarray(rows, np.int64), np.asarray(columns, np.int64)
    inside = (columns >= 0) & (columns < matrix.shape[1])
    keys = keys_of(matrix)
    # A column outside the matrix would take the key of an entry in another row.
    sought = np.where(inside, rows * matrix.shape[1] + columns, -1)
    places = np.minimum(np.searchsorted(keys, sought), max(0, len(keys) - 1))
    found = keys[places] == sought if len(keys) else np.zeros(len(rows), bool)
    return np.where(found, places, -1)


def _part(ratings: csr_matrix, entries: Int64) -> csr_matrix:
    indptr = np.searchsorted(entries, ratings.indptr).astype(ratings.indptr.dtype)
    values = ratings.data[entries].astype(np.float64)
    part = csr_matrix((values, ratings.indices[entries], indptr), shape=ratings.shape)
    # Entries keep their order, so scipy need not search for duplicates.
    part.has_canonical_format = True
    return part


def _marked(length: int, entries: NDArray[Any]) -> Bool:
    marks = np.zeros(length, bool)
    marks[entries] = True
    return marks


def _check_share(name: str, share: float) -> None:
    if not 0 < share < 1:
        raise EvaluationError(
            f"{name} = {share!r} is out of range", hint=f"{name} must be above 0 and below 1."
        )


def _check_times(ratings: csr_matrix, rated_at: Float64) -> None:
    if len(rated_at) != ratings.nnz:
        raise EvaluationError(f"{len(rated_at)} times do not fit {ratings.nnz} ratings")
