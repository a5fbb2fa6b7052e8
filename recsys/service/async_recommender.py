"""The Python API for asyncio: what Recommender does, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from types import TracebackType
from typing import Self

from recsys.config import settings
from recsys.errors import StorageError
from recsys.service.queries import catalogue, people, runs
from recsys.service.queries.query import NO_CONTRACT, Answer, Question, Rows, is_empty
from recsys.service.recommender import POOL_SIZE, TIMEOUT_S
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
from recsys.storage.server.pool import AsyncPool, PoolOptions


class AsyncRecommender:
    """Read what is published, from the tasks of one event loop; otherwise as Recommender."""

    def __init__(
        self,
        database: Database,
        owned: ExitStack | None = None,
        options: PoolOptions | None = None,
    ) -> None:
        self._pool = AsyncPool(database.url, database.label, options or PoolOptions())
        self._owned = owned or ExitStack()

    @classmethod
    async def connect(
        cls,
        url: str | None = None,
        *,
        pool_size: int = POOL_SIZE,
        timeout_s: float | None = TIMEOUT_S,
        transaction_pooler: bool = False,
    ) -> Self:
        """As Recommender.connect, awaited: `async with await AsyncRecommender.connect() as ...`."""
        current = settings.load()
        options = PoolOptions(pool_size, timeout_s, transaction_pooler)
        owned = ExitStack()
        target = open_database(current.home, url or current.database_url)
        return cls(await asyncio.to_thread(owned.enter_context, target), owned, options)

    async def close(self) -> None:
        """Let go of the database; the embedded server stops if nobody else uses it."""
        await self._pool.close()
        await asyncio.to_thread(self._owned.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def recommend(
        self,
        user_id: int,
        n: int = 10,
        *,
        model: str | None = None,
        genres: Sequence[str] | None = None,
        year_from: int | None = None,
        year_to: int | None = None,
    ) -> Rows[Recommendation]:
        """As Recommender.recommend."""
        return await self._ask(people.recommend(user_id, n, model, genres, year_from, year_to))

    async def similar(
        self, movie_id: int, n: int = 10, *, model: str | None = None
    ) -> Rows[SimilarMovie]:
        """As Recommender.similar."""
        return await self._ask(catalogue.similar(movie_id, n, model))

    async def similar_by_model(self, movie_id: int, n: int = 10) -> Rows[SimilarMovie]:
        """As Recommender.similar_by_model."""
        return await self._ask(catalogue.similar_by_model(movie_id, n))

    async def similar_users(
        self, user_id: int, n: int = 10, *, model: str | None = None
    ) -> Rows[SimilarUser]:
        """As Recommender.similar_users."""
        return await self._ask(people.similar_users(user_id, n, model))

    async def predict_rating(
        self, user_id: int, movie_id: int, *, model: str | None = None
    ) -> float | None:
        """As Recommender.predict_rating."""
        return await self._ask(people.predict_rating(user_id, movie_id, model))

    async def top_movies(
        self, n: int = 10, *, genre: str | None = None, chart: str = "top_rated"
    ) -> Rows[ChartEntry]:
        """As Recommender.top_movies."""
        return await self._ask(catalogue.top_movies(n, genre, chart))

    async def charts(self, n: int = 10, *, by_genre: str | None = None) -> Rows[ChartPlace]:
        """As Recommender.charts."""
        return await self._ask(catalogue.charts(n, by_genre))

    async def search(self, query: str, n: int = 10) -> Rows[FoundMovie]:
        """As Recommender.search."""
        return await self._ask(catalogue.search(query, n))

    async def movie(self, movie_id: int) -> Movie:
        """As Recommender.movie."""
        return await self._ask(catalogue.movie(movie_id))

    async def movie_details(self, movie_id: int) -> MovieDetails:
        """As Recommender.movie_details."""
        return await self._ask(catalogue.movie_details(movie_id))

    async def movie_cards(self, movie_ids: Sequence[int]) -> Rows[MovieCard]:
        """As Recommender.movie_cards."""
        return await self._ask(catalogue.movie_cards(movie_ids))

    async def ratings(self, user_id: int, n: int = 10) -> Rows[Rating]:
        """As Recommender.ratings."""
        return await self._ask(people.ratings(user_id, n))

    async def a_user(self, *, at_random: bool = False) -> int:
        """As Recommender.a_user."""
        return await self._ask(people.a_user(at_random))

    async def rating_scale(self) -> RatingScale:
        """As Recommender.rating_scale."""
        return await self._ask(people.rating_scale())

    async def recommend_for(
        self,
        ratings: Mapping[int, float],
        n: int = 10,
        *,
        model: str | None = None,
        genres: Sequence[str] | None = None,
        year_from: int | None = None,
        year_to: int | None = None,
    ) -> Rows[Recommendation]:
        """As Recommender.recommend_for."""
        return await self._ask(people.recommend_for(ratings, n, model, genres, year_from, year_to))

    async def explain(
        self, user_id: int, movie_id: int, *, model: str | None = None
    ) -> Rows[Because]:
        """As Recommender.explain."""
        return await self._ask(people.explain(user_id, movie_id, model))

    async def reasons(
        self, user_id: int, movie_ids: Sequence[int], n: int = 1, *, model: str | None = None
    ) -> Rows[Reason]:
        """As Recommender.reasons."""
        return await self._ask(people.reasons(user_id, movie_ids, n, model))

    async def user_status(self, user_id: int) -> UserStatus:
        """As Recommender.user_status."""
        return await self._ask(people.user_status(user_id))

    async def rate(self, user_id: int, movie_id: int, rating: float) -> None:
        """As Recommender.rate."""
        await self._ask(people.rate(user_id, movie_id, rating))

    async def block(self, user_id: int, movie_id: int, until: datetime | None = None) -> None:
        """As Recommender.block."""
        await self._ask(people.block(user_id, movie_id, until))

    async def freshness(self, *, count_ratings: bool = True) -> Rows[Freshness]:
        """As Recommender.freshness."""
        return await self._ask(runs.freshness(count_ratings))

    async def verify_lists(
        self, run_id: int | None = None, users: int | None = 1000
    ) -> Rows[VerifiedLists]:
        """As Recommender.verify_lists."""
        return await self._ask(runs.verify_lists(run_id, users))

    async def status(self) -> Status:
        """As Recommender.status."""
        return await self._ask(runs.status())

    async def published(self) -> PublishedRun:
        """As Recommender.published."""
        return await self._ask(runs.published())

    async def models(self) -> Rows[PublishedModel]:
        """As Recommender.models."""
        return await self._ask(runs.models())

    async def publications(self, n: int = 20) -> Rows[Publication]:
        """As Recommender.publications."""
        return await self._ask(runs.publications(n))

    async def figures(self, n: int = 20) -> Rows[RunFigure]:
        """As Recommender.figures."""
        return await self._ask(runs.figures(n))

    async def runs(self, n: int = 20) -> Rows[Run]:
        """As Recommender.runs."""
        return await self._ask(runs.runs(n))

    async def run(self, run_id: int) -> RunRecord:
        """As Recommender.run."""
        return await self._ask(runs.run(run_id))

    async def compare_runs(self, a: int, b: int, k: int = 10) -> Rows[RunDifference]:
        """As Recommender.compare_runs."""
        return await self._ask(runs.compare_runs(a, b, k))

    def pool_stats(self) -> dict[str, int]:
        """As Recommender.pool_stats."""
        return self._pool.stats()

    async def _ask(self, question: Question[Answer]) -> Answer:
        try:
            found = await self._pool.fetch(
                question.statements, question.values, again=not question.writes
            )
        except StorageError as exc:
            empty = exc.sqlstate in NO_CONTRACT and await self._ask(is_empty())
            raise question.error(exc, empty=empty) from exc
        answer = question.answer(found)
        if question.if_nothing is not None and (answer is None or answer == []):
            await self._ask(question.if_nothing)
        return answer
