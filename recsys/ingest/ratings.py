"""Read the ratings of a data set from its files, with ids or with keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recsys.domain import NO_TIME, Float64, Int32, Int64, Ratings, RatingScale
from recsys.errors import DataError, InvalidArgument
from recsys.ingest.duplicates import OnDuplicate, Origins, resolve
from recsys.ingest.movielens.dialects import DatasetLayout, RatingsFile
from recsys.ingest.reading.blocks import NumericFile, NumericTable, read_numeric
from recsys.ingest.reading.intake import Intake
from recsys.ingest.reading.keys import IdReader
from recsys.ingest.reading.numbers import NumericField, TimeField, ValueField
from recsys.ingest.scale import check_outliers

_STRENGTHS = RatingScale(0.0, 1e15, 0.0)
"""Sums of these are exact as far as they are whole numbers."""


@dataclass(frozen=True, slots=True)
class RatingFields:
    """How the fields of all ratings files of a data set are read."""

    users: IdReader
    movies: IdReader
    layout: DatasetLayout
    scale: RatingScale | None
    latest: int
    """Times after this one lie in the future."""

    def of(self, file: RatingsFile) -> tuple[NumericField, ...]:
        """Return the fields of one file: user, movie, and those it has of value and time."""
        columns: list[NumericField] = [
            self.users.field(file.user),
            self.movies.field(file.movie),
        ]
        if file.rating is not None:
            columns.append(self._value(file.rating))
        if file.time is not None:
            columns.append(TimeField(file.time, self.latest, file.flexible_time))
        return tuple(columns)

    def _value(self, position: int) -> ValueField:
        if self.layout.implicit:
            return ValueField(position, "strength", _STRENGTHS)
        return ValueField(position, "rating", self.scale, self.layout.unrated)


@dataclass(frozen=True, slots=True)
class RatingsRead:
    ratings: Ratings
    """Ordered by (user, movie), each pair once."""
    policy: OnDuplicate
    merged: int
    """Rows merged into another one of their pair."""
    unrated: int
    """Rows without a rating, which are left out."""


def read_ratings(
    layout: DatasetLayout, fields: RatingFields, on_duplicate: OnDuplicate | None, intake: Intake
) -> RatingsRead:
    """Return the ratings of all files.

    Raises DataError if there are none, for duplicates under the policy `error`, and for values far
    from all others if no scale is known.
    """
    policy = _policy(layout, on_duplicate)
    rows_before, rejected_before = intake.rows_read, len(intake.rejects.rows)
    parts: list[Ratings] = []
    lines: list[Int32] = []
    unrated = 0
    for file in layout.ratings:
        columns = fields.of(file)
        numeric = NumericFile(file.entry, file.grammar, file.header, columns, file.reader)
        table = read_numeric(intake, numeric)
        ratings, line = _as_ratings(table, file), table.lines
        # The table would keep a second copy of the columns while they are sorted.
        del table
        if layout.unrated is not None:
            rated = ratings.values != layout.unrated
            unrated += len(rated) - int(rated.sum())
            ratings, line = _some(ratings, rated), line[rated]
        lines.append(line)
        parts.append(ratings)
    if not any(map(len, parts)):
        raise _no_ratings(layout.ratings, intake, intake.rows_read - rows_before, rejected_before)
    origins = Origins([file.entry.name for file in layout.ratings], lines)
    joined = _joined(parts)
    if fields.scale is None and not layout.implicit:
        check_outliers(joined.values, origins)
    found, merged = resolve(joined, origins, policy, fields.users.shown, fields.movies.shown)
    return RatingsRead(found, policy, merged, unrated)


def _policy(layout: DatasetLayout, on_duplicate: OnDuplicate | None) -> OnDuplicate:
    if on_duplicate == "count" and not layout.implicit:
        raise InvalidArgument(
            "rows are counted only where they are interactions, and this file has ratings",
            hint="--implicit makes interactions of them; latest, max and mean choose a rating",
        )
    return on_duplicate or ("count" if layout.implicit else "latest")


def _as_ratings(table: NumericTable, file: RatingsFile) -> Ratings:
    users, movies, *rest = table.columns
    values: Float64 = rest.pop(0) if file.rating is not None else np.ones(len(users))
    rated_at: Int64 = rest[0] if rest else np.full(len(users), NO_TIME, np.int64)
    return Ratings(users, movies, values, rated_at)


def _some(ratings: Ratings, rows: np.ndarray) -> Ratings:
    return Ratings(
        ratings.user_ids[rows],
        ratings.movie_ids[rows],
        ratings.values[rows],
        ratings.rated_at[rows],
    )


def _joined(parts: list[Ratings]) -> Ratings:
    if len(parts) == 1:
        return parts.pop()
    users: Int32 = np.concatenate([part.user_ids for part in parts])
    movies: Int32 = np.concatenate([part.movie_ids for part in parts])
    values: Float64 = np.concatenate([part.values for part in parts])
    times: Int64 = np.concatenate([part.rated_at for part in parts])
    return Ratings(users, movies, values, times)


def _no_ratings(
    files: Sequence[RatingsFile], intake: Intake, rows_read: int, rejected: int
) -> DataError:
    name = files[0].entry.name + (f" and {len(files) - 1} more" if len(files) > 1 else "")
    if not rows_read or rejected == len(intake.rejects.rows):
        what = "is empty" if not files[0].entry.size else "holds no ratings"
        return DataError(f"{name} {what}", hint="Check that the file is complete.")
    first = intake.rejects.rows[rejected]
    return DataError(
        f"{name}: none of {rows_read} rows can be loaded; line {first.line}: {first.reason}",
        hint="Check that the file is what its name says, or name its form with --format.",
    )
