"""Reduce duplicate ratings to one per (user, movie) pair."""

from __future__ import annotations

from typing import Literal

import numpy as np

from recsys.domain import NO_TIME, Float64, Int32, Int64, Ratings
from recsys.errors import DataError

OnDuplicate = Literal["latest", "max", "mean", "error"]


def pair_keys(left: Int32, right: Int32) -> Int64:
    """Return one integer per pair, in the order of the pairs; both parts are >= 0."""
    keys: Int64 = left.astype(np.int64)
    keys <<= 32
    keys |= right
    return keys


def resolve(ratings: Ratings, lines: Int32, policy: OnDuplicate, file: str) -> tuple[Ratings, int]:
    """Return the ratings ordered by (user, movie), each pair once, and the number merged.

    The rows are ordered by `lines`. Raises `DataError` under the policy `error`.
    """
    keys = pair_keys(ratings.user_ids, ratings.movie_ids)
    # Most published editions are sorted and unique: sorting 32 million keys takes seconds.
    if len(keys) < 2 or bool((keys[1:] > keys[:-1]).all()):
        return ratings, 0
    # Stable: rows of one pair stay in the order of the file, which decides ties.
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    first = np.concatenate([[True], keys[1:] != keys[:-1]])
    starts = np.flatnonzero(first)
    merged = len(keys) - len(starts)
    values, times = ratings.values[order], ratings.rated_at[order]
    if merged and policy == "error":
        raise _duplicate(ratings, lines, order, first, merged, file)
    if merged and policy == "mean":
        values = np.add.reduceat(values, starts) / np.diff(starts, append=len(keys))
        times, chosen = np.maximum.reduceat(times, starts), starts
    else:
        chosen = _latest(values, times, starts, highest=policy == "max") if merged else starts
        values, times = values[chosen], times[chosen]
    kept = order[chosen]
    return Ratings(ratings.user_ids[kept], ratings.movie_ids[kept], values, times), merged


def _latest(values: Float64, times: Int64, starts: Int64, *, highest: bool) -> Int64:
    """Return the row with the latest time of each group; the last row wins a tie.

    With `highest`, only rows with the highest value of their group are candidates.
    """
    sizes = np.diff(starts, append=len(values))
    takes_part = np.ones(len(values), bool)
    if highest:
        takes_part = values == np.repeat(np.maximum.reduceat(values, starts), sizes)
        times = np.where(takes_part, times, NO_TIME)
    takes_part &= times == np.repeat(np.maximum.reduceat(times, starts), sizes)
    rows = np.where(takes_part, np.arange(len(values)), -1)
    latest: Int64 = np.maximum.reduceat(rows, starts)
    return latest


def _duplicate(
    ratings: Ratings, lines: Int32, order: Int64, first: np.ndarray, merged: int, file: str
) -> DataError:
    second = int(np.flatnonzero(~first)[0])
    one, other = int(order[second - 1]), int(order[second])
    user, movie = int(ratings.user_ids[one]), int(ratings.movie_ids[one])
    return DataError(
        f"{file}: user {user} rates movie {movie} on line {lines[one]} and again on line "
        f"{lines[other]}; {merged} ratings of this kind in all",
        hint="Say which one counts with --on-duplicate latest, max or mean.",
    )
