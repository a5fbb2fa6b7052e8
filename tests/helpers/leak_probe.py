"""A probe for leaks: replace the test side of a split and see whether a fit notices.

`scrambled` exchanges the test ratings for others and keeps the train side bit by bit. A fit that
learns from the train side only gives the same bits for both; `check_blind` compares them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.domain import Float64, Int64
from recsys.errors import EvaluationError
from recsys.evaluation.splits import Bool, Split, divided, entries_of, keys_of, rows_of


@dataclass(frozen=True, slots=True)
class Tagging:
    """Tags as columns of one length: user, item and tag; users and items are positions."""

    users: Int64
    items: Int64
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """All user data before the split: the possible sources of a leak."""

    ratings: csr_matrix
    """Users x items, float64, canonical."""
    rated_at: Float64 | None = None
    """Unix seconds of each stored entry of `ratings`; NaN where unknown."""
    tagging: Tagging | None = None


Fit = Callable[[Source, Split], Sequence[NDArray[Any]]]


def untested(split: Split, users: NDArray[np.integer], items: NDArray[np.integer]) -> Bool:
    """Mark the pairs that are not tested; a fit may read the tags of these pairs only."""
    return entries_of(split.test, users, items) < 0


def check_blind(fit: Fit, source: Source, split: Split, seed: int) -> None:
    """Raise EvaluationError if the result of the fit depends on the test side.

    The fit receives the whole source, as a job does, and must use the train side only. It has to
    return more than predictions of the test pairs: predict at pairs chosen independently of them.
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
    """Replace the pairs, values, times and tags of the test side; keep the train side.

    Up to twice as many pairs without rating or tag replace the test pairs. Their values are drawn
    between the lowest and the highest rating. Tags of test pairs are renamed and move to the new
    pairs.
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
    """Draw up to `count` pairs without rating or tag; fewer if fewer are left."""
    users, items = source.ratings.shape
    drawn = random.integers(0, max(1, users * items), count if users * items else 0)
    fresh = np.setdiff1d(drawn, keys_of(source.ratings))
    if source.tagging is not None:
        fresh = np.setdiff1d(fresh, source.tagging.users * items + source.tagging.items)
    return np.divmod(fresh, max(1, items))


def _retagged(tagging: Tagging, kept: Bool, rows: Int64, columns: Int64) -> Tagging:
    """Rename the tags not kept and give them to the pairs in turn; drop them if there are none."""
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
