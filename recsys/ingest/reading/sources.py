"""Open a folder, a zip or a single file as folders of readable entries."""

from __future__ import annotations

import codecs
import hashlib
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, final

from recsys.domain import SourceFile
from recsys.errors import DataError
from recsys.ingest.reading.characters import as_utf8, escaped_name, wide_encoding
from recsys.ingest.reading.unpacking import (
    allowed_bytes,
    may_be_packed,
    packing_of,
    unpacked,
    unpacked_name,
)

_HEAD = 1 << 16
_BLOCK = 1 << 20
_DEEPEST = 3
_MAGIC_BYTES = 4


@final
@dataclass(frozen=True, slots=True)
class Entry:
    """One file, on disk or in a zip; control characters in its `name` are escaped."""

    name: str
    size: int
    """Bytes as stored; `packed` ones hold more."""
    open: Callable[[], IO[bytes]]
    packed: bool = False

    def head(self, size: int = _HEAD) -> bytes:
        """Return the start of the file, in UTF-8 if the file is in UTF-16."""
        return b"".join(as_utf8(iter([self._raw_head(size)]))).removeprefix(codecs.BOM_UTF8)

    def first_line(self) -> str:
        """Return the first line that is not blank, without byte order mark and line ending."""
        filled = (line for line in self.head().splitlines() if line.strip())
        return next(filled, b"").decode("utf-8", "replace")

    def text_encoding(self, default: str) -> str:
        """Return the encoding of the text that is read: UTF-8 if the file is in UTF-16."""
        return default if wide_encoding(self._raw_head(_HEAD)) is None else "utf-8"

    def _raw_head(self, size: int) -> bytes:
        with readable(self.name), self.open() as stream:
            return stream.read(size)


