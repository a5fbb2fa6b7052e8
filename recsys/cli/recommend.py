"""Commands that read recommendations: recommend, similar, explain, predict, top, search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recsys.cli import output
from recsys.cli.options import LARGEST_ID, Count, Json, Model, Movie, User, recommender
from recsys.errors import UnknownMovie

if TYPE_CHECKING:
    from recsys.service import Recommender
    from recsys.service.types import Contribution, FoundMovie, Recommendation
    from recsys.service.types import Movie as KnownMovie

app = typer.Typer()


@app.command()
def recommend(
    user: User,
    n: Count = 10,
    model: Model = None,
    genre: Annotated[
        list[str] | None,
        typer.Option("--genre", help="Only movies of this genre; may be repeated."),
    ] = None,
    year_from: Annotated[
        int | None, typer.Option(min=0, max=9999, help="Only movies of this year or later.")
    ] = None,
    year_to: Annotated[
        int | None, typer.Option(min=0, max=9999, help="Only movies of this year or earlier.")
    ] = None,
    json: Json = False,
) -> None:
    """Show the recommendations for a user."""
    with recommender() as service:
        found = service.recommend(
            user, n, model=model, genres=genre, year_from=year_from, year_to=year_to
        )
    labelled = any(row.label for row in found)
    if json:
        output.json_rows(found, omit=() if labelled else ("label",))
        return
    # The label takes the column of the genres, and the caption names its model.
    columns = ("rank", "movie_id", "title", "year", "label" if labelled else "genres", "score")
    nothing = "no movie fits" if n else None
    named = next((f", labels of {row.model}" for row in found if row.label), "")
    caption = f"run {found[0].run_id}, {_models(found)}{named}" if found else nothing
    title = f"Recommended to user {user}"
    output.table(found, with_keys(columns, found), title=title, caption=caption)
    if origin := _origin(found, model):
        output.message(origin)


def _models(found: Sequence[Recommendation]) -> str:
    return ", ".join(dict.fromkeys(row.model for row in found))


ORIGINS = {
    "stored": "the stored list",
    "live": "the current ratings",
    "substitute": "another model",
    "network": "a network",
    "content": "movies like those rated",
    "chart": "the chart",
}
PERSONAL = ("stored", "live", "substitute", "network")


def _origin(found: Sequence[Recommendation], requested: str | None) -> str | None:
    """Say where rows come from that are not in the stored list; None if all are expected."""
    sources = Counter((row.source, row.model) for row in found)
    if all(source == "stored" or model == requested for source, model in sources):
        return None
    if all(source == "live" for source, _ in sources):
        return "Computed from the current ratings, which have changed since the run."
    personal = any(source in PERSONAL for source, _ in sources)
    known = "" if personal else "Too little is known for a personal list. "
    if any(source == "substitute" for source, _ in sources):
        known = f"{requested} has no list for the current ratings. "
    if len(sources) == 1:
        [(source, name)] = sources
        return f"{known}The movies come from {ORIGINS[source]} ({name})."
    parts = [f"{n} from {ORIGINS[source]} ({name})" for (source, name), n in sources.items()]
    return f"{known}The movies come from several sources: {', '.join(parts)}."


@app.command()
def similar(
    movie: Movie,
    n: Count = 10,
    model: Model = None,
    json: Json = False,
) -> None:
    """Show the movies most similar to a movie."""
    with recommender() as service:
        known = find_movie(service, movie)
        found = service.similar(known.movie_id, n, model=model)
        lines = [] if json else with_cards(service, found)
    if json:
        output.json_rows(found)
        return
    columns = ("rank", "movie_id", "title", "year", "genres", "score")
    caption = (
        f"model {found[0].model}, run {found[0].run_id}" if found else "no similar movie is known"
    )
    title = f"Similar to {titled(known)}, movie {known.movie_key}"
    output.table(lines, with_keys(columns, lines), title=title, caption=caption)


def with_keys(columns: Sequence[str], rows: Sequence[Any]) -> list[str]:
    """Show keys in place of ids, if some key is not the id."""

    def name(column: str) -> str:
        key = column.replace("_id", "_key")
        keyed = key != column and any(
            getattr(row, key) != str(getattr(row, column)) for row in rows
        )
        return key if keyed else column

    return [name(column) for column in columns]


def titled(movie: KnownMovie | FoundMovie) -> str:
    """Return title and year of a movie."""
    return f"{movie.title} ({movie.year or 'year unknown'})"


def with_cards(service: Recommender, rows: Sequence[Any]) -> list[Any]:
    """Return rows about movies with year and genres added, to show them."""
    cards = {card.movie_id: card for card in service.movie_cards([row.movie_id for row in rows])}
    return [
        SimpleNamespace(
            **asdict(row), year=cards[row.movie_id].year, genres=cards[row.movie_id].genres
        )
        for row in rows
        if row.movie_id in cards
    ]


@app.command("similar-users")
def similar_users(user: User, n: Count = 10, model: Model = None, json: Json = False) -> None:
    """Show the users most similar to a user."""
    with recommender() as service:
        found = service.similar_users(user, n, model=model)
    if json:
        output.json_rows(found)
        return
    caption = (
        f"model {found[0].model}, run {found[0].run_id}" if found else "no similar user is known"
    )
    columns = ("rank", "user_id", "score", "common_ratings")
    title = f"Similar to user {user}"
    output.table(found, with_keys(columns, found), title=title, caption=caption)


@app.command()
def explain(
    user: User,
    movie: Movie,
    n: Count = 10,
    model: Model = None,
    json: Json = False,
) -> None:
    """Show which rated movies lead to a recommendation."""
    with recommender() as service:
        known = find_movie(service, movie)
        found = service.explain(user, known.movie_id, model=model)
    if json:
        output.json_rows(found)
        return
    first = found[0]
    if first.because_movie_id is None:
        because = f"its source is {first.source}"
        output.message(f"No rating of user {user} contributes to {known.title}; {because}.")
        return
    columns = ["because_title", "rating", "weight", "contribution", "share", "shared_genres"]
    columns += ["shared_tags"] if any(row.shared_tags for row in found[:n]) else []
    more = f"; {len(found) - n:,} more" if len(found) > n else ""
    # Factors do not add up over rated movies, so their score is attributed by similarity.
    how = "the sum of all" if first.exact else "divided among the most similar rated movies"
    caption = f"score {output.cell(first.score)} by {first.model} ({first.source}), {how}{more}"
    title = f"Why {known.title} for user {user}"
    output.table([_reason(row) for row in found[:n]], columns, title=title, caption=caption)


@dataclass(frozen=True)
class _Reason:
    because_title: str | None
    rating: float | None
    weight: output.Figure
    contribution: float | None
    share: output.Figure
    shared_genres: list[str]
    shared_tags: list[str]


def _reason(row: Contribution) -> _Reason:
    share = output.Figure("-" if row.share is None else f"{row.share:.0%}")
    weight = output.Figure("-" if row.weight is None else f"{row.weight:.2f}")
    return _Reason(
        row.because_title,
        row.rating,
        weight,
        row.contribution,
        share,
        row.shared_genres,
        row.shared_tags,
    )


@app.command()
def predict(
    user: User,
    movie: Movie,
    model: Model = None,
    json: Json = False,
) -> None:
    """Predict the rating that a user would give a movie."""
    with recommender() as service:
        known = find_movie(service, movie)
        rating = service.predict_rating(user, known.movie_id, model=model)
        given = service.rating(user, known.movie_id)
        rated = service.ratings(user, 1)
    if json:
        user_id = rated[0].user_id if rated else _as_id(user)
        facts = {"user_id": user_id, "movie_id": known.movie_id, "rating": rating}
        keys = {"user_key": rated[0].user_key if rated else user, "movie_key": known.movie_key}
        output.write_json({**facts, "given_rating": given, **keys})
        return
    unknown = "unknown: too few ratings of the user or of the movie"
    shown = {titled(known): unknown if rating is None else f"{rating:.2f}"}
    output.properties(f"Predicted rating of user {user}", shown)
    if given is not None:
        output.message(f"User {user} has already rated it: {given:g}.")


def find_movie(service: Recommender, text: str) -> KnownMovie | FoundMovie:
    """Return the movie with this key or id, else the one whose title matches best."""
    try:
        return service.movie(text)
    except UnknownMovie:
        # The title of a movie can be a number, for example 1917.
        found = service.search(text, 1)
        if not found and _as_id(text) is not None:
            raise
    if not found:
        raise UnknownMovie(f"no title matches {text!r}", hint="try fewer words")
    return found[0]


def _as_id(text: str) -> int | None:
    """Return the id that a text may be, None if it is no whole number in the range of ids."""
    # Python refuses to read numbers of thousands of digits.
    number = int(text) if text.isdecimal() and len(text) <= len(str(LARGEST_ID)) else None
    return None if number is None or number > LARGEST_ID else number


@app.command()
def top(
    n: Count = 10,
    genre: Annotated[str | None, typer.Option("--genre", help="Chart of one genre.")] = None,
    chart: Annotated[
        str | None,
        typer.Option(
            "--chart", "--model", help="Name of the chart. Default: the preferred chart of the run."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Show a chart: movies ranked without regard to a user. `recsys models` lists the charts."""
    with recommender() as service:
        found = service.top_movies(n, genre=genre, chart=chart)
        lines = [] if json else with_cards(service, found)
    if json:
        output.json_rows(found)
        return
    columns = ("rank", "movie_id", "title", "year", "score", "votes", "mean_rating")
    of = f" of {genre}" if genre else ""
    caption = None if found else "no movie is in it"
    title = f"Chart {chart}{of}" if chart else f"Top movies{of}"
    output.table(lines, with_keys(columns, lines), title=title, caption=caption)


@app.command()
def search(
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="Words of the title, or their beginnings.")
    ],
    n: Count = 10,
    json: Json = False,
) -> None:
    """Search movies by title."""
    with recommender() as service:
        found = service.search(text, n)
    if json:
        output.json_rows(found)
        return
    caption = None if found else "no title matches"
    columns = with_keys(("movie_id", "title", "year"), found)
    output.table(found, columns, title=f"Movies for {text!r}", caption=caption)
