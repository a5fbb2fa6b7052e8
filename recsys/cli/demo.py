"""`recsys demo`: the main job, and a look at what came out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recsys.cli import show
from recsys.cli.options import database
from recsys.config import settings
from recsys.errors import DataError
from recsys.service import Recommender
from recsys.storage.server.pool import PoolOptions

app = typer.Typer()

NEXT_STEPS = """
Next:
  recsys recommend {user} --genre Comedy
  recsys search "{word}"
  psql "$(recsys db url)" -c "SELECT * FROM recsys.recommend({user}, 10)"
"""


@app.command()
def demo(
    data: Annotated[
        Path | None, typer.Option(help="Folder, .zip or ratings file; else RECSYS_MOVIELENS.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Drop another data set that is here.")
    ] = False,
) -> None:
    """Load MovieLens, compute, publish, and show recommendations."""
    # Late, as in the other commands that write.
    from recsys.jobs.demo import run_demo

    current = settings.load()
    given = data or current.movielens
    if given is not None and not given.expanduser().exists():
        raise DataError(f"{given} does not exist", hint="give a folder, a .zip or a CSV file")
    with database() as opened:
        with show.reporting() as reporter:
            report = run_demo(
                opened, current, data=given, replace=replace, reporter=reporter, say=show.say
            )
        run = report.refresh
        word = f"published in {run.seconds:.1f} s" if run.changed else "published and still true"
        show.say(f"\n{report.edition}: run {run.run_id} is {word}.\n")
        with Recommender(opened, options=PoolOptions(size=1)) as service:
            _show_what_came_out(service)


def _show_what_came_out(service: Recommender) -> None:
    top = service.top_movies(10)
    columns = ("rank", "title", "score", "votes", "mean_rating")
    show.rows(top, columns, title="The top chart, by weighted rating")
    known = service.top_movies(1, chart="most_rated")[0]
    similar = service.similar(known.movie_id, 8)
    caption = f"model {similar[0].model}" if similar else None
    show.rows(
        similar, ("rank", "title", "score"), title=f"Similar to {known.title}", caption=caption
    )
    user = service.a_user()
    liked = show.table_of(
        service.ratings(user, 10), ("rating", "title"), title=f"What user {user} liked"
    )
    recommended = show.table_of(
        service.recommend(user, 10),
        ("rank", "title", "score", "source"),
        title=f"Recommended to user {user}",
    )
    show.side_by_side(liked, recommended)
    show.say(NEXT_STEPS.format(user=user, word=known.title))
