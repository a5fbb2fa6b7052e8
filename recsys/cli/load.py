"""Commands that write: ingest, ingest-metadata, refresh.

The jobs are imported when they run: pandas and scikit-learn would cost every command a second.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recsys.cli import show
from recsys.cli.options import database, model_names
from recsys.config import settings
from recsys.errors import DataError

if TYPE_CHECKING:
    from recsys.jobs.ingest import IngestReport, RejectLimit

app = typer.Typer()


class Format(StrEnum):
    ML_100K = "ml-100k"
    ML_1M = "ml-1m"
    ML_10M = "ml-10m"
    ML_CSV = "ml-csv"
    CSV = "csv"


class OnDuplicate(StrEnum):
    LATEST = "latest"
    MAX = "max"
    MEAN = "mean"
    ERROR = "error"


@app.command()
def ingest(
    source: Annotated[
        str,
        typer.Argument(
            metavar="PATH_OR_NAME",
            help="A folder, .zip or ratings file, or a MovieLens edition such as ml-latest-small.",
        ),
    ],
    format: Annotated[
        Format | None, typer.Option("--format", help="Form of the files; looked at without it.")
    ] = None,
    on_duplicate: Annotated[
        OnDuplicate, typer.Option(help="Which of several ratings of one user and movie counts.")
    ] = OnDuplicate.LATEST,
    max_rejects: Annotated[
        str, typer.Option(help="Bad rows allowed: a share, as 1%, or a number of rows.")
    ] = "1%",
    replace: Annotated[
        bool, typer.Option("--replace", help="Drop what is here, all results included.")
    ] = False,
    edition: Annotated[
        str | None, typer.Option(help="Name of the data set, where the files do not tell it.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Load ratings, movies and all that belongs to them.

    Bad rows are kept in recsys.rejected_rows with file, line and reason. Loading the same files
    again changes nothing.
    """
    from recsys.jobs.ingest import ingest as ingest_job
    from recsys.jobs.names import find_source

    limit = reject_limit(max_rejects)
    with show.reporting() as reporter:
        path = find_source(source, settings.load().cache, reporter)
        with database() as opened:
            report = ingest_job(
                opened,
                path,
                source=source,
                format=format.value if format else None,
                edition=edition,
                on_duplicate=on_duplicate.value,
                max_rejects=limit,
                replace=replace,
                reporter=reporter,
            )
    _tell(report, json=json)


def reject_limit(text: str) -> RejectLimit:
    """Read `1%` or `200`; raises BadParameter for anything else."""
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
    raise typer.BadParameter(f"--max-rejects cannot be {text!r}: a share, as 1%, or a number")


def _tell(report: IngestReport, *, json: bool) -> None:
    counts = report.counts
    if json:
        show.as_json(
            {
                "ingest_id": report.ingest_id,
                "edition": report.edition,
                "dialect": report.dialect,
                "rows_read": report.rows_read,
                "inserted": counts.inserted,
                "updated": counts.updated,
                "unchanged": counts.unchanged,
                "duplicates": report.duplicates,
                "rejected": len(report.rejected),
            }
        )
    if report.replaced:
        show.say(f"{report.replaced} was dropped.")
    word = "No change" if report.no_change else "Loaded"
    show.say(
        f"{word}: {report.edition} ({report.dialect}), {counts.inserted:,} inserted, "
        f"{counts.updated:,} updated, {counts.unchanged:,} unchanged, "
        f"{report.duplicates:,} duplicates merged, {len(report.rejected):,} rejected, "
        f"{report.seconds:.1f} s"
    )
    for row in report.rejected[:3]:
        show.say(f"  rejected {row.file} line {row.line}: {row.reason}")
    if report.rejected:
        show.say(
            f"  all of them: SELECT * FROM recsys.rejected_rows "
            f"WHERE ingest_id = {report.ingest_id}"
        )


@app.command("ingest-metadata")
def metadata(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Folder, .zip or one of its files.")],
) -> None:
    """Load The Movies Dataset (plots, keywords, posters, cast) for the movies that are here."""
    from recsys.jobs.ingest import ingest_metadata

    if not path.exists():
        raise DataError(f"{path} does not exist")
    with show.reporting() as reporter, database() as opened:
        report = ingest_metadata(opened, path, reporter=reporter)
    _tell(report.ingest, json=False)
    show.say(f"{report.matched:,} movies described, {report.unmatched:,} films are not here.")


@app.command()
def refresh(
    models: Annotated[
        str | None, typer.Option(help="Only these, as a,b: for trying out, not published.")
    ] = None,
    if_changed: Annotated[
        bool, typer.Option("--if-changed", help="Do nothing when the published run is still true.")
    ] = False,
    no_publish: Annotated[
        bool, typer.Option("--no-publish", help="Compute and store, but show it to nobody.")
    ] = False,
    force: Annotated[
        str | None,
        typer.Option("--force", metavar="REASON", help="Publish even what the gate refuses."),
    ] = None,
    users_only: Annotated[
        bool,
        typer.Option(
            "--users-only", help="Only new lists for people whose ratings changed since the run."
        ),
    ] = False,
) -> None:
    """Compute recommendations from the ratings and publish them."""
    from recsys.jobs.plan import plan
    from recsys.jobs.refresh import refresh as refresh_job
    from recsys.jobs.refresh_users import refresh_users

    if users_only and (models or force is not None):
        raise typer.BadParameter("--users-only takes neither --models nor --force")
    if force is not None and not force.strip():
        raise typer.BadParameter("--force wants the reason in words: it is kept in the log")
    todo = plan(settings.load().refresh, model_names(models), publish=not no_publish)
    with show.reporting() as reporter, database() as opened:
        if users_only:
            report = refresh_users(opened, todo, reporter=reporter)
        else:
            report = refresh_job(
                opened, todo, if_changed=if_changed, force=force, reporter=reporter
            )
    if not report.changed:
        show.say(f"No change: run {report.run_id} is published and still true.")
        return
    for model, metric in report.metrics:
        show.say(f"{model:<24}{metric.name} {metric.value:.4f} ({metric.protocol}, {metric.n:,})")
    for reason in report.overridden:
        show.say(f"The gate was overridden: {reason}")
    what = "published" if report.published else "stored, not published"
    show.say(f"Run {report.run_id} is {what}: {report.rows:,} rows in {report.seconds:.1f} s")
