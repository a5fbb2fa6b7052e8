"""`recsys report`: the HTML report and its plots."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recsys.cli import output
from recsys.cli.options import database
from recsys.report.targets import check_targets

app = typer.Typer()


@app.command()
def report(
    page: Annotated[
        Path | None,
        typer.Argument(metavar="OUT.html", help="Target file; an existing file is replaced."),
    ] = None,
    png: Annotated[
        Path | None,
        typer.Option(
            "--png",
            metavar="FOLDER",
            help="Write the plots as PNG files to this folder, which is created if missing.",
        ),
    ] = None,
    title: Annotated[str | None, typer.Option(help="Title of the report.")] = None,
) -> None:
    """Write a report: plots of the data, metrics of the models, changes of the last run.

    Without OUT.html only the plots of --png are written.
    """
    if page is None and png is None:
        raise typer.BadParameter("name a page, for example report.html, or a folder with --png")
    # First, because the import below fails if the packages of the extra are missing.
    check_targets(page, png)
    from recsys.report.write import write_report

    with database() as opened:
        files = write_report(opened, page, png, title)
    if page is not None:
        output.message(f"Written: {page}")
    if png is not None:
        output.message(f"Written: {len(files) - (page is not None)} plots in {png}")
