"""Arguments and options that several commands share, and the way to the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from recsys.config import settings
from recsys.jobs.server import Database, configured_database
from recsys.service import Recommender

LARGEST_ID = 2**31 - 1
User = Annotated[int, typer.Argument(min=0, max=LARGEST_ID, metavar="USER", help="Id of the user.")]
Count = Annotated[int, typer.Option("-n", min=0, max=100_000, help="How many rows.")]
Model = Annotated[
    str | None, typer.Option("--model", help="Model to ask; the published default without it.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def model_names(text: str | None) -> list[str] | None:
    """Read `a,b`; raises BadParameter where nothing is named."""
    if text is None:
        return None
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise typer.BadParameter("--models names no model: as --models ease,als")
    return names


@contextmanager
def database() -> Iterator[Database]:
    from recsys.jobs.orphans import clear_orphans

    with configured_database(settings.load()) as opened:
        clear_orphans(opened)
        yield opened


@contextmanager
def recommender() -> Iterator[Recommender]:
    with database() as opened:
        yield Recommender(opened)
