"""`recsys demo`: load, refresh, and show recommendations."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recsys.cli import output
from recsys.cli.options import database
from recsys.cli.program import call
from recsys.cli.reading import (
    Columns,
    Implicit,
    MovieColumn,
    RatingColumn,
    Scale,
    TimeColumn,
    UserColumn,
    read_options,
)
from recsys.cli.recommend import with_cards
from recsys.config import settings
from recsys.errors import DataError

if TYPE_CHECKING:
    from recsys.service import Recommender

app = typer.Typer()


@app.command()
def demo(
    data: Annotated[
        Path | None, typer.Option(help="Folder, .zip or ratings file. Default: RECSYS_MOVIELENS.")
    ] = None,
    columns: Columns = None,
    user_column: UserColumn = None,
    movie_column: MovieColumn = None,
    rating_column: RatingColumn = None,
    time_column: TimeColumn = None,
    implicit: Implicit = False,
    scale: Scale = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Drop the present data set, if it is another one.")
    ] = False,
) -> None:
    """Load MovieLens, refresh, publish, and show recommendations."""
    from recsys.jobs.demo import run_demo
    from recsys.jobs.ingest import is_pattern
    from recsys.service import Recommender
    from recsys.storage.server.pool import PoolOptions

    named = {"user": user_column, "movie": movie_column, "rating": rating_column}
    options = read_options(columns, named | {"time": time_column}, implicit=implicit, scale=scale)
    current = settings.load()
    given = data or current.movielens
    # Starting the embedded server takes seconds, so a wrong path is reported before.
    if given is not None and not (given.expanduser().exists() or is_pattern(given.expanduser())):
        raise DataError(f"{given} does not exist", hint="give a folder, a .zip or a CSV file")
    with database() as opened:
        with output.reporting() as reporter:
            report = run_demo(
                opened,
                current,
                data=given,
                options=options,
                replace=replace,
                reporter=reporter,
                say=output.message,
            )
        run = report.refresh
        word = f"published in {run.seconds:.1f} s" if run.changed else "published and up to date"
        output.message(f"\n{report.edition}: run {run.run_id} is {word}.\n")
        with Recommender(opened, options=PoolOptions(size=1)) as service:
            _show_results(service)


def _by_popularity(service: Recommender) -> str | None:
    """Return the published chart that orders by popularity, None if there is none."""
    charts = {
        model.popularity_order: model.model
        for model in service.models()
        if model.popularity_order is not None
    }
    return charts[min(charts)] if charts else None


def _show_results(service: Recommender) -> None:
    top = with_cards(service, service.top_movies(10))
    columns = ("rank", "title", "year", "genres")
    scale = service.rating_scale()
    graded = scale.rating_min is None or scale.rating_min != scale.rating_max
    chart_columns = (*columns, "votes", "mean_rating") if graded else (*columns, "votes")
    title = "The top chart" + (", by weighted rating" if graded else "")
    output.table(top, chart_columns, title=title)
    # The most rated movie is the one that most readers know.
    known = service.top_movies(1, chart=_by_popularity(service))[0]
    similar = service.similar(known.movie_id, 8)
    title = f"Similar to {known.title}" + (f", by {similar[0].model}" if similar else "")
    output.table(with_cards(service, similar), columns, title=title)
    user = service.a_user()
    liked = output.make_table(
        with_cards(service, service.ratings(user, 10)),
        ("rating", "title", "year") if graded else ("title", "year"),
        title=f"What user {user} {'liked' if graded else 'watched'}",
    )
    recommended = output.make_table(
        service.recommend(user, 10), columns, title=f"Recommended to user {user}"
    )
    output.side_by_side(liked, recommended)
    output.message(_next_steps(user, known.title))


def _next_steps(user: int, title: str) -> str:
    """Return commands to go on with, as they work in the shell that ran the demo."""
    steps = [
        call("recommend", user, "--genre", "Comedy"),
        call("search", title),
        call("db", "psql", "-c", f"SELECT * FROM recsys.recommend({user}, 10)"),
    ]
    if home := os.environ.get("RECSYS_HOME"):
        steps.insert(0, f"export RECSYS_HOME={shlex.quote(home)}")
    return "\nNext:\n" + "\n".join(f"  {step}" for step in steps) + "\n"
