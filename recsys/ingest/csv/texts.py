"""Read ids and texts from two columns of a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from recsys.errors import DataError
from recsys.ingest.csv.headers import SEPARATORS
from recsys.ingest.reading.intake import Intake
from recsys.ingest.reading.records import Grammar, Record, read_records
from recsys.ingest.reading.sources import Entry, open_folders


@dataclass(frozen=True, slots=True)
class TextTable:
    """Texts in the order of the file, with unique ids; an id may be any text."""

    name: str
    ids: tuple[str, ...]
    texts: tuple[str, ...]


def read_texts(
    path: Path,
    id_column: str | None,
    text_column: str | None,
    max_unpacked_mb: int | None = None,
) -> TextTable:
    """Read two columns of a CSV file with a header, or of the only file in a zip.

    By default the id is the column `id`, or the first of two, and the text the other of two.
    Raises DataError for any row that cannot be read: rows are never skipped.
    """
    if not path.is_file():
        problem = "is a folder" if path.is_dir() else "does not exist"
        raise DataError(f"{path} {problem}", hint="give a CSV file with a header")
    with open_folders(path, max_unpacked_mb) as folders:
        entries = [entry for folder in folders for entry in folder.files.values()]
        if len(entries) != 1:
            raise DataError(f"{path} holds {len(entries)} files", hint="give one CSV file")
        return _read(entries[0], id_column, text_column)


def _read(entry: Entry, id_column: str | None, text_column: str | None) -> TextTable:
    separator, names = _header(entry, [name for name in (id_column, text_column) if name])
    id_at, text_at = _columns(entry, names, id_column, text_column)
    grammar = Grammar(separator, len(names), quoted=True, multiline=True)
    line_of: dict[str, int] = {}
    texts: list[str] = []
    for line, record in _records(entry, grammar):
        id_ = record.fields[id_at].strip()
        if not id_:
            raise DataError(f"{entry.name}, line {line}: the id is empty")
        if id_ in line_of:
            raise DataError(
                f"{entry.name}, line {line}: the id {id_!r} is already used on line {line_of[id_]}",
                hint="every row needs an id of its own; --id names another column",
            )
        line_of[id_] = line
        texts.append(record.fields[text_at])
    if not texts:
        raise DataError(f"{entry.name} has a header and no rows")
    return TextTable(entry.name, tuple(line_of), tuple(texts))


def _header(entry: Entry, wanted: Sequence[str]) -> tuple[str, list[str]]:
    """Return the separator with the most requested columns; ties go to the most columns."""
    line = entry.first_line()
    if not line:
        raise DataError(f"{entry.name} is empty", hint="Check how the file was made.")
    # first_line() decodes invalid bytes to this character.
    if "\ufffd" in line:
        raise DataError(f"{entry.name}, line 1: not valid UTF-8", hint="Save it as UTF-8.")
    found = []
    for separator in SEPARATORS:
        fields = next(csv.reader([line], delimiter=separator), [])
        found.append((separator, [field.strip() for field in fields]))
    return max(found, key=lambda pair: (len(set(wanted) & set(pair[1])), len(pair[1])))


def _columns(
    entry: Entry, names: list[str], id_column: str | None, text_column: str | None
) -> tuple[int, int]:
    """Return the positions of the id and of the text."""
    there = f"{entry.name}, line 1: its columns are {', '.join(names)}"
    for name in (id_column, text_column):
        if name is not None and name not in names:
            raise DataError(f"{there}; there is no {name!r}", hint="name one of them")
    id_at = _position(names, id_column, text_column)
    text_at = _position(names, text_column, names[id_at]) if id_at is not None else None
    if id_at is None or text_at is None or id_at == text_at:
        raise DataError(there, hint="say which is the id and which the text: --id A --text B")
    return id_at, text_at


def _position(names: list[str], name: str | None, other: str | None) -> int | None:
    """Return the position of the column; by default `id`, or the only one besides the other."""
    if name is not None:
        return names.index(name)
    rest = [position for position, column in enumerate(names) if column != other]
    called_id = [position for position in rest if names[position].lower() == "id"]
    if called_id:
        return called_id[0]
    if len(names) == 2:
        return rest[0]
    return None


def _records(entry: Entry, grammar: Grammar) -> Iterator[tuple[int, Record]]:
    """Yield each row with its line; raise DataError at the first invalid one."""
    for block in Intake().blocks(entry, header=True, multiline=True):
        for record in read_records(block.data.split(b"\n")[:-1], grammar):
            line = block.first_line + record.index
            if record.problem is not None:
                raise DataError(
                    f"{entry.name}, line {line}: {record.problem}",
                    hint="the file must be CSV in UTF-8, every row with the columns of the header",
                )
            yield line, record
