"""Read the ratings of a data set from its files, with ids or with keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recsys.domain import NO_TIME, Float64, Int32, Int64, Ratings, RatingScale
from recsys.errors import DataError
from recsys.ingest.duplicates import OnDuplicate, Origins, resolve
from recsys.ingest.movielens.dialects import DatasetLayout, RatingsFile
from recsys.ingest.reading.blocks import NumericFile, NumericTable, read_numeric
from recsys.ingest.reading.intake import Intake
from recsys.ingest.reading.keys import IdReader
from recsys.ingest.reading.numbers import NumericField, TimeField, ValueField


@dataclass(frozen=True, slots=True)
class RatingFields:
    """How the fields of all ratings files of a data set are read."""

    users: IdReader
    movies: IdReader
    scale: RatingScale | None
    latest: int
    """Times after this one lie in the future."""

    def of(self, file: RatingsFile) -> tuple[NumericField, ...]:
        """Return the fields of one file; the time, if there is one, comes last."""
        columns: tuple[NumericField, ...] = (
            self.users.field(file.user),
            self.movies.field(file.movie),
            ValueField(file.rating, "rating", self.scale),
        )
        if file.time is None:
            return columns
        return (*columns, TimeField(file.time, self.latest, file.flexible_time))


def read_ratings(
    layout: DatasetLayout, fields: RatingFields, on_duplicate: OnDuplicate, intake: Intake
) -> tuple[Ratings, int]:
    """Return the ratings of all files ordered by (user, movie), and the number merged.

    Raises DataError if there are none, and for duplicates under the policy `error`.
    """
    rows_before, rejected_before = intake.rows_read, len(intake.rejects.rows)
    parts: list[Ratings] = []
    lines: list[Int32] = []
    for file in layout.ratings:
        table = read_numeric(
            intake, NumericFile(file.entry, file.grammar, file.header, fields.of(file))
        )
        lines.append(table.lines)
        parts.append(_as_ratings(table))
        # The table would keep a second copy of the columns while they are sorted.
        del table
    if not any(map(len, parts)):
        raise _no_ratings(layout.ratings, intake, intake.rows_read - rows_before, rejected_before)
    origins = Origins([file.entry.name for file in layout.ratings], lines)
    return resolve(_joined(parts), origins, on_duplicate, fields.users.shown, fields.movies.shown)


def _as_ratings(table: NumericTable) -> Ratings:
    users, movies, values, *times = table.columns
    rated_at: Int64 = times[0] if times else np.full(len(users), NO_TIME, np.int64)
    return Ratings(users, movies, values, rated_at)


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
    name = files[0].entry.name + (f" and {len(files) - 1} other files" if len(files) > 1 else "")
    if not rows_read:
        what = "is empty" if not files[0].entry.size else "holds no ratings"
        return DataError(f"{name} {what}", hint="Check that the file is complete.")
    first = intake.rejects.rows[rejected]
    return DataError(
        f"{name}: none of {rows_read} rows can be loaded; line {first.line}: {first.reason}",
        hint="Check that the file is what its name says, or name its form with --format.",
    )
