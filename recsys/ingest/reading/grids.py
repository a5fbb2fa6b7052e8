"""Read plain lines in bulk with the C parser of pandas.

A grid tells by the *signature* of a block whether the C parser reads it as `records` would: the
bytes that are left if what belongs to fields is taken away. Of plain lines only separators and
newlines are left.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recsys.domain import Int64
from recsys.ingest.reading.keys import KeyField, NumberField
from recsys.ingest.reading.numbers import Array, NumericField, TimeField
from recsys.ingest.reading.records import Grammar

_NUMERIC = b"0123456789-"
_QUOTE = ord(b'"')
_SINGLE = b"\x1f"
"""Stands for a separator of several characters, as the C parser takes one."""
_ZERO, _NINE, _MINUS, _NEWLINE = b"09-\n"


class NumberGrid:
    """Reads lines whose fields are all numbers."""

    def __init__(self, grammar: Grammar, columns: Sequence[NumericField]) -> None:
        self.grammar, self.columns = grammar, columns
        self.separator = grammar.separator.encode()
        self.single = _SINGLE if len(self.separator) > 1 else self.separator
        self.good_line = self.single * (grammar.columns - 1) + b"\n"
        self.id_columns = [column.position for column in columns if isinstance(column, NumberField)]

    def plain(self, data: bytes) -> bytes | None:
        """Return the block with a one-byte separator and without quotes; None if it has neither."""
        if len(self.separator) > 1:
            return None if self.single in data else data.replace(self.separator, self.single)
        return self._unquoted(data) if self.grammar.quoted and b'"' in data else data

    def signature(self, plain: bytes) -> bytes:
        """Return the bytes that are not part of a number; decimal points are where allowed."""
        left = plain.translate(None, _NUMERIC)
        for column in self.columns:
            if column.decimal and b"." in left:
                before = self.single * column.position
                after = self.good_line[column.position :]
                left = left.replace(before + b"." + after, self.good_line)
        return left

    def read(self, plain: bytes) -> list[Array] | None:
        """Parse lines with the signature of good ones; None if a number is malformed."""
        if self._may_have_unclear_ids(plain) and self._has_unclear_ids(plain):
            return None
        return self.parsed(plain, {column.position: column.dtype for column in self.columns})

    def parsed(self, plain: bytes, types: dict[int, str]) -> list[Array] | None:
        quoted = self.grammar.quoted and b'"' in plain
        try:
            table = pd.read_csv(
                io.BytesIO(plain),
                sep=self.single.decode(),
                header=None,
                names=list(range(self.grammar.columns)),
                usecols=[column.position for column in self.columns],
                dtype=types,
                engine="c",
                quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
                na_filter=False,
                low_memory=False,
            )
        except (ValueError, OverflowError):
            return None
        return [column.adjust(table[column.position].to_numpy()) for column in self.columns]

    def _may_have_unclear_ids(self, plain: bytes) -> bool:
        return bool(self.id_columns) and (
            plain.startswith((b"0", b"-0"))
            or any(
                start + zero in plain for start in (b"\n", self.single) for zero in (b"0", b"-0")
            )
        )

    def _has_unclear_ids(self, plain: bytes) -> bool:
        """Tell whether an id may be a key such as `007`, which the C parser would read as 7."""
        text = np.frombuffer(plain, np.uint8)
        return any(
            bool(((text[start] == _MINUS) | ((text[start] == _ZERO) & (stop > start + 1))).any())
            for start, stop in self.id_fields(text)
        )

    def id_fields(self, text: NDArray[np.uint8]) -> Iterator[tuple[Int64, Int64]]:
        """Yield where the ids of all lines start and stop, one column after the other."""
        delimits = (text == ord(self.single)) | (text == _NEWLINE)
        ends = np.flatnonzero(delimits).reshape(-1, self.grammar.columns)
        starts = np.concatenate([[0], ends[:-1, -1] + 1])
        for column in self.id_columns:
            yield starts if column == 0 else ends[:, column - 1] + 1, ends[:, column]

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


class TextGrid(NumberGrid):
    """Reads lines whose fields may be any text, such as keys and dates."""

    def __init__(self, grammar: Grammar, columns: Sequence[NumericField]) -> None:
        super().__init__(grammar, columns)
        # pandas ends a text at a NUL and a line at a CR.
        kept = self.single + b"\n\r\0" + (b'"' if grammar.quoted else b"")
        self.of_no_interest = bytes(set(range(256)) - set(kept))
        self.types = {column.position: column.dtype for column in columns}

    def plain(self, data: bytes) -> bytes | None:
        return data if self.separator == self.single else super().plain(data)

    def signature(self, plain: bytes) -> bytes:
        """Return the bytes that could split lines and fields, and quotes out of place."""
        return self._outside_quotes(plain).translate(None, self.of_no_interest)

    def read(self, plain: bytes) -> list[Array] | None:
        if self.id_columns and self._has_unclear_ids(plain):
            return None
        found = self.parsed(plain, self.types)
        if found is None:
            # From now on without a first try: a file has times of one form.
            texts = {
                column.position: "object"
                for column in self.columns
                if isinstance(column, TimeField) and column.flexible
            }
            found = self.parsed(plain, self.types | texts)
            self.types |= texts if found is not None else {}
        return found

    def _outside_quotes(self, plain: bytes) -> bytes:
        return _outside_quotes(plain, self.single) if self.grammar.quoted else plain

    def _has_unclear_ids(self, plain: bytes) -> bool:
        """Tell whether an id is not written in digits alone, or with leading zeros."""
        text = np.frombuffer(plain, np.uint8)
        others = np.zeros(len(text) + 1, np.int32)
        np.cumsum((text < _ZERO) | (text > _NINE), out=others[1:])
        masked = np.frombuffer(self._outside_quotes(plain), np.uint8)
        for start, stop in self.id_fields(masked):
            quoted = text[start] == _QUOTE
            first, after = start + quoted, stop - quoted
            unclear = (first >= after) | (others[np.maximum(first, after)] != others[first])
            unclear |= (text[first] == _ZERO) & (after > first + 1)
            if bool(unclear.any()):
                return True
        return False


def grids_for(grammar: Grammar, columns: Sequence[NumericField]) -> list[NumberGrid]:
    """Return the grids that read such a file, the fastest first."""
    if any(isinstance(column, KeyField) for column in columns):
        return [TextGrid(grammar, columns)]
    if any(isinstance(column, NumberField) for column in columns):
        return [NumberGrid(grammar, columns), TextGrid(grammar, columns)]
    return [NumberGrid(grammar, columns)]


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
