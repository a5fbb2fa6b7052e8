"""The synchronous Python API.

The methods of both recommenders are the same but for `async` and `await`; a test compares them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from recsys.service.networks import by_network
from recsys.service.queries import catalogue, runs, users
from recsys.service.queries.query import Rows
from recsys.service.sessions import Session
from recsys.service.types import (
    ChartEntry,
    ChartPlace,
    Contribution,
    Filters,
    FoundMovie,
    Freshness,
    MeasuredMetric,
    Movie,
    MovieCard,
    MovieDetails,
    MovieRef,
    PublicationEntry,
    PublishedModel,
    PublishedRun,
    Rating,
    RatingBin,
    RatingRange,
    Reason,
    Recommendation,
    Run,
    RunDifference,
    RunFigure,
    RunRecord,
    SimilarMovie,
    SimilarUser,
    Status,
    Taste,
    UserRef,
    UserStatus,
    VerifiedLists,
)


# The docstrings stand in both classes, so that help() and the reference show them.
class Recommender(Session):
    """Read published results from any number of threads.

    Every method runs a query of the SQL contract and returns its rows. Every method raises
    StorageError if the database fails; a read whose connection is lost is repeated once, a write
    never. Methods that need published results raise NotPublished if there are none. Of a user or a
    movie, an `int` is the id and a `str` the key.
    """

    # --- users ---

    def recommend(
        self,
        user_id: UserRef,
        n: int = 10,
        *,
        model: str | None = None,
        genres: Sequence[str] | None = None,
        year_from: int | None = None,
        year_to: int | None = None,
    ) -> Rows[Recommendation]:
        """Return the top n movies for a user, best first.

        A user without ratings gets a chart. Raises InvalidArgument for an unknown genre and for a
        model that is not published.
        """
        # Keyword arguments, so that callers need not import a type to filter by year.
        filters = Filters(n, model, genres, year_from, year_to)
        return self._run(users.recommend(user_id, filters))

    def recommend_for(
        self,
        ratings: Mapping[int, float] | Mapping[str, float],
        n: int = 10,
        *,
        model: str | None = None,
        genres: Sequence[str] | None = None,
        year_from: int | None = None,
        year_to: int | None = None,
    ) -> Rows[Recommendation]:
        """Return the top n movies for a visitor with these ratings by movie, and store nothing.

        A model with a network computes them with it, if its extra is installed here; the last of
        the ratings counts as the newest. Other models are recomputed from published similarities.
        All movies are named by id (`int`) or all by key (`str`). Raises UnknownMovie, and
        InvalidArgument for a rating outside the scale, for an unknown genre and for a model that
        is not published.
        """
        filters = Filters(n, model, genres, year_from, year_to)
        found = self._run(users.recommend_for(ratings, filters))
        return self._follow(by_network(self._networks, ratings, filters, found))

    def explain(
        self, user_id: UserRef, movie_id: MovieRef, *, model: str | None = None
    ) -> Rows[Contribution]:
        """Return the contribution of each rated movie to the score of a movie, largest first.

        Raises UnknownMovie, and InvalidArgument for a model that is not published.
        """
        return self._run(users.explain(user_id, movie_id, model))

    def reasons(
        self, user_id: UserRef, movie_ids: Sequence[int], n: int = 1, *, model: str | None = None
    ) -> Rows[Reason]:
        """Return the n rated movies that contribute most to each of several movies.

        Movies that the user rated below their own mean are left out. Raises UnknownMovie, and
        InvalidArgument for a model that is not published.
        """
        return self._run(users.reasons(user_id, movie_ids, n, model))

    def predict_rating(
        self, user_id: UserRef, movie_id: MovieRef, *, model: str | None = None
    ) -> float | None:
        """Return the rating that a user would give a movie, on the scale of the ratings.

        None if there is too little data for a prediction. Raises UnknownMovie, and InvalidArgument
        for a model that is not published or does not predict ratings.
        """
        return self._run(users.predict_rating(user_id, movie_id, model))

    def similar_users(
        self, user_id: UserRef, n: int = 10, *, model: str | None = None
    ) -> Rows[SimilarUser]:
        """Return the n users with the most similar taste, nearest first.

        Empty if the user has no neighbours. Raises InvalidArgument for a model that is not
        published or does not compare users.
        """
        return self._run(users.similar_users(user_id, n, model))

    def ratings(
        self, user_id: UserRef, n: int = 10, *, latest: bool = False, offset: int = 0
    ) -> Rows[Rating]:
        """Return n ratings of a user, after the first `offset`.

        The highest ratings first, latest first among equal ones; with `latest` the latest first.
        Empty for an unknown user.
        """
        return self._run(users.ratings(user_id, n, latest, offset))

    def user_taste(self, user_id: UserRef) -> Rows[Taste]:
        """Return what a user rates and how high: over all ratings, by genre and by decade.

        Empty for a user without ratings.
        """
        return self._run(users.user_taste(user_id))

    def example_users(self, n: int = 6) -> Rows[Taste]:
        """Return the taste of n users of a sample who rated about a hundred movies.

        The same users each time, until users or ratings change. Empty without ratings.
        """
        return self._run(users.example_users(n))

    def rating(self, user_id: UserRef, movie_id: MovieRef) -> float | None:
        """Return the rating that a user has given a movie, None if there is none."""
        return self._run(users.rating(user_id, movie_id))

    def user_status(self, user_id: UserRef) -> UserStatus:
        """Return how a user gets recommendations at the moment, and why."""
        return self._run(users.user_status(user_id))

    def a_user(self, *, at_random: bool = False) -> int:
        """Return the id of an example user with about a hundred ratings, or of a random one.

        Raises NotPublished if there are no ratings.
        """
        return self._run(users.a_user(at_random))

    def rating_scale(self) -> RatingRange:
        """Return the lowest and the highest rating of the scale."""
        return self._run(users.rating_scale())

    def rate(self, user_id: UserRef, movie_id: MovieRef, rating: float) -> None:
        """Store a rating; the next call of `recommend` takes it into account.

        Adds the user if necessary and replaces an earlier rating. Raises UnknownMovie, and
        InvalidArgument for a rating outside the scale.
        """
        self._run(users.rate(user_id, movie_id, rating))

    def block(self, user_id: UserRef, movie_id: MovieRef, until: datetime | None = None) -> None:
        """Exclude a movie from the recommendations of a user, for good or until a given time.

        A time in the past lifts the block. Raises UnknownMovie.
        """
        self._run(users.block(user_id, movie_id, until))

    # --- movies ---

    def search(self, query: str, n: int = 10) -> Rows[FoundMovie]:
        """Return the n movies whose titles match best; misspelt words match as well."""
        return self._run(catalogue.search(query, n))

    def movie(self, movie_id: MovieRef) -> Movie:
        """Return a movie with its current ratings; raises UnknownMovie."""
        return self._run(catalogue.movie(movie_id))

    def movie_details(self, movie_id: MovieRef) -> MovieDetails:
        """Return the metadata of a movie; raises UnknownMovie."""
        return self._run(catalogue.movie_details(movie_id))

    def rating_histogram(self, movie_id: MovieRef) -> Rows[RatingBin]:
        """Return the number of ratings of a movie by value, lowest first; raises UnknownMovie.

        Values of the scale without ratings count 0. More than 20 values are grouped into ten bins.
        """
        return self._run(catalogue.rating_histogram(movie_id))

    def movie_cards(self, movie_ids: Sequence[int]) -> Rows[MovieCard]:
        """Return cards of these movies, in the given order, without unknown movies."""
        return self._run(catalogue.movie_cards(movie_ids))

    def similar(
        self, movie_id: MovieRef, n: int = 10, *, model: str | None = None
    ) -> Rows[SimilarMovie]:
        """Return the n movies most similar to a movie, nearest first.

        Empty if the movie has no neighbours. Raises UnknownMovie, and InvalidArgument for a model
        that is not published or does not compare movies.
        """
        return self._run(catalogue.similar(movie_id, n, model))

    def similar_by_model(self, movie_id: MovieRef, n: int = 10) -> Rows[SimilarMovie]:
        """Return the n most similar movies by each published model, the default model first.

        Empty if nothing is published. Raises UnknownMovie.
        """
        return self._run(catalogue.similar_by_model(movie_id, n))

    def top_movies(
        self, n: int = 10, *, genre: str | None = None, chart: str | None = None
    ) -> Rows[ChartEntry]:
        """Return the first n movies of a chart, of all genres or of one.

        Without a name it is the preferred chart of the published run. Raises InvalidArgument for an
        unknown chart or genre.
        """
        return self._run(catalogue.top_movies(n, genre, chart))

    def charts(self, n: int = 10, *, by_genre: str | None = None) -> Rows[ChartPlace]:
        """Return the first n movies of every chart; of the chart `by_genre` also those per genre.

        Empty if nothing is published.
        """
        return self._run(catalogue.charts(n, by_genre))

    # --- runs and published state ---

    def status(self) -> Status:
        """Return the contents of the database, the published run and the last refresh."""
        return self._run(runs.status())

    def published(self) -> PublishedRun:
        """Return the published run; raises NotPublished if there is none."""
        return self._run(runs.published())

    def models(self) -> Rows[PublishedModel]:
        """Return the models of the published run, the default model first.

        Raises NotPublished if there is no published run.
        """
        return self._run(runs.models())

    def freshness(self, *, count_ratings: bool = True) -> Rows[Freshness]:
        """Return age and staleness of each kind of published result.

        Counting the ratings since the run reads all of them; `count_ratings=False` leaves that out.
        """
        return self._run(runs.freshness(count_ratings))

    def publications(self, n: int = 20) -> Rows[PublicationEntry]:
        """Return the n latest entries of the publication log, latest first."""
        return self._run(runs.publications(n))

    def figures(self, n: int = 20) -> Rows[RunFigure]:
        """Return the metrics over all users of the n latest runs, by metric and model.

        The figures of one metric and model are in the order of the runs.
        """
        return self._run(runs.figures(n))

    def measured(self) -> Rows[MeasuredMetric]:
        """Return the metrics over all users of the latest run of each protocol.

        The latest that measured several models, if there is one. Evaluations first, then the
        publish gate of the published run.
        """
        return self._run(runs.measured())

    def runs(self, n: int = 20) -> Rows[Run]:
        """Return the n latest refreshes and evaluations, latest first."""
        return self._run(runs.runs(n))

    def run(self, run_id: int) -> RunRecord:
        """Return the full record of a run; raises RunError if there is no such run."""
        return self._run(runs.run(run_id))

    def compare_runs(self, a: int, b: int, k: int = 10) -> Rows[RunDifference]:
        """Compare the top k of the lists, the row counts and the metrics of run b with run a.

        Raises RunError for a run without results to compare, and InvalidArgument for a k that is
        not between 1 and 1000.
        """
        return self._run(runs.compare_runs(a, b, k))

    def verify_lists(
        self, run_id: int | None = None, users: int | None = 100
    ) -> Rows[VerifiedLists]:
        """Compare stored lists with lists recomputed from the stored similarities.

        Checks the published run unless `run_id` names another, and as many users as given, None for
        all of them. Raises RunError for a run without results.
        """
        # A list costs as much as a live query, so a sample is the default.
        return self._run(runs.verify_lists(run_id, users))
