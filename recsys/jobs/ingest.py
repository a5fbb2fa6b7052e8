"""Files into the database: read and checked first, then written in one transaction."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from recsys.domain import Dataset, Feedback, MetadataSet, RejectedRow, SourceMovie
from recsys.errors import DataError, InvalidArgument
from recsys.ingest.dataset import read_dataset
from recsys.ingest.duplicates import OnDuplicate
from recsys.ingest.movielens.download import EDITIONS, fetch
from recsys.ingest.options import DEFAULTS
from recsys.ingest.options import ColumnNames as ColumnNames
from recsys.ingest.options import ReadOptions as ReadOptions
from recsys.ingest.options import columns_in_order as columns_in_order
from recsys.ingest.options import parse_scale as parse_scale
from recsys.ingest.reading.characters import escaped_name
from recsys.ingest.reading.numbers import shown
from recsys.ingest.reading.rejects import RejectLimit as RejectLimit
from recsys.ingest.reading.sources import is_pattern as is_pattern
from recsys.ingest.reading.standard_input import spooled as spooled
from recsys.ingest.tmdb.dataset import read_metadata
from recsys.jobs.progress import Reporter, Silent
from recsys.storage.load import catalogue, ingests, keys, movie_metadata
from recsys.storage.load.catalogue import Counts as Counts
from recsys.storage.runs import lock
from recsys.storage.schema import versions
from recsys.storage.server import blockers
from recsys.storage.server.engine import Database
from recsys.storage.snapshot import feedback

logger = logging.getLogger(__name__)

LONGEST_EDITION = 200
METADATA_EDITION = "the-movies-dataset"
""""Name of a catalogue without ratings."""


@dataclass(frozen=True, slots=True)
class IngestReport:
    ingest_id: int
    edition: str
    dialect: str
    rows_read: int
    counts: Counts
    by_kind: dict[str, Counts]
    """The counts of ratings, movies, users, tags and genome scores."""
    feedback: Feedback | None
    """None for metadata."""
    duplicates: int
    unrated: int
    """Rows left out because their value stands for no rating."""
    rejected: list[RejectedRow]
    """The first of each file."""
    rejected_count: int
    replaced: str | None
    """The edition that was replaced, if any."""
    seconds: float

    @property
    def no_change(self) -> bool:
        return not (self.counts.inserted or self.counts.updated or self.replaced)


@dataclass(frozen=True, slots=True)
class MetadataReport:
    ingest: IngestReport
    matched: int
    unmatched: int


def find_source(text: str, cache: Path, reporter: Reporter) -> Path:
    """Return the path of a data set; existing paths take precedence over editions.

    Raises DataError if the text is neither a path nor an edition.
    """
    path = Path(text).expanduser()
    try:
        if text and (path.exists() or is_pattern(path)):
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


