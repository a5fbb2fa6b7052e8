from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import pytest
import sqlalchemy as sa
from computing import compute
from store import entries

from recsys.config.settings import RefreshSettings
from recsys.domain import Chart, Charts, Factors, Metric, UserNeighbours
from recsys.errors import ConfigError, DataError, RefreshBusy, RunError
from recsys.jobs import plan as plan_job
from recsys.jobs.plan import plan
from recsys.jobs.refresh import refresh
from recsys.models.base import FitOptions, ModelSpec
from recsys.models.registry import DEFAULT_SET, MODELS, make_config
from recsys.numerics.scoring import rank_by_sum
from recsys.numerics.sparse import mean_ratings
from recsys.storage.snapshot.matrices import read_snapshot

HOLDING_STILL = """
import sys, time
from recsys.jobs import plan, refresh
from recsys.config.settings import RefreshSettings
from recsys.storage.server.engine import Database
def hold_still(*arguments, **named):
    print("here", flush=True)
    time.sleep(600)
{patch}
refresh.refresh(Database(sys.argv[1]), plan.plan(RefreshSettings(threads=1)))
"""
# With partitions half written, in open transactions; with all of them written and committed, before
# they are attached; in the transaction that attaches and publishes.
KILLED_WHEN = {
    "computing": "refresh.ResultStream.close = hold_still",
    "written": "refresh._finish = hold_still",
    "publishing": "refresh.publication.publish = hold_still",
}
LEFT_OVER = r"SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ '_run_\d+$' ORDER BY 1"


class During:
    """Do something in the middle of a stage."""

    def __init__(self, stage, action):
        self.stage, self.action = stage, action

    def begin(self, stage):
        if stage == self.stage:
            self.action()

    def advance(self, done, total): ...

    def end(self, note): ...


@dataclass(frozen=True, slots=True)
class NoConfig:
    pass


def model(name, fit, kind="personal", **more):
    return ModelSpec(
        name=name,
        display_name=name,
        family="tests",
        kind=kind,
        config=NoConfig,
        fit=fit,
        score_meaning="nothing",
        description="for a test",
        **more,
    )


@pytest.fixture
def with_model(monkeypatch):
    """Register a model for the length of a test."""

    def register(name, fit, kind="personal", **more):
        models = MappingProxyType({**MODELS, name: model(name, fit, kind, **more)})
        monkeypatch.setattr(plan_job, "MODELS", models)
        settings = RefreshSettings(models=("most_rated", "ease", name), threads=1)
        return plan(settings)

    return register


def rows_of(database, query):
    with database.transaction() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


def value(database, query):
    return rows_of(database, query)[0][0]


def snapshot_of(database):
    with database.snapshot() as connection:
        return read_snapshot(connection, {"times"})


def fit(database, chosen, name):
    spec = MODELS[name]
    interactions = snapshot_of(database).interactions
    options = FitOptions(k=100, seed=42, threads=1)
    return compute(spec, chosen.configs[name], interactions, options, 100)


# --- what is written ---


def test_every_model_has_its_rows(refreshed_database, plan_all):
    query = """
        SELECT d.name, count(*) FROM {} AS t JOIN recsys_store.models AS d
        USING (model_id) GROUP BY 1 ORDER BY 1
    """
    counted = {
        table: dict(rows_of(refreshed_database, query.format(entries(table))))
        for table in (
            "movie_similarities",
            "user_recommendations",
            "movie_charts",
            "user_factors",
            "movie_factors",
        )
    }
    expected = {table: {} for table in counted}
    for name in plan_all.configs:
        output = fit(refreshed_database, plan_all, name)
        if output.neighbours is not None:
            expected["movie_similarities"][name] = len(output.neighbours)
        if output.recommendations is not None:
            expected["user_recommendations"][name] = len(output.recommendations)
        if output.charts:
            expected["movie_charts"][name] = sum(len(chart.items) for chart in output.charts)
        if output.factors is not None:
            expected["user_factors"][name] = 80
        if output.factors is not None or output.baselines is not None:
            expected["movie_factors"][name] = 58
    assert counted == expected
    assert set().union(*counted.values()) == set(DEFAULT_SET)


