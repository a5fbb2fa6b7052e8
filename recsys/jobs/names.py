"""Resolve the source of an ingest: a path, or a MovieLens edition to download."""

from __future__ import annotations

from pathlib import Path

from recsys.errors import DataError
from recsys.ingest.movielens.download import EDITIONS, fetch
from recsys.jobs.progress import Reporter


def find_source(text: str, cache: Path, reporter: Reporter) -> Path:
    """Return the path of a data set; existing paths take precedence over editions.

    Raises DataError if the text is neither a path nor an edition.
    """
    path = Path(text).expanduser()
    try:
        if text and path.exists():
            return path
    # exists() raises if the name is too long or a folder above may not be searched.
    except OSError as exc:
        raise DataError(f"{text[:100]} cannot be read: {exc.strerror}") from exc
    if text not in EDITIONS:
        raise DataError(
            f"{text} is neither a file or folder nor the name of a MovieLens edition",
            hint=f"editions: {', '.join(EDITIONS)}",
        )
    reporter.begin(f"download {text}")
    archive = fetch(text, cache, progress=reporter.advance)
    reporter.end(f"{archive.stat().st_size:,} bytes")
    return archive
