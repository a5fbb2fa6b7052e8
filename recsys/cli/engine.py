"""`recsys engine`: prepare a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recsys.cli import output

app = typer.Typer(no_args_is_help=True, help="Prepare a Spark cluster.")


@app.callback()
def group() -> None:
    """Keep `package` a command of a group."""


@app.command()
def package(
    file: Annotated[Path, typer.Argument(help="Archive to write, .tar.gz.")] = Path(
        "recsys-packages.tar.gz"
    ),
) -> None:
    """Pack recsys and its packages for executors without them.

    Name the file in recsys.toml, as archive of the table engine.
    Executors need the same operating system and version of Python.
    """
    from recsys.engine.package import write_package

    size = write_package(file)
    output.message(f"Written: {file}, {size / 2**20:,.0f} MB")