@pytest.mark.parametrize("name", ["item_knn", "content_genres", "mf", "ease", "als"])
def test_stored_lists_are_what_the_model_returned(refreshed_database, plan_all, name):
    snapshot, output = snapshot_of(refreshed_database), fit(refreshed_database, plan_all, name)
    lists = [
        ("movie_similarities", "movie_id", "similar_movie_id", output.neighbours, snapshot.movies),
        ("user_recommendations", "user_id", "movie_id", output.recommendations, snapshot.users),
    ]
    for table, owner, listed, ranked, owners in lists:
        if ranked is None:
            continue
        stored = rows_of(
            refreshed_database,
            f"SELECT {owner}, rank, {listed}, score FROM {entries(table)} AS t "
            f"JOIN recsys_store.models USING (model_id) WHERE name = '{name}' ORDER BY 1, 2",
        )
        expected = [
            (
                int(owners.ids[row]),
                place + 1,
                int(snapshot.movies.ids[ranked.indices[start + place]]),
                float(ranked.scores[start + place]),
            )
            for row, (start, end) in enumerate(zip(ranked.indptr, ranked.indptr[1:], strict=False))
            for place in range(end - start)
        ]
        assert expected
        assert stored == expected


def test_weights_have_the_precision_of_their_model(refreshed_database):
    query = """
        SELECT name, bool_and(real_scores IS NOT NULL) FROM recsys_store.movie_similarities
        JOIN recsys_store.models USING (model_id) GROUP BY 1 ORDER BY 1
    """
    assert rows_of(refreshed_database, query) == [
        ("als", True),
        ("content_genres", False),
        ("ease", True),
        ("item_knn", False),
        ("mf", False),
    ]


@pytest.mark.parametrize("name", ["top_rated", "most_rated", "popular", "trending"])
def test_stored_charts_are_what_the_model_returned(refreshed_database, plan_all, name):
    snapshot, output = snapshot_of(refreshed_database), fit(refreshed_database, plan_all, name)
    expected = [
        (chart.genre, place + 1, int(snapshot.movies.ids[item]), score, votes, mean)
        for chart in sorted(output.charts, key=lambda chart: chart.genre or "")
        for place, (item, score, votes, mean) in enumerate(
            zip(
                chart.items,
                chart.scores.tolist(),
                chart.votes.tolist(),
                chart.means.tolist(),
                strict=True,
            )
        )
    ]
    assert expected
    assert (
        rows_of(
            refreshed_database,
            "SELECT genre, rank, movie_id, score, votes, mean_rating FROM recsys.charts "
            f"WHERE chart = '{name}' ORDER BY coalesce(genre, ''), rank",
        )
        == expected
    )


@pytest.mark.parametrize("name", ["als", "mf"])
def test_stored_factors_are_what_the_model_returned(refreshed_database, plan_all, name):
    snapshot, output = snapshot_of(refreshed_database), fit(refreshed_database, plan_all, name)
    factors = output.factors
    assert factors is not None
    sides = [
        ("user", snapshot.users.ids, factors.users, factors.user_bias),
        ("movie", snapshot.movies.ids, factors.items, factors.item_bias),
    ]
    for side, ids, matrix, given in sides:
        stored = rows_of(
            refreshed_database,
            f"SELECT {side}_id, factors, bias FROM recsys_store.{side}_factors "
            f"JOIN recsys_store.models USING (model_id) WHERE name = '{name}' ORDER BY 1",
        )
        known = matrix.any(axis=1)
        bias = np.zeros(len(ids)) if given is None else given
        assert [row[0] for row in stored] == ids[known].tolist()
        assert np.array_equal(np.array([row[1] for row in stored], np.float32), matrix[known])
        assert [row[2] for row in stored] == bias[known].tolist()


def test_unknown_users_and_movies_have_no_factors(refreshed_database, with_model):
    """With biases these mark known users, even if their factors are zero."""
    users, items = np.ones((81, 2), np.float32), np.zeros((60, 2), np.float32)
    user_bias, item_bias = np.arange(81.0), np.full(60, 0.5)
    user_bias[80] = item_bias[58:] = np.nan
    factors = Factors(users, items, user_bias, item_bias)
    refresh(refreshed_database, with_model("biased", lambda *_: factors))
    query = """
        SELECT {0}_id, factors, bias FROM recsys_store.{0}_factors
        JOIN recsys_store.models USING (model_id) WHERE name = 'biased' ORDER BY 1
    """
    assert rows_of(refreshed_database, query.format("user")) == [
        (user, [1, 1], user - 1) for user in range(1, 81)
    ]
    assert rows_of(refreshed_database, query.format("movie")) == [
        (movie, [0, 0], 0.5) for movie in range(1, 59)
    ]


