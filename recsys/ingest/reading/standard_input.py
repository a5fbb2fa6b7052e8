"""Keep what comes through standard input in a file, so that it can be read more than once."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from recsys.errors import DataError

NAME = "stdin"
_BLOCK = 1 << 20


@contextmanager
def spooled(stream: IO[bytes], max_mb: int | None = None) -> Iterator[Path]:
    """Yield the path of a temporary file with everything that the stream has.

    Raises DataError for a terminal, and for more than `max_mb`, by default half of what is free
    where temporary files are.
    """
    if stream.isatty():
        raise DataError("nothing comes through standard input", hint="as in: cat FILE | … -")
    with tempfile.TemporaryDirectory(prefix="recsys-") as folder:
        path = Path(folder) / NAME
        limit = shutil.disk_usage(folder).free // 2 if max_mb is None else max_mb << 20
        done = 0
        try:
            with path.open("wb") as file:
                while block := stream.read(_BLOCK):
                    done += len(block)
                    if done > limit:
                        raise DataError(
                            f"more than {limit >> 20:,} MB come through standard input, which is "
                            f"kept in {tempfile.gettempdir()} until it is read",
                            hint="Give a file, or set max_unpacked_mb under [ingest] in "
                            "recsys.toml, and TMPDIR to a folder with more room.",
                        )
                    file.write(block)
        except OSError as exc:
            raise DataError(f"standard input cannot be kept in {folder}: {exc.strerror}") from exc
        yield path