@dataclass(frozen=True, slots=True)
class Folder:
    """The files of one folder by lower-case name; `depth` counts from the given path."""

    name: str
    depth: int
    files: dict[str, Entry]
    parts: bool = False
    """All files are parts of one ratings file."""


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Turn any error while reading into a `DataError` that names the file."""
    try:
        yield
    except (
        OSError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        struct.error,  # zipfile: a header ends too early
        ValueError,  # zipfile: a header contradicts itself
        RuntimeError,  # zipfile: the member is encrypted
        NotImplementedError,  # zipfile: an unknown compression
    ) as exc:
        hint = "Check the permissions, or get the file again: it may be damaged or encrypted."
        raise DataError(f"{name} cannot be read: {exc}", hint=hint) from exc


@contextmanager
def open_folders(path: Path, max_unpacked_mb: int | None = None) -> Iterator[list[Folder]]:
    """Yield the folders of files found at `path`, the shallowest first.

    Raises DataError for an archive that would unpack to more than `max_unpacked_mb`.
    """
    if is_pattern(path):
        yield [_matching(path, max_unpacked_mb)]
    elif path.is_dir():
        yield _walk(path, 0, max_unpacked_mb)
    elif not path.is_file():
        problem = "is neither a file nor a folder" if path.exists() else "does not exist"
        raise DataError(
            f"{escaped_name(str(path))} {problem}",
            hint="Give a folder, a .zip or a ratings file, or the name of a MovieLens edition.",
        )
    elif zipfile.is_zipfile(path):
        with opened_zip(path, max_unpacked_mb) as archive:
            yield _members(archive, path.stem, max_unpacked_mb)
    else:
        entry = _content(file_entry(path), max_unpacked_mb)
        yield [Folder(escaped_name(path.stem), 0, _by_name([entry]))]


@contextmanager
def opened_zip(path: Path, max_unpacked_mb: int | None) -> Iterator[zipfile.ZipFile]:
    """Open an archive; by default it may unpack to 100 times its size, and to 1 GB in any case.

    zipfile returns no more of a member than the size in its header, which is checked here.
    """
    name = escaped_name(str(path))
    with readable(name):
        archive = zipfile.ZipFile(path)
        packed = path.stat().st_size
    with archive:
        unpacked = sum(info.file_size for info in archive.infolist())
        limit = allowed_bytes(packed, max_unpacked_mb)
        if unpacked > limit:
            needed = -(-unpacked >> 20)
            raise DataError(
                f"{name} would unpack to {needed:,} MB, {unpacked / max(1, packed):,.0f} times its "
                f"size; {limit >> 20:,} MB are allowed",
                hint=f"If the archive is what it should be, set max_unpacked_mb = {needed} under "
                "[ingest] in recsys.toml, or unpack it and give the folder.",
            )
        yield archive


def is_pattern(path: Path) -> bool:
    """Tell whether a path stands for all files with such names, as `ratings-*.csv`."""
    try:
        return not path.exists() and any(mark in path.name for mark in "*?[")
    # The name may be too long for any file.
    except OSError:
        return False


def _matching(path: Path, max_unpacked_mb: int | None) -> Folder:
    place = escaped_name(str(path))
    with readable(place):
        found = sorted(each for each in path.parent.glob(path.name) if each.is_file())
    if not found:
        raise DataError(f"no file matches {place}", hint="Check the folder and the pattern.")
    files = _by_name(_content(file_entry(each), max_unpacked_mb) for each in found)
    return Folder(escaped_name(path.parent.name), 0, files, parts=True)


def source_file(entry: Entry) -> SourceFile:
    """Return size and checksum of a file."""
    with readable(entry.name), entry.open() as stream:
        digest, size = hashlib.sha256(), 0
        while block := stream.read(_BLOCK):
            digest.update(block)
            size += len(block)
    return SourceFile(entry.name, size, digest.hexdigest())


def file_entry(path: Path) -> Entry:
    def open_file() -> IO[bytes]:
        return path.open("rb")

    return Entry(escaped_name(path.name), path.stat().st_size, open_file)


def _content(entry: Entry, max_unpacked_mb: int | None) -> Entry:
    """Return the file as it reads when it is unpacked."""
    with readable(entry.name), entry.open() as stream:
        packing = packing_of(stream.read(_MAGIC_BYTES))
    if packing is None:
        return entry
    opened = unpacked(entry.name, packing, entry.size, max_unpacked_mb, entry.open)
    return Entry(entry.name, entry.size, opened, packed=True)


def _contents(entries: Iterable[Entry], max_unpacked_mb: int | None) -> dict[str, Entry]:
    """Return the files by name; of most, only the suffix is looked at."""
    return _by_name(
        _content(entry, max_unpacked_mb) if may_be_packed(entry.name) else entry
        for entry in entries
    )


def _by_name(entries: Iterable[Entry]) -> dict[str, Entry]:
    """Return the files by lower-case name without the suffix of a packing.

    Raises DataError if one of them is there twice, packed and unpacked.
    """
    found: dict[str, Entry] = {}
    for entry in entries:
        other = found.setdefault(unpacked_name(entry.name).lower(), entry)
        if other is not entry and (entry.packed or other.packed):
            raise DataError(
                f"{other.name} and {entry.name} are the same file, packed and unpacked",
                hint="Leave one of them in the folder.",
            )
    return found


def _walk(path: Path, depth: int, max_unpacked_mb: int | None) -> list[Folder]:
    with readable(escaped_name(str(path))):
        children = sorted(path.iterdir())
        entries = [file_entry(child) for child in children if child.is_file()]
        files = _contents(entries, max_unpacked_mb)
    found = [Folder(escaped_name(path.name), depth, files)] if files else []
    if depth < _DEEPEST:
        for child in children:
            if child.is_dir() and not child.name.startswith("."):
                found += _walk(child, depth + 1, max_unpacked_mb)
    return sorted(found, key=lambda folder: (folder.depth, folder.name))


def _members(archive: zipfile.ZipFile, name: str, max_unpacked_mb: int | None) -> list[Folder]:
    """Group the members by folder.

    Members are read as streams: a name such as `../x` never becomes a path on disk.
    """
    folders: dict[PurePosixPath, list[Entry]] = {}
    for info in archive.infolist():
        member = PurePosixPath(info.filename.replace("\\", "/"))
        if info.is_dir() or "__MACOSX" in member.parts:
            continue
        folders.setdefault(member.parent, []).append(member_entry(archive, info))
    found = [
        Folder(
            escaped_name(parent.name or name),
            len(parent.parts),
            _contents(entries, max_unpacked_mb),
        )
        for parent, entries in folders.items()
    ]
    return sorted(found, key=lambda folder: (folder.depth, folder.name))


def member_entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Entry:
    def open_member() -> IO[bytes]:
        return archive.open(info)

    name = PurePosixPath(info.filename.replace("\\", "/")).name
    return Entry(escaped_name(name), info.file_size, open_member)
