"""`recsys ingest` and `recsys ingest-metadata`: load data sets."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recsys.cli import output
from recsys.cli.options import Json, database
from recsys.cli.reading import (
    Columns,
    Implicit,
    MovieColumn,
    RatingColumn,
    Scale,
    TimeColumn,
    UserColumn,
    read_options,
)
from recsys.config import settings
from recsys.errors import DataError

if TYPE_CHECKING:
    from recsys.jobs.inbox import InboxReport
    from recsys.jobs.ingest import Counts, IngestReport, RejectLimit

app = typer.Typer()


# Repeated from recsys.ingest, whose import would slow down `recsys --help`.
class Format(StrEnum):
    ML_100K = "ml-100k"
    ML_1M = "ml-1m"
    ML_10M = "ml-10m"
    ML_CSV = "ml-csv"
    NETFLIX = "netflix-prize"
    JESTER = "jester"
    CSV = "csv"


class OnDuplicate(StrEnum):
    LATEST = "latest"
    MAX = "max"
    MEAN = "mean"
    ERROR = "error"
    COUNT = "count"


def _values(kind: type[StrEnum]) -> str:
    # In the text of an option, as a column of their own would leave the text no room.
    *most, last = (member.value for member in kind)
    return f"{', '.join(most)} or {last}"


@app.command()
def ingest(
    source: Annotated[
        str,
        typer.Argument(
            metavar="PATH_OR_NAME",
            help="Folder, .zip, ratings file, 'ratings-*.csv', - for standard input, or MovieLens "
            "edition, for example ml-latest-small.",
        ),
    ],
    format: Annotated[
        Format | None,
        typer.Option(
            "--format", metavar="FORMAT", help=f"Format: {_values(Format)}. Default: detected."
        ),
    ] = None,
    on_duplicate: Annotated[
        OnDuplicate | None,
        typer.Option(
            metavar="WHICH",
            help=f"Rating to keep if a user rated a movie twice: {_values(OnDuplicate)}. "
            "Default: latest, and count for interactions.",
        ),
    ] = None,
    max_rejects: Annotated[
        str, typer.Option(help="Rejected rows allowed: a share such as 1%, or a number.")
    ] = "1%",
    replace: Annotated[
        bool, typer.Option("--replace", help="Drop the present data set and all its results first.")
    ] = False,
    columns: Columns = None,
    user_column: UserColumn = None,
    movie_column: MovieColumn = None,
    rating_column: RatingColumn = None,
    time_column: TimeColumn = None,
    implicit: Implicit = False,
    scale: Scale = None,
    edition: Annotated[
        str | None, typer.Option(help="Name of the data set, if the files do not contain it.")
    ] = None,
    new: Annotated[
        bool,
        typer.Option("--new", help="Load each file or folder in PATH that is not loaded yet."),
    ] = False,
    json: Json = False,
) -> None:
    """Load ratings or interactions, movies, links, tags and tag genome.

    Reads CSV, JSON lines and Parquet, also packed with gzip or zstd.
    recsys.rejected_rows keeps the first rejected rows with file, line and reason.
    Loading the same files again changes nothing.
    """
    from recsys.jobs.inbox import ingest_new
    from recsys.jobs.ingest import find_source, spooled
    from recsys.jobs.ingest import ingest as ingest_job

    if new and replace:
        raise typer.BadParameter("--new adds to the loaded data set, --replace drops it")
    if new and source == "-":
        raise typer.BadParameter("--new reads a folder, not standard input")
    limit = reject_limit(max_rejects)
    named = {"user": user_column, "movie": movie_column, "rating": rating_column}
    options = read_options(columns, named | {"time": time_column}, implicit=implicit, scale=scale)
    current = settings.load()
    unpacked = current.ingest.max_unpacked_mb
    with output.reporting() as reporter, ExitStack() as stack:
        # A download may take minutes: it comes before the connection to the database.
        if source == "-":
            path = stack.enter_context(spooled(sys.stdin.buffer, unpacked))
        else:
            path = (
                Path(source).expanduser() if new else find_source(source, current.cache, reporter)
            )
        with database() as opened:

            def load(path: Path, edition: str | None) -> IngestReport:
                return ingest_job(
                    opened,
                    path,
                    source=str(path) if new else _source_name(source),
                    format=format.value if format else None,
                    edition=edition,
                    on_duplicate=on_duplicate.value if on_duplicate else None,
                    options=options,
                    max_rejects=limit,
                    max_unpacked_mb=unpacked,
                    replace=replace,
                    reporter=reporter,
                )

            if new:
                found = ingest_new(
                    opened,
                    path,
                    load,
                    edition=edition,
                    format=format.value if format else None,
                    max_unpacked_mb=unpacked,
                    options=options,
                )
            else:
                report = load(path, edition)
    if new:
        _show_inbox(path, found, json=json)
    else:
        _show_report(report, json=json)


def _source_name(source: str) -> str:
    return "standard input" if source == "-" else source


def _show_inbox(folder: Path, found: InboxReport, *, json: bool) -> None:
    if json:
        output.write_json([_as_json(report) for report in found.loaded])
    for report in found.loaded:
        _show_report(report, json=False)
    if not found.loaded and not found.failed:
        output.message(f"No change: nothing new in {folder}, {len(found.known)} loaded before.")
    if found.failed:
        path, error = next(iter(found.failed.items()))
        raise DataError(
            f"{len(found.failed)} of the files in {folder} cannot be loaded; {path.name}: {error}",
            hint=error.hint,
        )


def reject_limit(text: str) -> RejectLimit:
    """Parse `1%` or `200`; raises BadParameter for any other text."""
    from recsys.jobs.ingest import RejectLimit

    number = text.strip().removesuffix("%")
    try:
        if text.strip().endswith("%"):
            share = float(number) / 100
            if 0 <= share <= 1:
                return RejectLimit(share=share)
        elif int(number) >= 0:
            return RejectLimit(rows=int(number))
    except ValueError:
        pass
    raise typer.BadParameter(f"--max-rejects is a share such as 1% or a number, not {text!r}")


def _show_report(report: IngestReport, *, json: bool) -> None:
    if json:
        output.write_json(_as_json(report))
    if report.replaced:
        output.message(f"{report.replaced} was dropped.")
    word = "No change" if report.no_change else "Loaded"
    counted = counts_in_words(report.by_kind, implicit=report.feedback == "implicit")
    left_out = f"{report.unrated:,} without a rating left out, " if report.unrated else ""
    output.message(
        f"{word}: {report.edition} ({report.dialect}): {counted}; {left_out}"
        f"{report.duplicates:,} duplicates merged, {report.rejected_count:,} rejected, "
        f"{report.seconds:.1f} s"
    )
    # A wrong delimiter or encoding spoils every row alike; three rows show the cause.
    for row in report.rejected[:3]:
        output.message(f"  rejected {row.file} line {row.line}: {row.reason}")
    if report.rejected:
        kept = len(report.rejected)
        which = "all of them" if kept == report.rejected_count else f"the first {kept:,}"
        output.message(
            f"  {which}: SELECT * FROM recsys.rejected_rows WHERE ingest_id = {report.ingest_id}"
        )


def counts_in_words(by_kind: Mapping[str, Counts], *, implicit: bool) -> str:
    """Return `24 ratings, 3 movies, 8 users added; 2 ratings updated`."""
    phrases = []
    words = {"inserted": "added", "updated": "updated", "removed": "removed"}
    for field, word in (*words.items(), ("unchanged", "unchanged")):
        numbers = {kind: getattr(counts, field) for kind, counts in by_kind.items()}
        named = [f"{n:,} {_kind(kind, n, implicit)}" for kind, n in numbers.items() if n]
        if named:
            phrases.append(f"{', '.join(named)} {word}")
    return "; ".join(phrases) or "nothing"


def _kind(kind: str, count: int, implicit: bool) -> str:
    name = "interactions" if kind == "ratings" and implicit else kind
    return name.removesuffix("s") if count == 1 else name


def _as_json(report: IngestReport) -> dict[str, object]:
    return {
        "ingest_id": report.ingest_id,
        "edition": report.edition,
        "dialect": report.dialect,
        "rows_read": report.rows_read,
        "feedback": report.feedback,
        "counts": {kind: asdict(counts) for kind, counts in report.by_kind.items()},
        "inserted": report.counts.inserted,
        "updated": report.counts.updated,
        "unchanged": report.counts.unchanged,
        "duplicates": report.duplicates,
        "unrated": report.unrated,
        "rejected": report.rejected_count,
        "rejected_kept": len(report.rejected),
    }


@app.command("ingest-metadata")
def metadata(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="Folder, .zip or one of the CSV files.")
    ],
) -> None:
    """Load The Movies Dataset: plots, keywords, posters and cast of the loaded movies."""
    from recsys.jobs.ingest import ingest_metadata

    if not path.exists():
        raise DataError(f"{path} does not exist")
    unpacked = settings.load().ingest.max_unpacked_mb
    with output.reporting() as reporter, database() as opened:
        report = ingest_metadata(opened, path, max_unpacked_mb=unpacked, reporter=reporter)
    _show_report(report.ingest, json=False)
    output.message(f"{report.matched:,} movies matched, {report.unmatched:,} not in the catalogue.")
