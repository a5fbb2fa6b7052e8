"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from recsys.errors import ConfigError


def check_writable(path: Path) -> None:
    """Raise ConfigError where no file can be written to `path`."""
    if path.is_dir():
        raise ConfigError(f"{path} cannot be written: it is a folder")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise ConfigError(f"{path} cannot be written: {path.parent} is no folder we may write to")


@contextmanager
def written_whole(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file that takes the place of `path` at the end, on disk by then; after an error
    nothing does.

    Who may read it stays. Raises ConfigError where the system refuses.
    """
    beside: str | None = None
    try:
        mode = path.stat().st_mode if path.exists() else 0o644
        handle, beside = tempfile.mkstemp(path.suffix, f".{path.stem}.", path.parent)
        with open(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(beside, mode)
        os.replace(beside, path)
        beside = None
    except OSError as exc:
        raise ConfigError(f"{path} cannot be written: {exc.strerror}") from exc
    finally:
        if beside is not None:
            with suppress(OSError):
                os.unlink(beside)
