"""A refresh on executors writes what a refresh in this process writes."""

from __future__ import annotations

import sys

import pytest
import sqlalchemy as sa

from recsys.config.settings import EngineSettings, RefreshSettings
from recsys.engine import spark
from recsys.evaluation.protocols import PROTOCOLS
from recsys.jobs.cluster.place import SparkPlace
from recsys.jobs.evaluate import evaluate
from recsys.jobs.places import IN_THIS_PROCESS
from recsys.jobs.plan import plan
from recsys.jobs.refresh import refresh
from recsys.models.registry import MODELS

COLUMNS = {
    "movie_similarities": "model_id, movie_id, similar_movie_ids, scores, real_scores",
    "user_recommendations": "model_id, user_id, movie_ids, scores, source_model_ids",
    "movie_charts": "model_id, rank, genre_id, movie_id, votes, score, mean_rating",
    "run_users": "user_id, ratings_count, ratings_hash",
}
INEXACT = {"svd", "mf", "blend"}
"""Sums over shards of factor models, and dense products of few users, differ by rounding."""
FEWER_JOBS = {"svd": {"rank": 4}, "mf": {"iterations": 4}, "als": {"iterations": 4}}
"""Each product and each iteration takes a job of Spark or two."""
MODELS_THAT_SCALE = tuple(
    name for name, spec in MODELS.items() if spec.learn is not None and name != "collective_blend"
)
FARTHEST = """
WITH scores AS (
    SELECT run_id, model_id, user_id, unnest(movie_ids) AS movie_id, unnest(scores) AS score
    FROM recsys_store.user_recommendations
)
SELECT max(abs(a.score - b.score)), count(*) FILTER (WHERE a.score IS NULL OR b.score IS NULL),
    count(*)
FROM (SELECT * FROM scores WHERE run_id = :one) AS a
FULL JOIN (SELECT * FROM scores WHERE run_id = :other) AS b USING (model_id, user_id, movie_id)
JOIN recsys_store.models AS m USING (model_id)
WHERE m.name = ANY (:names)
"""


def different(connection, table, one, other, models=()):
    """Return the rows of a table that only one of two runs has, of some models."""
    columns = COLUMNS[table]
    where = (
        ""
        if table == "run_users"
        else (
            "AND model_id IN (SELECT model_id FROM recsys_store.models WHERE name = ANY (:names))"
        )
    )
    select = f"SELECT {columns} FROM recsys_store.{table} WHERE run_id = {{}} {where}"
    found = 0
    for first, second in ((one, other), (other, one)):
        query = (
            f"SELECT count(*) FROM ({select.format(first)} EXCEPT ALL {select.format(second)}) AS d"
        )
        found += connection.scalar(sa.text(query), {"names": list(models)} if where else {})
    return found


def test_executors_give_what_one_process_gives(cluster, filled_database):
    settings = EngineSettings(
        kind="spark", master=cluster.master, shard_ratings=300, driver_memory="1g",
        python=sys.executable,
    )  # fmt: skip
    todo = plan(
        RefreshSettings(
            models=MODELS_THAT_SCALE, default_model="blend", memory_mb=256, parameters=FEWER_JOBS
        )
    )
    here = refresh(filled_database, todo)
    there = refresh(filled_database, todo, place=SparkPlace(settings))
    assert there.published
    assert here.rows == there.rows
    assert {(n, m.name, m.protocol): round(m.value, 6) for n, m in here.metrics} == {
        (n, m.name, m.protocol): round(m.value, 6) for n, m in there.metrics
    }
    exact = [name for name in MODELS_THAT_SCALE if name not in INEXACT]
    with filled_database.transaction() as connection:
        for table in COLUMNS:
            wrong = [
                name
                for name in exact
                if different(connection, table, here.run_id, there.run_id, [name])
            ]
            assert wrong == [], table
        given = {"one": here.run_id, "other": there.run_id, "names": sorted(INEXACT)}
        farthest, alone, every = connection.execute(sa.text(FARTHEST), given).one()
        assert farthest < 1e-4
        assert alone <= every / 100
        facts = [
            tuple(row)
            for row in connection.execute(
                sa.text(
                    "SELECT ratings_count, users_count, movies_count, rating_min, rating_max,"
                    " round(CAST(ratings_mean AS numeric), 9),"
                    " round(CAST(ratings_deviation AS numeric), 9), default_model_id,"
                    " snapshot_checksum"
                    " FROM recsys_store.runs ORDER BY run_id"
                )
            )
        ]
        assert facts[0] == facts[1]
        left = connection.scalars(
            sa.text("SELECT relname FROM pg_class WHERE relname LIKE 'parts_run_%'")
        )
        assert list(left) == []
    # Both engines compute the same checksum of the input.
    for place in (SparkPlace(settings), IN_THIS_PROCESS):
        assert not refresh(filled_database, todo, place=place, if_changed=True).changed


def test_sums_travel_where_ratings_are_many(cluster, filled_database, monkeypatch):
    """The other way to add up pairs of movies, which these few ratings would not take."""
    monkeypatch.setattr(spark, "_RATING_BYTES", 10**9)
    settings = EngineSettings(
        kind="spark", master=cluster.master, shard_ratings=300, driver_memory="1g",
        python=sys.executable,
    )  # fmt: skip
    models = ("most_rated", "item_knn", "ease", "slist")
    todo = plan(
        RefreshSettings(models=models, default_model="ease", memory_mb=64),
        publish=False,
    )
    here = refresh(filled_database, todo)
    there = refresh(filled_database, todo, place=SparkPlace(settings))
    with filled_database.transaction() as connection:
        for table in ("movie_similarities", "user_recommendations"):
            assert different(connection, table, here.run_id, there.run_id, models) == 0


@pytest.mark.parametrize("protocol", ["random-90-10", "leave-last-out"])
def test_executors_measure_what_one_process_measures(cluster, filled_database, protocol):
    settings = EngineSettings(
        kind="spark", master=cluster.master, shard_ratings=300, driver_memory="1g",
        python=sys.executable,
    )  # fmt: skip
    todo = plan(RefreshSettings(models=("most_rated", "ease", "mf")), publish=False)
    chosen = PROTOCOLS[protocol]
    reports = [
        evaluate(filled_database, todo, chosen, seed=7, place=place)
        for place in (IN_THIS_PROCESS, SparkPlace(settings))
    ]
    figures = [
        {
            (one.model, m.name, m.segment): (m.n, *(x and round(x, 6) for x in (m.value, m.ci_low)))
            for one in report.evaluated
            for m in one.metrics
        }
        for report in reports
    ]
    assert figures[0] == figures[1]
    assert len(figures[0]) > 30
