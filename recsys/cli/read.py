"""Reading commands: one call of the service each, as a table or as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated

import typer

from recsys.cli import show
from recsys.cli.options import LARGEST_ID, Count, Json, Model, User, recommender
from recsys.errors import RecsysError, UnknownMovie
from recsys.service import Recommender
from recsys.service.prometheus import as_prometheus
from recsys.service.types import Contribution, FoundMovie, Freshness, Movie, Status

app = typer.Typer()


@app.command()
def recommend(
    user: User,
    n: Count = 10,
    model: Model = None,
    genre: Annotated[
        list[str] | None, typer.Option("--genre", help="Only of this genre; may be repeated.")
    ] = None,
    year_from: Annotated[
        int | None, typer.Option(min=0, max=9999, help="Not older than this year.")
    ] = None,
    year_to: Annotated[
        int | None, typer.Option(min=0, max=9999, help="Not newer than this year.")
    ] = None,
    json: Json = False,
) -> None:
    """Show what to recommend to a user."""
    with recommender() as service:
        found = service.recommend(
            user, n, model=model, genres=genre, year_from=year_from, year_to=year_to
        )
    labelled = any(row.label for row in found)
    if json:
        show.json_rows(found, omit=() if labelled else ("label",))
        return
    columns = ("rank", "movie_id", "title", "score", "source", "label" if labelled else "model")
    nothing = "no movie fits" if n else None
    named = next((f"labels of {row.model}, " for row in found if row.label), "")
    caption = f"{named}run {found[0].run_id}" if found else nothing
    show.rows(found, columns, title=f"Recommended to user {user}", caption=caption)
    if found and not any(row.source == "stored" for row in found):
        show.say("No stored row fits: shown is what serves people of whom little is known.")


@app.command()
def similar(
    movie: Annotated[str, typer.Argument(metavar="MOVIE", help="Id or title of the movie.")],
    n: Count = 10,
    model: Model = None,
    json: Json = False,
) -> None:
    """Show the movies most similar to one."""
    with recommender() as service:
        known = find_movie(service, movie)
        found = service.similar(known.movie_id, n, model=model)
    if json:
        show.json_rows(found)
        return
    columns = ("rank", "movie_id", "title", "score")
    caption = f"model {found[0].model}, run {found[0].run_id}" if found else "none is known"
    title = f"Similar to {known.title} ({known.year or 'year unknown'}), movie {known.movie_id}"
    show.rows(found, columns, title=title, caption=caption)


@app.command("similar-users")
def similar_users(user: User, n: Count = 10, model: Model = None, json: Json = False) -> None:
    """Show the users whose taste is most similar to one's."""
    with recommender() as service:
        found = service.similar_users(user, n, model=model)
    if json:
        show.json_rows(found)
        return
    caption = f"model {found[0].model}, run {found[0].run_id}" if found else "nobody is near"
    columns = ("rank", "user_id", "score", "common_ratings")
    show.rows(found, columns, title=f"Of similar taste as user {user}", caption=caption)


@app.command()
def explain(
    user: User,
    movie: Annotated[str, typer.Argument(metavar="MOVIE", help="Id or title of the movie.")],
    n: Count = 10,
    model: Model = None,
    json: Json = False,
) -> None:
    """Show why a movie is recommended to a user."""
    with recommender() as service:
        known = find_movie(service, movie)
        found = service.explain(user, known.movie_id, model=model)
    if json:
        show.json_rows(found)
        return
    first = found[0]
    if first.because_movie_id is None:
        show.say(f"No movie user {user} rated leads to {known.title}: it is {first.source}.")
        return
    columns = ("because_title", "rating", "contribution", "share", "shared_genres", "shared_tags")
    more = f"; {len(found) - n} more" if len(found) > n else ""
    how = "their sum" if first.exact else "divided among them, an account of the closest"
    caption = f"score {first.score:.4f} by {first.model} ({first.source}), {how}{more}"
    title = f"Why {known.title} for user {user}"
    show.rows([_reason(row) for row in found[:n]], columns, title=title, caption=caption)


@dataclass(frozen=True)
class _Reason:
    because_title: str | None
    rating: float | None
    contribution: float | None
    share: float | None
    shared_genres: str
    shared_tags: str


def _reason(row: Contribution) -> _Reason:
    return _Reason(
        row.because_title, row.rating, row.contribution, row.share,
        ", ".join(row.shared_genres), ", ".join(row.shared_tags),
    )  # fmt: skip


@app.command()
def predict(
    user: User,
    movie: Annotated[str, typer.Argument(metavar="MOVIE", help="Id or title of the movie.")],
    model: Model = None,
    json: Json = False,
) -> None:
    """Show which rating a user would give a movie."""
    with recommender() as service:
        known = find_movie(service, movie)
        rating = service.predict_rating(user, known.movie_id, model=model)
    if json:
        show.as_json({"user_id": user, "movie_id": known.movie_id, "rating": rating})
        return
    unknown = "cannot be known: it takes ratings of the user and of the movie"
    shown = {known.title: unknown if rating is None else f"{rating:.2f}"}
    show.facts(f"Predicted rating of user {user}", shown)


