"""Proof that a measurement is honest: nothing of the test ratings reaches what is measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.domain import Float64, Int64, TopN
from recsys.errors import EvaluationError
from recsys.evaluation.splits import Bool, Split, divided, entries_of, keys_of, rows_of


@dataclass(frozen=True, slots=True)
class Tagging:
    """Who tagged what, as columns of one length; users and items are positions."""

    users: Int64
    items: Int64
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """Everything users told us, before it is split: what a leak can come from."""

    ratings: csr_matrix
    """Users x items, float64, canonical."""
    rated_at: Float64 | None = None
    """Unix seconds of each stored entry of `ratings`; NaN where unknown."""
    tagging: Tagging | None = None


Fit = Callable[[Source, Split], Sequence[NDArray[Any]]]


def check_split(split: Split) -> None:
    """Raise EvaluationError where a (user, item) pair is trained on and tested."""
    if split.train.shape != split.test.shape:
        raise EvaluationError(f"train is {split.train.shape}, test is {split.test.shape}")
    both = ~untested(split, rows_of(split.train), split.train.indices)
    shared = np.isin(split.test_entries, split.train_entries)
    if both.any() or shared.any():
        count = int(max(both.sum(), shared.sum()))
        raise EvaluationError(f"{count} ratings are in both train and test")


def check_unseen(lists: TopN, train: csr_matrix) -> None:
    """Raise EvaluationError where a list holds an item that its user has a train rating of.

    Nor may it hold an item twice, which would count as two hits, or one outside the catalogue.
    """
    users, items = train.shape
    if lists.rows != users:
        raise EvaluationError(f"there are {lists.rows} lists for {users} users")
    rows = np.repeat(np.arange(users), np.diff(lists.indptr))
    _refuse(
        "are outside the catalogue", rows, lists, (lists.indices < 0) | (lists.indices >= items)
    )
    _refuse("are train ratings", rows, lists, entries_of(train, rows, lists.indices) >= 0)
    again = np.ones(len(lists), bool)
    again[np.unique(rows * items + lists.indices, return_index=True)[1]] = False
    _refuse("repeat an item", rows, lists, again)


def _refuse(what: str, rows: Int64, lists: TopN, wrong: Bool) -> None:
    if wrong.any():
        first = int(np.argmax(wrong))
        raise EvaluationError(
            f"{int(wrong.sum())} entries of the lists {what}, "
            f"the first: user {rows[first]}, item {lists.indices[first]} (positions)"
        )


def untested(split: Split, users: NDArray[np.integer], items: NDArray[np.integer]) -> Bool:
    """Mark the pairs that are no test pairs: only their tags may be read by a fit."""
    return entries_of(split.test, users, items) < 0


def check_blind(fit: Fit, source: Source, split: Split, seed: int) -> None:
    """Raise EvaluationError unless the fit gives the same bits when the test side is another one.

    The fit is handed the whole source, as a job has it, and must use the train side only. What it
    returns must not be about the test pairs alone: predict at pairs of your own choosing.
    """
    before = fit(source, split)
    after = fit(*scrambled(source, split, seed))
    same = len(before) == len(after) and all(map(_identical, before, after))
    if not same:
        raise EvaluationError(
            "the fit depends on the test ratings",
            hint="Means, sets of rated items, texts and times must come from the train side.",
        )


def scrambled(source: Source, split: Split, seed: int) -> tuple[Source, Split]:
    """Replace the test side: other pairs, values, times and tags; the train side keeps its bits.

    No test pair stays; instead of them come up to twice as many that had neither rating nor tag,
    with values drawn between the lowest and the highest rating. Tags of test pairs are renamed
    and move to the new ones.
    """
    random = np.random.default_rng(seed)
    rows, columns = _other_pairs(source, 2 * split.test.nnz, random)
    values = random.uniform(*_value_range(source.ratings), len(rows))
    all_rows = np.concatenate([rows_of(split.train), rows])
    all_columns = np.concatenate([split.train.indices, columns])
    order = np.lexsort((all_columns, all_rows))
    ratings = csr_matrix(
        (np.concatenate([split.train.data, values])[order], (all_rows[order], all_columns[order])),
        shape=source.ratings.shape,
    )
    rated_at = source.rated_at
    if rated_at is not None:
        drawn = random.uniform(*_bounds(rated_at[~np.isnan(rated_at)]), len(rows))
        rated_at = np.concatenate([rated_at[split.train_entries], drawn])[order]
    tagging = source.tagging
    if tagging is not None:
        tagging = _retagged(tagging, untested(split, tagging.users, tagging.items), rows, columns)
    return Source(ratings, rated_at, tagging), divided(ratings, order >= split.train.nnz)


def _other_pairs(source: Source, count: int, random: np.random.Generator) -> tuple[Int64, Int64]:
    """Draw up to `count` pairs of which nothing is known; fewer where few are left."""
    users, items = source.ratings.shape
    drawn = random.integers(0, max(1, users * items), count if users * items else 0)
    fresh = np.setdiff1d(drawn, keys_of(source.ratings))
    if source.tagging is not None:
        fresh = np.setdiff1d(fresh, source.tagging.users * items + source.tagging.items)
    return np.divmod(fresh, max(1, items))


def _retagged(tagging: Tagging, kept: Bool, rows: Int64, columns: Int64) -> Tagging:
    """Rename the tags not kept and hand them to the pairs in turn; without pairs drop them."""
    if len(rows) == 0:
        tags = tuple(tag for tag, keep in zip(tagging.tags, kept, strict=True) if keep)
        return Tagging(tagging.users[kept], tagging.items[kept], tags)
    turn = np.arange(len(kept)) % len(rows)
    users = np.where(kept, tagging.users, rows[turn])
    items = np.where(kept, tagging.items, columns[turn])
    tags = tuple(t if keep else f"not {t}" for t, keep in zip(tagging.tags, kept, strict=True))
    return Tagging(users, items, tags)


def _value_range(ratings: csr_matrix) -> tuple[float, float]:
    low, high = _bounds(ratings.data)
    return low, high if high > low else low + 1


def _bounds(values: Float64) -> tuple[float, float]:
    return (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)


def _identical(a: NDArray[Any], b: NDArray[Any]) -> bool:
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
