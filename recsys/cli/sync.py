"""`recsys sync`: make the database equal to people's own tables."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from recsys.cli import output
from recsys.cli.ingest import counts_in_words, reject_limit
from recsys.cli.options import Json, database
from recsys.config import settings

if TYPE_CHECKING:
    from recsys.jobs.sync import SyncReport

app = typer.Typer()


@app.command()
def sync(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what would change; write nothing.")
    ] = False,
    full: Annotated[
        bool,
        typer.Option("--full", help="Compare all rows, not only those that changed_since tells."),
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Drop the present data set and all its results first.")
    ] = False,
    max_rejects: Annotated[
        str, typer.Option(help="Rejected rows allowed: a share such as 1%, or a number.")
    ] = "1%",
    json: Json = False,
) -> None:
    """Insert, update and delete until ratings equal those of your own tables.

    The table `source` of recsys.toml has the queries. They run read-only.
    """
    from recsys.jobs.sync import sync as sync_job

    limit = reject_limit(max_rejects)
    current = settings.load()
    with output.reporting() as reporter, database() as opened:
        report = sync_job(
            opened,
            current.source,
            source_url=current.source_url,
            full=full,
            full_hours=current.schedule.full_sync_hours,
            dry_run=dry_run,
            replace_data=replace,
            max_rejects=limit,
            reporter=reporter,
        )
    _show(report, json=json)


def _show(report: SyncReport, *, json: bool) -> None:
    if json:
        output.write_json(
            {
                "ingest_id": report.ingest_id,
                "edition": report.edition,
                "partial": report.partial,
                "counts": {kind: asdict(counts) for kind, counts in report.counts.items()},
                "duplicates": report.duplicates,
                "rejected": report.rejected_count,
            }
        )
    word = "Would change" if report.ingest_id is None else "Synchronized"
    word = "No change" if report.no_change else word
    which = ", changed rows only" if report.partial else ""
    output.message(
        f"{word}: {report.edition}{which}: "
        f"{counts_in_words(report.counts, implicit=report.implicit)}; "
        f"{report.duplicates:,} duplicates merged, {report.rejected_count:,} rejected, "
        f"{report.seconds:.1f} s"
    )
    for row in report.rejected[:3]:
        output.message(f"  rejected, {row.file}: {row.reason}: {row.content}")
    if report.rejected and report.ingest_id is not None:
        output.message(
            "  SELECT * FROM recsys.rejected_rows WHERE ingest_id = " + str(report.ingest_id)
        )
