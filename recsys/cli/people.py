"""Commands that change what is kept of a person: rate, block, forget."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import typer

from recsys.cli import show
from recsys.cli.options import Json, User, database, recommender
from recsys.cli.read import find_movie
from recsys.errors import RecsysError

app = typer.Typer()


Movie = Annotated[str, typer.Argument(metavar="MOVIE", help="Id or title of the movie.")]


@app.command()
def rate(
    user: User,
    movie: Movie,
    rating: Annotated[float, typer.Argument(metavar="RATING", help="On the scale of the data.")],
) -> None:
    """Keep a user's rating of a movie; recommendations follow it at once."""
    with recommender() as service:
        known = find_movie(service, movie)
        service.rate(user, known.movie_id, rating)
    show.say(f"User {user} gives {rating:g} to {known.title} ({known.year or 'year unknown'}).")


@app.command()
def block(
    user: User,
    movie: Movie,
    until: Annotated[
        datetime | None, typer.Option(help="End of the block; for good without it. Past: lifted.")
    ] = None,
) -> None:
    """Keep a movie out of a user's recommendations."""
    with recommender() as service:
        known = find_movie(service, movie)
        service.block(user, known.movie_id, until and until.astimezone())
    end = f"until {until:%Y-%m-%d %H:%M}" if until else "for good"
    show.say(f"{known.title} is kept from user {user} {end}.")


@dataclass(frozen=True)
class _Line:
    rows_of: str
    removed: int
    left: int


@app.command()
def forget(
    user: User,
    check: Annotated[
        bool, typer.Option("--check", help="Remove nothing; fail if any row is about the person.")
    ] = False,
    json: Json = False,
) -> None:
    """Remove a person from every table, in every run that is kept."""
    from recsys.jobs import forget as job

    with database() as opened:
        removed = {} if check else job.forget(opened, user)
        left = job.remembered(opened, user)
    if json:
        show.as_json({"user_id": user, "removed": removed, "left": left})
    else:
        lines = [_Line(name, removed.get(name, 0), count) for name, count in left.items()]
        total = f"{sum(removed.values()):,} rows removed, {sum(left.values()):,} left"
        show.rows(lines, ("rows_of", "removed", "left"), title=f"User {user}", caption=total)
    if any(left.values()):
        raise RecsysError(
            f"{sum(left.values()):,} rows are about user {user}",
            hint=f"`recsys forget {user}` removes them" if check else "somebody added them anew",
        )
