"""The publish gate: its rules, its messages, and how to override it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import sqlalchemy as sa

from recsys.config.settings import GateMetric, GateSettings, RefreshSettings
from recsys.domain import Metric, TopN
from recsys.errors import GateRefused
from recsys.evaluation.ranking import RANKING_METRICS, ranking_figures
from recsys.jobs import gate, held_out
from recsys.jobs.plan import plan
from recsys.jobs.refresh import refresh
from recsys.jobs.training import ModelResults
from recsys.models.linear import ease
from recsys.models.shards import OneShard
from recsys.storage.snapshot.matrices import read_snapshot

RUNS = "SELECT run_id, state, refused FROM recsys_store.runs ORDER BY run_id"
PUBLISHED = "SELECT run_id FROM recsys_store.published"
LOG = "SELECT run_id, reason FROM recsys.publications ORDER BY publication_id"
FIGURES = """
SELECT model, metric, segment, n, ci_low < value AND value < ci_high
FROM recsys.run_metrics WHERE protocol = 'gate' AND run_id = :run ORDER BY model
"""
WORSE = """
UPDATE recsys_store.run_metrics SET value = 0.9, ci_low = 0.88, ci_high = 0.92
WHERE protocol = 'gate' AND metric = 'ndcg@10'
"""


def rows_of(database, query, **values):
    with database.transaction() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query), values)]


def execute(database, statement):
    with database.transaction() as connection:
        connection.execute(sa.text(statement))


def with_ease(monkeypatch, change):
    """Let `change` make other lists of those that ease gives in a refresh."""
    real = ease.SPEC

    def rank(fitted, users, n, limits):
        return change(real.rank(fitted, users, n, limits), users)

    models = {**gate.MODELS, "ease": replace(real, rank=rank)}
    monkeypatch.setattr("recsys.jobs.plan.MODELS", models)


def test_an_equal_run_is_published_with_its_metrics(refreshed_database, plan_all):
    report = refresh(refreshed_database, plan_all)
    assert (report.run_id, report.published, report.overridden) == (2, True, ())
    assert rows_of(refreshed_database, FIGURES, run=2) == [
        ("ease", "ndcg@10", "all", 68, True),
        ("most_rated", "ndcg@10", "all", 68, True),
    ]
    assert rows_of(refreshed_database, RUNS) == [(1, "complete", None), (2, "complete", None)]


def test_fewer_rows_are_refused_and_what_was_published_stays(refreshed_database, plan_all):
    shorter = plan(replace(plan_all.settings, neighbours=20))
    with pytest.raises(GateRefused) as caught:
        refresh(refreshed_database, shorter)
    assert caught.value.exit_code == 3
    reason = str(caught.value).removeprefix("run 2 is not published: ")
    assert "item_knn has " in reason
    assert "a drop of more than 20%" in reason
    assert caught.value.hint == "the published run stays"
    assert rows_of(refreshed_database, RUNS) == [(1, "complete", None), (2, "complete", reason)]
    assert rows_of(refreshed_database, PUBLISHED) == [(1,)]
    assert rows_of(refreshed_database, LOG) == [(1, None)]
    assert rows_of(refreshed_database, FIGURES, run=2) != []


def test_force_publishes_and_the_log_keeps_the_reason(refreshed_database, plan_all):
    shorter = plan(replace(plan_all.settings, neighbours=20))
    report = refresh(refreshed_database, shorter, force="twenty are enough")
    assert report.published
    assert "item_knn has " in report.overridden[0]
    assert rows_of(refreshed_database, PUBLISHED) == [(2,)]
    assert rows_of(refreshed_database, LOG) == [(1, None), (2, "twenty are enough")]
    # From then on the shorter lists are what runs are held against.
    assert refresh(refreshed_database, shorter).published


def test_a_fall_beyond_the_intervals_is_refused(refreshed_database, plan_all):
    assert refresh(refreshed_database, plan_all).run_id == 2
    execute(refreshed_database, WORSE)
    with pytest.raises(GateRefused, match=r"ndcg@10 of ease fell from 0\.9000 to 0\.\d{4}"):
        refresh(refreshed_database, plan_all)
    rules = GateSettings(no_fall=False)
    assert refresh(refreshed_database, plan(replace(plan_all.settings, gate=rules))).published


def test_below_popularity_is_refused(refreshed_database, plan_all, monkeypatch):
    monkeypatch.setattr(held_out, "ranking_figures", cut_in_turn())
    with pytest.raises(GateRefused, match="ease is below popularity: ndcg@10"):
        refresh(refreshed_database, plan(plan_all.settings))
    rules = GateSettings(beat_popularity=False, no_fall=False)
    chosen = plan(replace(plan_all.settings, gate=rules))
    assert refresh(refreshed_database, chosen).published


def cut_in_turn():
    """Return figures of which the first, those of the default model, are a fifth."""
    turns = itertools.count()

    def figures_of(*arguments, **named):
        figures = ranking_figures(*arguments, **named)
        # What the default model finds is cut, popularity is measured second.
        share = 0.2 if next(turns) % 2 == 0 else 1.0
        values = {name: column * share for name, column in figures.values.items()}
        return replace(figures, values=values)

    return figures_of


def test_a_model_below_popularity_is_published_if_nothing_better_is(
    filled_database, plan_all, monkeypatch, caplog
):
    monkeypatch.setattr(held_out, "ranking_figures", cut_in_turn())
    assert refresh(filled_database, plan_all).published
    assert "ease is below popularity" in caplog.text
    assert refresh(filled_database, plan_all).published
    execute(
        filled_database,
        "UPDATE recsys_store.run_metrics SET value = 0.001 FROM recsys_store.models AS d "
        "WHERE d.model_id = run_metrics.model_id AND d.name = 'most_rated'",
    )
    with pytest.raises(GateRefused, match="ease is below popularity"):
        refresh(filled_database, plan_all)


def test_empty_lists_of_the_default_model_are_refused(refreshed_database, plan_all, monkeypatch):
    def nothing(lists, users):
        return TopN(np.zeros(len(users) + 1, np.int64), np.zeros(0, np.int32), np.zeros(0))

    with_ease(monkeypatch, nothing)
    with pytest.raises(GateRefused, match="ease gives no lists"):
        refresh(refreshed_database, plan(plan_all.settings))
    assert rows_of(refreshed_database, PUBLISHED) == [(1,)]


def test_short_lists_of_the_default_model_are_refused(refreshed_database, plan_all, monkeypatch):
    def first_users_only(lists, users):
        lengths = np.diff(lists.indptr)
        kept = np.repeat(np.arange(lists.rows) < 30, lengths)
        lengths[30:] = 0
        return TopN(
            np.concatenate(([0], np.cumsum(lengths))), lists.indices[kept], lists.scores[kept]
        )

    with_ease(monkeypatch, first_users_only)
    with pytest.raises(GateRefused, match="ease serves 38% of the people who have rated"):
        refresh(refreshed_database, plan(plan_all.settings))
    rules = GateSettings(min_served=0.3, max_rows_drop=0.9, beat_popularity=False, no_fall=False)
    assert refresh(refreshed_database, plan(replace(plan_all.settings, gate=rules))).published


@pytest.mark.parametrize("force", [None, "for any reason"])
def test_scores_that_are_not_finite_fail_the_run_even_if_forced(
    refreshed_database, plan_all, monkeypatch, force
):
    def broken(lists, users):
        scores = lists.scores.copy()
        scores[3] = np.nan
        return replace(lists, scores=scores)

    with_ease(monkeypatch, broken)
    with pytest.raises(GateRefused, match="1 scores of ease are not finite"):
        refresh(refreshed_database, plan(plan_all.settings), force=force)
    assert [row[1] for row in rows_of(refreshed_database, RUNS)] == ["complete", "failed"]
    assert rows_of(refreshed_database, PUBLISHED) == [(1,)]


def test_a_disabled_gate_measures_nothing(refreshed_database, plan_all):
    settings = replace(plan_all.settings, neighbours=20, gate=GateSettings(enabled=False))
    report = refresh(refreshed_database, plan(settings))
    assert report.published
    assert rows_of(refreshed_database, FIGURES, run=2) == []


def test_an_unpublished_run_passes_no_gate(refreshed_database, plan_all):
    shorter = plan(replace(plan_all.settings, neighbours=20), publish=False)
    assert not refresh(refreshed_database, shorter).published
    assert rows_of(refreshed_database, RUNS) == [(1, "complete", None), (2, "complete", None)]


@pytest.mark.parametrize(
    ("now", "before", "fell"),
    [
        ((0.30, 0.28, 0.32), (0.32, 0.30, 0.34), False),
        ((0.30, 0.28, 0.32), (0.3282, 0.3082, 0.3482), False),
        ((0.30, 0.28, 0.32), (0.3284, 0.3084, 0.3484), True),
        ((0.35, 0.33, 0.37), (0.32, 0.30, 0.34), False),
        ((0.30, None, None), (0.31, 0.29, 0.33), True),
        ((0.31, None, None), (0.31, None, None), False),
    ],
)
def test_a_fall_exceeds_the_intervals(now, before, fell):
    metrics = [Metric("gate", "ndcg@10", v, 9, "all", low, high) for v, low, high in (now, before)]
    assert gate._worsened(*metrics) is fell


@pytest.mark.parametrize(
    ("now", "before", "rose"),
    [
        ((0.12, 0.11, 0.14), (0.10, 0.09, 0.11), False),
        ((0.12, 0.02, 0.13), (0.10, 0.02, 0.11), True),
        ((0.08, 0.07, 0.09), (0.10, 0.09, 0.11), False),
        ((0.12, None, None), (0.10, 0.09, 0.11), True),
    ],
)
def test_of_disliked_movies_a_rise_is_worse(now, before, rose):
    metrics = [
        Metric("gate", "disliked_share@10", v, 9, "all", low, high)
        for v, low, high in (now, before)
    ]
    assert gate._worsened(*metrics) is rose


def test_the_metrics_of_the_gate_are_all_of_lists():
    assert set(get_args(GateMetric)) == {f"{name}@{gate.K}" for name in RANKING_METRICS}


def test_another_metric_is_compared_in_its_direction(refreshed_database, plan_all, caplog):
    # Most ratings are low, by a hash that no model can learn.
    low = "SET rating = 1 WHERE hashint4(user_id * 1000 + movie_id) % 5 <> 0"
    execute(refreshed_database, f"UPDATE recsys_store.ratings {low}")
    rules = GateSettings(metric="disliked_share@10")
    chosen = plan(replace(plan_all.settings, gate=rules))
    # The published run was measured by another metric, so nothing can have fallen.
    execute(refreshed_database, WORSE)
    assert refresh(refreshed_database, chosen).published
    figures = rows_of(refreshed_database, FIGURES, run=2)
    assert [row[:3] for row in figures] == [
        ("ease", "disliked_share@10", "all"), ("most_rated", "disliked_share@10", "all"),
    ]  # fmt: skip
    better = (
        "UPDATE recsys_store.run_metrics SET value = value / 100, ci_low = 0, ci_high = value / 99 "
        "WHERE protocol = 'gate' AND metric = 'disliked_share@10'"
    )
    execute(refreshed_database, better)
    told = r"disliked_share@10 of ease rose from 0\.0\d{3} to [01]\.\d{4}, beyond their intervals"
    with pytest.raises(GateRefused, match=told):
        refresh(refreshed_database, chosen)


def test_outputs_without_scores_are_finite():
    gate.check_scores("none", ModelResults())


def test_the_baseline_of_the_gate_need_not_be_refreshed(filled_database):
    chosen = plan(RefreshSettings(models=("popular", "ease"), threads=1))
    assert refresh(filled_database, chosen).published
    with filled_database.transaction() as connection:
        figures = connection.scalars(
            sa.text("SELECT DISTINCT model FROM recsys.run_metrics WHERE protocol = 'gate'")
        )
        assert list(figures) == ["ease"]


def test_the_gate_measures_some_users_where_there_are_many(filled_database, monkeypatch):
    monkeypatch.setattr(gate, "MEASURED_USERS", 5)
    report = refresh(filled_database, plan(RefreshSettings(models=("most_rated", "ease"))))
    figures = {name: metric.n for name, metric in report.metrics if metric.protocol == "gate"}
    assert figures == {"ease": 5, "most_rated": 5}


@pytest.mark.parametrize(("model", "copied"), [("ease", False), ("collective_ease", True)])
def test_times_are_copied_only_for_a_model_that_needs_them(filled_database, model, copied):
    chosen = plan(
        RefreshSettings(models=("popular", "als", "collective_ease", "ease"), default_model=model)
    )
    with filled_database.snapshot() as connection:
        data = read_snapshot(connection, {"times"}).interactions
    assert data.rated_at is not None
    train = gate._held_out(chosen, OneShard(data))[1].train.whole
    assert train is not None
    assert (train.rated_at is not None) == copied


def test_a_model_of_sequences_is_measured_on_last_ratings(filled_database):
    chosen = plan(RefreshSettings(models=("most_rated", "next"), default_model="next", threads=1))
    assert refresh(filled_database, chosen).published
    assert refresh(filled_database, chosen).published
    figures = rows_of(
        filled_database,
        "SELECT run_id, model, protocol, n FROM recsys.run_metrics "
        "WHERE metric = 'ndcg@10' AND protocol LIKE 'gate%' ORDER BY 1, 2",
    )
    assert figures == [
        (run, model, "gate-last", 80) for run in (1, 2) for model in ("most_rated", "next")
    ]
