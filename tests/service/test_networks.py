"""A visitor's list by the network of the published run."""

import asyncio
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import sqlalchemy as sa

from recsys.domain import Factors, IdMap, StoredNetwork, TopN, TrainedItems
from recsys.errors import InvalidArgument, UnknownMovie
from recsys.models.registry import MODELS
from recsys.service import networks
from recsys.service.async_recommender import AsyncRecommender
from recsys.service.networks import LoadedNetwork, Networks
from recsys.service.queries import networks as queries
from recsys.service.recommender import Recommender
from recsys.service.types import Filters

GIVEN = {1: 5.0, 12: 0.5, 31: 4.5}
FACTORS = """
SELECT movie_id, factors, bias FROM recsys_store.movie_factors
WHERE run_id = 1 AND model_id = (SELECT model_id FROM recsys_store.models WHERE name = 'neural_dot')
ORDER BY movie_id
"""
HEAVY = ("keras", "jax", "numpy", "recsys.numerics", "recsys.models.registry")


@pytest.fixture(scope="module")
def service(everything_database):
    # Without a pool: other fixtures clone the database, which no session may use meanwhile.
    with Recommender.connect(everything_database.url, pool_size=0) as opened:
        yield opened


def by_hand(connection):
    """Return the movies and scores for GIVEN: a penalized least squares fit of one user."""
    rows = connection.execute(sa.text(FACTORS)).all()
    [(mean,)] = connection.execute(sa.text("SELECT ratings_mean FROM recsys_store.runs"))
    ids = np.array([row.movie_id for row in rows])
    items, bias = np.array([row.factors for row in rows]), np.array([row.bias for row in rows])
    x = np.column_stack([items, np.ones(len(ids))])
    at = np.searchsorted(ids, list(GIVEN))
    weight = 1 / np.sqrt(len(GIVEN))
    config = MODELS["neural_dot"].config()
    penalty = np.diag([*[config.regularization] * items.shape[1], config.bias_regularization])
    target = np.array(list(GIVEN.values())) - mean - bias[at]
    own = np.linalg.solve(weight * x[at].T @ x[at] + penalty, weight * x[at].T @ target)
    scores = mean + bias + x @ own
    order = [place for place in np.argsort(-scores, kind="stable") if ids[place] not in GIVEN]
    return [(int(ids[place]), scores[place]) for place in order]


def test_the_list_is_that_of_the_network(service, everything):
    expected = by_hand(everything)
    found = service.recommend_for(GIVEN, 8, model="neural_dot")
    assert [row.movie_id for row in found] == [movie for movie, _ in expected[:8]]
    assert [row.score for row in found] == pytest.approx([s for _, s in expected[:8]], rel=1e-5)
    assert {(row.source, row.model, row.run_id) for row in found} == {("network", "neural_dot", 1)}
    assert [row.rank for row in found] == list(range(1, 9))
    assert (
        service.recommend_for({str(m): r for m, r in GIVEN.items()}, 8, model="neural_dot") == found
    )
    filtered = service.recommend_for(
        GIVEN, 3, model="neural_dot", genres=["sci-FI"], year_from=1960, year_to=1999
    )
    cards = service.movie_cards([movie for movie, _ in expected])
    fitting = [c.movie_id for c in cards if "Sci-Fi" in c.genres and 1960 <= c.year <= 1999]
    assert [row.movie_id for row in filtered] == fitting[:3]


def test_sql_fills_what_the_network_has_not(service):
    by_sql = service.recommend_for(GIVEN, 100, model="als")
    found = service.recommend_for(GIVEN, 100, model="neural_dot")
    assert {row.movie_id for row in found} == {row.movie_id for row in by_sql}
    assert [row.rank for row in found] == list(range(1, len(by_sql) + 1))
    assert [row.source for row in found] == ["network"] * 55 + ["chart"] * 2


def test_without_ratings_or_without_the_extra_sql_answers(
    service, everything_database, monkeypatch
):
    assert {row.source for row in service.recommend_for({}, 3, model="neural_dot")} == {"chart"}
    monkeypatch.setattr(networks, "find_spec", lambda name: None)
    with Recommender.connect(everything_database.url) as other:
        sources = {row.source for row in other.recommend_for(GIVEN, 3, model="neural_dot")}
    assert sources == {"substitute"}


