"""`recsys refresh` and `recsys schedule`: compute and publish, once or on a schedule."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from recsys import logs
from recsys.cli import output
from recsys.cli.options import Engine, EngineName, database, model_names, place_of
from recsys.config import settings

if TYPE_CHECKING:
    from recsys.jobs.plan import Plan
    from recsys.storage.server.engine import Database

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
            "--force",
            metavar="REASON",
            help="Go on although the disk seems too small, and publish even if the publish gate "
            "refuses the run.",
        ),
    ] = None,
    users_only: Annotated[
        bool,
        typer.Option(
            "--users-only",
            help="Only recompute the lists of users whose ratings changed since the published run.",
        ),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Only predict the time, the memory and the disk it will take."
        ),
    ] = False,
    engine: Engine = None,
) -> None:
    """Compute recommendations from the ratings and publish them."""
    from recsys.jobs.plan import plan
    from recsys.jobs.refresh import refresh as refresh_job
    from recsys.jobs.refresh_users import refresh_users

    if users_only and (models or force is not None or dry_run):
        raise typer.BadParameter("--users-only takes none of --models, --force and --dry-run")
    # The publication log is the only record of why the gate was overridden.
    if force is not None and not force.strip():
        raise typer.BadParameter("--force needs a reason, which the publication log keeps")
    current = settings.load()
    todo = plan(current.refresh, model_names(models), publish=not no_publish)
    if users_only and engine is EngineName.SPARK:
        raise typer.BadParameter("--users-only works in this process, not on a cluster")
    place = place_of(current, engine)
    if dry_run:
        with database() as opened:
            _predict(opened, todo, forced=force is not None)
        return
    with output.reporting() as reporter, database() as opened:
        if users_only:
            report = refresh_users(opened, todo, reporter=reporter)
        else:
            report = refresh_job(
                opened, todo, if_changed=if_changed, force=force, reporter=reporter, place=place
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


@dataclass(frozen=True)
class _Predicted:
    stage: str
    seconds: output.Figure
    disk: output.Figure


def _predict(opened: Database, todo: Plan, *, forced: bool) -> None:
    """Print what a refresh will take; raise NotEnoughDisk if it will not fit, unless forced."""
    from recsys.jobs.forecast import forecast, require_disk

    found = forecast(opened, todo)
    rows = [
        _Predicted(stage.stage, _seconds(stage.seconds), output.size(stage.disk))
        for stage in found.stages
    ]
    rows.append(_Predicted("all", _seconds(found.seconds), output.size(found.disk)))
    title = f"{found.ratings:,} ratings of {found.users:,} users, {found.movies:,} movies"
    output.table(rows, ("stage", "seconds", "disk"), title=title)
    run_id = found.reference_run_id
    pace = "the machine in the documentation" if run_id is None else f"run {run_id}"
    free = "not known" if found.free_disk is None else output.size(found.free_disk)
    output.properties(
        "Forecast",
        {"memory": output.size(found.memory), "free disk": free, "at the pace of": pace},
    )
    if not forced:
        require_disk(found)


def _seconds(value: float | None) -> output.Figure:
    return output.Figure("not known" if value is None else f"{value:,.1f}")


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
