"""Commands that change the data of a user: rate, block, forget."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import typer

from recsys.cli import output
from recsys.cli.options import Json, Movie, User, database, recommender
from recsys.cli.recommend import find_movie, titled
from recsys.errors import RecsysError, UnknownUser

app = typer.Typer()


@app.command()
def rate(
    user: User,
    movie: Movie,
    rating: Annotated[
        float, typer.Argument(metavar="RATING", help="Rating, on the scale of the data set.")
    ],
) -> None:
    """Store a user's rating of a movie; the next recommendations take it into account."""
    with recommender() as service:
        known = find_movie(service, movie)
        service.rate(user, known.movie_key, rating)
    output.message(f"User {user} gives {rating:g} to {titled(known)}.")


@app.command()
def block(
    user: User,
    movie: Movie,
    until: Annotated[
        datetime | None,
        typer.Option(help="End of the block; a past time lifts it. Default: no end."),
    ] = None,
) -> None:
    """Exclude a movie from a user's recommendations."""
    with recommender() as service:
        known = find_movie(service, movie)
        # A time without an offset is local time, as the user typed it.
        service.block(user, known.movie_key, until and until.astimezone())
    end = f"until {until:%Y-%m-%d %H:%M}" if until else "for good"
    output.message(f"{titled(known)} is blocked for user {user} {end}.")


@dataclass(frozen=True)
class _Line:
    rows_of: str
    removed: int
    left: int


@app.command()
def forget(
    user: User,
    check: Annotated[
        bool, typer.Option("--check", help="Remove nothing; fail if any row refers to the user.")
    ] = False,
    json: Json = False,
) -> None:
    """Remove a user from every table and every stored run."""
    from recsys.jobs import forget as job

    with database() as opened:
        user_id = job.find(opened, user)
        if user_id is None and not check:
            raise UnknownUser(f"no row is about user {user}")
        removed = {} if check or user_id is None else job.forget(opened, user_id)
        # Counted after the removal: other sessions may have written in between.
        left = {} if user_id is None else job.remembered(opened, user_id)
    if json:
        facts = {"user_id": user_id, "removed": removed, "left": left}
        output.write_json({**facts, "user_key": user})
    else:
        lines = [_Line(name, removed.get(name, 0), count) for name, count in left.items()]
        total = f"{sum(removed.values()):,} rows removed, {sum(left.values()):,} left"
        output.table(lines, ("rows_of", "removed", "left"), title=f"User {user}", caption=total)
    if any(left.values()):
        raise RecsysError(
            f"{sum(left.values()):,} rows are about user {user}",
            hint=f"`recsys forget {user}` removes them"
            if check
            else "another session has added them since; run it again",
        )