def find_movie(service: Recommender, text: str) -> Movie | FoundMovie:
    """Return the movie of an id, or the one whose title matches best."""
    if text.isdecimal() and int(text) <= LARGEST_ID:
        try:
            return service.movie(int(text))
        except UnknownMovie:
            # A title may be a number as well, as 1917.
            if not service.search(text, 1):
                raise
    found = service.search(text, 1)
    if not found:
        raise UnknownMovie(f"no title matches {text!r}", hint="try fewer words: recsys search WORD")
    return found[0]


@app.command()
def top(
    n: Count = 10,
    genre: Annotated[str | None, typer.Option("--genre", help="Chart of this genre.")] = None,
    chart: Annotated[
        str, typer.Option("--chart", "--model", help="As top_rated, most_rated, popular, trending.")
    ] = "top_rated",
    json: Json = False,
) -> None:
    """Show a chart."""
    with recommender() as service:
        found = service.top_movies(n, genre=genre, chart=chart)
    if json:
        show.json_rows(found)
        return
    columns = ("rank", "movie_id", "title", "score", "votes", "mean_rating")
    of = f" of {genre}" if genre else ""
    caption = None if found else "no movie is in it"
    show.rows(found, columns, title=f"Chart {chart}{of}", caption=caption)


@app.command()
def search(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Words of a title, or beginnings.")],
    n: Count = 10,
    json: Json = False,
) -> None:
    """Find movies by title."""
    with recommender() as service:
        found = service.search(text, n)
    if json:
        show.json_rows(found)
        return
    caption = None if found else "no title matches"
    show.rows(found, ("movie_id", "title", "year"), title=f"Movies for {text!r}", caption=caption)


@app.command()
def status(
    check: Annotated[
        bool, typer.Option("--check", help="Fail if what is published is stale; for monitors.")
    ] = False,
    prometheus: Annotated[
        bool, typer.Option("--prometheus", help="How fresh it is, as Prometheus reads it.")
    ] = False,
    json: Json = False,
) -> None:
    """Show what the database holds, what is published, and whether that is fresh."""
    with recommender() as service:
        fresh = service.freshness(count_ratings=not check)
        found = None if check or prometheus else service.status()
    if prometheus:
        show.out(as_prometheus(fresh))
    elif found is not None and json:
        show.as_json({**asdict(found), "freshness": [asdict(row) for row in fresh]})
    elif found is not None:
        show.facts("Status", _status_facts(found))
        columns = ("artefact", "run_id", "age", "ratings_since", "stale", "consecutive_failures")
        show.rows([_aged(row) for row in fresh], columns, title="Freshness")
    if check:
        _check(fresh)


@dataclass(frozen=True)
class _Aged:
    artefact: str
    run_id: int | None
    age: show.Figure
    ratings_since: int | None
    stale: str
    consecutive_failures: int


def _aged(row: Freshness) -> _Aged:
    age = "-" if row.age_seconds is None else show.age(row.age_seconds)
    stale = "stale" if row.stale else "no"
    return _Aged(
        row.artefact, row.run_id, show.Figure(age), row.ratings_since, stale,
        row.consecutive_failures,
    )  # fmt: skip


def _check(fresh: Sequence[Freshness]) -> None:
    """Raise RecsysError, which ends the command with 1, where anything is stale."""
    stale = [row for row in fresh if row.stale]
    if not stale:
        show.say("Fresh.")
        return
    row = stale[0]
    if row.run_id is None:
        message = "nothing is published"
    else:
        names = ", ".join(each.artefact for each in stale)
        allowed = show.age(row.max_age_seconds or 0)
        message = f"{names} are stale: run {row.run_id} is {show.age(row.age_seconds or 0)} old, "
        message += f"{allowed} are allowed"
    failed = f"; the last refresh failed: {row.last_error}" if row.last_error else ""
    raise RecsysError(message + failed, hint="`recsys refresh`, or see `recsys runs list`")


def _status_facts(found: Status) -> dict[str, object]:
    run = found.published
    published = f"run {run.run_id}, {show.age(run.age_seconds)} old" if run else "nothing yet"
    last = f"run {found.last_run_id}, {found.last_run_state}" if found.last_run_id else None
    facts: dict[str, object] = {
        "edition": found.edition,
        "last ingest": found.last_ingest_at,
        "ratings": f"{found.ratings:,} by {found.users:,} people",
        "movies": f"{found.movies:,}",
        "published": published,
        "last refresh": last,
    }
    if run:
        facts["default model"] = run.default_model
        facts["models"] = ", ".join(run.models)
        facts["computed from"] = f"{run.ratings_count:,} ratings"
        facts["took"] = f"{run.seconds:.1f} s, {run.peak_memory_mb:,} MiB at most"
    if found.last_run_error:
        facts["last error"] = found.last_run_error
    return facts
