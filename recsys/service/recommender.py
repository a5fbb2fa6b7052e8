"""The Python API: every method is a query of the SQL contract, its rows given back as they are."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import fields
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

import sqlalchemy as sa

from recsys import settings
from recsys.errors import (
    ConfigError,
    NotPublished,
    RecsysError,
    RunError,
    StorageError,
    UnknownMovie,
)
from recsys.service import people_queries, run_queries
from recsys.service.results import (
    Because,
    ChartEntry,
    FoundMovie,
    Freshness,
    PublishedRun,
    Rating,
    Recommendation,
    Run,
    RunDifference,
    RunMetric,
    RunPublication,
    RunRecord,
    RunStage,
    SimilarMovie,
    SimilarUser,
    Status,
    UserStatus,
    VerifiedLists,
)
from recsys.storage.engine import Database, open_database

RECOMMEND = """
SELECT rank, movie_id, title, score, source, model, run_id, recsys.label(model, score) AS label
FROM recsys.recommend(
    CAST(:user_id AS integer), CAST(:n AS integer), CAST(:model AS text),
    CAST(:genres AS text[]), CAST(:year_from AS integer), CAST(:year_to AS integer)
)
"""
SIMILAR = """
SELECT rank, movie_id, title, score, model, run_id
FROM recsys.similar(CAST(:movie_id AS integer), CAST(:n AS integer), CAST(:model AS text))
"""
SIMILAR_USERS = """
SELECT rank, user_id, score, common_ratings, model, run_id
FROM recsys.similar_users(CAST(:user_id AS integer), CAST(:n AS integer), CAST(:model AS text))
"""
PREDICT_RATING = """
SELECT recsys.predict_rating(
    CAST(:user_id AS integer), CAST(:movie_id AS integer), CAST(:model AS text)
) AS rating
"""
TOP_MOVIES = """
SELECT rank, movie_id, title, score, votes, mean_rating
FROM recsys.top_movies(CAST(:n AS integer), CAST(:genre AS text), CAST(:chart AS text))
"""
SEARCH = """
SELECT movie_id, title, year FROM recsys.search_movies(CAST(:query AS text), CAST(:n AS integer))
"""
MOVIE = "SELECT movie_id, title, year FROM recsys.movies WHERE movie_id = :movie_id"
RATINGS = """
SELECT user_id, movie_id, title, rating, rated_at
FROM recsys.ratings
WHERE user_id = :user_id
ORDER BY rating DESC, rated_at DESC NULLS LAST, movie_id
LIMIT CAST(:n AS integer)
"""
PUBLISHED_MODELS = """
SELECT m.model, m.kind, m.prediction
FROM recsys.models AS m
JOIN recsys.runs AS r ON r.parameters -> 'models' ? m.model
WHERE r.published
ORDER BY m.model
"""
A_USER = """
SELECT user_id FROM recsys.ratings
GROUP BY user_id
ORDER BY abs(count(*) - 100), user_id
LIMIT 1
"""
COUNTS = """
SELECT
    (SELECT edition FROM recsys.ingests WHERE kind = 'ratings' ORDER BY ingest_id DESC LIMIT 1)
        AS edition,
    (SELECT finished_at FROM recsys.ingests ORDER BY ingest_id DESC LIMIT 1) AS last_ingest_at,
    (SELECT count(*) FROM recsys.ratings) AS ratings,
    (SELECT count(DISTINCT user_id) FROM recsys.ratings) AS users,
    (SELECT count(*) FROM recsys.movies) AS movies,
    r.run_id AS last_run_id, r.state AS last_run_state, r.error AS last_run_error
FROM (VALUES (1)) AS one
LEFT JOIN (
    SELECT * FROM recsys.runs WHERE kind = 'refresh' ORDER BY run_id DESC LIMIT 1
) AS r ON true
"""
PUBLISHED = """
SELECT
    r.run_id, r.default_model,
    ARRAY(SELECT jsonb_object_keys(r.parameters -> 'models') AS name ORDER BY name) AS models,
    p.published_at, CAST(extract(epoch FROM now() - p.published_at) AS double precision)
        AS age_seconds,
    r.ratings_count, r.users_count, r.movies_count, r.seconds, r.peak_memory_mb
