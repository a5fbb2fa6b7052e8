"""Load what has come into a folder since the last time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from recsys.errors import DataError
from recsys.ingest.dataset import source_files
from recsys.ingest.options import DEFAULTS, ReadOptions
from recsys.jobs.ingest import IngestReport
from recsys.storage.load import catalogue, ingests
from recsys.storage.schema import versions
from recsys.storage.server.engine import Database

logger = logging.getLogger(__name__)

SUFFIXES = (
    *(".csv", ".dat", ".data", ".tsv", ".txt", ".zip"),
    *(".json", ".jsonl", ".ndjson", ".parquet", ".gz", ".zst"),
)


@dataclass(frozen=True, slots=True)
class InboxReport:
    loaded: list[IngestReport] = field(default_factory=list)
    known: list[Path] = field(default_factory=list)
    """Entries whose files an earlier ingest has read."""
    failed: dict[Path, DataError] = field(default_factory=dict)


def ingest_new(
    database: Database,
    folder: Path,
    load: Callable[[Path, str | None], IngestReport],
    *,
    edition: str | None = None,
    format: str | None = None,
    max_unpacked_mb: int | None = None,
    options: ReadOptions = DEFAULTS,
) -> InboxReport:
    """Load each file, archive and folder in `folder` that no ingest has read yet, by name.

    `load` ingests one of them under an edition: the given one, else the loaded one. An entry that
    cannot be loaded does not keep the others out. Raises DataError if the folder does not exist.
    """
    report = InboxReport()
    for path in _entries(folder):
        with database.transaction() as connection:
            versions.ensure(connection)
            known = ingests.loaded_files(connection)
            name = edition or catalogue.loaded_edition(connection)
        try:
            files = {
                (file.name, file.sha256)
                for file in source_files(path, format, max_unpacked_mb, options)
            }
            # A folder may hold more than is read, and its README is read for its name.
            if any(files <= earlier for earlier in known):
                report.known.append(path)
            else:
                report.loaded.append(load(path, name))
        except DataError as exc:
            logger.warning("%s is not loaded: %s", path, exc)
            report.failed[path] = exc
    return report


def _entries(folder: Path) -> list[Path]:
    """Return what may be a data set; names such as ratings.csv.part are files that still grow."""
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder", hint="name the folder that files come into")
    return sorted(
        path
        for path in folder.iterdir()
        if not path.name.startswith(".") and (path.is_dir() or path.suffix.lower() in SUFFIXES)
    )
