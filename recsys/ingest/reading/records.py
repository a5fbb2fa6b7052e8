"""Split lines into columns one record at a time, with the reason for every bad record."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

TALLEST = 1000
"""Lines that one record may span; a stray quote must not make the search quadratic."""
_OPEN = "a quoted field is not closed"


@dataclass(frozen=True, slots=True)
class Grammar:
    """The column format of a file.

    `quoted` means CSV quoting; with `multiline` a quoted field may contain line breaks.
    """

    separator: str
    columns: int
    encoding: str = "utf-8"
    quoted: bool = False
    multiline: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """One row: its `fields`, or the `problem` if the number of columns is wrong.

    `index` is the position of its first line, `height` the number of its lines.
    """

    index: int
    height: int
    raw: bytes
    fields: Sequence[str] = ()
    problem: str | None = None

    @property
    def blank(self) -> bool:
        return not self.raw.strip()


def read_records(lines: Sequence[bytes], grammar: Grammar) -> Iterator[Record]:
    """Yield the rows that are not blank."""
    index = 0
    while index < len(lines):
        record = read_record(lines, index, grammar)
        index += record.height
        if not record.blank:
            yield record


def read_record(lines: Sequence[bytes], index: int, grammar: Grammar) -> Record:
    """Return the row that begins at `lines[index]`."""
    raw = lines[index]
    if grammar.quoted and b'"' in raw:
        return _quoted(lines, index, grammar)
    try:
        fields = raw.decode(grammar.encoding).split(grammar.separator)
    except UnicodeDecodeError:
        return _bad(index, raw, _encoding_problem(grammar))
    return _counted(index, 1, raw, fields, grammar)


def _quoted(lines: Sequence[bytes], index: int, grammar: Grammar) -> Record:
    """Read a quoted row, up to the line that closes its last quote."""
    height = _height(lines, index) if grammar.multiline else 1
    raw = b"\n".join(lines[index : index + height])
    try:
        text = raw.decode(grammar.encoding)
        fields = next(csv.reader([text], delimiter=grammar.separator, strict=True))
        record = _counted(index, height, raw, fields, grammar)
    except UnicodeDecodeError:
        record = _bad(index, raw, _encoding_problem(grammar))
    except csv.Error as exc:
        is_open = "unexpected end" in str(exc)
        record = _bad(index, raw, _OPEN if is_open else f"cannot be split into columns: {exc}")
    if record.problem and height > 1:
        # A stray quote must not swallow the good rows after it.
        return _bad(index, lines[index], _OPEN)
    return record


def _height(lines: Sequence[bytes], index: int) -> int:
    quotes = 0
    for height, line in enumerate(lines[index : index + TALLEST], start=1):
        quotes += line.count(b'"')
        if quotes % 2 == 0:
            return height
    return 1


def _counted(
    index: int, height: int, raw: bytes, fields: Sequence[str], grammar: Grammar
) -> Record:
    found, expected = len(fields), grammar.columns
    if found == expected:
        return Record(index, height, raw, fields)
    columns = "column" if found == 1 else "columns"
    problem = f"{found} {columns} where {expected} are expected"
    return Record(index, height, raw, problem=problem)


def _bad(index: int, raw: bytes, problem: str) -> Record:
    return Record(index, 1, raw, problem=problem)


def _encoding_problem(grammar: Grammar) -> str:
    return f"not valid {grammar.encoding.upper()}"
