"""Search of parameters inside the train part, against the configured ones, without test data."""

from dataclasses import replace

import numpy as np
import pytest
import sqlalchemy as sa

from recsys.config.settings import RefreshSettings
from recsys.errors import ConfigError, EvaluationError, InvalidArgument
from recsys.evaluation.protocols import PROTOCOLS, Material
from recsys.jobs import trials
from recsys.jobs.plan import plan
from recsys.jobs.trials import inner_train
from recsys.jobs.tune import settings_lines, tune
from recsys.models.registry import MODELS
from recsys.storage.snapshot.matrices import read_snapshot

RANDOM = PROTOCOLS["random-90-10"]


def planned(model, **parameters):
    settings = RefreshSettings(threads=1, parameters={model: parameters} if parameters else {})
    return plan(settings, [model], publish=False)


def found(report):
    return [(trial.number, dict(trial.parameters), trial.value) for trial in report.trials]


def test_trials_are_ranked_and_number_one_is_the_configuration(filled_database):
    report = tune(filled_database, planned("ease", regularization=5e4), "ease", RANDOM, trials=5)
    assert (report.model, report.protocol, report.metric) == ("ease", "random-90-10", "ndcg")
    assert sorted(trial.number for trial in report.trials) == [1, 2, 3, 4, 5]
    values = [trial.value for trial in report.trials]
    assert values == sorted(values, reverse=True)
    [configured] = [trial for trial in report.trials if trial.number == 1]
    assert configured.parameters["regularization"] == 5e4
    assert report.best.value >= configured.value
    assert report.gain is None or report.gain.low <= report.best.value - configured.value
    assert found(
        tune(filled_database, planned("ease", regularization=5e4), "ease", RANDOM, trials=5)
    ) == (found(report))


def test_errors_are_ranked_the_other_way(filled_database):
    for metric in ("rmse", "mae"):
        report = tune(
            filled_database, planned("mf", factors=3, iterations=2), "mf", RANDOM,
            metric=metric, trials=3,
        )  # fmt: skip
        values = [trial.value for trial in report.trials]
        assert values == sorted(values)
    assert tune(
        filled_database, planned("mf"), "mf", PROTOCOLS["surprise-5fold"], trials=1
    ).metric == ("rmse")


def test_fewer_disliked_movies_are_better(filled_database):
    with filled_database.transaction() as connection:
        change = "UPDATE recsys_store.ratings SET rating = 1 WHERE movie_id % 2 = 0"
        connection.execute(sa.text(change))
    chosen = planned("ease", regularization=5e4)
    report = tune(filled_database, chosen, "ease", RANDOM, metric="disliked_share", trials=5)
    values = [trial.value for trial in report.trials]
    assert values == sorted(values)
    [configured] = [trial for trial in report.trials if trial.number == 1]
    assert report.best.number > 1
    gain = configured.value - report.best.value
    assert gain > 0
    assert report.gain.low < gain < report.gain.high
    for metric in ("ndcg_liked", "ndcg_gain"):
        again = tune(filled_database, chosen, "ease", RANDOM, metric=metric, trials=2)
        values = [trial.value for trial in again.trials]
        assert values == sorted(values, reverse=True)


def test_the_figure_is_that_of_the_inner_test_ratings(filled_database):
    """A model that knows the means of users only has their rmse, computed by hand."""
    with filled_database.snapshot() as connection:
        data = read_snapshot(connection).interactions
    inner = inner_train(data, RANDOM, None, 42)
    report = tune(
        filled_database, planned("mf", factors=1, regularization=1e6, bias_regularization=1e6),
        "mf", RANDOM, metric="rmse", trials=1,
    )  # fmt: skip
    mean = inner.split.train.data.mean()
    expected = np.sqrt(np.mean((inner.split.test.data - mean) ** 2))
    assert report.best.value == pytest.approx(expected, abs=1e-3)
    assert report.n == inner.split.test.nnz


@pytest.mark.parametrize(
    "name", ["random-90-10", "recommenders-ml100k", "temporal", "leave-last-out"]
)
def test_the_test_part_is_not_used(filled_database, name):
    """With other values in it, and other movies rated, the same trials have the same figures."""
    protocol = PROTOCOLS[name]
    chosen = planned("ease")
    before = tune(filled_database, chosen, "ease", protocol, trials=3)
    with filled_database.snapshot() as connection:
        data = read_snapshot(connection, ("times",)).interactions
    [split] = protocol.splits(Material(data.user_items, data.rated_at), 42)
    inner = inner_train(data, protocol, None, 42)
    changed = data.user_items.copy()
    tested = np.ones(changed.nnz, bool)
    tested[split.train_entries] = False
    changed.data[tested] = 0.5
    again = inner_train(replace(data, user_items=changed), protocol, None, 42)
    for one, other in (
        (inner.split.train, again.split.train),
        (inner.split.test, again.split.test),
    ):
        assert (one != other).nnz == 0
    # Neither part holds a pair of the test part.
    pairs = split.test.astype(bool)
    assert pairs.multiply(inner.split.train.astype(bool)).nnz == 0
    assert pairs.multiply(inner.split.test.astype(bool)).nnz == 0
    assert before.n <= inner.split.test.nnz


