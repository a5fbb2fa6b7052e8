"""The Python API: every method is a query of the SQL contract, its rows given back as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from types import TracebackType
from typing import Self

from recsys.config import settings
from recsys.errors import StorageError
from recsys.service.queries import catalogue, people, runs
from recsys.service.queries.query import NO_CONTRACT, Answer, Question, Rows, is_empty
from recsys.service.run_types import Publication, PublishedModel, RunFigure
from recsys.service.types import (
    Because,
    ChartEntry,
    ChartPlace,
    FoundMovie,
    Freshness,
    Movie,
    MovieCard,
    MovieDetails,
    PublishedRun,
    Rating,
    RatingScale,
    Reason,
    Recommendation,
    Run,
    RunDifference,
    RunRecord,
    SimilarMovie,
    SimilarUser,
    Status,
    UserStatus,
    VerifiedLists,
)
from recsys.storage.server.engine import Database, open_database
from recsys.storage.server.pool import Pool, PoolOptions

POOL_SIZE = 8
TIMEOUT_S = 30.0


class Recommender:
    """Read what is published, from any number of threads.

    Every method raises StorageError where the database fails; those that read ask once more where
    a connection was lost. Those that answer from what is published raise NotPublished where nothing
    is yet.
    """

    def __init__(
        self,
        database: Database,
        owned: ExitStack | None = None,
        options: PoolOptions | None = None,
    ) -> None:
        self._pool = Pool(database.url, database.label, options or PoolOptions())
        self._owned = owned or ExitStack()

    @classmethod
    def connect(
        cls,
        url: str | None = None,
        *,
        pool_size: int = POOL_SIZE,
        timeout_s: float | None = TIMEOUT_S,
        transaction_pooler: bool = False,
    ) -> Self:
        """Open the database at `url`, else at RECSYS_DATABASE_URL, else the embedded one.

        At most `pool_size` connections are kept, 0 for one a call. A query that takes longer than
        `timeout_s` fails. `transaction_pooler`: the URL is that of PgBouncer or its like in
        transaction mode; then the role's statement_timeout holds instead. Raises ConfigError for a
        URL that is none, StorageError where nobody answers.
        """
        current = settings.load()
        options = PoolOptions(pool_size, timeout_s, transaction_pooler)
        owned = ExitStack()
        target = open_database(current.home, url or current.database_url)
        return cls(owned.enter_context(target), owned, options)

    def close(self) -> None:
        """Let go of the database; the embedded server stops if nobody else uses it."""
        self._pool.close()
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
    ) -> Rows[Recommendation]:
        """Return the n movies to recommend to a user, best first.

        A user without ratings gets a chart. Raises ConfigError for an unknown genre and for a model
        that is not published.
        """
        return self._ask(people.recommend(user_id, n, model, genres, year_from, year_to))

    def similar(
        self, movie_id: int, n: int = 10, *, model: str | None = None
    ) -> Rows[SimilarMovie]:
        """Return the n movies nearest to a movie; none where nothing is known of it.

        Raises UnknownMovie, and ConfigError for a model that is not published or finds none.
        """
        return self._ask(catalogue.similar(movie_id, n, model))

    def similar_by_model(self, movie_id: int, n: int = 10) -> Rows[SimilarMovie]:
        """Return the n movies most like a movie by each published model, the default one first.

        Nothing where nothing is published. Raises UnknownMovie.
        """
        return self._ask(catalogue.similar_by_model(movie_id, n))

    def similar_users(
        self, user_id: int, n: int = 10, *, model: str | None = None
    ) -> Rows[SimilarUser]:
        """Return the n users of most similar taste, by the named model or by user_knn.

        None where nobody is near. Raises ConfigError where the model is not published or finds
        none.
        """
        return self._ask(people.similar_users(user_id, n, model))

    def predict_rating(
        self, user_id: int, movie_id: int, *, model: str | None = None
    ) -> float | None:
        """Return the rating a user would give a movie, on the scale of the ratings.

        None where it cannot be known. Raises UnknownMovie, and ConfigError for a model that is not
        published or predicts no ratings.
        """
        return self._ask(people.predict_rating(user_id, movie_id, model))

    def top_movies(
        self, n: int = 10, *, genre: str | None = None, chart: str = "top_rated"
    ) -> Rows[ChartEntry]:
        """Return the first n movies of a chart, of all genres or of one.

        Raises ConfigError for an unknown chart or genre.
        """
        return self._ask(catalogue.top_movies(n, genre, chart))

    def charts(self, n: int = 10, *, by_genre: str | None = None) -> Rows[ChartPlace]:
        """Return the first n of every chart, and of `by_genre` those of each genre."""
        return self._ask(catalogue.charts(n, by_genre))

    def search(self, query: str, n: int = 10) -> Rows[FoundMovie]:
        """Return the n movies whose titles match best."""
        return self._ask(catalogue.search(query, n))

    def movie(self, movie_id: int) -> Movie:
        """Return one movie; raises UnknownMovie."""
        return self._ask(catalogue.movie(movie_id))

    def movie_details(self, movie_id: int) -> MovieDetails:
        """Return what metadata says of a movie; raises UnknownMovie."""
        return self._ask(catalogue.movie_details(movie_id))

    def movie_cards(self, movie_ids: Sequence[int]) -> Rows[MovieCard]:
        """Return what lists show of these movies, in the order asked, without unknown ones."""
        return self._ask(catalogue.movie_cards(movie_ids))

    def ratings(self, user_id: int, n: int = 10) -> Rows[Rating]:
        """Return the n highest ratings of a user, the latest first among equals."""
        return self._ask(people.ratings(user_id, n))

    def a_user(self, *, at_random: bool = False) -> int:
        """Return somebody with about a hundred ratings, to look at, or anybody at random.

        Raises NotPublished where nobody has rated.
        """
        return self._ask(people.a_user(at_random))

    def rating_scale(self) -> RatingScale:
        """Return the lowest and the highest rating one can give."""
        return self._ask(people.rating_scale())

    def recommend_for(
        self,
        ratings: Mapping[int, float],
        n: int = 10,
        *,
        model: str | None = None,
        genres: Sequence[str] | None = None,
        year_from: int | None = None,
        year_to: int | None = None,
    ) -> Rows[Recommendation]:
        """Return n movies for somebody who gave these ratings, by movie; nothing is kept.

        Raises UnknownMovie, ConfigError for ratings that cannot be.
        """
        return self._ask(people.recommend_for(ratings, n, model, genres, year_from, year_to))

    def explain(self, user_id: int, movie_id: int, *, model: str | None = None) -> Rows[Because]:
        """Return what leads to a movie for a user, the strongest first.

        Raises UnknownMovie.
        """
        return self._ask(people.explain(user_id, movie_id, model))

    def reasons(
        self, user_id: int, movie_ids: Sequence[int], n: int = 1, *, model: str | None = None
    ) -> Rows[Reason]:
        """Return the n rated movies that lead most to each of several movies for a user."""
        return self._ask(people.reasons(user_id, movie_ids, n, model))

    def user_status(self, user_id: int) -> UserStatus:
        """Return how a user is served, and why."""
        return self._ask(people.user_status(user_id))

    def rate(self, user_id: int, movie_id: int, rating: float) -> None:
        """Keep a user's rating; recommendations follow it at once.

        Raises UnknownMovie, ConfigError for a rating outside the scale.
        """
        self._ask(people.rate(user_id, movie_id, rating))

    def block(self, user_id: int, movie_id: int, until: datetime | None = None) -> None:
        """Keep a movie out of a user's recommendations, for good or until then.

        Raises UnknownMovie.
        """
        self._ask(people.block(user_id, movie_id, until))

    def freshness(self, *, count_ratings: bool = True) -> Rows[Freshness]:
        """Return for each kind of result whether it is fresh; counting ratings reads them all."""
        return self._ask(runs.freshness(count_ratings))

    def verify_lists(
        self, run_id: int | None = None, users: int | None = 1000
    ) -> Rows[VerifiedLists]:
        """Compare stored lists of so many users with what the run's similarities lead to.

        None: of the published run, of all users. Raises RunError.
        """
        return self._ask(runs.verify_lists(run_id, users))

    def status(self) -> Status:
        """Return what the database holds and what is published."""
        return self._ask(runs.status())

    def published(self) -> PublishedRun:
        """Return what is published, without counting what the database holds."""
        return self._ask(runs.published())

    def models(self) -> Rows[PublishedModel]:
        """Return the models of the published run, the default one first."""
        return self._ask(runs.models())

    def publications(self, n: int = 20) -> Rows[Publication]:
        """Return the n latest entries of the log of publications, the latest first."""
        return self._ask(runs.publications(n))

    def figures(self, n: int = 20) -> Rows[RunFigure]:
        """Return the figures over all users of the n latest runs, of each the oldest first."""
        return self._ask(runs.figures(n))

    def runs(self, n: int = 20) -> Rows[Run]:
        """Return the n latest refreshes and evaluations, the latest first."""
        return self._ask(runs.runs(n))

    def run(self, run_id: int) -> RunRecord:
        """Return all that is known of a run; raises RunError where there is none."""
        return self._ask(runs.run(run_id))

    def compare_runs(self, a: int, b: int, k: int = 10) -> Rows[RunDifference]:
        """Return how run b differs from run a: first k of the lists, rows, measured figures.

        Raises RunError for a run without results to compare, ConfigError for a k that is not from
        1 to 1000.
        """
        return self._ask(runs.compare_runs(a, b, k))

    def pool_stats(self) -> dict[str, int]:
        """Return how many connections there are and who waits, as psycopg_pool names them."""
        return self._pool.stats()

    def _ask(self, question: Question[Answer]) -> Answer:
        try:
            found = self._pool.fetch(
                question.statements, question.values, again=not question.writes
            )
        except StorageError as exc:
            empty = exc.sqlstate in NO_CONTRACT and self._ask(is_empty())
            raise question.error(exc, empty=empty) from exc
        answer = question.answer(found)
        if question.if_nothing is not None and (answer is None or answer == []):
            self._ask(question.if_nothing)
        return answer
