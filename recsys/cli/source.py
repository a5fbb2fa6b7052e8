"""`recsys source`: let a table of your own change the ratings at once."""

from __future__ import annotations

from typing import Annotated

import typer

from recsys.cli import output
from recsys.cli.options import database
from recsys.config import settings

app = typer.Typer(no_args_is_help=True, help="Watch the table that the ratings come from.")


@app.command()
def watch(
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Let a failure here fail the statement on your table, too."),
    ] = False,
) -> None:
    """Put triggers on the table that `ratings` of recsys.toml reads, in this database.

    A row that is written there changes the list of its user in the same transaction.
    """
    from recsys.jobs.watch import watch as watch_job

    with database() as opened:
        table = watch_job(opened, settings.load().source, strict=strict)
    output.message(f"Rows of {table} now change ratings at once. `recsys source unwatch` ends it.")


@app.command()
def unwatch() -> None:
    """Remove the triggers and their functions; ratings stay as they are."""
    from recsys.jobs.watch import unwatch as unwatch_job

    with database() as opened:
        tables = unwatch_job(opened)
    output.message(f"No longer watched: {', '.join(tables)}." if tables else "Nothing was watched.")
