"""Find the files of The Movies Dataset in a folder or a zip and read them row by row."""

from __future__ import annotations

import csv
import hashlib
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from recsys.domain import Progress, RejectedRow, SourceFile
from recsys.errors import DataError

FILE_NAMES = ("movies_metadata.csv", "keywords.csv", "credits.csv")

_HINT = f"give a folder or a zip with {', '.join(FILE_NAMES)}, or one of these files"
_CONTENT_KEPT = 500
_ROWS_PER_REPORT = 1000
_LONGEST_FIELD = 1 << 20  # characters; the longest real ones, whole crews, have some 100,000
_READ_FAILURES = (OSError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError)


class BadRow(Exception):
    """An invalid row; the message is the reason for its rejection."""


@dataclass(frozen=True, slots=True)
class MetadataFile:
    """One of `FILE_NAMES`; `label` includes its location."""

    name: str
    label: str
    size: int
    open: Callable[[], IO[bytes]]


@contextmanager
def metadata_files(path: Path) -> Iterator[list[MetadataFile]]:
    """Yield the files of `FILE_NAMES` that exist, in this order.

    A zip stays open inside the context and is never unpacked to disk. Raises `DataError` if no
    file is found.
    """
    if not path.exists():
        raise DataError(f"{path} does not exist", hint=_HINT)
    if path.is_dir():
        yield _required(path, [_plain(path / n) for n in FILE_NAMES if (path / n).is_file()])
    elif path.name in FILE_NAMES:
        yield [_plain(path)]
    elif path.suffix.lower() == ".zip" or zipfile.is_zipfile(path):
        with _opened_zip(path) as archive:
            yield _required(path, _in_zip(path, archive))
    else:
        raise DataError(f"{path} is no file of The Movies Dataset", hint=_HINT)


def _required(path: Path, files: list[MetadataFile]) -> list[MetadataFile]:
    if not files:
        raise DataError(f"{path} holds no file of The Movies Dataset", hint=_HINT)
    return files


def _plain(path: Path) -> MetadataFile:
    return MetadataFile(path.name, str(path), path.stat().st_size, lambda: path.open("rb"))


@contextmanager
def _opened_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
    except _READ_FAILURES as exc:
        raise DataError(f"{path} cannot be read as a zip: {exc}", hint=_HINT) from exc
    with archive:
        yield archive


def _in_zip(path: Path, archive: zipfile.ZipFile) -> list[MetadataFile]:
    """Return the shallowest member with each name, in any folder of the zip."""
    found: dict[str, tuple[int, str, zipfile.ZipInfo]] = {}
    for member in archive.infolist():
        place = PurePosixPath(member.filename.replace("\\", "/"))
        if place.name in FILE_NAMES and not member.is_dir():
            candidate = (len(place.parts), member.filename, member)
            best = found.get(place.name, candidate)
            found[place.name] = min(best, candidate, key=lambda entry: entry[:2])
    return [_zipped(path, archive, n, found[n][2]) for n in FILE_NAMES if n in found]


def _zipped(
    path: Path, archive: zipfile.ZipFile, name: str, member: zipfile.ZipInfo
) -> MetadataFile:
    label = f"{path}: {member.filename}"
    return MetadataFile(name, label, member.file_size, lambda: archive.open(member))


class RowReader:
    """Read the rows of one CSV file; keep line and raw text of the current row for rejections.

    A row is a dict from column to text; columns missing at the end of a row are empty.
    """

    def __init__(self, file: MetadataFile, columns: tuple[str, ...], stream: IO[bytes]) -> None:
        self.rejected: list[RejectedRow] = []
        self.rows_read = 0
        self._file = file
        self._stream = stream
        self._digest = hashlib.sha256()
        self._bytes = 0
        self._line = 0
        self._record: list[str] = []
        self._rows = csv.reader(self._lines())
        self._header = self._read_header(columns)
        self._columns = [(name, self._header.index(name)) for name in columns]

    @property
    def source(self) -> SourceFile:
        """Size and checksum of the bytes read so far; complete after `read`."""
        return SourceFile(self._file.name, self._bytes, self._digest.hexdigest())

    def read(self, take: Callable[[dict[str, str]], None], progress: Progress) -> None:
        """Pass every row to `take`; reject the row if it raises `BadRow`."""
        while True:
            self._record.clear()
            try:
                record = next(self._rows, None)
                if record is None:
                    break
                if record:
                    self._count(progress)
                    take(self._fields(record))
            except BadRow as exc:
                self._reject(str(exc))
            except csv.Error as exc:
                self._count(progress)
                self._reject(str(exc))
        progress(self._bytes, self._file.size)

    def _count(self, progress: Progress) -> None:
        self.rows_read += 1
        if self.rows_read % _ROWS_PER_REPORT == 0:
            progress(self._bytes, self._file.size)

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
        return {name: record[index] for name, index in self._columns}

    def _reject(self, reason: str) -> None:
        start = self._line - len(self._record) + 1
        raw = "".join(self._record)[:_CONTENT_KEPT].rstrip("\r\n")
        shown = raw.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        content = shown.replace("\0", "\ufffd")
        self.rejected.append(RejectedRow(self._file.name, start, content, reason))

    def _read_header(self, columns: tuple[str, ...]) -> list[str]:
        hint = f"{self._file.name} needs the columns {', '.join(columns)}, as UTF-8 and with commas"
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
        try:
            for line in self._stream:
                self._digest.update(line)
                self._bytes += len(line)
                self._line += 1
                # Invalid bytes become surrogates, so that only their row is rejected.
                text = line.decode("utf-8", "surrogateescape")
                text = text.removeprefix("\ufeff") if self._line == 1 else text
                self._record.append(text)
                yield text
        except _READ_FAILURES as exc:
            raise DataError(
                f"{self._file.label}, line {self._line + 1}: cannot be read: {exc}",
                hint="the file is damaged, encrypted or not readable: download it again",
            ) from exc


@contextmanager
def row_reader(file: MetadataFile, columns: tuple[str, ...]) -> Iterator[RowReader]:
    """Open a file and check its header.

    Raises `DataError` if the file cannot be read or lacks one of the columns.
    """
    try:
        stream = file.open()
    except _READ_FAILURES as exc:
        raise DataError(f"{file.label} cannot be opened: {exc}", hint=_HINT) from exc
    with stream, _long_fields():
        yield RowReader(file, columns, stream)


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