def test_the_official_test_ratings_may_say_anything(filled_database, tmp_path):
    file = tmp_path / "u1.test"
    pairs = "SELECT user_id, movie_id FROM recsys.ratings WHERE user_id % 4 = 1"
    with filled_database.transaction() as connection:
        rows = [tuple(row) for row in connection.execute(sa.text(pairs))]
    file.write_text("".join(f"{user}\t{movie}\t3\t0\n" for user, movie in rows))

    def figures():
        return found(
            tune(
                filled_database, planned("mf", factors=2), "mf", PROTOCOLS["ml100k-u1"],
                metric="rmse", trials=2, split_file=file,
            )
        )  # fmt: skip

    before = figures()
    with filled_database.transaction() as connection:
        change = "UPDATE recsys_store.ratings SET rating = 0.5 WHERE user_id % 4 = 1"
        connection.execute(sa.text(change))
    assert figures() == before
    with filled_database.transaction() as connection:
        change = "UPDATE recsys_store.ratings SET rating = 0.5 WHERE user_id = 2"
        connection.execute(sa.text(change))
    assert figures() != before


def test_parts_are_fitted_once(filled_database, monkeypatch):
    fits = []
    real = trials.Bench._fit

    def counting(bench, spec, config):
        fits.append(spec.name)
        return real(bench, spec, config)

    monkeypatch.setattr(trials.Bench, "_fit", counting)
    tune(filled_database, planned("blend"), "blend", RANDOM, trials=3)
    assert fits == ["ease", "als", "blend", "blend", "blend"]


def test_a_failed_trial_comes_last_and_the_search_goes_on(filled_database, monkeypatch):
    real = trials.make_config

    def broken(spec, parameters):
        if len(seen) == 1:
            seen.append(parameters)
            raise ConfigError("it is too warm")
        seen.append(parameters)
        return real(spec, parameters)

    seen = []
    monkeypatch.setattr(trials, "make_config", broken)
    report = tune(filled_database, planned("ease"), "ease", RANDOM, trials=3)
    last = report.trials[-1]
    assert (last.number, last.value, last.error) == (2, None, "it is too warm")
    assert [trial.error for trial in report.trials[:-1]] == [None, None]


def test_the_configuration_must_work(filled_database, monkeypatch):
    def broken(*_):
        raise ConfigError("it is too warm")

    monkeypatch.setattr(trials, "make_config", broken)
    with pytest.raises(EvaluationError, match=r"^the configured parameters fail: it is too warm$"):
        tune(filled_database, planned("ease"), "ease", RANDOM, trials=3)


def test_an_interrupt_keeps_what_was_found(filled_database, monkeypatch):
    real = trials.Bench.measure

    def interrupted(bench, number, parameters):
        if number == 3:
            raise KeyboardInterrupt
        return real(bench, number, parameters)

    monkeypatch.setattr(trials.Bench, "measure", interrupted)
    report = tune(filled_database, planned("ease"), "ease", RANDOM, trials=9)
    assert report.interrupted
    assert sorted(trial.number for trial in report.trials) == [1, 2]


@pytest.mark.parametrize(
    ("model", "metric", "told"),
    [
        ("most_rated", None, "model most_rated has no parameters to search"),
        ("ease", "rmse", "model ease predicts no ratings, so it has no rmse"),
        ("ease", "beauty", "there is no metric 'beauty' to tune by"),
    ],
)
def test_models_and_metrics_that_cannot_be_tuned(filled_database, model, metric, told):
    with pytest.raises((InvalidArgument, EvaluationError)) as caught:
        tune(filled_database, planned(model), model, RANDOM, metric=metric)
    assert str(caught.value) == told


def test_it_leaves_no_run(filled_database):
    tune(filled_database, planned("ease"), "ease", RANDOM, trials=1)
    with filled_database.transaction() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM recsys.runs")) == 0


def test_lines_of_the_settings():
    values = {"similarity": "pearson", "weights": (0.5, 1.0), "factors": 3, "share": 0.25}
    assert list(settings_lines("models.x", values)) == [
        "[models.x]", 'similarity = "pearson"', "weights = [0.5, 1.0]", "factors = 3",
        "share = 0.25",
    ]  # fmt: skip
    assert all(spec.search_space is not None for spec in MODELS.values())
