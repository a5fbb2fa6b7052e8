"""Parse blocks of lines into numeric columns; keys become their positions.

Three parsers accept the same rows and differ in speed. Lines of digits and the expected separators
go to the C parser of pandas as one block; in a file with keys, lines with the expected separators.
Other lines are matched against one regular expression. Lines that do not match go to `records`,
which gives a reason for every rejected row.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from heapq import merge

import numpy as np
import pandas as pd

from recsys.domain import Int32, Int64
from recsys.ingest.reading.intake import Block, Intake, end_of_rows
from recsys.ingest.reading.keys import KeyField, NotNumbers, NumberField
from recsys.ingest.reading.numbers import Array, BadField, NumericField
from recsys.ingest.reading.records import Grammar, Record, read_record
from recsys.ingest.reading.sources import Entry

PIECE = 1 << 20
_NUMERIC = b"0123456789-"
_QUOTE = ord(b'"')
_FIELD = rb"^(?:[^%b\n]*%b){%d}"
"""Matches a line up to the field at a position."""


@dataclass(frozen=True, slots=True)
class NumericFile:
    """A file with numeric fields; columns without a field are skipped."""

    entry: Entry
    grammar: Grammar
    header: bool
    columns: tuple[NumericField, ...]


@dataclass(frozen=True, slots=True)
class NumericTable:
    """The valid rows of a file: one array per field, and the first line of each row."""

    columns: tuple[Array, ...]
    lines: Int32

    def __len__(self) -> int:
        return len(self.lines)


@dataclass(frozen=True, slots=True)
class _ParsedBlock:
    """NumericTable of one block: columns and positions of those read in bulk, and the rest."""

    columns: list[Array]
    indices: Int64
    odd: list[Record] = field(default_factory=list)


def read_numeric(intake: Intake, file: NumericFile) -> NumericTable:
    """Read and validate the whole file; invalid rows go to `intake.rejects`."""
    parser = _BlockParser(file)
    parts: list[list[Array]] = [[] for _ in range(len(file.columns) + 1)]
    grammar = file.grammar
    blocks = intake.blocks(file.entry, header=file.header, multiline=grammar.multiline)
    for block in blocks:
        for columns in parser.read(block, intake):
            for part, array in zip(parts, columns, strict=True):
                part.append(array)
    kinds = [column.final for column in file.columns] + ["int32"]
    joined = [_join(part, kind) for part, kind in zip(parts, kinds, strict=True)]
    return NumericTable(tuple(joined[:-1]), joined[-1])


def _join(parts: list[Array], kind: str) -> Array:
    """Concatenate and free the parts, so that at most one column is in memory twice."""
    whole = np.concatenate([np.empty(0, kind), *parts])
    parts.clear()
    return whole


class _BlockParser:
    def __init__(self, file: NumericFile) -> None:
        self.entry, self.grammar, self.columns = file.entry, file.grammar, file.columns
        self.in_order = sorted(file.columns, key=lambda column: column.position)
        # The C parser of pandas needs one character: `::` becomes a tab in blocks without tabs.
        self.separator = file.grammar.separator.encode()
        self.single = b"\t" if len(self.separator) > 1 else self.separator
        self.good_line = self.single * (self.grammar.columns - 1) + b"\n"
        self.line, self.groups = _line_pattern(file)
        self.with_keys = any(isinstance(column, KeyField) for column in file.columns)
        # pandas ends a text at a NUL and a line at a CR.
        kept = self.single + b"\n\r\0" + (b'"' if self.grammar.quoted else b"")
        self.of_no_interest = bytes(set(range(256)) - set(kept))
        self.leading_zeros = [
            re.compile(
                _FIELD % (self.single, self.single, column.position) + b"0[0-9]", re.MULTILINE
            )
            for column in file.columns
            if isinstance(column, NumberField)
        ]

    def read(self, block: Block, intake: Intake) -> Iterator[list[Array]]:
        """Yield the fields and the line numbers of the valid rows of a block."""
        parsed = self._parse_plain(block.data)
        if parsed is not None:
            yield self._checked(parsed, block, intake)
            return
        # Odd lines take far more memory than plain ones, so that a whole block may be too much.
        for piece in _pieces(block, multiline=self.grammar.multiline):
            yield self._checked(self._parse_piece(piece.data), piece, intake)

    def _checked(self, parsed: _ParsedBlock, block: Block, intake: Intake) -> list[Array]:
        """Return the valid rows and reject the others."""
        intake.take(len(parsed.indices) + len(parsed.odd), 0)
        pairs = list(zip(self.columns, parsed.columns, strict=True))
        good = np.logical_and.reduce([column.good(values) for column, values in pairs])
        numbers = (parsed.indices + block.first_line).astype(np.int32)
        kept = [values.astype(column.final, copy=False) for column, values in pairs]
        rows = [values if good.all() else values[good] for values in (*kept, numbers)]
        odd: Iterable[Record] = parsed.odd
        if not good.all():
            lines = block.data.split(b"\n")
            bad = np.sort(parsed.indices[~good]).tolist()
            records = (read_record(lines, index, self.grammar) for index in bad)
            odd = merge(parsed.odd, records, key=lambda record: record.index)
        rows = self._with_odd(rows, odd, block.first_line, intake)
        intake.take(0, len(block.data))
        return rows

    def _parse_plain(self, data: bytes) -> _ParsedBlock | None:
        """Parse a block of plain lines in bulk; None if other lines are among them."""
        plain = self._plain(data)
        if plain is None or self._signature(plain) != self.good_line * plain.count(b"\n"):
            return None
        return self._read_grid(plain)

    def _has_leading_zeros(self, plain: bytes) -> bool:
        """Tell whether an id may be a key such as `007`, which the C parser would read as 7."""
        if not self.leading_zeros or not (
            plain.startswith(b"0") or b"\n0" in plain or self.single + b"0" in plain
        ):
            return False
        return any(pattern.search(plain) for pattern in self.leading_zeros)

    def _parse_piece(self, data: bytes) -> _ParsedBlock:
        """Parse the plain lines in bulk and the others one by one."""
        plain = self._plain(data)
        parsed = None if plain is None else self._read_plain(plain, data)
        return parsed or self._read_lines(data.split(b"\n")[:-1])

    def _read_plain(self, plain: bytes, data: bytes) -> _ParsedBlock | None:
        signature = self._signature(plain)
        if signature == self.good_line * plain.count(b"\n"):
            return self._read_grid(plain)
        if self.grammar.multiline:
            return None
        good = self.good_line[:-1]
        odd = [index for index, line in enumerate(signature.split(b"\n")[:-1]) if line != good]
        return self._read_around(plain, data.split(b"\n")[:-1], odd)

    def _plain(self, data: bytes) -> bytes | None:
        """Return the block with a one-byte separator and without quotes; None if it has neither."""
        if len(self.separator) > 1:
            return None if self.single in data else data.replace(self.separator, self.single)
        if self.with_keys:
            return data
        return self._unquoted(data) if self.grammar.quoted and b'"' in data else data

    def _unquoted(self, data: bytes) -> bytes:
        """Return the block without quotes if each quoted field is a number and nothing else.

        Every quote must touch a delimiter on its outer side. With the digits removed, the two
        quotes of a field must touch each other or enclose a decimal point.
        """
        single = self.single
        touching = (single + b'"', b'"' + single, b'\n"', b'"\n')
        outer = sum(map(data.count, touching)) + data.startswith(b'"')
        bare = data.translate(None, _NUMERIC).replace(b'"."', b"").replace(b'""', b"")
        if outer != data.count(b'"') or b'"' in bare:
            return data
        return data.replace(b'"', b"")

    def _signature(self, data: bytes) -> bytes:
        """Return the bytes that are not part of a number; decimal points are where allowed.

        With keys, return the bytes that could split lines and fields, and quotes out of place.
        """
        if self.with_keys:
            text = _outside_quotes(data, self.single) if self.grammar.quoted else data
            return text.translate(None, self.of_no_interest)
        left = data.translate(None, _NUMERIC)
        for column in self.columns:
            if column.decimal and b"." in left:
                before = self.single * column.position
                after = self.good_line[column.position :]
                left = left.replace(before + b"." + after, self.good_line)
        return left

    def _read_grid(self, data: bytes) -> _ParsedBlock | None:
        """Parse lines that all have the expected signature; None if a number is malformed."""
        if self._has_leading_zeros(data):
            return None
        quoted = self.grammar.quoted and b'"' in data
        try:
            table = pd.read_csv(
                io.BytesIO(data),
                sep=self.single.decode(),
                header=None,
                names=list(range(self.grammar.columns)),
                usecols=[column.position for column in self.columns],
                dtype={column.position: column.dtype for column in self.columns},
                engine="c",
                quoting=csv.QUOTE_MINIMAL if self.with_keys and quoted else csv.QUOTE_NONE,
                na_filter=False,
                low_memory=False,
            )
        except (ValueError, OverflowError):
            return None
        columns = [column.adjust(table[column.position].to_numpy()) for column in self.columns]
        return _ParsedBlock(columns, np.arange(len(table), dtype=np.int64))

    def _read_around(
        self, plain: bytes, lines: Sequence[bytes], odd: Sequence[int]
    ) -> _ParsedBlock | None:
        """Parse the odd lines one by one and the others as a grid."""
        smooth = np.delete(np.arange(len(lines)), odd)
        smooth_lines = plain.split(b"\n")
        grid = self._read_grid(b"\n".join([smooth_lines[index] for index in smooth.tolist()]))
        if grid is None:
            return None
        rest = self._read_lines([lines[index] for index in odd])
        places = np.array(odd, np.int64)
        columns = [
            np.concatenate([values, more])
            for values, more in zip(grid.columns, rest.columns, strict=True)
        ]
        indices = np.concatenate([smooth, places[rest.indices]])
        return _ParsedBlock(columns, indices, [replace(r, index=odd[r.index]) for r in rest.odd])

    def _read_lines(self, lines: Sequence[bytes]) -> _ParsedBlock:
        """Parse the lines that match the pattern and collect the others as records."""
        matched, indices, odd, index = [], [], [], 0
        fullmatch, groups, grammar = self.line.fullmatch, self.groups, self.grammar
        while index < len(lines):
            match = fullmatch(lines[index])
            # The pattern works on bytes, so a text column may still be invalid in the encoding.
            if match and _decodes(lines[index], grammar.encoding):
                matched.append(match.group(*groups))
                indices.append(index)
                index += 1
                continue
            record = read_record(lines, index, grammar)
            index += record.height
            if not record.blank:
                odd.append(record)
        texts = zip(*matched, strict=True) if matched else [()] * len(self.columns)
        columns = [column.convert(text) for column, text in zip(self.columns, texts, strict=True)]
        return _ParsedBlock(columns, np.array(indices, np.int64), odd)

    def _with_odd(
        self, bulk: list[Array], odd: Iterable[Record], first_line: int, intake: Intake
    ) -> list[Array]:
        """Parse the odd rows field by field; add the valid ones and reject the others."""
        good: list[tuple[float, ...]] = []
        for record in odd:
            line = first_line + record.index
            try:
                good.append((*self._parse(record), line))
            except BadField as exc:
                intake.reject(self.entry, line, record.raw, self.grammar.encoding, str(exc))
        if not good:
            return _in_order(bulk)
        return _in_order(
            [
                np.concatenate([values, np.array(more, values.dtype)])
                for values, more in zip(bulk, zip(*good, strict=True), strict=True)
            ]
        )

    def _parse(self, record: Record) -> Iterator[float]:
        if record.problem is not None:
            raise BadField(record.problem)
        values: list[float] = []
        needs_keys: NotNumbers | None = None
        for column in self.columns:
            try:
                values.append(column.parse(record.fields[column.position]))
            # Only a row that is good otherwise tells that the column holds keys.
            except NotNumbers as exc:
                needs_keys = exc
        if needs_keys is not None:
            raise needs_keys
        return iter(values)


def _pieces(block: Block, *, multiline: bool) -> Iterator[Block]:
    """Split a block into pieces of whole rows of about `PIECE` bytes."""
    data, start, line = block.data, 0, block.first_line
    while start < len(data):
        piece = data[start : start + PIECE]
        cut = end_of_rows(piece) if multiline else piece.rfind(b"\n") + 1
        stop = start + cut if cut else data.index(b"\n", start) + 1
        if start + PIECE >= len(data):
            stop = len(data)
        yield Block(data[start:stop], line)
        line += data.count(b"\n", start, stop)
        start = stop


def _outside_quotes(data: bytes, separator: bytes) -> bytes:
    """Return the block with `x` for proper quotes and for the separators between them.

    A quote is proper if it touches a delimiter on its outer side.
    """
    if b'"' not in data:
        return data
    text = np.frombuffer(data, np.uint8)
    quotes = text == _QUOTE
    at = np.flatnonzero(quotes)
    delimits = np.zeros(256, bool)
    delimits[[ord(separator), ord("\n")]] = True
    # The block ends with a newline, so position -1 stands for the start of the first line.
    outer = np.where(np.arange(len(at)) % 2, np.minimum(at + 1, len(text) - 1), at - 1)
    proper = delimits[text[outer]]
    # 1 from an opening quote to before its closing one; overflow of uint8 keeps the parity.
    inside = (np.cumsum(quotes, dtype=np.uint8) & 1).astype(bool)
    masked = text.copy()
    masked[at[proper]] = ord("x")
    masked[inside & (text == ord(separator))] = ord("x")
    # A line that ends inside quotes goes on in the next one.
    masked[inside & (text == ord("\n"))] = _QUOTE
    return masked.tobytes()


def _in_order(rows: list[Array]) -> list[Array]:
    """Sort the rows by line number, the last array."""
    lines = rows[-1]
    if bool((lines[1:] > lines[:-1]).all()):
        return rows
    order = np.argsort(lines)
    return [values[order] for values in rows]


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        return data.isascii() or bool(data.decode(encoding))
    except UnicodeDecodeError:
        return False


def _line_pattern(file: NumericFile) -> tuple[re.Pattern[bytes], Sequence[int]]:
    """Compile the pattern of a valid line; return it with the group of each field."""
    quoted, separator = file.grammar.quoted, re.escape(file.grammar.separator.encode())
    patterns = {column.position: column.pattern for column in file.columns}
    pieces, groups = [], {}
    count = 0
    for position in range(file.grammar.columns):
        if position not in patterns:
            text = rb"[^\"" + separator + rb"]*" if quoted else rb"(?:(?!" + separator + rb").)*"
            pieces.append(rb"(?:\"(?:[^\"]|\"\")*\"|" + text + rb")" if quoted else text)
            continue
        number = rb" *(" + patterns[position] + rb") *"
        if quoted:
            count += 1
            # A conditional group: the closing quote is required only after an opening one.
            number = rb'(")?' + number + rb'(?(%d)")' % count
        count += 1
        groups[position] = count
        pieces.append(number)
    line = re.compile(separator.join(pieces), re.DOTALL)
    return line, [groups[column.position] for column in file.columns]