def ingest(
    database: Database,
    path: Path,
    *,
    source: str | None = None,
    format: str | None = None,
    edition: str | None = None,
    on_duplicate: OnDuplicate | None = None,
    options: ReadOptions = DEFAULTS,
    max_rejects: RejectLimit | None = None,
    max_unpacked_mb: int | None = None,
    replace: bool = False,
    reporter: Reporter | None = None,
) -> IngestReport:
    """Load a folder, an archive or a ratings file; on any error the database stays as it was.

    Raises DataError for files that cannot be loaded, for too many bad rows, and for an edition
    other than the loaded one, unless `replace`; InvalidArgument for the name of an edition.
    """
    reporter = reporter or Silent()
    begun = time.monotonic()
    if edition is not None:
        _check_edition(edition)
    with database.transaction() as connection:
        versions.ensure(connection)
        # Tried here too: a second ingest should fail before it reads files for minutes.
        lock.keep_ingests_out(connection)
        started_at = ingests.now(connection)
        known = {} if replace else catalogue.described_movies(connection)
    reporter.begin("read files")
    dataset = read_dataset(
        path,
        format=format,
        edition=edition,
        known_movie_keys=list(known),
        on_duplicate=on_duplicate,
        options=options,
        max_rejects=max_rejects or RejectLimit(),
        max_unpacked_mb=max_unpacked_mb,
        progress=reporter.advance,
    )
    reporter.end(f"{dataset.rows_read:,} rows")
    with database.transaction() as connection:
        blockers.limit_waits(connection)
        lock.keep_ingests_out(connection)
        # The edition may have changed since the first transaction: it is checked under the lock.
        replaced = _make_way(connection, dataset, replace=replace)
        by_kind = _write(connection, dataset, reporter)
        counts = sum(by_kind.values(), Counts())
        facts = {**_facts(dataset, started_at, counts), "replaced": replaced is not None}
        facts |= {"source": _source(source, path), "on_duplicate": dataset.on_duplicate}
        ingest_id = ingests.record(connection, facts, dataset.files, dataset.rejected)
    report = IngestReport(
        ingest_id,
        dataset.edition,
        dataset.dialect,
        dataset.rows_read,
        counts,
        by_kind,
        dataset.feedback,
        dataset.duplicates,
        dataset.unrated,
        dataset.rejected,
        dataset.rejected_count,
        replaced,
        time.monotonic() - begun,
    )
    logger.info("ingest %d of %s: %s in %.1f s", ingest_id, path, counts, report.seconds)
    return report


def ingest_metadata(
    database: Database,
    path: Path,
    *,
    source: str | None = None,
    max_unpacked_mb: int | None = None,
    reporter: Reporter | None = None,
) -> MetadataReport:
    """Load The Movies Dataset for the loaded movies; on any error nothing changes.

    Without ratings the films of the files become the catalogue. Raises DataError for files that
    cannot be loaded or that share no film with the database.
    """
    reporter = reporter or Silent()
    begun = time.monotonic()
    with database.transaction() as connection:
        versions.ensure(connection)
        started_at = ingests.now(connection)
        loaded = catalogue.loaded_edition(connection)
    edition = loaded or METADATA_EDITION
    reporter.begin("read metadata")
    found = read_metadata(path, max_unpacked_mb=max_unpacked_mb, progress=reporter.advance)
    reporter.end(f"{found.rows_read:,} rows")
    with database.transaction() as connection:
        blockers.limit_waits(connection)
        lock.keep_ingests_out(connection)
        if loaded is None:
            _write_catalogue(connection, found, reporter)
        reporter.begin("write metadata")
        merged = movie_metadata.merge_metadata(connection, found)
        if not merged.matched:
            raise DataError(
                f"none of the films in {_source(None, path)} is in {edition}: "
                "no TMDB or IMDb id in common",
                hint="the edition needs a links file (ml-100k and ml-1m have none)",
            )
        reporter.end(f"{merged.matched:,} movies")
        facts = _metadata_facts(found, edition, started_at, merged.movies)
        facts["source"] = _source(source, path)
        ingest_id = ingests.record(connection, facts, found.files, found.rejected)
    report = IngestReport(
        ingest_id,
        edition,
        "the-movies-dataset",
        found.rows_read,
        merged.movies,
        {"movies": merged.movies},
        None,
        found.duplicates,
        0,
        found.rejected,
        found.rejected_count,
        None,
        time.monotonic() - begun,
    )
    return MetadataReport(report, merged.matched, merged.unmatched)


def _write_catalogue(connection: sa.Connection, found: MetadataSet, reporter: Reporter) -> Counts:
    """Make the catalogue of the films themselves, under their TMDB ids: there are no ratings."""
    reporter.begin("write movies")
    movies = [
        SourceMovie(
            film.tmdb_id,
            film.title,
            film.title,
            int(film.release_date[:4]) if film.release_date else None,
            film.genres,
            film.imdb_id,
            film.tmdb_id,
        )
        for film in found.movies
    ]
    counts = catalogue.merge_movies(connection, movies)
    reporter.end(f"{len(movies):,} movies")
    return counts


