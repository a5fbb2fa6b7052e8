"""`schedule`: refreshes by the clock."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated

import typer

from recsys import logs
from recsys.cli import show
from recsys.config import settings

app = typer.Typer()


@app.command()
def schedule(
    coming: Annotated[
        int | None,
        typer.Option("--next", min=1, max=1000, help="Only show so many of the times to come."),
    ] = None,
) -> None:
    """Run refreshes at the times that [schedule] of recsys.toml names, until stopped.

    One at a time; one that fails is tried again. Each reads recsys.toml anew; the times do not.
    """
    from recsys.jobs.schedule import Scheduler, upcoming

    chosen = settings.load().schedule
    times = list(islice(upcoming(chosen, datetime.now(UTC)), coming or 1))
    if coming:
        for due in times:
            show.out(f"{due.at:%Y-%m-%d %H:%M %Z}  {due.job}")
        return
    logs.tell_what_is_done()
    command = [sys.executable, "-m", "recsys"]
    if show.as_log_lines:
        command += ["--log-format", "json"]
    Scheduler(chosen, command).run()
