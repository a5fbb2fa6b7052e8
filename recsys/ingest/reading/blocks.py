"""Parse blocks of lines into numeric columns; keys become their positions.

Three parsers accept the same rows and differ in speed. Lines of digits and the expected separators
go to the C parser of pandas as one block; in a file with keys, lines with the expected separators.
Other lines are matched against one regular expression. Lines that do not match go to `records`,
which gives a reason for every rejected row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from heapq import merge

import numpy as np

from recsys.domain import Int32, Int64
from recsys.ingest.reading.grids import NumberGrid, grids_for
from recsys.ingest.reading.intake import Block, BlockReader, Intake, end_of_rows
from recsys.ingest.reading.keys import NotNumbers
from recsys.ingest.reading.numbers import Array, BadField, NumericField
from recsys.ingest.reading.records import Grammar, Record, read_record, read_records
from recsys.ingest.reading.sources import Entry

PIECE = 1 << 20
_LOOKED_AT = 1 << 11


@dataclass(frozen=True, slots=True)
class NumericFile:
    """A file with numeric fields; columns without a field are skipped."""

    entry: Entry
    grammar: Grammar
    header: bool
    columns: tuple[NumericField, ...]
    reader: BlockReader | None = None
    """For a file of another form; None: the lines as they are."""

    def blocks(self, intake: Intake) -> Iterator[Block]:
        if self.reader is not None:
            return self.reader(intake, self.entry)
        return intake.blocks(self.entry, header=self.header, multiline=self.grammar.multiline)


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
    for number, block in enumerate(file.blocks(intake)):
        if number == 0:
            parser.look_at(block)
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
        self.grids = grids_for(file.grammar, file.columns)
        self.line, self.groups = _line_pattern(file)

    def look_at(self, block: Block) -> None:
        """Raise NotNumbers if the first rows have keys, before a whole block is tried."""
        first = block.data[:_LOOKED_AT].split(b"\n")[:-1]
        for record in read_records(first, self.grammar):
            with suppress(BadField):
                self._parse(record)

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
        numbers = block.first_line + parsed.indices // block.rows_per_line
        kept = [values.astype(column.final, copy=False) for column, values in pairs]
        rows = [
            values if good.all() else values[good] for values in (*kept, numbers.astype(np.int32))
        ]
        odd: Iterable[Record] = parsed.odd
        if not good.all():
            lines = block.data.split(b"\n")
            bad = np.sort(parsed.indices[~good]).tolist()
            records = (read_record(lines, index, self.grammar) for index in bad)
            odd = merge(parsed.odd, records, key=lambda record: record.index)
        rows = self._with_odd(rows, odd, block, intake)
        intake.take(0, len(block.data))
        return rows

    def _parse_plain(self, data: bytes) -> _ParsedBlock | None:
        """Parse a block of plain lines in bulk; None if other lines are among them."""
        for grid in self.grids:
            plain = grid.plain(data)
            if plain is None or grid.signature(plain) != grid.good_line * plain.count(b"\n"):
                continue
            columns = grid.read(plain)
            if columns is not None:
                return _ParsedBlock(columns, np.arange(len(columns[0]), dtype=np.int64))
        return None

    def _parse_piece(self, data: bytes) -> _ParsedBlock:
        """Parse the plain lines in bulk and the others one by one."""
        parsed = self._parse_plain(data)
        if parsed is None and not self.grammar.multiline:
            parsed = self._read_around(self.grids[-1], data)
        return parsed or self._read_lines(data.split(b"\n")[:-1])

    def _read_around(self, grid: NumberGrid, data: bytes) -> _ParsedBlock | None:
        """Parse the odd lines one by one and the others as a grid."""
        plain = grid.plain(data)
        if plain is None:
            return None
        good = grid.good_line[:-1]
        signatures = grid.signature(plain).split(b"\n")[:-1]
        odd = [index for index, line in enumerate(signatures) if line != good]
        lines, smooth_lines = data.split(b"\n")[:-1], plain.split(b"\n")
        smooth = np.delete(np.arange(len(lines)), odd)
        if not len(smooth):
            return None
        # The block of the other lines ends with a newline, too.
        columns = grid.read(b"".join([smooth_lines[index] + b"\n" for index in smooth.tolist()]))
        if columns is None:
            return None
        rest = self._read_lines([lines[index] for index in odd])
        places = np.array(odd, np.int64)
        joined = [
            np.concatenate([values, more])
            for values, more in zip(columns, rest.columns, strict=True)
        ]
        indices = np.concatenate([smooth, places[rest.indices]])
        return _ParsedBlock(joined, indices, [replace(r, index=odd[r.index]) for r in rest.odd])

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
        self, bulk: list[Array], odd: Iterable[Record], block: Block, intake: Intake
    ) -> list[Array]:
        """Parse the odd rows field by field; add the valid ones and reject the others."""
        good: list[tuple[float, ...]] = []
        for record in odd:
            line = block.line_of(record.index)
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
    # A line of several rows is short enough to stay in one piece.
    if block.rows_per_line > 1:
        yield block
        return
    data, start, line = block.data, 0, 0
    while start < len(data):
        piece = data[start : start + PIECE]
        cut = end_of_rows(piece) if multiline else piece.rfind(b"\n") + 1
        stop = start + cut if cut else data.index(b"\n", start) + 1
        if start + PIECE >= len(data):
            stop = len(data)
        yield Block(data[start:stop], block.line_of(line), block.rows_per_line)
        line += data.count(b"\n", start, stop)
        start = stop


def _in_order(rows: list[Array]) -> list[Array]:
    """Sort the rows by line number, the last array."""
    lines = rows[-1]
    if bool((lines[1:] >= lines[:-1]).all()):
        return rows
    order = np.argsort(lines, kind="stable")
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
