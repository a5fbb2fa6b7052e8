"""What a refresh is predicted to take, and a disk that would not hold its results."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import sqlalchemy as sa

from recsys.config.settings import RefreshSettings
from recsys.errors import NotEnoughDisk, NothingLoaded
from recsys.jobs import forecast as forecast_job
from recsys.jobs.forecast import forecast, forecast_of, predict, require_disk
from recsys.jobs.plan import plan
from recsys.jobs.refresh import refresh
from recsys.models.cost import Size
from recsys.models.registry import MODELS, make_config
from recsys.storage.runs.measured import MeasuredRun, last_full_run
from recsys.storage.snapshot.matrices import read_snapshot

GIB = 2**30
PARTITIONS_OF_RUN_1 = r"""
SELECT sum(pg_relation_size(c.oid) + pg_indexes_size(c.oid)) FROM pg_class AS c
WHERE c.relnamespace = CAST('recsys_store' AS regnamespace) AND c.relkind = 'r'
  AND c.relname ~ '_run_1$'
"""


def size_of(users: int, movies: int, each: int) -> Size:
    """Return data in which every user has as many ratings, and every movie too."""
    of_movies = np.full(movies, users * each // movies, np.int64)
    return Size(np.full(users, each, np.int64), of_movies, movies)


def measured_run(chosen, size, seconds, **facts):
    return MeasuredRun(
        7, chosen.parameters, size.ratings, size.users, size.movies,
        **{"peak_memory_mb": 0, "disk": 0, "seconds": seconds, **facts},
    )  # fmt: skip


def by_stage(found):
    return {stage.stage: stage.seconds for stage in found.stages}


# --- sizes and costs ------------------------------------------------------------------------------


def test_a_size_counts_ratings_and_pairs():
    size = replace(size_of(4, 10, 5), of_users=np.array([1, 2, 3, 14]))
    assert (size.ratings, size.users, size.lists) == (20, 4, 4)
    assert (size.pairs(), size.pairs(3)) == (1 + 4 + 9 + 196, 1 + 4 + 9 + 9)
    assert replace(size, listed=2).listed_ratings == 10


def test_a_scaled_size_has_other_numbers_and_the_same_spread():
    counts = np.arange(1, 101)
    size = Size(counts, counts, 200)
    other = size.scaled(ratings=4 * size.ratings, users=200, movies=100)
    assert (other.users, other.movies, len(other.of_movies)) == (200, 100, 50)
    assert other.ratings == pytest.approx(4 * size.ratings, rel=0.02)
    assert other.of_users.max() / other.of_users.mean() == pytest.approx(100 / 50.5, rel=0.02)


def test_similarities_of_many_users_are_not_held_as_a_square():
    spec = MODELS["user_knn"]
    assert spec.cost is not None
    few, many = (spec.cost(size_of(n, 50, 5), spec.config()).memory for n in (1000, 200_000))
    assert (few, many) == (8e6, 2**29)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_tells_what_it_costs(name):
    spec = MODELS[name]
    assert spec.cost is not None
    small, large = (
        spec.cost(size, make_config(spec, {}))
        for size in (size_of(1, 1, 1), size_of(20_000, 5_000, 100))
    )
    assert 0 <= small.seconds < 0.1
    assert small.seconds < large.seconds < 3600
    assert 0 <= small.memory < large.memory < 16 * GIB or small.memory == large.memory == 0
    # Each user has a list of 100 movies with scores of eight bytes; a chart is one for all.
    least, most = (20_000 * 1200, 20_000 * 4000) if spec.kind == "personal" else (1, 5_000 * 400)
    assert least < large.disk < most


def test_the_disk_of_a_run_is_told_before_it_is_written(database, write_edition, tmp_path):
    from recsys.jobs.ingest import ingest

    random = np.random.default_rng(4)
    lines = [
        f"{user},{movie},{random.integers(1, 6)},{1_000_000_000 + user}"
        for user in range(1, 1501)
        for movie in np.unique(random.integers(1, 401, 30))
    ]
    ingest(database, write_edition(tmp_path / "edition", lines))
    fast = {"als": {"iterations": 1}, "mf": {"iterations": 1, "holdout": 0.0}}
    chosen = plan(RefreshSettings(threads=1, parameters=fast))
    before = forecast(database, chosen)
    run_id = refresh(database, chosen).run_id
    with database.snapshot() as connection:
        taken = connection.scalar(sa.text("SELECT recsys.run_size(:run)"), {"run": run_id})
        snapshot = read_snapshot(connection)
    assert before.disk == pytest.approx(taken, rel=0.2)
    # From the matrix that a refresh has read the same is told as from the database.
    after = forecast(database, chosen)
    ratings = snapshot.interactions.user_items
    users, movies = (ratings.getnnz(axis=axis).astype(np.int64) for axis in (1, 0))
    assert after == forecast_of(database, chosen, users, movies)
    # The run just written tells its own size and memory.
    assert after.disk == pytest.approx(taken, rel=0.05)
    assert after.reference_run_id == run_id


# --- the pace of the last run ---------------------------------------------------------------------


def test_without_a_run_the_constants_tell():
    chosen = plan(RefreshSettings())
    found = predict(chosen, size_of(1000, 500, 50), None, None)
    assert list(by_stage(found)) == ["read", *(s.name for s in chosen.specs), "gate"]
    assert found.seconds == pytest.approx(sum(by_stage(found).values()))
    assert (found.ratings, found.users, found.movies, found.reference_run_id) == (
        50_000,
        1000,
        500,
        None,
    )
    assert found.memory > 180 * 2**20


def test_each_stage_keeps_the_pace_of_the_last_run():
    chosen, size = plan(RefreshSettings()), size_of(50_000, 10_000, 100)
    told = by_stage(predict(chosen, size, None, None))
    seconds = {name: told[name] * (9 if name == "ease" else 2) for name in told}
    run = measured_run(chosen, size, seconds, peak_memory_mb=5000, disk=GIB)
    found = predict(chosen, size, run, None)
    assert by_stage(found) == pytest.approx(seconds)
    assert found.memory == pytest.approx(5000 * 2**20)
    assert found.disk == pytest.approx(GIB, abs=len(told))
    assert found.reference_run_id == 7
    # Twice the users with as many ratings each: twice the time and the lists.
    more = predict(chosen, size_of(100_000, 10_000, 100), run, None)
    assert by_stage(more)["als"] == pytest.approx(2 * seconds["als"], rel=0.1)
    assert more.disk > GIB + 50_000 * 5 * 1200


def test_a_run_of_few_ratings_tells_nothing_of_many():
    chosen, many = plan(RefreshSettings()), size_of(100_000, 10_000, 100)
    few = size_of(20, 50, 5)
    seconds = dict.fromkeys(by_stage(predict(chosen, few, None, None)), 0.1)
    run = measured_run(chosen, few, seconds, peak_memory_mb=200, disk=2**20)
    plain, told = predict(chosen, many, None, None), predict(chosen, many, run, None)
    assert told.seconds == pytest.approx(plain.seconds, rel=0.25)
    assert told.disk == pytest.approx(plain.disk, rel=0.01)
    assert plain.memory > told.memory > plain.memory - 400 * 2**20
    assert by_stage(predict(chosen, few, run, None)) == pytest.approx(seconds)


def test_a_model_with_other_parameters_goes_at_the_pace_of_the_others():
    settings = RefreshSettings()
    chosen, size = plan(settings), size_of(50_000, 10_000, 100)
    told = by_stage(predict(chosen, size, None, None))
    run = measured_run(chosen, size, {name: 3 * told[name] for name in told}, disk=GIB)
    other = plan(replace(settings, parameters={"als": {"iterations": 30}}))
    found = by_stage(predict(other, size, run, None))
    plain = by_stage(predict(other, size, None, None))
    assert plain["als"] > told["als"]
    assert found["als"] == pytest.approx(3 * plain["als"], rel=0.15)


def test_a_model_that_tells_no_cost_is_known_once_it_has_run():
    chosen, size = plan(RefreshSettings()), size_of(1000, 500, 50)
    silent = tuple(replace(s, cost=None) if s.name == "als" else s for s in chosen.specs)
    chosen = replace(chosen, specs=silent)
    found = predict(chosen, size, None, None)
    assert by_stage(found)["als"] is None
    assert math.isfinite(found.seconds)
    [lists] = [stage.disk for stage in found.stages if stage.stage == "als"]
    assert 1000 * 1200 < lists < 1000 * 2000
    run = measured_run(chosen, size, {"als": 6.0})
    twice = predict(chosen, size_of(2000, 500, 50), run, None)
    assert by_stage(twice)["als"] == pytest.approx(12)


def test_the_last_full_run_is_the_measure(refreshed_database):
    with refreshed_database.snapshot() as connection:
        run = last_full_run(connection)
        ratings = connection.scalar(sa.text("SELECT count(*) FROM recsys_store.ratings"))
    assert run is not None
    assert (run.run_id, run.ratings) == (1, ratings)
    with refreshed_database.snapshot() as connection:
        assert run.disk == connection.scalar(sa.text(PARTITIONS_OF_RUN_1))
    assert {"read", "ease", "gate"} <= run.seconds.keys()
    refresh(refreshed_database, plan(RefreshSettings(threads=1), ["most_rated"]))
    with refreshed_database.snapshot() as connection:
        assert last_full_run(connection) == run


def test_it_waits_for_no_lock_on_results(refreshed_database):
    with refreshed_database.transaction() as holder:
        holder.execute(sa.text("LOCK TABLE recsys_store.movie_charts, recsys_store.user_factors"))
        with refreshed_database.snapshot() as connection:
            connection.execute(sa.text("SET LOCAL lock_timeout = '2s'"))
            run = last_full_run(connection)
    assert run is not None
    assert run.disk > 0


def test_a_database_without_ratings_has_no_forecast(database, empty_database):
    for each in (database, empty_database):
        with pytest.raises(NothingLoaded):
            forecast(each, plan(RefreshSettings()))


# --- the disk -------------------------------------------------------------------------------------


def test_only_a_disk_that_is_known_to_be_too_small_is_refused():
    found = predict(plan(RefreshSettings()), size_of(1000, 500, 50), None, None)
    require_disk(found)
    require_disk(replace(found, free_disk=2 * found.disk))
    with pytest.raises(
        NotEnoughDisk, match=r"need [\d,]+ MiB of disk, and 1 MiB are free"
    ) as error:
        require_disk(replace(found, free_disk=2**20))
    assert "keep_runs" in (error.value.hint or "")


def test_a_refresh_that_would_not_fit_writes_nothing(
    refreshed_database, plan_all, contents, monkeypatch, tmp_path
):
    refreshed_database.folder = tmp_path
    before = contents(refreshed_database)
    full = SimpleNamespace(free=1000)
    monkeypatch.setattr(forecast_job.shutil, "disk_usage", lambda folder: full)
    with pytest.raises(NotEnoughDisk, match="0 MiB are free"):
        refresh(refreshed_database, plan_all)
    assert contents(refreshed_database) == before
    assert refresh(refreshed_database, plan_all, force="there is room").published
