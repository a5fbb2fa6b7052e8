"""Look at one file: the form of its rows, and the names of its columns."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

from recsys.errors import DataError
from recsys.ingest.csv import json_lines, parquet
from recsys.ingest.csv.known import KnownFile, KnownHeader, headerless, with_header
from recsys.ingest.csv.names import GENRES, MOVIE, RATING, STRENGTH, TIME, USER
from recsys.ingest.options import NO_COLUMNS, ColumnNames
from recsys.ingest.reading.intake import Block, BlockReader, Intake
from recsys.ingest.reading.records import Grammar
from recsys.ingest.reading.sources import Entry

SEPARATORS = (",", ";", "\t")
_LONG_HEAD = 1 << 22
"""Bytes that are looked at for the end of a first line of JSON."""

Kind = Literal["csv", "json", "parquet"]

_IGNORED = re.compile(r"[\s_\-]+")
_BY_ROLE = {"user": USER, "movie": MOVIE, "rating": RATING, "strength": STRENGTH, "time": TIME}


@dataclass(frozen=True, slots=True)
class TableFile:
    """A file of rows with columns; `names` are as in the file."""

    entry: Entry
    kind: Kind
    names: tuple[str, ...]
    separator: str = ","
    header: bool = True
    known: KnownFile | KnownHeader | None = None
    by_role: ColumnNames = NO_COLUMNS

    def find(self, names: Sequence[str]) -> str | None:
        """Return the column with the first of these names that is there."""
        present: dict[str, str] = {}
        for name in self.names:
            present.setdefault(plain(name), name)
        return next((present[name] for name in names if name in present), None)

    def role(self, role: str) -> str | None:
        """Return the column of a role, None if the file has none."""
        if not self.header:
            return role if role in self.names else None
        named = self.by_role.named.get(role)
        return self.find(_BY_ROLE[role] if named is None else (plain(named),))

    def select(self, names: Sequence[str]) -> tuple[Grammar, list[int], BlockReader | None]:
        """Return how to read these columns: the form of the lines and the position of each."""
        chosen = tuple(names)
        if self.kind == "json":
            return Grammar("\t", len(chosen)), _places(chosen), self._json(chosen)
        if self.kind == "parquet":
            grammar = Grammar("\t", len(chosen), quoted=True, multiline=True)
            return grammar, _places(chosen), parquet.ParquetRows(chosen)
        # Ids and numbers hold no line breaks; only files with other columns need the slower search.
        extra = len(self.names) > len(chosen)
        quoted = len(self.separator) == 1
        grammar = Grammar(
            self.separator, len(self.names), quoted=quoted, multiline=quoted and extra
        )
        reader = Latin1(self.header) if self._is_latin_1 else None
        return grammar, [self.names.index(name) for name in chosen], reader

    def _json(self, names: tuple[str, ...]) -> json_lines.JsonLines:
        lists = frozenset(name for name in names if plain(name) in GENRES)
        return json_lines.JsonLines(names, lists)

    @property
    def _is_latin_1(self) -> bool:
        # The quoted names and the semicolons of the first Book-Crossing files.
        names = {plain(name) for name in self.names}
        return self.kind == "csv" and self.separator == ";" and "isbn" in names


@dataclass(frozen=True, slots=True)
class Latin1:
    """Reads lines in Latin-1."""

    header: bool

    def __call__(self, intake: Intake, entry: Entry) -> Iterator[Block]:
        for block in intake.blocks(entry, header=self.header):
            yield Block(block.data.decode("latin-1").encode(), block.first_line)


def plain(name: str) -> str:
    """Return the name of a column as the lists of names have it."""
    return _IGNORED.sub("", name).lower()


def look_at(entry: Entry, columns: ColumnNames) -> TableFile | None:
    """Return the form of a file, None if it is empty or not made of rows."""
    head = entry.head()
    start = head.lstrip()[:4]
    if start.startswith(parquet.MAGIC):
        if entry.packed:
            raise DataError(
                f"{entry.name} is a Parquet file in another packing",
                hint="Unpack it: Parquet packs its columns itself.",
            )
        return _with_names(TableFile(entry, "parquet", parquet.names_in(entry), by_role=columns))
    if not start or b"\0" in head:
        return None
    if start.startswith(b"{"):
        names = json_lines.names_in(head if b"\n" in head else entry.head(_LONG_HEAD))
        return _with_names(TableFile(entry, "json", names, by_role=columns)) if names else None
    return _delimited(entry, head, columns)


def missing_roles(table: TableFile) -> list[str]:
    """Return the roles that a ratings file needs and this one has not."""
    return [role for role in ("user", "movie") if table.role(role) is None]


def _delimited(entry: Entry, head: bytes, columns: ColumnNames) -> TableFile | None:
    line = entry.first_line()
    if columns.order:
        # Of a file with another number of columns, every row is rejected with that reason.
        separator = max(SEPARATORS, key=lambda mark: _width(line, mark) == len(columns.order))
        return TableFile(entry, "csv", columns.order, separator, header=False)
    *whole, last = head.decode("utf-8", "replace").split("\n")
    known = headerless("\n".join(whole or [last]).replace("\r", ""))
    if known is not None:
        # A column without a role has a name that no role has.
        names = tuple(role or f"-{place}" for place, role in enumerate(known.order))
        return TableFile(entry, "csv", names, known.separator, header=False, known=known)
    found = [
        TableFile(entry, "csv", tuple(_fields(line, mark)), mark, by_role=columns)
        for mark in SEPARATORS
    ]
    return _with_names(min(found, key=lambda table: (len(missing_roles(table)), -len(table.names))))


def _with_names(table: TableFile) -> TableFile:
    known = with_header(frozenset(map(plain, table.names)))
    return TableFile(
        table.entry, table.kind, table.names, table.separator, True, known, table.by_role
    )


def _width(line: str, separator: str) -> int:
    return len(_fields(line, separator))


def _fields(line: str, separator: str) -> list[str]:
    return [field.strip() for field in next(csv.reader([line], delimiter=separator), [])]


def _places(names: Sequence[str]) -> list[int]:
    return list(range(len(names)))


def stem(name: str) -> str:
    """Return the name of a file without its suffix."""
    return PurePath(name).stem
