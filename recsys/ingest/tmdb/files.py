"""Find the files of The Movies Dataset in a folder or a zip and read them row by row."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from recsys.errors import DataError
from recsys.ingest.reading.characters import escaped_name
from recsys.ingest.reading.intake import CONTENT, Intake
from recsys.ingest.reading.sources import Entry, file_entry, member_entry, opened_zip

FILE_NAMES = ("movies_metadata.csv", "keywords.csv", "credits.csv")

_HINT = f"give a folder or a zip with {', '.join(FILE_NAMES)}, or one of these files"
_LONGEST_FIELD = 1 << 20  # characters; the longest real ones, whole crews, have some 100,000


class BadRow(Exception):
    """An invalid row; the message is the reason for its rejection."""


@dataclass(frozen=True, slots=True)
class MetadataFile:
    """One of `FILE_NAMES`; `label` includes its location."""

    entry: Entry
    label: str


@contextmanager
def metadata_files(path: Path, max_unpacked_mb: int | None = None) -> Iterator[list[MetadataFile]]:
    """Yield the files of `FILE_NAMES` that exist, in this order.

    A zip stays open inside the context and is never unpacked to disk. Raises `DataError` if no
    file is found, and for a zip that would unpack to more than `max_unpacked_mb`.
    """
    place = escaped_name(str(path))
    if not path.exists():
        raise DataError(f"{place} does not exist", hint=_HINT)
    if path.is_dir():
        yield _required(place, [_plain(path / n) for n in FILE_NAMES if (path / n).is_file()])
    elif path.name in FILE_NAMES:
        yield [_plain(path)]
    elif path.suffix.lower() == ".zip" or zipfile.is_zipfile(path):
        with opened_zip(path, max_unpacked_mb) as archive:
            yield _required(place, _in_zip(place, archive))
    else:
        raise DataError(f"{place} is no file of The Movies Dataset", hint=_HINT)


def _required(place: str, files: list[MetadataFile]) -> list[MetadataFile]:
    if not files:
        raise DataError(f"{place} holds no file of The Movies Dataset", hint=_HINT)
    return files


def _plain(path: Path) -> MetadataFile:
    return MetadataFile(file_entry(path), escaped_name(str(path)))


def _in_zip(place: str, archive: zipfile.ZipFile) -> list[MetadataFile]:
    """Return the shallowest member with each name, in any folder of the zip."""
    found: dict[str, tuple[int, str, zipfile.ZipInfo]] = {}
    for member in archive.infolist():
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if path.name in FILE_NAMES and not member.is_dir():
            candidate = (len(path.parts), member.filename, member)
            best = found.get(path.name, candidate)
            found[path.name] = min(best, candidate, key=lambda entry: entry[:2])
    return [
        MetadataFile(member_entry(archive, info), f"{place}: {escaped_name(filename)}")
        for _, filename, info in (found[name] for name in FILE_NAMES if name in found)
    ]


class RowReader:
    """Read the rows of one CSV file; keep line and raw text of the current row for rejections.

    A row is a dict from column to text; columns missing at the end of a row are empty. Raises
    DataError if the file cannot be read or lacks one of the columns.
    """

    def __init__(
        self,
        file: MetadataFile,
        columns: tuple[str, ...],
        intake: Intake,
        optional: tuple[str, ...] = (),
    ) -> None:
        self._file = file
        self._intake = intake
        self._line = 0
        self._record: list[str] = []
        self._rows = csv.reader(self._lines())
        self._header = self._read_header(columns)
        present = [name for name in (*columns, *optional) if name in self._header]
        self._columns = [(name, self._header.index(name)) for name in present]
        self._missing = dict.fromkeys((name for name in optional if name not in self._header), "")

    def read(self, take: Callable[[dict[str, str]], None]) -> None:
        """Pass every row to `take`; reject the row if it raises `BadRow`."""
        while True:
            self._record.clear()
            try:
                record = next(self._rows, None)
                if record is None:
                    break
                if record:
                    self._intake.take(1, 0)
                    take(self._fields(record))
            except BadRow as exc:
                self._reject(str(exc))
            except csv.Error as exc:
                self._intake.take(1, 0)
                self._reject(str(exc))

    def _fields(self, record: list[str]) -> dict[str, str]:
        raw = "".join(self._record)
        if not raw.isascii() and not _encodable(raw):
            raise BadRow("broken encoding: not UTF-8")
        if "\0" in raw:
            raise BadRow("broken encoding: a NUL byte")
        missing = len(self._header) - len(record)
        # A short row on one line was truncated and is usable. A short row on several lines has an
        # open quote that swallowed the rows after it.
        if missing < 0 or (missing > 0 and len(self._record) > 1):
            raise BadRow(f"{len(record)} fields where the header has {len(self._header)}")
        record += [""] * missing
        return {**self._missing, **{name: record[index] for name, index in self._columns}}

    def _reject(self, reason: str) -> None:
        start = self._line - len(self._record) + 1
        raw = "".join(self._record)[: 2 * CONTENT].rstrip("\n")
        self._intake.reject(
            self._file.entry, start, raw.encode("utf-8", "surrogateescape"), "utf-8", reason
        )

    def _read_header(self, columns: tuple[str, ...]) -> list[str]:
        name = self._file.entry.name
        hint = f"{name} needs the columns {', '.join(columns)}, as UTF-8 and with commas"
        try:
            header = [name.strip() for name in next(self._rows, [])]
        except csv.Error as exc:
            raise DataError(f"{self._file.label}, line 1: {exc}", hint=hint) from exc
        missing = [name for name in columns if name not in header]
        if missing:
            raise DataError(
                f"{self._file.label}, line 1: without the columns {', '.join(missing)}", hint=hint
            )
        return header

    def _lines(self) -> Iterator[str]:
        for block in self._intake.blocks(self._file.entry, header=False):
            for line in block.data.split(b"\n")[:-1]:
                self._line += 1
                # Invalid bytes become surrogates, so that only their row is rejected.
                text = line.decode("utf-8", "surrogateescape") + "\n"
                self._record.append(text)
                yield text


@contextmanager
def row_reader(
    file: MetadataFile, columns: tuple[str, ...], intake: Intake, optional: tuple[str, ...] = ()
) -> Iterator[RowReader]:
    """Check the header of a file. Raises DataError if it lacks one of the columns.

    Columns that are optional are empty where the file lacks them.
    """
    with _long_fields():
        yield RowReader(file, columns, intake, optional)


@contextmanager
def _long_fields() -> Iterator[None]:
    # The limit is global in the csv module, so other readers get theirs back.
    previous = csv.field_size_limit(_LONGEST_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(previous)


def _encodable(text: str) -> bool:
    """Tell whether the text has no lone surrogates, which UTF-8 and PostgreSQL cannot store."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
