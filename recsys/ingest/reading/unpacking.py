"""Unpack files packed with gzip or zstd while they are read, up to a limit."""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Callable
from pathlib import PurePath
from typing import IO, Any, cast

from recsys.errors import DataError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ALWAYS_ALLOWED = 1 << 30
LARGEST_RATIO = 100
"""Published editions unpack to about five times their size, files of zeros to a thousand times."""

_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_SUFFIXES = (".gz", ".zst")
_TAR_AT, _TAR = 257, b"ustar"


def allowed_bytes(packed: int, max_unpacked_mb: int | None) -> int:
    """Return how large an archive may be unpacked."""
    if max_unpacked_mb is not None:
        return max_unpacked_mb << 20
    return max(ALWAYS_ALLOWED, LARGEST_RATIO * packed)


def packing_of(head: bytes) -> str | None:
    """Return `gzip` or `zstd` by the first bytes of a file, None for a file that is not packed."""
    return next((packing for magic, packing in _MAGIC.items() if head.startswith(magic)), None)


def may_be_packed(name: str) -> bool:
    return PurePath(name).suffix.lower() in _SUFFIXES


def unpacked_name(name: str) -> str:
    """Return the name of a file without the suffix of its packing."""
    return name[: -len(PurePath(name).suffix)] if may_be_packed(name) else name


def unpacked(
    name: str,
    packing: str,
    packed: int,
    max_unpacked_mb: int | None,
    open_packed: Callable[[], IO[bytes]],
) -> Callable[[], IO[bytes]]:
    """Return how to open the content of a packed file."""
    limit = allowed_bytes(packed, max_unpacked_mb)

    def open_unpacked() -> IO[bytes]:
        source = open_packed()
        content = gzip.GzipFile(fileobj=source) if packing == "gzip" else zstd.ZstdFile(source)
        return io.BufferedReader(_Bounded(name, source, cast("IO[bytes]", content), limit))

    return open_unpacked


class _Bounded(io.RawIOBase):
    """Reads until the limit. Raises DataError above it."""

    def __init__(self, name: str, source: IO[bytes], content: IO[bytes], limit: int) -> None:
        self._name, self._source, self._content = name, source, content
        self._limit, self._done = limit, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._content.read(len(buffer))
        except zstd.ZstdError as exc:
            raise OSError(str(exc)) from exc
        if not self._done and data[_TAR_AT:].startswith(_TAR):
            raise DataError(f"{self._name} is a tar archive", hint="Unpack it and give the folder.")
        self._done += len(data)
        if self._done > self._limit:
            raise DataError(
                f"{self._name} unpacks to more than {self._limit >> 20:,} MB, which are allowed",
                hint="If the file is what it should be, set a higher max_unpacked_mb under "
                "[ingest] in recsys.toml, or unpack it.",
            )
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._content.close()
        self._source.close()
        super().close()