def test_the_mean_of_an_unrated_movie_is_unknown(refreshed_database, with_model):
    def fit(*_):
        items, scores, votes = np.array([7, 59, 3], np.int32), [3.0, 2.0, 1.0], [9, 0, 4]
        means = np.array([4.5, np.nan, 2.0])
        charts = (
            Chart(genre, items, np.array(scores), np.array(votes), means)
            for genre in (None, "Drama")
        )
        return Charts(tuple(charts))

    refresh(refreshed_database, with_model("votes", fit, "chart"))
    found = rows_of(
        refreshed_database,
        "SELECT genre, rank, movie_id, score, votes, mean_rating FROM recsys.charts "
        "WHERE chart = 'votes' ORDER BY genre NULLS FIRST, rank",
    )
    assert found == [
        (genre, *row)
        for genre in (None, "Drama")
        for row in ((1, 8, 3.0, 9, 4.5), (2, 60, 2.0, 0, None), (3, 4, 1.0, 4, 2.0))
    ]


def test_similar_users_come_with_the_number_of_movies_both_have_rated(
    refreshed_database, with_model
):
    indptr = np.concatenate(([0, 2, 2, 3], np.full(78, 3)))
    scores, common = np.array([0.5, -0.25, 1.0]), np.array([7, 5, 1], np.int32)

    def fit(data, *_):
        indices, ratings = np.array([4, 2, 0], np.int32), data.user_items
        return UserNeighbours(indptr, indices, scores, common, mean_ratings(ratings), ratings)

    report = refresh(refreshed_database, with_model("near", fit))
    query = "SELECT * FROM recsys.similar_users({}, 10, 'near')"
    run_id = report.run_id
    assert rows_of(refreshed_database, query.format(1)) == [
        (1, 5, 0.5, 7, "near", run_id, "5"),
        (2, 3, -0.25, 5, "near", run_id, "3"),
    ]
    assert rows_of(refreshed_database, query.format(2)) == []
    assert rows_of(refreshed_database, query.format(3)) == [(1, 1, 1.0, 1, "near", run_id, "1")]


def test_metrics_of_a_fit_are_kept_and_reported(refreshed_database, with_model):
    metrics = (Metric("train", "rmse", 0.75, 1412), Metric("holdout 0.1", "mae", 0.5, 141))
    chosen = with_model("measured", lambda *_: Charts(), "chart", measure=lambda *_: metrics)
    report = refresh(refreshed_database, chosen)
    of_fits = [(name, metric) for name, metric in report.metrics if metric.protocol != "gate"]
    assert of_fits == [("measured", metric) for metric in metrics]
    query = (
        f"SELECT * FROM recsys.run_metrics WHERE run_id = {report.run_id} AND n > 100 ORDER BY n"
    )
    assert rows_of(refreshed_database, query) == [
        (report.run_id, "measured", "holdout 0.1", "mae", "all", 0.5, None, None, 141),
        (report.run_id, "measured", "train", "rmse", "all", 0.75, None, None, 1412),
    ]


def test_no_movie_the_user_has_rated_is_stored_for_the_user(refreshed_database):
    lists = f"{entries('user_recommendations')} AS t"
    rated = f"FROM {lists} JOIN recsys_store.ratings USING (user_id, movie_id)"
    assert value(refreshed_database, f"SELECT count(*) {rated}") == 0
    assert value(refreshed_database, f"SELECT count(*) FROM {lists}") > 5000


def test_a_run_is_recorded(refreshed_database, plan_all):
    with refreshed_database.transaction() as connection:
        run = connection.execute(sa.text("SELECT * FROM recsys.runs")).mappings().one()
    snapshot = snapshot_of(refreshed_database)
    expected = {
        "run_id": 1, "state": "complete", "published": True, "default_model": "ease", "seed": 42,
        "parameters": {**plan_all.parameters, "derived": {"als": {"regularization": 4.503}}},
        "ratings_count": 1412, "users_count": 81,
        "movies_count": 60, "snapshot_checksum": snapshot.checksum, "pruned_at": None,
        "error": None, "cold_start": "trending", "rating_model": "mf", "rating_min": 0.5,
        "rating_max": 5.0,
    }  # fmt: skip
    assert {key: run[key] for key in expected} == expected
    roles = ("default_model", "cold_start", "rating_model")
    assert [run["parameters"][role] for role in roles] == ["ease", "trending", "mf"]
    assert len(run["output_checksum"]) == 64
    assert run["peak_memory_mb"] > 0
    assert run["snapshot_at"] <= run["finished_at"]
    assert set(run["versions"]) == {
        "recsys", "numpy", "scipy", "scikit-learn", "implicit", "sparse-dot-topn", "python",
        "postgresql",
    }  # fmt: skip


