"""The Python API: every method is a query of the SQL contract, its rows given back as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import fields
from types import TracebackType
from typing import Any, Self, TypeVar

import sqlalchemy as sa

from recsys import settings
from recsys.errors import ConfigError, NotPublished, RunError, StorageError, UnknownMovie
from recsys.service import run_queries
from recsys.service.results import (
    ChartEntry,
    FoundMovie,
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
GENRES = """
SELECT DISTINCT genre FROM recsys.movies CROSS JOIN unnest(genres) AS genre ORDER BY genre
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
NO_SUCH_RUN, NO_RESULTS, WRONG_DEPTH = "P0002", "55000", "22023"  # of recsys.compare_runs
NO_CONTRACT = ("3F000", "42P01")  # no such schema, no such view
FIRST_STEPS = "`recsys demo`, or `recsys ingest ml-latest-small` and then `recsys refresh`"

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
        self._check_model(model, "recommendations", lambda found: found["kind"] != "similarity")
        self._check_genres(genres or ())
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
        self._check_model(model, "similar movies", lambda found: found["kind"] != "chart")
        self.movie(movie_id)
        return self._rows(SimilarMovie, SIMILAR, {"movie_id": movie_id, "n": n, "model": model})

    def similar_users(
        self, user_id: int, n: int = 10, *, model: str | None = None
    ) -> list[SimilarUser]:
        """Return the n users of most similar taste, by the named model or by user_knn.

        None where nobody is near. Raises ConfigError where the model is not published or finds
        none.
        """
        by_users = "user_neighbours"
        self._check_model(
            model or "user_knn", "similar users", lambda found: found["prediction"] == by_users
        )
        return self._rows(SimilarUser, SIMILAR_USERS, {"user_id": user_id, "n": n, "model": model})

    def predict_rating(
        self, user_id: int, movie_id: int, *, model: str | None = None
    ) -> float | None:
        """Return the rating a user would give a movie, on the scale of the ratings.

        None where it cannot be known. Raises UnknownMovie, and ConfigError for a model that is not
        published or predicts no ratings.
        """
        self._check_model(model, "predicted ratings", lambda found: bool(found["prediction"]))
        self.movie(movie_id)
        wanted = {"user_id": user_id, "movie_id": movie_id, "model": model}
        rating: float | None = self._query(PREDICT_RATING, wanted)[0]["rating"]
        return rating

    def top_movies(
        self, n: int = 10, *, genre: str | None = None, chart: str = "top_rated"
    ) -> list[ChartEntry]:
        """Return the first n movies of a chart, of all genres or of one.

        Raises ConfigError for an unknown chart or genre.
        """
        self._check_model(chart, "charts", lambda found: found["kind"] == "chart")
        self._check_genres([genre] if genre else [])
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
        try:
            return self._rows(RunDifference, run_queries.COMPARE, {"a": a, "b": b, "k": k})
        except StorageError as exc:
            if exc.sqlstate not in (NO_SUCH_RUN, NO_RESULTS, WRONG_DEPTH):
                raise
            words = str(exc).partition(": ")[2]
            kind = ConfigError if exc.sqlstate == WRONG_DEPTH else RunError
            raise kind(words, hint=exc.hint) from exc

    def _check_model(
        self, model: str | None, what: str, fits: Callable[[sa.RowMapping], bool]
    ) -> None:
        """Raise ConfigError unless the model is published and fits; None fits always."""
        published = self._query(PUBLISHED_MODELS, {})
        if not published:
            raise NotPublished("nothing is published yet", hint=FIRST_STEPS)
        fitting = [row["model"] for row in published if fits(row)]
        if model is not None and model not in fitting:
            raise ConfigError(
                f"no {what} of a model {model!r} are published",
                hint=f"models: {', '.join(fitting)}"
                if fitting
                else "name one in [refresh] models of recsys.toml, then `recsys refresh`",
            )

    def _check_genres(self, asked: Sequence[str]) -> None:
        known = [row["genre"] for row in self._query(GENRES, {})] if asked else []
        for genre in asked:
            if genre.lower() not in [name.lower() for name in known]:
                raise ConfigError(
                    f"there is no genre {genre!r}", hint=f"genres: {', '.join(known)}"
                )

    def _is_empty(self) -> bool:
        with self._database.snapshot() as connection:
            return connection.scalar(sa.text("SELECT to_regnamespace('recsys') IS NULL")) is True

    def _rows(self, kind: type[Row], query: str, values: Mapping[str, Any]) -> list[Row]:
        names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
        return [kind(**{name: row[name] for name in names}) for row in self._query(query, values)]

    def _query(self, query: str, values: Mapping[str, Any]) -> Sequence[sa.RowMapping]:
        try:
            with self._database.snapshot() as connection:
                return connection.execute(sa.text(query), values).mappings().all()
        except StorageError as exc:
            if exc.sqlstate in NO_CONTRACT and self._is_empty():
                raise NotPublished("the database is empty", hint=FIRST_STEPS) from exc
            raise
