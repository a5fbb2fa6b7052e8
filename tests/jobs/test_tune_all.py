"""The search over all models: gains on another split, shares of the time, and the report."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from store import change

from recsys.config.settings import RefreshSettings
from recsys.domain import UserRows
from recsys.errors import ConfigError, EvaluationError, InvalidArgument
from recsys.evaluation.intervals import Interval
from recsys.evaluation.protocols import PROTOCOLS
from recsys.evaluation.ranking import ranking_figures
from recsys.jobs import trials
from recsys.jobs import tune_all as job
from recsys.jobs.plan import plan
from recsys.jobs.training import fit_model, fit_options
from recsys.jobs.trials import Bench, outer_train
from recsys.jobs.tune_all import Tuned, tune_all, two_splits
from recsys.models.registry import MODELS
from recsys.storage.snapshot.matrices import read_snapshot

RANDOM, TEMPORAL = PROTOCOLS["random-90-10"], PROTOCOLS["temporal"]
FAR_OFF = {"ease": {"regularization": 0.001}, "als": {"factors": 4, "iterations": 2}}
SMALL = RefreshSettings(
    models=("popular", "most_rated", "trending", "ease", "als", "blend", "mf"),
    threads=1,
    parameters={**FAR_OFF, "mf": {"factors": 2, "iterations": 2}},
)
FEW = replace(SMALL, models=("popular", "ease"))


def read(database):
    with database.snapshot() as connection:
        return read_snapshot(connection, {"times"}).interactions


def test_every_model_is_searched_and_its_gain_measured_on_another_split(filled_database):
    report = tune_all(filled_database, SMALL, RANDOM, trials=3)
    assert (report.protocol, report.interrupted, report.left_out) == ("random-90-10", False, ())
    assert [(one.name, one.table, one.metric, one.trials) for one in report.tuned] == [
        ("trending", "models.trending", "ndcg", 3),
        ("mf", "models.mf", "rmse", 3),
        ("ease", "models.ease", "ndcg", 3),
        ("als", "models.als", "ndcg", 3),
        ("blend", "models.blend", "ndcg", 3),
        ("cold_start", "refresh", "ndcg", 3),
    ]
    found = {one.name: one for one in report.tuned}
    ease, blend = found["ease"], found["blend"]
    assert ease.better
    # The figures are those of the second split, and blend is composed of the better ease.
    data = read(filled_database)
    train = outer_train(data, RANDOM, None, 42)
    _, second = two_splits(train, RANDOM, data.rating_range, 42)
    bench = Bench(MODELS["ease"], plan(SMALL, ["ease"], publish=False), RANDOM, "ndcg", second)
    assert (bench.measure(1, {})[0], bench.measure(2, ease.values)[0]) == (
        ease.configured, ease.best,
    )  # fmt: skip
    assert (ease.gain, ease.n) == (bench.gain(2, 42), bench.size)
    parameters = dict(SMALL.parameters)
    for name in ("ease", "als"):
        if found[name].better:
            parameters[name] = {**parameters[name], **found[name].values}
    chosen = plan(replace(SMALL, parameters=parameters), ["blend"], publish=False)
    bench = Bench(MODELS["blend"], chosen, RANDOM, "ndcg", second)
    bench.fit_parts(job.StageClock(job.Silent()))
    weights = {"weights": plan(SMALL).configs["blend"].weights}
    assert bench.measure(1, weights)[0] == blend.configured


@pytest.mark.parametrize("name", ["random-90-10", "temporal", "leave-last-out"])
def test_the_two_splits_share_no_test_rating_of_the_protocol(filled_database, name):
    # Users rate at one time each; other times let every protocol split each of them.
    shuffle = "UPDATE recsys_store.ratings SET rated_at = rated_at + movie_id * interval '1 h'"
    change(filled_database, shuffle)
    protocol, data = PROTOCOLS[name], read(filled_database)
    train = outer_train(data, protocol, None, 7)
    first, second = two_splits(train, protocol, data.rating_range, 7)

    def pairs(matrix):
        return set(zip(*(axis.tolist() for axis in matrix.tocoo().coords), strict=True))

    known = pairs(train.user_items)
    splits = (first.split, second.split)
    parts = [pairs(part) for split in splits for part in (split.train, split.test)]
    assert parts[2] | parts[3] == known
    assert parts[1] != parts[3]
    # Where time splits, the search knows nothing of what confirms it.
    assert parts[0] | parts[1] == (known if name == "random-90-10" else parts[2])
    assert first.scale == second.scale == data.rating_range


def test_the_protocol_follows_from_the_data(filled_database):
    report = tune_all(filled_database, FEW, trials=1)
    assert (report.protocol, [one.name for one in report.tuned]) == (
        "temporal", ["ease", "cold_start"],
    )  # fmt: skip
    change(filled_database, "UPDATE recsys_store.ratings SET rated_at = NULL")
    report = tune_all(filled_database, FEW, trials=1)
    assert (report.protocol, [one.name for one in report.tuned]) == ("random-90-10", ["ease"])


def test_the_charts_are_compared_for_new_users(filled_database):
    # Everybody rated film 1, but none of the newest users.
    change(
        filled_database,
        "DELETE FROM recsys_store.ratings WHERE user_id > 60 AND movie_id <= 6",
        "UPDATE recsys_store.ratings SET rating = 0.5 WHERE movie_id IN (8, 9)",
    )
    models = ("popular", "most_rated", "trending", "ease")
    settings = replace(FEW, models=models, cold_start="popular")
    report = tune_all(filled_database, settings, trials=1)
    found = report.tuned[-1]
    data = read(filled_database)
    train = outer_train(data, TEMPORAL, None, 42)
    first, second = two_splits(train, TEMPORAL, data.rating_range, 42)
    options = fit_options(settings)

    def figures(name, inner):
        chart = fit_model(MODELS[name], MODELS[name].config(), inner.data, options)
        lists = chart.rank(UserRows.all(inner.data.user_items, inner.data.rated_at), 100, options)
        of_all = ranking_figures(lists, inner.split.test, inner.split.train, 10)
        return of_all.of(np.diff(inner.split.train.indptr)[of_all.users] == 0).sample("ndcg")

    charts = ("popular", "trending", "most_rated")
    best = max(charts, key=lambda name: figures(name, first).mean)
    assert best != "popular"
    assert (found.name, found.table, found.trials) == ("cold_start", "refresh", 3)
    assert found.values == {"cold_start": best}
    assert found.configured == pytest.approx(figures("popular", second).mean)
    assert found.best == pytest.approx(figures(best, second).mean)
    assert found.gain.low <= found.best - found.configured <= found.gain.high
    assert found.n == figures(best, second).size


def test_the_time_left_is_shared_by_the_models_left(filled_database, monkeypatch):
    shares = []
    real = job._Search.model

    def recorded(search, settings, spec, metric, seconds):
        shares.append((seconds, search._clock.total_seconds))
        return real(search, settings, spec, metric, seconds)

    monkeypatch.setattr(job._Search, "model", recorded)
    report = tune_all(filled_database, SMALL, RANDOM, trials=2, minutes=10)
    assert {one.trials for one in report.tuned[:-1]} == {2}
    for left, (seconds, elapsed) in zip((5, 4, 3, 2, 1), shares, strict=True):
        assert seconds == pytest.approx((600 - elapsed) / left, abs=0.01)
    # Without time each search ends after its first trial.
    report = tune_all(filled_database, SMALL, RANDOM, trials=9, minutes=0)
    assert [(one.trials, one.gain) for one in report.tuned[:-1]] == [(1, None)] * 5


def test_a_metric_is_for_models_of_its_kind_and_protocols_leave_others_out(filled_database):
    settings = replace(SMALL, models=("popular", "ease", "mf"))
    change(
        filled_database,
        "UPDATE recsys_store.ratings SET rated_at = rated_at + movie_id * interval '1 h'",
    )
    for protocol, metric, tuned, left_out in (
        (RANDOM, "mae", [("mf", "mae"), ("ease", "ndcg")], ()),
        (RANDOM, "ndcg_liked", [("mf", "rmse"), ("ease", "ndcg_liked")], ()),
        (PROTOCOLS["surprise-5fold"], None, [("mf", "rmse")], ("ease",)),
        (PROTOCOLS["leave-last-out"], None, [("ease", "ndcg")], ("mf",)),
    ):
        report = tune_all(filled_database, settings, protocol, metric=metric, trials=1)
        models = [(one.name, one.metric) for one in report.tuned if one.name != "cold_start"]
        assert (models, report.left_out) == (tuned, left_out)
    told = "protocol surprise-5fold measures no refreshed model with parameters to search"
    with pytest.raises(InvalidArgument, match=told):
        tune_all(filled_database, FEW, PROTOCOLS["surprise-5fold"])
    with pytest.raises(EvaluationError, match="there is no metric 'beauty' to tune by"):
        tune_all(filled_database, FEW, metric="beauty")


def test_a_model_that_fails_does_not_end_the_search(filled_database, monkeypatch):
    real = trials.make_config

    def broken(spec, values):
        if spec.name == "ease":
            raise ConfigError("it is too warm")
        return real(spec, values)

    monkeypatch.setattr(trials, "make_config", broken)
    report = tune_all(
        filled_database, replace(FEW, models=("popular", "ease", "als")), RANDOM, trials=1
    )
    ease, als = report.tuned[:2]
    told = "the configured parameters fail: it is too warm"
    assert ease == Tuned("ease", "models.ease", "ndcg", error=told)
    assert (als.name, als.trials, als.error, als.gain) == ("als", 1, None, None)


def test_an_interrupt_keeps_the_models_so_far(filled_database, monkeypatch):
    real = job._Search.model

    def interrupted(search, settings, spec, metric, seconds):
        if spec.name == stop_at:
            raise KeyboardInterrupt
        return real(search, settings, spec, metric, seconds)

    monkeypatch.setattr(job._Search, "model", interrupted)
    stop_at = "als"
    report = tune_all(filled_database, SMALL, RANDOM, trials=1)
    assert ([one.name for one in report.tuned], report.interrupted) == (
        ["trending", "mf", "ease"], True,
    )  # fmt: skip
    stop_at = "trending"
    with pytest.raises(KeyboardInterrupt):
        tune_all(filled_database, SMALL, RANDOM, trials=1)


def test_a_gain_is_better_if_its_interval_is_above_0():
    found = Tuned("ease", "models.ease", "ndcg")
    assert [
        replace(found, gain=gain).better
        for gain in (None, Interval(-0.1, 0.2), Interval(0, 0.2), Interval(0.1, 0.2))
    ] == [False, False, False, True]
