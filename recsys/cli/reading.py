"""Options that say what the columns of a file are; for the commands that read ratings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from recsys.ingest.options import ReadOptions

Columns = Annotated[
    str | None,
    typer.Option(
        metavar="LIST",
        help="Columns of a file without a header: user,movie,rating,time; - skips one.",
    ),
]
UserColumn = Annotated[
    str | None, typer.Option(metavar="NAME", help="Column of the users, if not recognized.")
]
MovieColumn = Annotated[
    str | None, typer.Option(metavar="NAME", help="Column of the movies, if not recognized.")
]
RatingColumn = Annotated[
    str | None, typer.Option(metavar="NAME", help="Column of the ratings, if not recognized.")
]
TimeColumn = Annotated[
    str | None, typer.Option(metavar="NAME", help="Column of the times, if not recognized.")
]
Implicit = Annotated[
    bool,
    typer.Option("--implicit", help="Count rows as interactions. Default without ratings."),
]
Scale = Annotated[
    str | None,
    typer.Option(metavar="LOW..HIGH", help="Scale of the ratings: 1..5, with steps 0.5..5:0.5."),
]


def read_options(
    columns: str | None,
    named: dict[str, str | None],
    *,
    implicit: bool,
    scale: str | None,
) -> ReadOptions:
    """Return what the options say; `named` has the names of columns by role."""
    from recsys.jobs.ingest import ColumnNames, ReadOptions, columns_in_order, parse_scale

    if columns is not None and any(named.values()):
        raise typer.BadParameter(
            "--columns is for files without a header, whose columns have no names"
        )
    return ReadOptions(
        columns=ColumnNames(
            order=columns_in_order(columns) if columns is not None else (), **named
        ),
        implicit=implicit,
        scale=None if scale is None else parse_scale(scale),
    )
