"""The first Jester data set: a matrix with one line per user and one column per joke."""

from __future__ import annotations

import re
from collections.abc import Iterator

from recsys.domain import RatingScale
from recsys.ingest.movielens.dialects import DatasetLayout, RatingsFile
from recsys.ingest.reading.intake import Block, Intake
from recsys.ingest.reading.records import Grammar
from recsys.ingest.reading.sources import Entry, Folder

_JOKES = 100
_UNRATED = 99.0
_USERS_OF_A_PART = 1_000_000
_VALUE = rb" *-?[0-9]{0,2}\.?[0-9]*"
# Separators are those of spreadsheets that saved the Excel file.
_LINE = re.compile(rb" *[0-9]{1,3}(?:([,;\t])" + _VALUE + rb")(?:\1" + _VALUE + rb"){99} *\r?")
_ROWS = Grammar(",", 3)


def jester(folder: Folder) -> DatasetLayout | None:
    """Detect files whose lines have the number of rated jokes and a rating of each joke."""
    parts = [entry for _, entry in sorted(folder.files.items()) if _is_matrix(entry)]
    if not parts:
        return None
    return DatasetLayout(
        "jester",
        RatingScale(-10.0, 10.0, 0.0),
        tuple(_ratings(part, number) for number, part in enumerate(parts)),
        unrated=_UNRATED,
    )


def _is_matrix(entry: Entry) -> bool:
    return _LINE.fullmatch(entry.head().split(b"\n")[0]) is not None


def _ratings(entry: Entry, number: int) -> RatingsFile:
    """Return a part; users have no ids, so they are numbered through all parts."""

    def blocks(intake: Intake, entry: Entry) -> Iterator[Block]:
        for block in intake.blocks(entry, header=False):
            first = number * _USERS_OF_A_PART + block.first_line
            rows = [
                row
                for user, line in enumerate(block.data.split(b"\n")[:-1], first)
                for row in _rows_of(user, line)
            ]
            yield Block(b"\n".join(rows) + b"\n", block.first_line, _JOKES)

    return RatingsFile(entry, _ROWS, False, 0, 1, 2, None, False, blocks)


def _rows_of(user: int, line: bytes) -> list[bytes]:
    """Return one row for each joke; a line of another form gives one row that is rejected."""
    separator = next((mark for mark in (b";", b"\t") if mark in line), b",")
    _, *values = line.split(separator)
    if len(values) != _JOKES:
        return [line.replace(b",", b";")] + [b""] * (_JOKES - 1)
    return [b"%d,%d,%b" % (user, joke, value) for joke, value in enumerate(values, 1)]
