"""Open a folder, a zip or a single file as folders of readable entries."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, final

from recsys.errors import DataError

_HEAD = 1 << 16
_DEEPEST = 3


@final
@dataclass(frozen=True, slots=True)
class Entry:
    """One file, on disk or in a zip."""

    name: str
    size: int
    open: Callable[[], IO[bytes]]

    def head(self, size: int = _HEAD) -> bytes:
        """Return the first bytes of the file."""
        with readable(self.name), self.open() as stream:
            return stream.read(size)

    def first_line(self) -> str:
        """Return the first line that is not blank, without byte order mark and line ending."""
        head = self.head()
        if head.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise DataError(f"{self.name} is in UTF-16", hint="Save it as UTF-8 and try again.")
        lines = head.removeprefix(b"\xef\xbb\xbf").splitlines()
        filled = (line for line in lines if line.strip())
        return next(filled, b"").decode("utf-8", "replace")


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
        RuntimeError,  # zipfile: the member is encrypted
        NotImplementedError,  # zipfile: an unknown compression
    ) as exc:
        hint = "Check the permissions, or get the file again: it may be damaged or encrypted."
        raise DataError(f"{name} cannot be read: {exc}", hint=hint) from exc


@contextmanager
def open_folders(path: Path) -> Iterator[list[Folder]]:
    """Yield the folders of files found at `path`, the shallowest first."""
    if path.is_dir():
        yield _walk(path, path.name, 0)
    elif not path.is_file():
        raise DataError(
            f"{path} does not exist",
            hint="Give a folder, a .zip or a ratings file, or the name of a MovieLens edition.",
        )
    elif zipfile.is_zipfile(path):
        with readable(path.name):
            archive = zipfile.ZipFile(path)
        with archive:
            yield _members(archive, path.stem)
    else:
        yield [Folder(path.stem, 0, {path.name.lower(): _file(path)})]


def _file(path: Path) -> Entry:
    def open_file() -> IO[bytes]:
        return path.open("rb")

    return Entry(path.name, path.stat().st_size, open_file)


def _walk(path: Path, name: str, depth: int) -> list[Folder]:
    with readable(str(path)):
        children = sorted(path.iterdir())
        files = {child.name.lower(): _file(child) for child in children if child.is_file()}
    found = [Folder(name, depth, files)] if files else []
    if depth < _DEEPEST:
        for child in children:
            if child.is_dir() and not child.name.startswith("."):
                found += _walk(child, child.name, depth + 1)
    return sorted(found, key=lambda folder: (folder.depth, folder.name))


def _members(archive: zipfile.ZipFile, name: str) -> list[Folder]:
    """Group the members by folder.

    Members are read as streams: a name such as `../x` never becomes a path on disk.
    """
    folders: dict[PurePosixPath, dict[str, Entry]] = {}
    for info in archive.infolist():
        member = PurePosixPath(info.filename.replace("\\", "/"))
        if info.is_dir() or "__MACOSX" in member.parts:
            continue
        folders.setdefault(member.parent, {})[member.name.lower()] = _member(archive, info)
    found = [
        Folder(parent.name or name, len(parent.parts), files) for parent, files in folders.items()
    ]
    return sorted(found, key=lambda folder: (folder.depth, folder.name))


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Entry:
    def open_member() -> IO[bytes]:
        return archive.open(info)

    return Entry(PurePosixPath(info.filename).name, info.file_size, open_member)
