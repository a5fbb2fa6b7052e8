"""The demo: load a data set, compute all models and publish them, in one call."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from recsys.config.settings import Settings
from recsys.errors import DataError
from recsys.ingest.movielens.download import DownloadFailed
from recsys.ingest.options import DEFAULTS, ReadOptions
from recsys.jobs.ingest import find_source, ingest, ingest_metadata
from recsys.jobs.plan import plan
from recsys.jobs.progress import Reporter
from recsys.jobs.refresh import RefreshReport, refresh
from recsys.sample.files import write_sample
from recsys.storage.load import catalogue
from recsys.storage.schema import versions
from recsys.storage.server.engine import Database

DEMO_EDITION = "ml-latest-small"
SAMPLE = "recsys-sample"
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class DemoReport:
    edition: str
    refresh: RefreshReport


def run_demo(
    database: Database,
    settings: Settings,
    *,
    data: Path | None,
    replace: bool,
    reporter: Reporter,
    say: Say,
    options: ReadOptions = DEFAULTS,
) -> DemoReport:
    """Load data if needed, then compute and publish if anything changed.

    The data is `data`, else the edition in the database, else ml-latest-small from the cache or
    from GroupLens, else the built-in sample. Any other data replaces the sample.
    """
    with database.transaction() as connection:
        versions.ensure(connection)
        present = catalogue.loaded_edition(connection)
    if data is not None:
        # The sample is fictional: real data replaces it without being asked to.
        _load(
            database,
            data.expanduser(),
            settings.ingest.max_unpacked_mb,
            replace or present == SAMPLE,
            reporter,
            say,
            options,
        )
    elif present in (None, SAMPLE) or replace:
        _load_default(database, settings, present, replace, reporter, say)
    else:
        say(f"The database holds {present} already.")
    with database.transaction() as connection:
        edition = catalogue.loaded_edition(connection)
    if edition is None:
        raise DataError("nothing was loaded")
    return DemoReport(
        edition, refresh(database, plan(settings.refresh), if_changed=True, reporter=reporter)
    )


def _load(
    database: Database,
    path: Path,
    max_unpacked_mb: int | None,
    replace: bool,
    reporter: Reporter,
    say: Say,
    options: ReadOptions = DEFAULTS,
) -> None:
    say(f"Loading {path}")
    report = ingest(
        database,
        path,
        max_unpacked_mb=max_unpacked_mb,
        options=options,
        replace=replace,
        reporter=reporter,
    )
    if report.no_change:
        say(f"{report.edition} is loaded already: {report.counts.unchanged:,} rows unchanged.")


def _load_default(
    database: Database,
    settings: Settings,
    present: str | None,
    replace: bool,
    reporter: Reporter,
    say: Say,
) -> None:
    try:
        archive = find_source(DEMO_EDITION, settings.cache, reporter)
    # A machine without a network still gets a demo; errors of the disk are raised.
    except DownloadFailed as exc:
        reporter.end("failed")
        say(f"No MovieLens data: {exc}")
        if present == SAMPLE and not replace:
            say("The built-in sample stays.")
            return
        say("Using the built-in sample instead: fictional movies and people, real methods.")
        _load_sample(database, replace, reporter)
    else:
        _load(
            database,
            archive,
            settings.ingest.max_unpacked_mb,
            replace or present == SAMPLE,
            reporter,
            say,
        )


def _load_sample(database: Database, replace: bool, reporter: Reporter) -> None:
    with tempfile.TemporaryDirectory() as folder:
        sample = write_sample(Path(folder) / SAMPLE)
        source = "built-in sample"
        ingest(database, sample, source=source, edition=SAMPLE, replace=replace, reporter=reporter)
        # Metadata is matched to loaded movies, so it comes second.
        ingest_metadata(database, sample, source=source, reporter=reporter)
