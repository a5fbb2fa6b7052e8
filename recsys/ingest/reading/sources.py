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

_HEAD = 1 << 16
_BLOCK = 1 << 20
_DEEPEST = 3
_GZIP = b"\x1f\x8b"
_ALWAYS_ALLOWED = 1 << 30
_LARGEST_RATIO = 100
"""Published editions unpack to about five times their size, files of zeros to a thousand times."""


@final
@dataclass(frozen=True, slots=True)
class Entry:
    """One file, on disk or in a zip; control characters in its `name` are escaped."""

    name: str
    size: int
    open: Callable[[], IO[bytes]]

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
    if path.is_dir():
        yield _walk(path, 0)
    elif not path.is_file():
        problem = "is neither a file nor a folder" if path.exists() else "does not exist"
        raise DataError(
            f"{escaped_name(str(path))} {problem}",
            hint="Give a folder, a .zip or a ratings file, or the name of a MovieLens edition.",
        )
    elif zipfile.is_zipfile(path):
        with opened_zip(path, max_unpacked_mb) as archive:
            yield _members(archive, path.stem)
    else:
        entry = file_entry(path)
        if entry.head(len(_GZIP)).startswith(_GZIP):
            raise DataError(f"{entry.name} is packed with gzip", hint="Unpack it with gunzip.")
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
        limit = max(_ALWAYS_ALLOWED, _LARGEST_RATIO * packed)
        if max_unpacked_mb is not None:
            limit = max_unpacked_mb << 20
        if unpacked > limit:
            needed = -(-unpacked >> 20)
            raise DataError(
                f"{name} would unpack to {needed:,} MB, {unpacked / max(1, packed):,.0f} times its "
                f"size; {limit >> 20:,} MB are allowed",
                hint=f"If the archive is what it should be, set max_unpacked_mb = {needed} under "
                "[ingest] in recsys.toml, or unpack it and give the folder.",
            )
        yield archive


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


def _by_name(entries: Iterable[Entry]) -> dict[str, Entry]:
    return {entry.name.lower(): entry for entry in entries}


def _walk(path: Path, depth: int) -> list[Folder]:
    with readable(escaped_name(str(path))):
        children = sorted(path.iterdir())
        files = _by_name(file_entry(child) for child in children if child.is_file())
    found = [Folder(escaped_name(path.name), depth, files)] if files else []
    if depth < _DEEPEST:
        for child in children:
            if child.is_dir() and not child.name.startswith("."):
                found += _walk(child, depth + 1)
    return sorted(found, key=lambda folder: (folder.depth, folder.name))


def _members(archive: zipfile.ZipFile, name: str) -> list[Folder]:
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
        Folder(escaped_name(parent.name or name), len(parent.parts), _by_name(entries))
        for parent, entries in folders.items()
    ]
    return sorted(found, key=lambda folder: (folder.depth, folder.name))


def member_entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Entry:
    def open_member() -> IO[bytes]:
        return archive.open(info)

    name = PurePosixPath(info.filename.replace("\\", "/")).name
    return Entry(escaped_name(name), info.file_size, open_member)
