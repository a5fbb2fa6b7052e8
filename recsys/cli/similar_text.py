"""`recsys similar-text`: similar rows of a CSV file of texts, without a database."""

from __future__ import annotations

import csv
import textwrap
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated

import typer

from recsys.cli import output
from recsys.cli.options import Count, Json
from recsys.config import settings

if TYPE_CHECKING:
    from recsys.jobs.similar_text import SimilarPair, SimilarText

app = typer.Typer()
TEXT_WIDTH = 48


@app.command("similar-text")
def similar_text(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV file with a header.")],
    id_column: Annotated[
        str | None, typer.Option("--id", help="Column of the ids. Default: id.")
    ] = None,
    text_column: Annotated[
        str | None,
        typer.Option("--text", help="Column of the texts. Default: the other of two columns."),
    ] = None,
    n: Count = 10,
    of: Annotated[
        str | None, typer.Option("--of", help="Only find the rows similar to the row with this id.")
    ] = None,
    json: Json = False,
) -> None:
    """Find the rows of a CSV file whose texts are most similar.

    The result is CSV, or a table if --of names one row.
    """
    from recsys.jobs.similar_text import similar_pairs, similar_to

    options = {"id_column": id_column, "text_column": text_column}
    unpacked = settings.load().ingest.max_unpacked_mb
    if of is None:
        pairs = similar_pairs(file, n, **options, max_unpacked_mb=unpacked)
        if json:
            output.json_rows(list(pairs))
        else:
            _csv(pairs)
        return
    found = similar_to(file, of, n, **options, max_unpacked_mb=unpacked)
    if json:
        output.json_rows(found)
    else:
        _table(found, of)


def _csv(pairs: Iterable[SimilarPair]) -> None:
    # csv quotes fields that contain its line terminator; write_line adds a newline of its own.
    stdout = SimpleNamespace(write=lambda line: output.write_line(line.removesuffix("\r\n")))
    lines = csv.writer(stdout, lineterminator="\r\n")
    lines.writerow(("id", "rank", "similar_id", "score"))
    for pair in pairs:
        lines.writerow((pair.id, pair.rank, pair.similar_id, pair.score))


def _table(found: list[SimilarText], of: str) -> None:
    short = [replace(row, text=_beginning(row.text)) for row in found]
    caption = None if found else "no other text is similar"
    output.table(short, ("rank", "id", "text", "score"), title=f"Similar to {of}", caption=caption)


def _beginning(text: str) -> str:
    return textwrap.shorten(text, TEXT_WIDTH, placeholder="…")