@pytest.mark.parametrize(
    ("ratings", "options", "error"),
    [
        ({4711: 5.0}, {}, UnknownMovie),
        ({1: 99.0}, {}, InvalidArgument),
        ({1: 5.0}, {"genres": ["x'; DROP"]}, InvalidArgument),
        ({1: 5.0}, {"n": -1}, InvalidArgument),
        ({1: float("nan")}, {}, InvalidArgument),
        ({"a\0b": 5.0}, {}, InvalidArgument),
    ],
)
def test_bad_arguments_are_refused_as_by_sql(service, ratings, options, error):
    with pytest.raises(error):
        service.recommend_for(ratings, model="neural_dot", **options)


def test_from_threads_and_from_an_event_loop(service, everything_database, keyed_database):
    expected = service.recommend_for(GIVEN, 5, model="neural_dot")
    with Recommender.connect(everything_database.url) as fresh, ThreadPoolExecutor(4) as pool:
        given = [GIVEN] * 8
        lists = pool.map(lambda each: fresh.recommend_for(each, 5, model="neural_dot"), given)
        assert list(lists) == [expected] * 8

    async def asked():
        async with AsyncRecommender.connect(keyed_database.url) as keyed:
            ratings = {f"B0{movie}": rating for movie, rating in GIVEN.items()}
            return await keyed.recommend_for(ratings, 5, model="neural_dot")

    found = asyncio.run(asked())
    assert [(row.movie_id, row.score) for row in found] == [
        (row.movie_id, row.score) for row in expected
    ]
    assert found[0].movie_key == f"B0{found[0].movie_id}"


def test_readers_may_use_networks(given_database, as_role):
    with Recommender.connect(as_role(given_database, "recsys_reader").url) as reader:
        assert reader._run(queries.published("ease", [])) is None
        none, factors = reader._run(queries.network(1, "als"))
        assert (none, len(factors)) == (None, 58)
        [row] = reader._run(queries.listed(1, "als", [2, 1], [0.5, 0.25], Filters(1)))
        assert (row.movie_id, row.source, row.score) == (2, "network", 0.5)


def test_the_last_rating_is_the_newest():
    seen = []

    def fold_in(trained, rows, config, options):
        seen.append(rows)
        return Factors(np.ones((1, 1), np.float32), trained.items)

    def rank(factors, rows, n, limits):
        return TopN(np.array([0, 2]), np.array([3, 0], np.int32), np.array([2.0, 1.0]))

    movies = IdMap(np.array([10, 20, 30, 40], np.int32))
    stored = StoredNetwork(b"", np.arange(4), np.full(1, -1))
    items = np.ones((4, 1), np.float32)
    trained = TrainedItems(items, np.zeros(4), 3.0, 1.0, (1.0, 5.0), network=stored)
    spec = SimpleNamespace(fold_in=fold_in, rank=rank)
    loaded = LoadedNetwork(spec, None, movies, trained)
    assert loaded.scores({30: 1.0, 99: 5.0, 10: 2.0, 20: 3.0}, 2) == ([40, 10], [2.0, 1.0])
    [rows] = seen
    assert rows.ratings.indices.tolist() == [0, 1, 2]
    assert rows.ratings.data.tolist() == [2.0, 3.0, 1.0]
    assert np.argsort(rows.rated_at).tolist() == [2, 0, 1]
    assert loaded.scores({99: 5.0}, 2) == ([], [])


def test_a_few_networks_stay_in_memory():
    kept = Networks()
    for run in range(networks.KEPT):
        kept.keep(run, "sasrec", run)
    assert kept.get(0, "sasrec") == 0
    kept.keep(9, "sasrec", 9)
    assert [kept.get(run, "sasrec") for run in (0, 1, 9)] == [0, None, 9]


def test_the_service_imports_no_models():
    code = (
        "import sys, recsys.service.recommender, recsys.service.async_recommender\n"
        f"print([name for name in sys.modules if name.startswith({HEAVY})])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
