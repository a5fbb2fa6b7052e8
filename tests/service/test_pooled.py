"""Both recommenders over a connection pool: concurrent callers, lost sessions, timeouts."""

import ast
import asyncio
import inspect
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from datetime import UTC, datetime, timedelta

import pandas as pd
import psycopg
import pytest
import sqlalchemy as sa
from psycopg.rows import scalar_row

from recsys import AsyncRecommender, Recommender
from recsys.errors import InvalidArgument, StorageError, UnknownMovie
from recsys.service import async_recommender, recommender
from recsys.service.queries.query import Query, Rows
from recsys.service.types import FoundMovie, Freshness, Recommendation
from recsys.storage.server.address import Address
from recsys.storage.server.pool import AsyncPool, Pool, PoolOptions, Statement

SESSIONS = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'recsys' AND pid <> pg_backend_pid()
"""
RATED = "SELECT rating FROM recsys.ratings WHERE (user_id, movie_id) = (1, 60)"
USERS = range(1, 101)


@pytest.fixture
def url(refreshed_database):
    return refreshed_database.url


@pytest.fixture
def select(url):
    """Run a query on a connection of the test."""
    with psycopg.connect(url, autocommit=True) as connection:

        def fetch(query):
            return connection.execute(query).fetchall()

        yield fetch


def end_sessions(select):
    """End every session of the pool, wait until they are gone, and return their number."""
    ended = select(f"SELECT count(pg_terminate_backend(pid, 5000)) FROM ({SESSIONS}) AS s")
    return ended[0][0]


def wait_for(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# --- many at once ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_sixteen_threads_get_the_same_results_as_one(url, edition_database):
    one = Recommender(edition_database)
    expected = {user: one.recommend(user, 5) for user in USERS}
    with Recommender.connect(url, pool_size=4) as service, ThreadPoolExecutor(16) as threads:
        found = dict(
            zip(USERS, threads.map(lambda user: service.recommend(user, 5), USERS), strict=True)
        )
        stats = service.pool_stats()
    assert found == expected
    assert stats["pool_max"] == 4
    assert 1 <= stats["pool_size"] <= 4
    assert stats["requests_num"] == len(USERS)


@pytest.mark.slow
def test_a_hundred_tasks_get_the_same_results_as_one(url, edition_database):
    one = Recommender(edition_database)
    expected = [one.recommend(user, 5) for user in USERS]

    async def together():
        async with AsyncRecommender.connect(url, pool_size=4) as service:
            found = await asyncio.gather(*(service.recommend(user, 5) for user in USERS))
            return found, service.pool_stats()

    found, stats = asyncio.run(together())
    assert found == expected
    assert stats["pool_max"] == 4
    assert 1 <= stats["pool_size"] <= 4


def test_a_pool_of_size_0_keeps_no_session(url, select):
    with Recommender.connect(url, pool_size=0) as service:
        assert service.movie(17).title == "The Film 17"
        wait_for(lambda: select(SESSIONS) == [])


def test_a_closed_recommender_raises(url):
    service = Recommender.connect(url)
    assert service.movie(17).movie_id == 17
    service.close()
    with pytest.raises(StorageError, match="cannot be reused"):
        service.movie(17)


# --- lost sessions --------------------------------------------------------------------------------


def fill(service):
    """Open several sessions of the pool."""
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda user: service.recommend(user, 5), USERS))


def test_reads_survive_lost_sessions(url, select):
    with Recommender.connect(url, pool_size=4) as service:
        fill(service)
        expected = service.recommend(1)
        assert end_sessions(select) >= 1
        assert service.recommend(1) == expected
        assert end_sessions(select) >= 1
        assert service.status().movies == 60


def test_async_reads_survive_lost_sessions(url, select):
    async def read():
        async with AsyncRecommender.connect(url, pool_size=4) as service:
            [expected, *_] = await asyncio.gather(*(service.recommend(1) for _ in USERS))
            assert end_sessions(select) >= 1
            assert await service.recommend(1) == expected
            assert end_sessions(select) >= 1
            assert (await service.status()).movies == 60

    asyncio.run(read())


def test_a_write_is_not_sent_on_a_session_that_has_ended(url, select):
    with Recommender.connect(url, pool_size=4) as service:
        fill(service)
        assert end_sessions(select) >= 1
        service.rate(1, 60, 5.0)
        assert select(RATED) == [(5.0,)]


def test_an_async_write_is_not_sent_on_a_session_that_has_ended(url, select):
    async def write():
        async with AsyncRecommender.connect(url, pool_size=4) as service:
            await asyncio.gather(*(service.recommend(user) for user in USERS))
            assert end_sessions(select) >= 1
            await service.rate(1, 60, 5.0)
            assert select(RATED) == [(5.0,)]

    asyncio.run(write())


def test_a_write_whose_session_ends_while_it_waits_is_not_repeated(url, select):
    """It is then unknown whether the statement was committed."""
    with (
        psycopg.connect(url) as other,
        Recommender.connect(url) as service,
        ThreadPoolExecutor(1) as threads,
    ):
        other.execute("LOCK TABLE recsys_store.ratings IN EXCLUSIVE MODE")
        writing = threads.submit(service.rate, 1, 60, 5.0)
        waiting = "SELECT pid FROM pg_locks WHERE NOT granted"
        wait_for(lambda: len(select(waiting)) == 1)
        select(f"SELECT pg_terminate_backend(pid, 5000) FROM ({waiting}) AS w")
        other.rollback()
        with pytest.raises(StorageError, match=r"57P01|terminat|closed"):
            writing.result(timeout=10)
        assert select(RATED) == []


# --- settings of the session ----------------------------------------------------------------------


def only(query):
    return Query([Statement(query, scalar_row)], {}, lambda found: found[0][0])


def test_a_query_over_the_timeout_fails(url):
    with psycopg.connect(url) as other, Recommender.connect(url, timeout_s=0.2) as service:
        other.execute("LOCK TABLE recsys_store.movies")
        with pytest.raises(StorageError, match=r"57014.*statement timeout") as caught:
            service.movie(17)
    assert caught.value.sqlstate == "57014"
    assert "stopped the statement" in caught.value.hint


def test_an_async_query_over_the_timeout_fails(url):
    async def wait():
        with psycopg.connect(url) as other:
            other.execute("LOCK TABLE recsys_store.movies")
            async with AsyncRecommender.connect(url, timeout_s=0.2) as service:
                with pytest.raises(StorageError, match=r"57014.*statement timeout"):
                    await service.movie(17)

    asyncio.run(wait())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ("30s", "2s")),
        ({"timeout_s": 1.5}, ("1500ms", "2s")),
        ({"timeout_s": None}, ("0", "2s")),
        ({"timeout_s": 5, "transaction_pooler": True}, ("0", "0")),
    ],
)
def test_settings_of_the_session(url, options, expected):
    names = ("statement_timeout", "client_connection_check_interval")
    with Recommender.connect(url, **options) as service:
        assert (
            tuple(service._run(only(f"SELECT current_setting('{name}')")) for name in names)
            == expected
        )


@pytest.mark.parametrize("transaction_pooler", [True, False])
def test_no_statement_is_prepared_behind_a_transaction_pooler(
    url, edition_database, transaction_pooler
):
    expected = Recommender(edition_database).recommend(1)
    with Recommender.connect(url, pool_size=1, transaction_pooler=transaction_pooler) as service:
        for _ in range(10):
            assert service.recommend(1) == expected
        prepared = service._run(only("SELECT count(*) FROM pg_prepared_statements"))
        assert bool(prepared) is not transaction_pooler


# --- rows -----------------------------------------------------------------------------------------


def test_rows_as_a_data_frame(edition_database):
    rows = Recommender(edition_database).recommend(2, 3)
    frame = rows.to_pandas()
    assert list(frame.columns) == [field.name for field in fields(Recommendation)]
    assert frame.to_dict("records") == [
        {field.name: getattr(row, field.name) for field in fields(row)} for row in rows
    ]
    assert frame["rank"].tolist() == [1, 2, 3]
    assert (frame["score"].dtype, frame["movie_id"].dtype) == (float, int)


def test_no_rows_as_a_data_frame(edition_database):
    rows = Recommender(edition_database).search("nothing is called so")
    frame = rows.to_pandas()
    names = ["movie_id", "title", "year", "movie_key"]
    assert (rows, list(frame.columns), len(frame)) == ([], names, 0)
    pd.testing.assert_frame_equal(frame, pd.DataFrame({name: [] for name in names}, dtype=object))


def test_rows_are_a_list_that_knows_its_type():
    rows = Rows(FoundMovie, [FoundMovie(1, "a", None, "1")])
    assert rows == [FoundMovie(1, "a", None, "1")]
    assert rows.to_pandas().to_dict("records") == [
        {"movie_id": 1, "title": "a", "year": None, "movie_key": "1"}
    ]
    assert Rows(Freshness).to_pandas().columns.tolist() == [f.name for f in fields(Freshness)]


def test_times_are_utc_in_any_time_zone_of_the_server(url, refreshed_database):
    with refreshed_database.engine.connect() as connection:
        name = sa.make_url(url).database
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(
            sa.text(f"ALTER DATABASE {name} SET TimeZone = 'Asia/Kathmandu'")
        )
    with Recommender.connect(url) as service:
        [first, *_] = service.ratings(1, 1)
    assert first.rated_at == datetime.fromtimestamp(1_000_000_060, UTC)
    assert first.rated_at.utcoffset() == timedelta(0)


# --- the two recommenders -------------------------------------------------------------------------

CALLS = {
    "recommend": ((2, 5), {"genres": ["Drama"], "year_from": 1960}),
    "similar": ((7, 5), {"model": "als"}),
    "similar_users": ((1, 5), {}),
    "predict_rating": ((1, 2), {}),
    "rating": ((1, 3), {}),
    "top_movies": ((5,), {"genre": "Drama", "chart": "popular"}),
    "search": (("film 17",), {}),
    "movie": ((17,), {}),
    "movie_cards": (([17, 4711, 3],), {}),
    "ratings": ((3, 12), {"latest": True, "offset": 1}),
    "user_taste": ((1,), {}),
    "example_users": ((3,), {}),
    "rating_histogram": ((17,), {}),
    "measured": ((), {}),
    "a_user": ((), {}),
    "recommend_for": (({1: 4.5, 3: 5},), {"n": 5}),
    "explain": ((2, 4), {}),
    "user_status": ((1,), {}),
    "rate": ((1, 60, 4.5), {}),
    "block": ((1, 59), {}),
    "freshness": ((), {"count_ratings": True}),
    "verify_lists": ((), {"users": 10}),
    "status": ((), {}),
    "runs": ((), {}),
    "run": ((1,), {}),
    "compare_runs": ((1, 1), {"k": 5}),
    "movie_details": ((17,), {}),
    "similar_by_model": ((7,), {}),
    "charts": ((3,), {}),
    "rating_scale": ((), {}),
    "reasons": ((2, [4, 6]), {}),
    "published": ((), {}),
    "models": ((), {}),
    "publications": ((), {}),
    "figures": ((), {}),
}
WITHOUT_QUERY = {"connect", "close", "pool_stats"}
WRITES = {"rate", "block"}
AGES = ("age_seconds", "run_age")
"""Fields that change with time."""


def public(kind):
    return {name for name, _ in inspect.getmembers(kind, callable) if not name.startswith("_")}


def without_ages(result):
    if isinstance(result, list):
        return [without_ages(row) for row in result]
    if not hasattr(result, "__dataclass_fields__"):
        return result
    return {
        field.name: without_ages(getattr(result, field.name))
        for field in fields(result)
        if field.name not in AGES
    }


ASYNC_TO_SYNC = {
    "AsyncRecommender": "Recommender",
    "AsyncSession": "Session",
    "async def ": "def ",
    "await ": "",
    "The Python API for asyncio": "The synchronous Python API",
    "from the tasks of one event loop": "from any number of threads",
}


def test_both_have_the_same_methods_and_docstrings():
    """The sources are equal once `async` and `await` are removed, formatting aside."""
    text = inspect.getsource(async_recommender)
    for word, replacement in ASYNC_TO_SYNC.items():
        text = text.replace(word, replacement)
    sync, expected = ast.parse(inspect.getsource(recommender)), ast.parse(text)
    assert ast.unparse(sync) == ast.unparse(expected)


def test_both_have_the_same_signatures():
    assert public(AsyncRecommender) == public(Recommender) == set(CALLS) | WITHOUT_QUERY
    for name in public(Recommender):
        one, other = getattr(Recommender, name), getattr(AsyncRecommender, name)
        signatures = [inspect.signature(each) for each in (one, other)]
        assert signatures[0].parameters == signatures[1].parameters, name
        is_async = name not in ("connect", "pool_stats")
        assert inspect.iscoroutinefunction(other) is is_async, name
        assert one.__doc__, name
        assert other.__doc__, name


# --- connect of the AsyncRecommender ---


def test_connect_is_a_context_manager(url):
    async def title():
        async with AsyncRecommender.connect(url) as service:
            found = (await service.movie(17)).title
        with pytest.raises(StorageError, match="cannot be reused"):
            await service.movie(17)
        return found

    assert asyncio.run(title()) == "The Film 17"


def test_connect_can_be_awaited(url):
    async def titles():
        service = await AsyncRecommender.connect(url)
        first = (await service.movie(17)).title
        await service.close()
        async with await AsyncRecommender.connect(url) as service:
            return first, (await service.movie(17)).title

    assert asyncio.run(titles()) == ("The Film 17", "The Film 17")


def test_connect_raises_when_it_is_entered():
    async def enter():
        async with AsyncRecommender.connect("postgresql://127.0.0.1:9/nowhere"):
            pytest.fail("entered without a server")

    with pytest.raises(StorageError, match=r"127\.0\.0\.1:9/nowhere"):
        asyncio.run(enter())


# --- both return the same ---


def assert_equal_results(database, names):
    one = Recommender(database)
    expected = {name: getattr(one, name)(*CALLS[name][0], **CALLS[name][1]) for name in names}

    async def awaited():
        async with AsyncRecommender(database) as other:
            for name in names:
                arguments, options = CALLS[name]
                found = await getattr(other, name)(*arguments, **options)
                assert without_ages(found) == without_ages(expected[name]), name
                assert type(found) is type(expected[name]), name

    asyncio.run(awaited())


def test_both_read_the_same(everything_database):
    assert_equal_results(everything_database, sorted(set(CALLS) - WRITES))


def test_both_write_the_same(refreshed_database, select):
    assert_equal_results(refreshed_database, sorted(WRITES))
    assert select(RATED) == [(4.5,)]
    assert select("SELECT user_id, movie_id, until FROM recsys_store.blocks") == [(1, 59, None)]


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda s: s.movie(4711), UnknownMovie, "there is no movie 4711"),
        (lambda s: s.recommend(1, -1), InvalidArgument, "n must be 0 or more, not -1"),
        (lambda s: s.search("a\x00b"), InvalidArgument, "cannot contain NUL"),
        (lambda s: s.recommend(1, genres=["\x00"]), InvalidArgument, "cannot contain NUL"),
        (lambda s: s.recommend_for({1: float("nan")}), InvalidArgument, "json"),
    ],
)
def test_both_raise_the_same(edition_database, call, kind, words):
    with pytest.raises(kind, match=words) as caught:
        call(Recommender(edition_database))

    async def awaited():
        async with AsyncRecommender(edition_database) as service:
            await call(service)

    with pytest.raises(kind) as other:
        asyncio.run(awaited())
    assert (str(other.value), other.value.hint) == (str(caught.value), caught.value.hint)


def test_a_session_ended_while_idle_is_replaced_even_for_a_write(url, select, refreshed_database):
    with refreshed_database.transaction() as connection:
        name = connection.scalar(sa.text("SELECT current_database()"))
        connection.execute(sa.text(f"ALTER DATABASE {name} SET idle_session_timeout = 20"))
    with Recommender.connect(url, pool_size=1) as recommender:
        for rating in (2.0, 4.0):
            recommender.rate(1, 60, rating)
            assert select(RATED) == [(rating,)]
            wait_for(lambda: select(SESSIONS) == [])
        assert recommender.movie(60).movie_id == 60


def test_a_pool_without_a_server():
    where = "postgresql://nobody:secret@127.0.0.1:9/nowhere"
    pool = Pool(Address(where), PoolOptions(0))
    with pytest.raises(StorageError, match=r"no connection to .*nowhere: ") as caught:
        pool.fetch([], {}, again=True)
    assert "secret" not in str(caught.value)

    async def awaited():
        await AsyncPool(Address(where), PoolOptions(0)).fetch([], {}, again=True)

    with pytest.raises(StorageError, match=r"no connection to .*nowhere: "):
        asyncio.run(awaited())