def test_without_times_another_chart_serves_strangers(filled_database, plan_all):
    with filled_database.transaction() as connection:
        connection.execute(sa.text("UPDATE recsys_store.ratings SET rated_at = NULL"))
    refresh(filled_database, plan_all)
    assert rows_of(
        filled_database, "SELECT DISTINCT source, model FROM recsys.recommend(4711)"
    ) == [("chart", "popular")]


def test_stages_are_recorded_in_order(refreshed_database):
    stages = rows_of(
        refreshed_database,
        "SELECT position, stage, rows, seconds >= 0, peak_memory_mb > 0 FROM recsys.run_stages "
        "WHERE run_id = 1 ORDER BY position",
    )
    names = ["read", *DEFAULT_SET, "gate", "write"]
    assert [stage[:2] for stage in stages] == list(enumerate(names, 1))
    assert stages[0][2] == 1412
    written = sum(
        value(refreshed_database, f"SELECT count(*) FROM recsys_store.{table}")
        for table in (
            "movie_similarities",
            "user_recommendations",
            "movie_charts",
            "user_factors",
            "movie_factors",
            "run_users",
        )
    )
    assert stages[-1][2] == written
    assert all(stage[2] > 0 and stage[3:] == (True, True) for stage in stages)


def test_models_are_described(refreshed_database):
    described = rows_of(refreshed_database, "SELECT * FROM recsys.models ORDER BY model")
    assert described == sorted(
        (
            *(spec.name, spec.kind, spec.score_meaning, spec.description, spec.prediction),
            *(spec.family, spec.display_name, None, None),
            *(spec.roles.get(role) for role in ("cold_start", "popularity", "top")),
        )
        for spec in MODELS.values()
        if spec.name in DEFAULT_SET
    )


def test_lengths_are_those_of_the_settings(filled_database):
    refresh(filled_database, plan(RefreshSettings(neighbours=3, list_length=4, threads=1)))
    # How many weights ease keeps is a parameter of its own.
    longest = [
        value(filled_database, "SELECT max(rank) FROM recsys.similar_movies WHERE model <> 'ease'"),
        value(filled_database, "SELECT max(rank) FROM recsys.recommendations"),
    ]
    assert longest == [3, 4]


def test_the_same_data_and_seed_give_the_same_output(make_database, filled_template, plan_all):
    checksums = set()
    for _ in range(2):
        database = make_database(filled_template)
        refresh(database, plan_all)
        refresh(database, plan_all)
        checksums |= set(rows_of(database, "SELECT output_checksum FROM recsys.runs"))
    assert len(checksums) == 1


def test_another_seed_gives_another_output(filled_database, plan_all):
    for seed in (1, 2):
        refresh(filled_database, replace(plan_all, settings=replace(plan_all.settings, seed=seed)))
    assert value(filled_database, "SELECT count(DISTINCT output_checksum) FROM recsys.runs") == 2


def test_an_empty_database_has_nothing_to_learn_from(empty_database, plan_all):
    with pytest.raises(DataError, match="there are no ratings"):
        refresh(empty_database, plan_all)
    assert rows_of(empty_database, "SELECT * FROM recsys.runs") == []


# --- the plan ---


@pytest.mark.parametrize(
    ("settings", "models", "message"),
    [
        (RefreshSettings(), ["nonsense"], "unknown model 'nonsense'"),
        (RefreshSettings(parameters={"nonsense": {}}), None, "unknown model 'nonsense'"),
        (RefreshSettings(parameters={"als": {"depth": 1}}), None, "unknown key 'depth'"),
        (RefreshSettings(parameters={"als": {"factors": "x"}}), None, "has the wrong type"),
    ],
)
def test_invalid_plans_are_refused(settings, models, message):
    with pytest.raises(ConfigError, match=message) as caught:
        plan(settings, models)
    assert caught.value.hint


