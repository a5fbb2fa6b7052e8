"""Evaluation of models on the database: metrics, leakage and stored results."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sqlalchemy as sa
from computing import compute

from recsys.config.settings import RefreshSettings
from recsys.domain import Interactions
from recsys.errors import DataError, EvaluationError, RunError
from recsys.evaluation.leakage import check_split
from recsys.evaluation.protocols import PROTOCOLS, before_last
from recsys.evaluation.ranking import ranking_figures
from recsys.evaluation.splits import random_split
from recsys.jobs.evaluate import evaluate
from recsys.jobs.plan import plan
from recsys.jobs.training import train_of
from recsys.models.registry import MODELS, FitOptions
from recsys.service import Recommender
from recsys.storage.runs import publication
from recsys.storage.snapshot.matrices import read_snapshot

RUN = """
SELECT kind, state, published, parameters ->> 'protocol', seed, pruned_at IS NOT NULL
FROM recsys.runs WHERE run_id = :run
"""
FIGURES = """
SELECT model, protocol, metric, segment, value, ci_low, ci_high, n FROM recsys.run_metrics
WHERE run_id = :run
"""


def rows_of(database, query, **values):
    with database.transaction() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query), values)]


def few(*models):
    return plan(RefreshSettings(threads=1), models, publish=False)


def run(database, protocol, *models, seed=3, **more):
    return evaluate(database, few(*models), PROTOCOLS[protocol], seed=seed, **more)


def test_figures_are_those_of_a_fit_on_the_train_part(filled_database):
    report = run(filled_database, "random-90-10", "ease", "most_rated")
    with filled_database.snapshot() as connection:
        data = read_snapshot(connection).interactions
    split = random_split(data.user_items, 0.1, 3)
    options = FitOptions(threads=1)
    lists = compute(MODELS["ease"], MODELS["ease"].config(), train_of(data, split), options)
    assert lists.recommendations is not None
    assert data.rating_range is not None
    wanted = ranking_figures(lists.recommendations, split.test, split.train, 10, data.rating_range)
    [own] = [one for one in report.evaluated if one.model == "ease"]
    for name in wanted.values:
        assert own.figure(f"{name}@10") == pytest.approx(wanted.sample(name).mean, abs=1e-12)


def test_the_best_come_first(filled_database):
    report = run(filled_database, "random-90-10", "ease", "random", "most_rated")
    figures = [one.figure("ndcg@10") for one in report.evaluated]
    assert figures == sorted(figures, reverse=True)
    report = run(filled_database, "surprise-5fold", "mf", "svd", "ease")
    figures = [one.figure("rmse") for one in report.evaluated]
    assert figures == sorted(figures)
    assert len(figures) == 2
    assert report.left_out == ("ease",)


@pytest.mark.slow
def test_every_model_can_be_measured(filled_database, plan_everything):
    chosen = replace(plan_everything, publish=False)
    report = evaluate(filled_database, chosen, PROTOCOLS["random-90-10"], seed=1)
    assert sorted(one.model for one in report.evaluated) == sorted(MODELS)
    for one in report.evaluated:
        assert one.figure("ndcg@10") is not None
        assert (one.figure("rmse") is not None) == (MODELS[one.model].prediction is not None)


def test_figures_are_kept_in_a_run_of_their_own(refreshed_database):
    report = run(refreshed_database, "random-90-10", "mf")
    assert rows_of(refreshed_database, RUN, run=report.run_id) == [
        ("evaluation", "complete", False, "random-90-10", 3, True)
    ]
    stored = {row[2:4]: row for row in rows_of(refreshed_database, FIGURES, run=report.run_id)}
    for metric in report.evaluated[0].metrics:
        wanted = ("mf", "random-90-10", metric.name, metric.segment, metric.value)
        wanted += (metric.ci_low, metric.ci_high, metric.n)
        assert stored[metric.name, metric.segment] == wanted
    assert {"train_seconds", "recommend_seconds", "peak_memory_mb"} <= {name for name, _ in stored}


def test_an_evaluation_is_no_refresh(refreshed_database):
    report = run(refreshed_database, "random-90-10", "most_rated")
    with refreshed_database.transaction() as connection, pytest.raises(RunError):
        publication.publish(connection, report.run_id)
    with refreshed_database.transaction() as connection:
        assert publication.beyond_retention(connection, 1) == []
    assert Recommender(refreshed_database).status().last_run_id == 1


def test_the_train_part_holds_no_trace_of_a_test_rating() -> None:
    ratings = np.arange(1.0, 13.0).reshape(3, 4)
    from scipy.sparse import csr_matrix

    times = np.arange(12.0)
    data = Interactions(csr_matrix(ratings), csr_matrix((4, 0)), (), times, rating_range=(1, 12))
    split = random_split(data.user_items, 0.25, 1)
    check_split(split)
    train = train_of(data, split)
    assert train.user_items.nnz == 9
    assert train.rated_at is not None
    assert train.rated_at.tolist() == [v - 1 for v in train.user_items.data]
    assert train.rating_range is None


def test_tags_are_not_read(filled_database, monkeypatch):
    seen = []
    real = MODELS["content_text"]

    def fit(data, config, options):
        seen.append(data.item_texts)
        return real.fit(data, config, options)

    models = {**MODELS, "content_text": replace(real, fit=fit)}
    monkeypatch.setattr("recsys.jobs.plan.MODELS", models)
    run(filled_database, "random-90-10", "content_text")
    with filled_database.snapshot() as connection:
        tagged = read_snapshot(connection, {"texts"}).interactions.item_texts
    assert any("loud" in text for text in tagged)
    assert not any("loud" in text for text in seen[0])


def test_a_file_selects_the_test_ratings(filled_database, tmp_path):
    query = "SELECT user_id, movie_id, rating FROM recsys.ratings WHERE movie_id = 7"
    pairs = rows_of(filled_database, query)
    file = tmp_path / "u1.test"
    file.write_text("".join(f"{user}\t{movie}\t{r}\t1\n" for user, movie, r in pairs))
    report = run(filled_database, "ml100k-u1", "mf", split_file=file)
    [metric] = [m for m in report.evaluated[0].metrics if (m.name, m.segment) == ("rmse", "all")]
    assert metric.n == len(pairs)
    # The movie has no other rating, so no model knows it.
    assert report.evaluated[0].figure("known_share") == 0


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("1\t999\t3\t1\n", EvaluationError, "movie 999 is not in the database"),
        ("999\t1\t3\t1\n", EvaluationError, "user 999 is not in the database"),
        ("nothing here\n", DataError, "does not begin with a user and a movie id"),
        ("", DataError, "does not begin with a user and a movie id"),
        (None, DataError, "No such file"),
    ],
)
def test_a_file_that_does_not_fit(filled_database, tmp_path, text, error, message):
    file = tmp_path / "u1.test"
    if text is not None:
        file.write_text(text)
    with pytest.raises(error, match=message):
        run(filled_database, "ml100k-u1", "mf", split_file=file)


def test_a_protocol_without_its_pairs_is_an_error(filled_database):
    with pytest.raises(EvaluationError, match="ml100k-u1 needs"):
        run(filled_database, "ml100k-u1", "mf")


def test_the_rating_before_the_last(refreshed_database):
    protocol = before_last(PROTOCOLS["leave-last-out"])
    report = evaluate(refreshed_database, few("most_rated"), protocol, seed=3)
    assert rows_of(refreshed_database, RUN, run=report.run_id) == [
        ("evaluation", "complete", False, "leave-last-out-before", 3, True)
    ]
    with refreshed_database.snapshot() as connection:
        counts = np.diff(read_snapshot(connection).interactions.user_items.indptr)
    [metric] = [
        m for m in report.evaluated[0].metrics if (m.name, m.segment) == ("recall@10", "all")
    ]
    assert (metric.protocol, metric.n) == ("leave-last-out-before", (counts >= 3).sum())


def test_models_a_protocol_cannot_measure(filled_database):
    with pytest.raises(EvaluationError, match="measures none of these models: ease"):
        run(filled_database, "surprise-5fold", "ease")
