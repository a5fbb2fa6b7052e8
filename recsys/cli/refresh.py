"""`recsys refresh` and `recsys schedule`: compute and publish, once or on a schedule."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated

import typer

from recsys import logs
from recsys.cli import output
from recsys.cli.options import database, model_names
from recsys.config import settings

app = typer.Typer()


@app.command()
def refresh(
    models: Annotated[
        str | None, typer.Option(help="Only these models, as a,b. The run is not published.")
    ] = None,
    if_changed: Annotated[
        bool, typer.Option("--if-changed", help="Do nothing if the published run is up to date.")
    ] = False,
    no_publish: Annotated[
        bool, typer.Option("--no-publish", help="Compute and store the run without publishing it.")
    ] = False,
    force: Annotated[
        str | None,
        typer.Option(
            "--force", metavar="REASON", help="Publish even if the publish gate refuses the run."
        ),
    ] = None,
    users_only: Annotated[
        bool,
        typer.Option(
            "--users-only",
            help="Only recompute the lists of users whose ratings changed since the published run.",
        ),
    ] = False,
) -> None:
    """Compute recommendations from the ratings and publish them."""
    from recsys.jobs.plan import plan
    from recsys.jobs.refresh import refresh as refresh_job
    from recsys.jobs.refresh_users import refresh_users

    if users_only and (models or force is not None):
        raise typer.BadParameter("--users-only takes neither --models nor --force")
    # The publication log is the only record of why the gate was overridden.
    if force is not None and not force.strip():
        raise typer.BadParameter("--force needs a reason, which the publication log keeps")
    todo = plan(settings.load().refresh, model_names(models), publish=not no_publish)
    with output.reporting() as reporter, database() as opened:
        if users_only:
            report = refresh_users(opened, todo, reporter=reporter)
        else:
            report = refresh_job(
                opened, todo, if_changed=if_changed, force=force, reporter=reporter
            )
    if not report.changed:
        output.message(f"No change: run {report.run_id} is published and up to date.")
        return
    for model, metric in report.metrics:
        output.message(
            f"{model:<24}{metric.name} {metric.value:.4f} ({metric.protocol}, {metric.n:,})"
        )
    for reason in report.overridden:
        output.message(f"The gate was overridden: {reason}")
    what = "published" if report.published else "stored, not published"
    output.message(f"Run {report.run_id} is {what}: {report.rows:,} rows in {report.seconds:.1f} s")


@app.command()
def schedule(
    coming: Annotated[
        int | None,
        typer.Option(
            "--next", min=1, max=1000, help="Only print the next COUNT times.", metavar="COUNT"
        ),
    ] = None,
) -> None:
    """Run refreshes at the times that recsys.toml sets in its table `schedule`, until stopped.

    One refresh runs at a time. A failed refresh is repeated after a pause.
    Each refresh reads recsys.toml again; the times are read once, at the start.
    """
    from recsys.jobs.schedule import Scheduler, upcoming

    chosen = settings.load().schedule
    # Computed in any case: an expression that never comes true fails now, not at night.
    times = list(islice(upcoming(chosen, datetime.now(UTC)), coming or 1))
    if coming:
        for due in times:
            output.write_line(f"{due.at:%Y-%m-%d %H:%M %Z}  {due.job}")
        return
    logs.show_info()
    # Each job runs in a process of its own, which frees its memory and reads recsys.toml again.
    command = [sys.executable, "-m", "recsys"]
    if output.as_log_lines:
        command += ["--log-format", "json"]
    Scheduler(chosen, command).run()