def test_a_choice_of_models_is_not_published(refreshed_database):
    chosen = plan(RefreshSettings(threads=1), ["ease", "top_rated", "ease"])
    assert [spec.name for spec in chosen.specs] == ["top_rated", "ease"]
    report = refresh(refreshed_database, chosen)
    assert (report.published, report.changed) == (False, True)
    assert rows_of(
        refreshed_database, "SELECT state, published FROM recsys.runs ORDER BY run_id"
    ) == [
        ("complete", True),
        ("complete", False),
    ]
    assert rows_of(refreshed_database, "SELECT run_id FROM recsys.publications") == [(1,)]
    tables = ("movie_charts", "movie_similarities", "run_users", "user_recommendations")
    partitions = [row[0] for row in rows_of(refreshed_database, LEFT_OVER)]
    assert [name for name in partitions if name.endswith(f"_run_{report.run_id}")] == [
        f"{table}_run_{report.run_id}" for table in tables
    ]


def test_a_refresh_need_not_publish(filled_database):
    report = refresh(filled_database, plan(RefreshSettings(threads=1), publish=False))
    assert not report.published
    assert rows_of(filled_database, "SELECT * FROM recsys.publications") == []
    assert rows_of(filled_database, "SELECT * FROM recsys.recommendations") == []


# --- if changed ---


def test_unchanged_input_makes_no_run(refreshed_database, plan_all):
    report = refresh(refreshed_database, plan_all, if_changed=True)
    assert (report.run_id, report.published, report.changed, report.rows) == (1, True, False, 0)
    assert rows_of(refreshed_database, "SELECT run_id FROM recsys.runs") == [(1,)]


def test_one_more_rating_makes_a_run(refreshed_database, plan_all):
    with refreshed_database.transaction() as connection:
        connection.execute(sa.text("INSERT INTO recsys_store.ratings VALUES (1, 60, 5, now())"))
    report = refresh(refreshed_database, plan_all, if_changed=True)
    assert report.changed
    assert report.run_id != 1
    assert value(refreshed_database, "SELECT run_id FROM recsys_store.published") == report.run_id


@pytest.mark.parametrize(
    "change", ["seed", "parameters", "list_length", "cold_start", "rating_model"]
)
def test_other_parameters_make_a_run(refreshed_database, plan_all, change):
    changed = {
        "seed": {"seed": 7},
        "parameters": {"parameters": {"als": {"factors": 4, "iterations": 3}}},
        "list_length": {"list_length": 5},
        "cold_start": {"cold_start": "popular"},
        "rating_model": {"rating_model": "item_knn"},
    }[change]
    other = plan(replace(plan_all.settings, **changed))
    assert refresh(refreshed_database, other, if_changed=True, force="other lengths").changed


# --- failures ---


def test_a_model_that_fails_publishes_nothing(refreshed_database, with_model, contents):
    def rain(*_):
        raise ValueError("it rained")

    before = contents(refreshed_database)
    chosen = with_model("rain", rain)
    with pytest.raises(RunError) as caught:
        refresh(refreshed_database, chosen)
    assert str(caught.value) == "model rain failed: ValueError: it rained"
    assert isinstance(caught.value.__cause__, ValueError)
    after = contents(refreshed_database)
    for table in ("recsys_store.runs", "recsys_store.models", "recsys_store.run_stages"):
        del before[table], after[table]
    assert after == before
    assert rows_of(
        refreshed_database,
        "SELECT stage FROM recsys.run_stages WHERE run_id > 1 ORDER BY position",
    ) == [("read",), ("most_rated",), ("ease",)]
    assert rows_of(
        refreshed_database, "SELECT state, error, published FROM recsys.runs ORDER BY run_id"
    ) == [
        ("complete", None, True),
        ("failed", "model rain failed: ValueError: it rained", False),
    ]


@pytest.mark.parametrize("score", [np.nan, np.inf])
def test_a_score_that_is_not_finite_is_never_stored(refreshed_database, with_model, score):
    def fit(interactions, _, options):
        return MODELS["ease"].fit(interactions, make_config(MODELS["ease"], {}), options)

    def rank(fitted, users, n, limits):
        lists = rank_by_sum(fitted, users, n, limits)
        lists.scores[-1] = score
        return lists

    with pytest.raises(Exception, match="finite"):
        refresh(refreshed_database, with_model("wild", fit, rank=rank))
    assert rows_of(refreshed_database, "SELECT state FROM recsys.runs ORDER BY run_id") == [
        ("complete",),
        ("failed",),
    ]
    assert {row[0].rpartition("_")[2] for row in rows_of(refreshed_database, LEFT_OVER)} == {"1"}


def test_ctrl_c_marks_the_run_as_failed(refreshed_database, with_model):
    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        refresh(refreshed_database, with_model("interrupt", interrupt))
    assert rows_of(refreshed_database, "SELECT state, error FROM recsys.runs ORDER BY run_id") == [
        ("complete", None),
        ("failed", "it was stopped by a signal"),
    ]


