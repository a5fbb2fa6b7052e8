"""Files that are written completely or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from recsys.errors import InvalidArgument


def check_writable(path: Path) -> None:
    """Raise InvalidArgument if no file can be written to `path`."""
    if path.is_dir():
        raise InvalidArgument(f"{path} cannot be written: it is a folder")
    if not path.parent.is_dir():
        raise InvalidArgument(f"{path} cannot be written: there is no folder {path.parent}")
    # The file is replaced, not changed, so that the right to write its folder counts.
    if not os.access(path.parent, os.W_OK):
        raise InvalidArgument(f"{path} cannot be written: no permission to write to {path.parent}")


@contextmanager
def written_whole(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file that replaces `path` when the block ends; after an error `path` stays.

    The mode of `path` is kept. Raises InvalidArgument if the operating system refuses.
    """
    beside: str | None = None
    try:
        mode = path.stat().st_mode if path.exists() else 0o644
        # In the same folder: a rename is atomic only within one file system.
        handle, beside = tempfile.mkstemp(path.suffix, f".{path.stem}.", path.parent)
        with open(handle, "wb") as file:
            yield file
            file.flush()
            # Otherwise a crash after the rename may leave an empty file.
            os.fsync(file.fileno())
        # mkstemp makes files that only their owner may read.
        os.chmod(beside, mode)
        os.replace(beside, path)
        beside = None
    except OSError as exc:
        raise InvalidArgument(f"{path} cannot be written: {exc.strerror}") from exc
    finally:
        if beside is not None:
            with suppress(OSError):
                os.unlink(beside)
