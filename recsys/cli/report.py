"""`report`: what the database holds and how it recommends, as a page or as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recsys.cli import show
from recsys.cli.options import database
from recsys.report.targets import check_targets

app = typer.Typer()


@app.command()
def report(
    page: Annotated[
        Path | None,
        typer.Argument(
            metavar="OUT.html", help="The page; it needs no other file. Replaced if it is there."
        ),
    ] = None,
    png: Annotated[
        Path | None,
        typer.Option(
            "--png",
            metavar="FOLDER",
            help="Its plots as PNG files into this folder, made if need be; without OUT.html "
            "nothing else.",
        ),
    ] = None,
    title: Annotated[str | None, typer.Option(help="Heading of the page.")] = None,
) -> None:
    """Write a report: the data in plots, models compared, and what the last run changed."""
    if page is None and png is None:
        raise typer.BadParameter("name a page to write, as report.html, or a folder by --png")
    check_targets(page, png)
    from recsys.report.write import write_report

    with database() as opened:
        files = write_report(opened, page, png, title)
    if page is not None:
        show.say(f"Written: {page}")
    if png is not None:
        show.say(f"Drawn: {len(files) - (page is not None)} pictures in {png}")
