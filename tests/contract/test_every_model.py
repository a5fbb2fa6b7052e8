"""Every model by name: stored results equal computed ones and can be queried."""

from __future__ import annotations

import numpy as np
import pytest
import sqlalchemy as sa
from store import entries

from recsys.jobs.training import ModelResults, fit_options, results_of, training_steps
from recsys.models.base import ModelSpec
from recsys.models.registry import MODELS, candidates
from recsys.numerics.prediction import predict_ratings
from recsys.storage.snapshot.matrices import Snapshot, read_snapshot

MODEL_ROWS = "SELECT model, kind, score_meaning, description, prediction FROM recsys.models"
LISTS = """
SELECT user_id, movie_id, score, source_model FROM recsys.recommendations
WHERE model = :model ORDER BY user_id, rank
"""
SIMILARITIES = """
SELECT movie_id, similar_movie_id, score FROM recsys.similar_movies
WHERE model = :model ORDER BY movie_id, rank
"""
CHARTS = """
SELECT genre, rank, movie_id, score, votes, mean_rating FROM recsys.charts
WHERE chart = :model ORDER BY genre COLLATE "C" NULLS FIRST, rank
"""
NEIGHBOURS = f"""
SELECT s.user_id, s.similar_user_id, s.score, s.common_ratings
FROM {entries("user_similarities")} AS s JOIN recsys_store.models AS m USING (model_id)
WHERE m.name = :model ORDER BY s.user_id, s.rank
"""
PREDICT = """
SELECT recsys.predict_rating(user_id, movie_id, :model)
FROM unnest(CAST(:users AS int[]), CAST(:movies AS int[]))
    WITH ORDINALITY AS p (user_id, movie_id, place)
ORDER BY p.place
"""


@pytest.fixture(scope="session")
def computed(plan_everything) -> dict[str, ModelResults]:
    """Filled by `outputs`, once for all tests."""
    return {}


@pytest.fixture
def snapshot(everything) -> Snapshot:
    return read_snapshot(everything, {"times", "texts", "votes", "attributes"})


@pytest.fixture
def outputs(snapshot, plan_everything, computed) -> dict[str, ModelResults]:
    """The results of the models for the ratings in the database."""
    settings, data = plan_everything.settings, snapshot.interactions
    options, n = fit_options(settings), settings.list_length
    specs = plan_everything.specs if not computed else ()
    for step in training_steps(specs, plan_everything.configs, data, options):
        model = step.fit()
        computed[step.spec.name] = results_of(model, step.spec, step.config, data, options, n)
    return computed


@pytest.fixture(params=list(MODELS.values()), ids=list(MODELS))
def spec(request) -> ModelSpec:
    return request.param


def rows(connection, query, **values):
    return [tuple(row) for row in connection.execute(sa.text(query), values)]


def test_the_models_describe_themselves(everything):
    assert sorted(rows(everything, MODEL_ROWS)) == sorted(
        (s.name, s.kind, s.score_meaning, s.description, s.prediction) for s in MODELS.values()
    )


def test_personal_lists_are_those_computed(everything, snapshot, outputs, spec):
    found = rows(everything, LISTS, model=spec.name)
    lists = outputs[spec.name].recommendations
    if lists is None:
        assert found == []
        return
    owners = np.repeat(snapshot.users.ids, np.diff(lists.indptr))
    names = [spec.name] * len(lists)
    if lists.sources is not None:
        names = [lists.source_names[source] for source in lists.sources]
        assert len(set(names)) > 1
    movies = snapshot.movies.ids[lists.indices]
    assert found == list(
        zip(owners.tolist(), movies.tolist(), lists.scores.tolist(), names, strict=True)
    )
    assert len(found) > 0


def test_similar_movies_are_those_computed(everything, snapshot, outputs, spec):
    found = rows(everything, SIMILARITIES, model=spec.name)
    lists = outputs[spec.name].neighbours
    if lists is None:
        assert found == []
        return
    owners = np.repeat(snapshot.movies.ids, np.diff(lists.indptr))
    movies = snapshot.movies.ids[lists.indices]
    assert found == list(zip(owners.tolist(), movies.tolist(), lists.scores.tolist(), strict=True))
    assert len(found) > 0