def _check_edition(edition: str) -> None:
    """Raise InvalidArgument for a name that no list of data sets could show."""
    if not edition.strip() or escaped_name(edition) != edition or len(edition) > LONGEST_EDITION:
        raise InvalidArgument(
            f"the edition {shown(edition)} is not a name",
            hint=f"1 to {LONGEST_EDITION} characters, without control characters",
        )


def _source(source: str | None, path: Path) -> str:
    return escaped_name(source or str(path))


def _make_way(connection: sa.Connection, dataset: Dataset, *, replace: bool) -> str | None:
    """Clear the loaded edition if `replace`; return its name, None if nothing was cleared."""
    present = catalogue.loaded_edition(connection)
    if present is None:
        return None
    if replace:
        ingests.clear(connection)
        return present
    if present != dataset.edition:
        raise DataError(
            f"the database holds {present}; loading {dataset.edition} over it would mix two "
            "data sets",
            hint="--replace drops the loaded data, --edition NAME declares both to be the same",
        )
    implicit = feedback.is_implicit(connection)
    if implicit != (dataset.feedback == "implicit"):
        held, found = ("interactions", "ratings") if implicit else ("ratings", "interactions")
        raise DataError(
            f"the database holds {held} of {present}, and these files hold {found}",
            hint="--implicit makes interactions of ratings"
            if implicit
            else "--rating-column names the column of the ratings; --replace drops the loaded data",
        )
    return None


def _write(connection: sa.Connection, dataset: Dataset, reporter: Reporter) -> dict[str, Counts]:
    """Write all parts; movies and users precede the rows that refer to them."""
    reporter.begin("write movies, users")
    identified = keys.identify(connection, dataset)
    dataset = identified.dataset
    movies = catalogue.merge_movies(connection, dataset.movies, identified.movie_keys)
    users = catalogue.merge_users(
        connection, identified.user_ids, dataset.users, identified.user_keys
    )
    reporter.end(f"{len(dataset.movies):,} movies")
    reporter.begin("write ratings")
    ratings = catalogue.merge_ratings(connection, dataset.ratings, reporter.advance)
    counts = {"ratings": ratings, "movies": movies, "users": users}
    reporter.end(f"{len(dataset.ratings):,} ratings")
    if dataset.tags:
        reporter.begin("write tags")
        counts["tags"] = catalogue.merge_tags(connection, dataset.tags)
        reporter.end(f"{len(dataset.tags):,} tags")
    if dataset.genome:
        reporter.begin("write tag genome")
        counts["genome scores"] = catalogue.merge_genome(connection, dataset.genome)
        reporter.end(f"{len(dataset.genome.relevance):,} scores")
    # Last, because no refresh can start from here to the commit.
    catalogue.drop_unused_genres(connection)
    return counts


def _facts(dataset: Dataset, started_at: datetime, counts: Counts) -> dict[str, Any]:
    scale = dataset.scale
    return {
        "kind": "ratings",
        "edition": dataset.edition,
        "dialect": dataset.dialect,
        "rating_min": scale.minimum if scale else None,
        "rating_max": scale.maximum if scale else None,
        "rating_step": scale.step or None if scale else None,
        "feedback": dataset.feedback,
        "started_at": started_at,
        "rows_read": dataset.rows_read,
        "inserted": counts.inserted,
        "updated": counts.updated,
        "unchanged": counts.unchanged,
        "duplicates": dataset.duplicates,
        "rejected": dataset.rejected_count,
    }


def _metadata_facts(
    found: MetadataSet, edition: str, started_at: datetime, counts: Counts
) -> dict[str, Any]:
    return {
        "kind": "metadata",
        "edition": edition,
        "dialect": "the-movies-dataset",
        "replaced": False,
        "started_at": started_at,
        "rows_read": found.rows_read,
        "inserted": counts.inserted,
        "updated": counts.updated,
        "unchanged": counts.unchanged,
        "duplicates": found.duplicates,
        "rejected": found.rejected_count,
    }
