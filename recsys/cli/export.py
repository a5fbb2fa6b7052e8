"""`recsys export`: files with everything that is published."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recsys.cli import output
from recsys.cli.options import Json, database

app = typer.Typer()


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Created if missing.")],
    parquet: Annotated[
        bool, typer.Option("--parquet", help="Parquet instead of CSV; needs recsys[parquet].")
    ] = False,
    json: Json = False,
) -> None:
    """Write movies, ratings, tags and the published lists to files, with keys.

    Files of the same names are replaced, each when it is complete. recsys ingest reads them.
    """
    from recsys.jobs.export import export as export_job

    with output.reporting() as reporter, database() as opened:
        found = export_job(opened, folder.expanduser(), parquet=parquet, reporter=reporter)
    if json:
        output.write_json(
            [{"path": str(one.path), "rows": one.rows, "bytes": one.bytes} for one in found]
        )
    output.message(
        f"Written: {len(found)} files, {sum(one.bytes for one in found):,} bytes in {folder}"
    )
