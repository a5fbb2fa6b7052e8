"""Reduce duplicate ratings to one per (user, movie) pair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from recsys.domain import NO_TIME, Float64, Int32, Int64, Ratings
from recsys.errors import DataError

OnDuplicate = Literal["latest", "max", "mean", "error", "count"]


def pair_keys(left: Int32, right: Int32) -> Int64:
    """Return one integer per pair, in the order of the pairs; both parts are >= 0."""
    keys: Int64 = left.astype(np.int64)
    keys <<= 32
    keys |= right
    return keys


@dataclass(frozen=True, slots=True)
class Origins:
    """The files that rows come from, one after the other, and the lines of the rows of each."""

    files: Sequence[str]
    lines: Sequence[Int32]

    def of(self, row: int) -> tuple[str, int]:
        """Return file and line of a row."""
        for file, lines in zip(self.files, self.lines, strict=True):
            if row < len(lines):
                return file, int(lines[row])
            row -= len(lines)
        raise IndexError(row)


def resolve(
    ratings: Ratings,
    origins: Origins,
    policy: OnDuplicate,
    shown_user: Callable[[int], str] = str,
    shown_movie: Callable[[int], str] = str,
) -> tuple[Ratings, int]:
    """Return the ratings ordered by (user, movie), each pair once, and the number merged.

    The rows are in the order of the files. Raises `DataError` under the policy `error`.
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
        second = int(np.flatnonzero(~first)[0])
        one, other = int(order[second - 1]), int(order[second])
        user = shown_user(int(ratings.user_ids[one]))
        movie = shown_movie(int(ratings.movie_ids[one]))
        raise _duplicate(f"user {user} rates movie {movie}", origins, one, other, merged)
    if merged and policy in ("mean", "count"):
        values = np.add.reduceat(values, starts)
        if policy == "mean":
            values = values / np.diff(starts, append=len(keys))
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


def _duplicate(pair: str, origins: Origins, one: int, other: int, merged: int) -> DataError:
    (file, line), (other_file, other_line) = origins.of(one), origins.of(other)
    where = "" if other_file == file else f" of {other_file}"
    return DataError(
        f"{file}: {pair} on line {line} and again on line {other_line}{where}; "
        f"{merged} ratings of this kind in all",
        hint="Say which one counts with --on-duplicate latest, max or mean.",
    )