def test_charts_are_those_computed(everything, snapshot, outputs, spec):
    found = rows(everything, CHARTS, model=spec.name)
    wanted = [
        (
            chart.genre,
            rank,
            int(snapshot.movies.ids[item]),
            score,
            votes,
            None if np.isnan(mean) else mean,
        )
        for chart in outputs[spec.name].charts
        for rank, (item, score, votes, mean) in enumerate(
            zip(
                chart.items,
                chart.scores.tolist(),
                chart.votes.tolist(),
                chart.means.tolist(),
                strict=True,
            ),
            1,
        )
    ]
    assert found == wanted
    assert (len(found) > 0) == (spec.kind == "chart")


def test_similar_users_are_those_computed(everything, snapshot, outputs, spec):
    found = rows(everything, NEIGHBOURS, model=spec.name)
    lists = outputs[spec.name].user_neighbours
    assert (lists is not None) == (spec.prediction == "user_neighbours")
    if lists is None:
        assert found == []
        return
    owners = np.repeat(snapshot.users.ids, np.diff(lists.indptr)).tolist()
    others = snapshot.users.ids[lists.indices].tolist()
    scores, common = lists.scores.tolist(), lists.common.tolist()
    assert found == list(zip(owners, others, scores, common, strict=True))
    assert len(found) > 0


@pytest.mark.parametrize("name", candidates("rating"))
def test_ratings_predicted_in_sql_are_those_of_the_formula(everything, snapshot, outputs, name):
    random = np.random.default_rng(1)
    users = random.integers(0, len(snapshot.users), 400)
    movies = random.integers(0, len(snapshot.movies), 400)
    wanted = predict_ratings(snapshot.interactions, outputs[name].fitted, users, movies)
    values = {
        "model": name,
        "users": snapshot.users.ids[users].tolist(),
        "movies": snapshot.movies.ids[movies].tolist(),
    }
    found = [row[0] for row in rows(everything, PREDICT, **values)]
    assert [value is None for value in found] == np.isnan(wanted).tolist()
    as_numbers = np.array([np.nan if value is None else value for value in found])
    np.testing.assert_allclose(as_numbers, wanted, rtol=1e-12)
    known = as_numbers[~np.isnan(as_numbers)]
    assert len(known) > 200
    assert known.min() >= 0.5
    assert known.max() <= 5.0


def test_every_predictor_is_among_the_best():
    assert sorted(candidates("rating")) == sorted(s.name for s in MODELS.values() if s.prediction)


def test_metrics_of_fits_are_kept_with_the_run(everything, outputs):
    query = """
        SELECT model, protocol, metric, segment, value, n FROM recsys.run_metrics
        WHERE protocol <> 'gate'
    """
    wanted = [
        (name, metric.protocol, metric.name, "all", metric.value, metric.n)
        for name, output in outputs.items()
        for metric in output.metrics
    ]
    assert sorted(rows(everything, query)) == sorted(wanted)
    assert {name for name, *_ in wanted} >= {"mf", "bayes_fm"}


def test_the_run_names_its_roles_and_scale(everything):
    query = (
        "SELECT default_model, cold_start, rating_model, rating_min, rating_max FROM recsys.runs"
    )
    assert rows(everything, query) == [("ease", "trending", "bayes_fm", 0.5, 5.0)]


def test_a_model_is_selected_by_name(everything, spec):
    # User 81 has rated nothing.
    recommend = "SELECT count(*), max(source) FROM recsys.recommend(:user, 5, :model)"
    similar = "SELECT movie_id FROM recsys.similar(1, 5, :model) ORDER BY rank"
    top = "SELECT count(*) FROM recsys.top_movies(5, NULL, :model)"
    user = 81 if spec.kind == "chart" else 1
    assert rows(everything, recommend, user=user, model=spec.name) == [(5, "stored")]
    if spec.kind == "chart":
        assert rows(everything, top, model=spec.name) == [(5,)]
    near = [
        (other,)
        for movie, other, score in rows(everything, SIMILARITIES, model=spec.name)
        if movie == 1 and score > 0
    ]
    assert rows(everything, similar, model=spec.name) == near[:5]
