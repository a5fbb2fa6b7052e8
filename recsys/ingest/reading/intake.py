"""Read files as newline-aligned blocks and record files, row counts and rejected rows."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Protocol

from recsys.domain import Progress, RejectedRow, SourceFile
from recsys.errors import DataError
from recsys.ingest.reading.characters import as_utf8, escaped
from recsys.ingest.reading.records import TALLEST
from recsys.ingest.reading.rejects import Rejects
from recsys.ingest.reading.sources import Entry, readable

BLOCK = 16 << 20
LONGEST_LINE = 64 << 20
LONGEST_RECORD = 1 << 20
"""Bytes of a row with quoted line breaks."""
CONTENT = 500
LONGEST_TEXT = 1 << 20
"""Bytes of a file that `read_text` returns."""
_BOM = b"\xef\xbb\xbf"
_OPENS_FIELD = re.compile(rb'(?:^|[,;\t])"[^"]*\Z')
_UP_TO_HEADER = re.compile(rb"(?:[ \t]*\n)*[^\n]*\n")


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines, each ended by one newline byte; `first_line` counts from 1."""

    data: bytes
    first_line: int
    rows_per_line: int = 1
    """More than 1 in a block made of lines that hold several rows each."""

    def line_of(self, index: int) -> int:
        """Return the line in the file of a line of `data`, both from their first ones."""
        return self.first_line + index // self.rows_per_line


class BlockReader(Protocol):
    """Reads a file of another form as blocks of lines with separated columns."""

    def __call__(self, intake: Intake, entry: Entry) -> Iterator[Block]: ...


@dataclass(slots=True)
class Intake:
    """The record of reading one data set: files, row count and rejected rows."""

    progress: Progress | None = None
    block_size: int = BLOCK
    rejects: Rejects = field(default_factory=Rejects)
    files: list[SourceFile] = field(default_factory=list)
    rows_read: int = 0
    bytes_left: int | None = None
    """Bytes of rows not yet read, at most; None if unknown."""

    def blocks(self, entry: Entry, *, header: bool, multiline: bool = False) -> Iterator[Block]:
        """Yield the file in blocks and record it in `files` at its end.

        `header` drops the first line that is not blank. With `multiline`, a block ends outside
        quoted fields if possible.
        """
        line = 1
        for data in _whole_lines(as_utf8(self._chunks(entry)), entry.name, multiline):
            lines = data.count(b"\n")
            start = _UP_TO_HEADER.match(data) if header else None
            if start is not None:
                data, header = data[start.end() :], False
            if data:
                yield Block(data, line + lines - data.count(b"\n"))
            line += lines

    def _chunks(self, entry: Entry) -> Iterator[bytes]:
        digest, done = hashlib.sha256(), 0
        with readable(entry.name):
            stream = entry.open()
        with stream:
            while chunk := _read(stream, self.block_size, entry.name):
                digest.update(chunk)
                done += len(chunk)
                if self.progress is not None:
                    # The size of packed files is known at their end.
                    self.progress(done, max(done, entry.size))
                yield chunk
        self.files.append(SourceFile(entry.name, done, digest.hexdigest()))

    def read_text(self, entry: Entry, encoding: str) -> str:
        """Return the text of a small file, or the start of a large one."""
        data = b""
        for block in self.blocks(entry, header=False):
            data += block.data[: LONGEST_TEXT - len(data)]
        return data.decode(encoding, "replace")

    def take(self, rows: int, size: int) -> None:
        """Count rows of so many bytes as read."""
        self.rows_read += rows
        if self.bytes_left is not None:
            self.bytes_left = max(0, self.bytes_left - size)

    def reject(self, entry: Entry, line: int, raw: bytes, encoding: str, reason: str) -> None:
        """Record a rejected row; its text is escaped and shortened to fit a text column.

        Raises DataError if no more rows may be rejected.
        """
        row = None
        if self.rejects.keeps(entry.name):
            # Decode a bounded prefix: a stray quote may have joined megabytes into one row.
            text = escaped(raw[: 4 * CONTENT].decode(encoding, "backslashreplace"))
            row = RejectedRow(entry.name, line, text[:CONTENT], escaped(reason))
        self.rejects.add(row)
        self.rejects.check(self.rows_read, self.bytes_left)


def _read(stream: IO[bytes], size: int, name: str) -> bytes:
    with readable(name):
        return stream.read(size)


def _whole_lines(chunks: Iterator[bytes], name: str, multiline: bool) -> Iterator[bytes]:
    """Yield whole lines: without byte order mark, with LF for CRLF and a final newline.

    A file without any LF has lines that end with CR.
    """
    rest, first, only_cr = b"", True, False
    for chunk in chunks:
        data = rest + chunk
        if first and data:
            data, first = data.removeprefix(_BOM), False
            only_cr = b"\n" not in data and b"\r" in data[:-1]
        if only_cr:
            data = data.replace(b"\r", b"\n")
        cut = end_of_rows(data) if multiline else data.rfind(b"\n") + 1
        rest = data[cut:]
        # Without this limit a binary file would be collected in memory as one line.
        if len(rest) > LONGEST_LINE:
            raise DataError(
                f"{name} has a line of more than {LONGEST_LINE >> 20} MB",
                hint="Is it a text file, and are its lines ended by newlines?",
            )
        if cut:
            yield _plain_newlines(data[:cut])
    if rest:
        yield _plain_newlines(rest + b"\n")


def end_of_rows(data: bytes) -> int:
    """Return the end of the last line, or its start if it opens a quoted field.

    An odd number of quotes means an open field or an earlier stray quote. The last line with an
    odd number of quotes decides: the field is open if that line looks like one that opens it, and
    is near enough for a row to reach from there to the end.
    """
    last = end = data.rfind(b"\n") + 1
    if data.count(b'"', 0, last) % 2 == 0:
        return last
    for _ in range(TALLEST):
        start = data.rfind(b"\n", 0, max(0, end - 1)) + 1
        if not end or last - start > LONGEST_RECORD:
            return last
        if data.count(b'"', start, end) % 2:
            return start if _OPENS_FIELD.search(data[start:end]) else last
        end = start
    return last


def _plain_newlines(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n") if b"\r" in data else data
