"""The rejected rows of a data set: the first ones, the number of all, and how many are too many."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from recsys.domain import RejectedRow
from recsys.errors import DataError

KEPT = 10_000
"""Rejected rows kept of each file; the others are counted."""
SHOWN = 3
_SHORTEST_ROW = 4
"""Bytes of the shortest row that can be good, as `1,a` with its newline."""
_SOON_DONE = 10_000
"""Up to so many rows are read to the end, for an error that counts all of them."""
_FAIR_CHANCE = 100_000
_HOPELESS = 0.5


@dataclass(frozen=True, slots=True)
class RejectLimit:
    """How many rows may be rejected before an ingest fails: a share of all, or a number."""

    share: float = 0.01
    rows: int | None = None

    def of(self, rows_read: int) -> int:
        return self.rows if self.rows is not None else int(self.share * rows_read)

    def is_lost(self, rejected: int, rows_read: int, bytes_left: int | None) -> bool:
        """Tell whether the rest of the files cannot bring the rejected rows below the limit.

        All of `bytes_left`, None if unknown, may be good rows. A share of up to a half counts as
        lost if more than half of many rows are bad.
        """
        if rows_read < _SOON_DONE:
            return False
        if self.rows is not None:
            return rejected > self.rows
        if bytes_left is not None and rejected > self.of(rows_read + bytes_left // _SHORTEST_ROW):
            return True
        hopeless = rows_read >= _FAIR_CHANCE and rejected > _HOPELESS * rows_read
        return hopeless and self.share <= _HOPELESS

    def __str__(self) -> str:
        return f"{self.rows:,} rows" if self.rows is not None else f"{100 * self.share:.6g}%"


@dataclass(slots=True)
class Rejects:
    """The rejected rows so far; with a `limit`, the reading stops once it cannot be met."""

    limit: RejectLimit | None = None
    hint: str = (
        "correct the files, name their format with --format, or allow more with --max-rejects"
    )
    rows: list[RejectedRow] = field(default_factory=list)
    """The first `KEPT` of each file."""
    count: int = 0
    """All of them."""
    _of_file: Counter[str] = field(default_factory=Counter)

    def keeps(self, file: str) -> bool:
        """Tell whether the next rejected row of a file is kept, or only counted."""
        return self._of_file[file] < KEPT

    def add(self, row: RejectedRow | None) -> None:
        """Count a row, and keep it unless it is None."""
        self.count += 1
        if row is not None:
            self._of_file[row.file] += 1
            self.rows.append(row)

    def check(self, rows_read: int, bytes_left: int | None) -> None:
        """Raise DataError if the limit cannot be met any more."""
        if self.limit is not None and self.limit.is_lost(self.count, rows_read, bytes_left):
            raise self.too_many(f"the first {rows_read:,} rows", f"at most {self.limit}")

    def check_all(self, rows_read: int, limit: RejectLimit) -> None:
        """Raise DataError if the limit is not met by all rows."""
        allowed = limit.of(rows_read)
        if self.count > allowed:
            raise self.too_many(f"{rows_read:,} rows", f"{allowed:,}")

    def too_many(self, rows: str, allowed: str) -> DataError:
        first = "; ".join(f"{row.file} line {row.line}: {row.reason}" for row in self.rows[:SHOWN])
        return DataError(
            f"{self.count:,} of {rows} are bad, {allowed} are allowed: {first}",
            hint=self.hint,
        )
