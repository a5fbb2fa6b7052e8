"""From what a person types to a file: a path, or a MovieLens edition fetched by its name."""

from __future__ import annotations

from pathlib import Path

from recsys.errors import DataError
from recsys.ingest.movielens.download import EDITIONS, fetch
from recsys.jobs.progress import Reporter


def find_source(text: str, cache: Path, reporter: Reporter) -> Path:
    """Return the path meant; a path that exists comes before an edition of the same name.

    Raises DataError where it is neither.
    """
    path = Path(text).expanduser()
    try:
        if text and path.exists():
            return path
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