FROM recsys.runs AS r
CROSS JOIN (
    SELECT published_at FROM recsys.publications ORDER BY publication_id DESC LIMIT 1
) AS p
WHERE r.published
"""
NO_CONTRACT = ("3F000", "42P01")  # no such schema, no such view
FIRST_STEPS = "`recsys demo`, or `recsys ingest ml-latest-small` and then `recsys refresh`"
# What the contract means by its SQLSTATEs: NULL, not a value, out of range; unknown; not there.
REFUSED: Mapping[str | None, type[RecsysError]] = {
    "22004": ConfigError,
    "22023": ConfigError,
    "22003": ConfigError,
    "22P02": ConfigError,
    "P0002": UnknownMovie,
    "55000": NotPublished,
}
REFUSED_OF_RUNS = {**REFUSED, "P0002": RunError, "55000": RunError}
HINTS = {NotPublished: FIRST_STEPS, UnknownMovie: "find its id with `recsys search TITLE`"}

Row = TypeVar("Row")


class Recommender:
    """Read what is published.

    Every method raises StorageError where the database fails. Those that answer from what is
    published raise NotPublished where nothing is yet.
    """

    def __init__(self, database: Database, owned: ExitStack | None = None) -> None:
        self._database = database
        self._owned = owned or ExitStack()

    @classmethod
    def connect(cls, url: str | None = None) -> Self:
        """Open the database at `url`, else at RECSYS_DATABASE_URL, else the embedded one."""
        current = settings.load()
        owned = ExitStack()
        target = open_database(current.home, url or current.database_url)
        return cls(owned.enter_context(target), owned)

    def close(self) -> None:
        """Let go of the database; the embedded server stops if nobody else uses it."""
        self._owned.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def recommend(
        self,
        user_id: int,
        n: int = 10,
        *,
        model: str | None = None,
        genres: Sequence[str] | None = None,
        year_from: int | None = None,
        year_to: int | None = None,
    ) -> list[Recommendation]:
        """Return the n movies to recommend to a user, best first.

        A user without ratings gets a chart. Raises ConfigError for an unknown genre and for a model
        that is not published.
        """
        wanted: dict[str, Any] = {"user_id": user_id, "n": n, "model": model}
        wanted |= {"genres": list(genres) if genres else None}
        wanted |= {"year_from": year_from, "year_to": year_to}
        return self._rows(Recommendation, RECOMMEND, wanted)

    def similar(
        self, movie_id: int, n: int = 10, *, model: str | None = None
    ) -> list[SimilarMovie]:
        """Return the n movies nearest to a movie; none where nothing is known of it.

        Raises UnknownMovie, and ConfigError for a model that is not published or finds none.
        """
        wanted = {"movie_id": movie_id, "n": n, "model": model}
        found = self._rows(SimilarMovie, SIMILAR, wanted)
        if not found:
            self._check_model(model, "similar movies", lambda known: known["kind"] != "chart")
        return found

    def similar_users(
        self, user_id: int, n: int = 10, *, model: str | None = None
    ) -> list[SimilarUser]:
        """Return the n users of most similar taste, by the named model or by user_knn.

        None where nobody is near. Raises ConfigError where the model is not published or finds
        none.
        """
        wanted = {"user_id": user_id, "n": n, "model": model}
        found = self._rows(SimilarUser, SIMILAR_USERS, wanted)
        if not found:
            by_users = "user_neighbours"
            self._check_model(model, "similar users", lambda known: known["prediction"] == by_users)
        return found

    def predict_rating(
        self, user_id: int, movie_id: int, *, model: str | None = None
    ) -> float | None:
        """Return the rating a user would give a movie, on the scale of the ratings.

        None where it cannot be known. Raises UnknownMovie, and ConfigError for a model that is not
        published or predicts no ratings.
        """
        wanted = {"user_id": user_id, "movie_id": movie_id, "model": model}
        rating: float | None = self._query(PREDICT_RATING, wanted)[0]["rating"]
        if rating is None:
            self._check_model(model, "predicted ratings", lambda known: bool(known["prediction"]))
            self.movie(movie_id)
        return rating

    def top_movies(
        self, n: int = 10, *, genre: str | None = None, chart: str = "top_rated"
    ) -> list[ChartEntry]:
        """Return the first n movies of a chart, of all genres or of one.

        Raises ConfigError for an unknown chart or genre.
        """
        return self._rows(ChartEntry, TOP_MOVIES, {"n": n, "genre": genre, "chart": chart})

    def search(self, query: str, n: int = 10) -> list[FoundMovie]:
        """Return the n movies whose titles match best."""
        return self._rows(FoundMovie, SEARCH, {"query": query, "n": n})

    def movie(self, movie_id: int) -> FoundMovie:
        """Return one movie; raises UnknownMovie."""
        found = self._rows(FoundMovie, MOVIE, {"movie_id": movie_id})
        if not found:
            raise UnknownMovie(
                f"there is no movie {movie_id}", hint="find its id with `recsys search TITLE`"
            )
        return found[0]

    def ratings(self, user_id: int, n: int = 10) -> list[Rating]:
        """Return the n highest ratings of a user, the latest first among equals."""
        return self._rows(Rating, RATINGS, {"user_id": user_id, "n": n})

    def a_user(self) -> int:
        """Return somebody with about a hundred ratings, to look at.

        Raises NotPublished where nobody has rated.
        """
        found = self._query(A_USER, {})
        if not found:
            raise NotPublished("nobody has rated anything yet", hint=FIRST_STEPS)
        user_id: int = found[0]["user_id"]
        return user_id

    def recommend_for(
        self,
        ratings: Mapping[int, float],
        n: int = 10,
        *,
        model: str | None = None,
        genres: Sequence[str] | None = None,
        year_from: int | None = None,
        year_to: int | None = None,
    ) -> list[Recommendation]:
        """Return n movies for somebody who gave these ratings, by movie; nothing is kept.

        Raises UnknownMovie, ConfigError for ratings that cannot be.
        """
        values = {
            "ratings": json.dumps({str(movie): rating for movie, rating in ratings.items()}),
            "n": n,
            "model": model,
            "genres": list(genres) if genres is not None else None,
            "year_from": year_from,
            "year_to": year_to,
        }
        return self._rows(Recommendation, people_queries.RECOMMEND_FOR, values)

    def explain(self, user_id: int, movie_id: int, *, model: str | None = None) -> list[Because]:
        """Return what leads to a movie for a user, the strongest first.

        Raises UnknownMovie.
        """
        values = {"user_id": user_id, "movie_id": movie_id, "model": model}
        return self._rows(Because, people_queries.EXPLAIN, values)

    def user_status(self, user_id: int) -> UserStatus:
        """Return how a user is served, and why."""
        return self._rows(UserStatus, people_queries.USER_STATUS, {"user_id": user_id})[0]

    def rate(self, user_id: int, movie_id: int, rating: float) -> None:
        """Keep a user's rating; recommendations follow it at once.

        Raises UnknownMovie, ConfigError for a rating outside the scale.
        """
        values = {"user_id": user_id, "movie_id": movie_id, "rating": rating}
        self._query(people_queries.RATE, values, writing=True)

    def block(self, user_id: int, movie_id: int, until: datetime | None = None) -> None:
        """Keep a movie out of a user's recommendations, for good or until then.

        Raises UnknownMovie.
        """
        values = {"user_id": user_id, "movie_id": movie_id, "until": until}
        self._query(people_queries.BLOCK, values, writing=True)

    def freshness(self, *, count_ratings: bool = True) -> list[Freshness]:
        """Return for each kind of result whether it is fresh; counting ratings reads them all."""
        since = "ratings_since" if count_ratings else "CAST(NULL AS bigint)"
        return self._rows(Freshness, run_queries.FRESHNESS.format(ratings_since=since), {})

    def verify_lists(
        self, run_id: int | None = None, users: int | None = 1000
    ) -> list[VerifiedLists]:
        """Compare stored lists of so many users with what the run's similarities lead to.

        None: of the published run, of all users. Raises RunError.
        """
        values = {"run_id": run_id, "users": users}
        return self._rows(VerifiedLists, run_queries.VERIFY, values, REFUSED_OF_RUNS)

    def status(self) -> Status:
        """Return what the database holds and what is published."""
        counts = dict(self._query(COUNTS, {})[0])
        published = self._rows(PublishedRun, PUBLISHED, {})
        return Status(**counts, published=published[0] if published else None)

    def runs(self, n: int = 20) -> list[Run]:
        """Return the n latest refreshes and evaluations, the latest first."""
        return self._rows(Run, run_queries.RUNS, {"n": n})

    def run(self, run_id: int) -> RunRecord:
        """Return all that is known of a run; raises RunError where there is none."""
        wanted = {"run_id": run_id}
        found = self._query(run_queries.RUN, wanted)
        if not found:
            raise RunError(f"there is no run {run_id}", hint="recsys.runs holds every run")
        return RunRecord(
            **found[0],
            stages=self._rows(RunStage, run_queries.STAGES, wanted),
            metrics=self._rows(RunMetric, run_queries.METRICS, wanted),
            publications=self._rows(RunPublication, run_queries.PUBLICATIONS, wanted),
        )

    def compare_runs(self, a: int, b: int, k: int = 10) -> list[RunDifference]:
        """Return how run b differs from run a: first k of the lists, rows, measured figures.

        Raises RunError for a run without results to compare, ConfigError for a k that is not from
        1 to 1000.
        """
        wanted = {"a": a, "b": b, "k": k}
        return self._rows(RunDifference, run_queries.COMPARE, wanted, REFUSED_OF_RUNS)

    def _check_model(
        self, model: str | None, what: str, fits: Callable[[sa.RowMapping], bool]
    ) -> None:
        """Raise ConfigError unless the model fits, one of those published; None fits always."""
        fitting = [row["model"] for row in self._query(PUBLISHED_MODELS, {}) if fits(row)]
        if model is not None and model not in fitting:
            raise ConfigError(
                f"no {what} of a model {model!r} are published",
                hint=f"models: {', '.join(fitting)}"
                if fitting
                else "name one in [refresh] models of recsys.toml, then `recsys refresh`",
            )

    def _is_empty(self) -> bool:
        with self._database.snapshot() as connection:
            return connection.scalar(sa.text("SELECT to_regnamespace('recsys') IS NULL")) is True

    def _rows(
        self,
        kind: type[Row],
        query: str,
        values: Mapping[str, Any],
        refused: Mapping[str | None, type[RecsysError]] = REFUSED,
    ) -> list[Row]:
        names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
        found = self._query(query, values, refused)
        return [kind(**{name: row[name] for name in names}) for row in found]

    def _query(
        self,
        query: str,
        values: Mapping[str, Any],
        refused: Mapping[str | None, type[RecsysError]] = REFUSED,
        *,
        writing: bool = False,
    ) -> Sequence[sa.RowMapping]:
        opened = self._database.transaction() if writing else self._database.snapshot()
        try:
            with opened as connection:
                return connection.execute(sa.text(query), values).mappings().all()
        except StorageError as exc:
            if exc.sqlstate in NO_CONTRACT and self._is_empty():
                raise NotPublished("the database is empty", hint=FIRST_STEPS) from exc
            if exc.sqlstate in refused:
                kind, words = refused[exc.sqlstate], str(exc).partition(": ")[2]
                raise kind(words, hint=HINTS.get(kind, exc.hint)) from exc
            raise
