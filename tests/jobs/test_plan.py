"""The plan of a refresh: models, parameters, roles, and errors before any data is read."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from recsys.config.file import ConfigFile
from recsys.config.settings import RefreshSettings, read_refresh
from recsys.errors import ConfigError
from recsys.jobs.plan import Plan, plan
from recsys.models.registry import MODELS, candidates

LISTS = "top_rated, most_rated, popular, trending, exploratory, random, pearson_average, item_knn"
BAD = {
    "unknown model": (
        '[refresh]\nmodels = ["popular",\n"eese"]',
        "line 2: unknown model 'eese'",
        "models: top_rated, most_rated,",
    ),
    "unknown model's table": (
        "[refresh]\n\n[models.eese]\nweights = 3",
        "line 3: unknown model 'eese'",
        "models: top_rated, most_rated,",
    ),
    "unknown parameter": (
        "[models.als]\nfactors = 16\nalfa = 3",
        "line 3: model als: unknown key 'alfa'",
        "allowed keys: grades, grade_effect, factors, regularization, alpha, iterations",
    ),
    "wrong type": (
        '[models.als]\nfactors = "16"',
        "line 2: model als: factors = '16' has the wrong type",
        "factors must be a whole number from 1 to 1024",
    ),
    "impossible value": (
        "[models]\nease.weights = 0",
        "line 2: model ease: weights = 0 is out of range",
        "weights must be a whole number from 1 to 10000",
    ),
    "impossible word": (
        '[models.item_knn]\nsimilarity = "dice"',
        "line 2: model item_knn: similarity = 'dice' is not known",
        "similarity must be one of: ",
    ),
    "of a model that is not refreshed": (
        "[models.bpr]\nfactors = 0",
        "line 2: model bpr: factors = 0 is out of range",
        "factors must be a whole number from 1 to 1024",
    ),
    "a chain with an unknown model": (
        '[models.hybrid_mixed]\nchain = ["ease", "eese"]',
        "line 1: model hybrid_mixed cannot be composed of 'eese'",
        f"possible parts: {LISTS}",
    ),
    "a blend with predicted lists": (
        '[models.blend]\nmodels = ["ease", "user_knn"]',
        "line 1: model blend cannot be composed of 'user_knn'",
        "possible parts: top_rated, most_rated, popular, trending, exploratory, random, item_knn, ",
    ),
    "a sum with factors": (
        '[models.next]\nmodels = ["ease", "als"]\nweights = [1, 1]',
        "line 1: model next cannot be composed of 'als'",
        "possible parts: item_knn, ease, collective_ease, slist, slist_newest",
    ),
    "a blend of itself": (
        '[models.blend]\nmodels = ["ease", "blend"]',
        "line 1: model blend cannot be composed of 'blend'",
        "possible parts: top_rated, most_rated,",
    ),
    "default that is a chart": (
        '[refresh]\ndefault_model = "popular"',
        "line 2: default_model = 'popular' does not produce personal recommendations",
        "refreshed models that fit: item_knn, content_genres, mf, ease, als",
    ),
    "default that is not refreshed": (
        '[refresh]\nmodels = ["popular", "als"]',
        "line 2: default_model = 'ease' is not refreshed",
        "refreshed models that fit: als",
    ),
    "cold start that is no chart": (
        '[refresh]\ncold_start = "ease"',
        "line 2: cold_start = 'ease' is not a chart",
        "refreshed models that fit: top_rated, most_rated, popular, trending",
    ),
    "no chart at all": (
        '[refresh]\nmodels = ["ease"]',
        "line 2: no refreshed model is a chart",
        "add a model that is a chart to [refresh] models",
    ),
    "prediction by a model that makes none": (
        '[refresh]\nrating_model = "ease"',
        "line 2: rating_model = 'ease' does not predict ratings",
        "refreshed models that fit: item_knn, mf",
    ),
}


@pytest.fixture
def configured(tmp_path) -> Callable[..., Plan]:
    def read(text: str, *models: str) -> Plan:
        path = tmp_path / "recsys.toml"
        path.write_text(text, encoding="utf-8")
        return plan(read_refresh(ConfigFile.read(path)), models or None)

    return read


def names(chosen: Plan) -> list[str]:
    return [spec.name for spec in chosen.specs]


@pytest.mark.parametrize("what", BAD)
def test_invalid_settings_are_refused_with_their_line(configured, tmp_path, what):
    text, message, hint = BAD[what]
    with pytest.raises(ConfigError) as caught:
        configured(text)
    assert str(caught.value) == f"{tmp_path / 'recsys.toml'} {message}"
    assert caught.value.hint is not None
    assert caught.value.hint.startswith(hint)


def test_the_default_set(configured):
    chosen = configured("")
    assert names(chosen) == [
        "top_rated", "most_rated", "popular", "trending", "item_knn", "content_genres", "mf",
        "ease", "als",
    ]  # fmt: skip
    assert (chosen.rating_model, chosen.cold_start) == ("mf", "trending")
    assert chosen.publish


def test_all_models_at_once(configured):
    listed = ", ".join(f'"{name}"' for name in reversed(MODELS))
    chosen = configured(f"[refresh]\nmodels = [{listed}]")
    assert names(chosen) == list(MODELS)
    assert chosen.rating_model == "bayes_fm"


def test_parts_of_a_model_are_computed_too(configured):
    chosen = configured('[models.hybrid_mixed]\nchain = ["blend", "popular"]', "hybrid_mixed")
    assert names(chosen) == ["popular", "ease", "als", "blend", "hybrid_mixed"]
    assert chosen.parameters["models"]["hybrid_mixed"] == {"chain": ["blend", "popular"]}
    assert not chosen.publish


def test_a_model_is_not_made_of_itself_nor_of_later_ones(configured):
    for part in ("hybrid_switching", "hybrid_mixed"):
        with pytest.raises(ConfigError, match="hybrid_switching"):
            configured(
                f'[models.hybrid_switching]\nchain = ["ease", "{part}"]\nmin_ratings = [1, 0]'
            )


def test_parameters_are_recorded_whole(configured):
    parameters = configured(
        '[refresh]\nrating_model = "item_knn"\n[models.als]\nalpha = 3'
    ).parameters
    assert parameters["models"]["als"] == {
        "grades": "relative",
        "grade_effect": 0.2,
        "factors": 64,
        "regularization": 0.0,
        "alpha": 3.0,
        "iterations": 15,
    }
    del parameters["models"]
    terms = parameters.pop("terms")
    assert list(terms) == ["item_knn", "content_genres", "mf", "ease", "als"]
    relative = {"factor": 1.0, "grades": "relative", "effect": 0.2, "recency": 1.0, "window": 0}
    assert terms["ease"] == [{"model": "ease", **relative}]
    assert terms["mf"] == [{"model": "mf", **relative, "grades": "none", "effect": 0.0}]
    assert parameters == {
        "neighbours": 100,
        "list_length": 100,
        "default_model": "ease",
        "cold_start": "trending",
        "rating_model": "item_knn",
        "live_model": "ease",
    }


def test_terms_of_a_sum_follow_its_parts(configured):
    chosen = configured('[models.slist]\nwindow = 5\n[models.ease]\ngrades = "none"', "next")
    slist, newest, ease = chosen.parameters["terms"]["next"]
    relative = {"effect": 0.2, "grades": "watched"}
    assert slist == {"model": "slist", "factor": 1.0, "recency": 0.9, "window": 5, **relative}
    assert newest["factor"], newest["window"] == (0.75, 6)
    assert ease == {
        "model": "ease", "factor": 0.13, "grades": "none", "effect": 0.2, "recency": 0.95,
        "window": 100,
    }  # fmt: skip


def test_a_model_whose_package_is_missing_is_refused(configured, monkeypatch):
    monkeypatch.setattr("recsys.jobs.plan.find_spec", lambda package: None)
    with pytest.raises(ConfigError, match="bayes_fm needs the package myfm") as caught:
        configured("", "bayes_fm")
    assert caught.value.hint == "pip install 'recsys[bayes]', or leave the model out"
    assert configured("").publish


def test_the_preferred_chart_serves_new_users(configured):
    assert configured('[refresh]\nmodels = ["most_rated", "trending", "ease"]').cold_start == (
        "trending"
    )
    assert configured('[refresh]\ncold_start = "popular"').cold_start == "popular"
    charts = sorted(spec.name for spec in MODELS.values() if spec.kind == "chart")
    assert sorted(candidates("cold_start")) == charts


def test_without_a_file_no_line_is_named():
    with pytest.raises(ConfigError) as caught:
        plan(RefreshSettings(parameters={"als": {"factors": 0}}))
    assert str(caught.value) == "model als: factors = 0 is out of range"