def test_after_a_failure_the_next_refresh_goes_through(refreshed_database, with_model, plan_all):
    def rain(*_):
        raise ValueError("it rained")

    with pytest.raises(RunError):
        refresh(refreshed_database, with_model("rain", rain))
    report = refresh(refreshed_database, plan_all)
    assert value(refreshed_database, "SELECT run_id FROM recsys_store.published") == report.run_id


# --- two at once, killed half-way ---


@pytest.mark.parametrize("stage", ["read", "ease", "write"])
def test_of_two_refreshes_at_once_one_wins(filled_database, plan_all, stage):
    refused: list[RefreshBusy] = []

    def another():
        with pytest.raises(RefreshBusy) as caught:
            refresh(filled_database, plan_all)
        refused.append(caught.value)

    report = refresh(filled_database, plan_all, reporter=During(stage, another))
    named = "it has just begun" if stage == "read" else f"run {report.run_id} by "
    assert [str(error).startswith(f"another refresh is running: {named}") for error in refused] == [
        True
    ]
    assert rows_of(filled_database, "SELECT run_id, state FROM recsys.runs") == [
        (report.run_id, "complete")
    ]


def test_concurrent_ratings_are_kept_and_not_in_the_run(filled_database, plan_all):
    def rate():
        with filled_database.transaction() as connection:
            connection.execute(sa.text("INSERT INTO recsys_store.ratings VALUES (1, 60, 5, now())"))

    refresh(filled_database, plan_all, reporter=During("top_rated", rate))
    assert value(filled_database, "SELECT ratings_count FROM recsys.runs") == 1412
    assert value(filled_database, "SELECT count(*) FROM recsys.ratings") == 1413


@pytest.mark.parametrize(
    "when",
    [
        pytest.param(when, marks=[] if when == "publishing" else pytest.mark.slow)
        for when in KILLED_WHEN
    ],
)
def test_a_killed_refresh_is_cleared_up_by_the_next(
    refreshed_database, plan_all, when, start_other, wait_until_alone
):
    published = "SELECT * FROM recsys.recommend(1, 20)"
    before = rows_of(refreshed_database, published)
    killed = start_other(HOLDING_STILL.format(patch=KILLED_WHEN[when]), refreshed_database.url)
    if when != "publishing":
        with pytest.raises(RefreshBusy):
            refresh(refreshed_database, plan_all)
    killed.kill()
    wait_until_alone(refreshed_database)
    assert rows_of(refreshed_database, published) == before
    runs = rows_of(
        refreshed_database, "SELECT run_id, state, published FROM recsys.runs ORDER BY 1"
    )
    orphan = runs[1][0]
    assert runs == [(1, "complete", True), (orphan, "running", False)]
    partitions = [row[0] for row in rows_of(refreshed_database, LEFT_OVER)]
    assert any(name.endswith(f"_run_{orphan}") for name in partitions) == (when != "computing")
    report = refresh(refreshed_database, plan_all)
    assert rows_of(
        refreshed_database, "SELECT run_id, state, published, error FROM recsys.runs ORDER BY 1"
    ) == [
        (1, "complete", False, None),
        (orphan, "failed", False, "its process ended without finishing the run"),
        (report.run_id, "complete", True, None),
    ]
    numbers = {row[0].rpartition("_")[2] for row in rows_of(refreshed_database, LEFT_OVER)}
    assert numbers == {"1", str(report.run_id)}
    assert value(
        refreshed_database, "SELECT output_checksum FROM recsys.runs WHERE run_id = 1"
    ) == (
        value(
            refreshed_database,
            f"SELECT output_checksum FROM recsys.runs WHERE run_id = {report.run_id}",
        )
    )


def test_retention_limits_the_runs_with_results(filled_database, plan_all):
    chosen = replace(plan_all, settings=replace(plan_all.settings, keep_runs=2))
    numbers = [refresh(filled_database, chosen).run_id for _ in range(4)]
    assert rows_of(
        filled_database, "SELECT run_id, pruned_at IS NOT NULL FROM recsys.runs ORDER BY 1"
    ) == list(zip(numbers, [True, True, False, False], strict=True))
    kept = {row[0].rpartition("_")[2] for row in rows_of(filled_database, LEFT_OVER)}
    assert kept == set(map(str, numbers[2:]))
