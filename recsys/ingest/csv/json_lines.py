"""Read files with one JSON object per line."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from recsys.ingest.csv.names import GENRES
from recsys.ingest.reading.intake import LONGEST_RECORD, Block, Intake
from recsys.ingest.reading.sources import Entry

Row = dict[str, Any]

_LINES_LOOKED_AT = 20
_LINES_AT_ONCE = 4096
"""Objects take many times the memory of their text."""
_PYTHON = (b"{'", b"{u'")
"""Data sets of UCSD have lines that Python, but not JSON, can read."""
# Tabs and line breaks would split columns and lines. As vertical tabs they stay in a key, which is
# rejected for them, and become spaces in a title.
_BREAKS = str.maketrans({"\t": "\v", "\n": "\v", "\r": "\v"})


@dataclass(frozen=True, slots=True)
class JsonLines:
    """Reads these fields of each object as columns separated by tabs; others are skipped."""

    names: tuple[str, ...]
    lists: frozenset[str] = frozenset()
    """Those of the fields that may be a list of texts, which become one with bars."""

    def __call__(self, intake: Intake, entry: Entry) -> Iterator[Block]:
        for block in intake.blocks(entry, header=False):
            lines = block.data.split(b"\n")[:-1]
            converted: list[str] = []
            slices = (
                lines[at : at + _LINES_AT_ONCE] for at in range(0, len(lines), _LINES_AT_ONCE)
            )
            for index, row in enumerate(chain.from_iterable(map(_rows, slices))):
                if isinstance(row, dict):
                    converted.append("\t".join([self._text(row, name) for name in self.names]))
                    continue
                converted.append("")
                if row is not None:
                    intake.take(1, 0)
                    intake.reject(entry, block.first_line + index, lines[index], "utf-8", row)
            data = ("\n".join(converted) + "\n").encode("utf-8", "surrogatepass")
            yield Block(data, block.first_line)

    def _text(self, row: Row, name: str) -> str:
        value = row.get(name)
        if name in self.lists and isinstance(value, list):
            return "|".join(map(text_of, value))
        return text_of(value)


def names_in(head: bytes) -> tuple[str, ...]:
    """Return the names of the fields with a plain value in the first objects of a file."""
    *whole, last = head.split(b"\n")
    # The head of a large file ends inside a line.
    lines = whole[:_LINES_LOOKED_AT] or [last]
    found: dict[str, None] = {}
    for row in _rows(lines):
        if isinstance(row, dict):
            found |= {name: None for name, value in row.items() if _is_column(name, value)}
    return tuple(found)


def text_of(value: Any) -> str:
    """Return a value as the text of one column; lists and objects are empty, as missing ones."""
    if isinstance(value, str):
        return value.translate(_BREAKS)
    return str(value) if _is_plain(value) else ""


def _is_column(name: object, value: Any) -> bool:
    if not isinstance(name, str):
        return False
    return _is_plain(value) or (isinstance(value, list) and name.lower() in GENRES)


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _rows(lines: Sequence[bytes]) -> Sequence[Row | str | None]:
    """Return the object of each line, None for a blank one, a text that says what is wrong."""
    if any(len(line) > LONGEST_RECORD for line in lines):
        return [_row(line) for line in lines]
    try:
        # One call for all lines takes half the time of one call each.
        rows = json.loads(b"[" + b",".join(lines) + b"]")
    except (ValueError, RecursionError):
        return [_row(line) for line in lines]
    if len(rows) == len(lines) and all(isinstance(row, dict) for row in rows):
        found: Sequence[Row] = rows
        return found
    return [_row(line) for line in lines]


def _row(line: bytes) -> Row | str | None:
    text = line.strip()
    if not text:
        return None
    if len(text) > LONGEST_RECORD:
        return f"longer than {LONGEST_RECORD >> 20} MB"
    try:
        row = ast.literal_eval(text.decode()) if text.startswith(_PYTHON) else json.loads(text)
    except UnicodeDecodeError:
        return "not valid UTF-8"
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return "not a JSON object"
    return row if isinstance(row, dict) else "not a JSON object"
