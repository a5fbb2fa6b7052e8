"""Arguments and options that several commands share, and the connection to the database.

SQLAlchemy, psycopg and the jobs are imported inside functions here and in the commands: together
they take longer to import than `recsys --help` takes to run.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from recsys.config import settings
from recsys.errors import NotPublished, RecsysError

if TYPE_CHECKING:
    from recsys.jobs.places import Place
    from recsys.service import Recommender
    from recsys.storage.server.engine import Database

# Numbers of runs have the type integer in PostgreSQL.
LARGEST_ID = 2**31 - 1
LEAST_MEMORY = 1 << 29
User = Annotated[str, typer.Argument(metavar="USER", help="Key or id of the user.")]
Movie = Annotated[str, typer.Argument(metavar="MOVIE", help="Key, id or title of the movie.")]
Count = Annotated[int, typer.Option("-n", min=0, max=100_000, help="Number of rows.")]
Model = Annotated[
    str | None,
    typer.Option("--model", help="Name of the model. Default: the published default model."),
]
Json = Annotated[bool, typer.Option("--json", help="Write one JSON document to stdout.")]


class EngineName(StrEnum):
    LOCAL = "local"
    SPARK = "spark"


Engine = Annotated[
    EngineName | None,
    typer.Option("--engine", help="Where models learn. Default: kind in recsys.toml."),
]


def place_of(current: settings.Settings, engine: EngineName | None) -> Place:
    """Return where models learn: as asked for, otherwise as the settings say."""
    from recsys.jobs.places import IN_THIS_PROCESS

    if (engine or current.engine.kind) == "local":
        return IN_THIS_PROCESS
    from recsys.jobs.cluster.place import SparkPlace

    return SparkPlace(current.engine)


def require_memory() -> None:
    """Raise RecsysError if the limit of memory is too low to import NumPy and SciPy."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    # OpenBLAS ends the process where it gets no memory, so the limit is checked before.
    if limit != resource.RLIM_INFINITY and limit < LEAST_MEMORY:
        raise RecsysError(
            f"the memory of this process is limited to {limit >> 20} MiB; "
            f"jobs need {LEAST_MEMORY >> 20} MiB or more",
            hint="raise the limit, as with `ulimit -v unlimited`",
        )


def model_names(text: str | None) -> list[str] | None:
    """Split `a,b`; raises BadParameter if it holds no name."""
    if text is None:
        return None
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise typer.BadParameter("--models needs a name, for example --models ease,als")
    return names


@contextmanager
def database() -> Iterator[Database]:
    """Yield the configured database, after marking abandoned runs as failed."""
    from recsys.jobs.orphans import clear_orphans
    from recsys.storage.server.engine import open_database

    current = settings.load()
    with open_database(current.home, current.database_url, reuse_connections=True) as opened:
        # A killed process cannot mark its run as failed, so the next command does.
        clear_orphans(opened)
        yield opened


@contextmanager
def recommender() -> Iterator[Recommender]:
    """Yield a recommender on the configured database, without SQLAlchemy."""
    from recsys.service import Recommender
    from recsys.storage.server.address import open_address
    from recsys.storage.server.pool import PoolOptions
    from recsys.storage.server.server_paths import has_server

    current = settings.load()
    # Reading must not create a server, perhaps in the home of another user.
    if not current.database_url and not has_server(current.home):
        raise NotPublished(f"there is no database in {current.home}")
    with (
        open_address(current.home, current.database_url) as address,
        Recommender(address, options=PoolOptions(size=1)) as service,
    ):
        yield service


def mark_abandoned_runs(service: Recommender) -> None:
    """Mark runs without a living process as failed, if the latest ones include a running one."""
    if any(run.state == "running" for run in service.runs()):
        with database():
            pass
