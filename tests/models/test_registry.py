"""Valid declarations of models, and models of other packages."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint

import pytest

from recsys.errors import ConfigError
from recsys.models.base import ModelSpec
from recsys.models.registry import BUILT_IN, DEFAULT_SET, MODELS, by_name, candidates, load


@dataclass(frozen=True, slots=True)
class NoConfig:
    pass


def spec(**claims) -> ModelSpec:
    given = {
        "name": "mine",
        "display_name": "Mine",
        "family": "tests",
        "kind": "personal",
        "config": NoConfig,
        "fit": lambda *_: None,
        "score_meaning": "nothing",
        "description": "for a test",
    }
    return ModelSpec(**(given | claims))


@pytest.mark.parametrize(
    ("claims", "problem"),
    [
        ({"name": "Mine"}, "its name must be made of small letters"),
        ({"name": "my-model"}, "its name must be made of small letters"),
        ({"kind": "chart", "scoring": "sum"}, "only a personal model has a scoring"),
        ({"scoring": "product"}, "unknown scoring 'product', known: sum, mean_product,"),
        ({"labels": ((0.0, "good"), (3.0, "great"), (-math.inf, "bad"))}, "bounds of labels"),
        ({"labels": ((3.0, "great"), (0.0, "good"))}, "bounds of labels"),
        ({"personal_start": True}, "only a chart has a personal start"),
        ({"roles": {"best": 1}}, "unknown role 'best', known: default, cold_start, rating,"),
        ({"roles": {"cold_start": 1}}, "role cold_start takes a chart"),
        ({"roles": {"top": 1}}, "role top takes a chart"),
        ({"roles": {"popularity": 1}}, "role popularity takes a chart"),
        ({"kind": "chart", "roles": {"default": 1}}, "role default takes a personal model"),
        ({"roles": {"rating": 1}}, "role rating takes a model with a prediction"),
        ({"scoring": "factors", "roles": {"live": 1}}, "role live takes scoring sum or mean_"),
        ({"scoring": "sum", "roles": {"content": 1}}, "role content takes scoring profile"),
        ({"roles": {"default": 40_000}}, "role default has order 40000, which does"),
    ],
)
def test_a_claim_that_a_model_cannot_fulfil_is_refused(claims, problem):
    with pytest.raises(ConfigError) as caught:
        spec(**claims)
    assert str(caught.value).startswith(f"model {claims.get('name', 'mine')!r}: {problem}")


def test_two_models_do_not_share_a_name():
    with pytest.raises(ConfigError, match="two models are named 'mine'"):
        by_name([spec(), spec(display_name="Other")])


def test_models_keep_the_order_they_are_given_in():
    assert list(by_name([spec(name="b"), spec(name="a")])) == ["b", "a"]
    assert list(MODELS)[: len(BUILT_IN)] == [module.SPEC.name for module in BUILT_IN]


def test_the_candidates_for_a_role_are_ordered_by_preference():
    assert candidates("default") == ("ease",)
    assert candidates("cold_start") == (
        "trending", "popular", "most_rated", "top_rated", "exploratory", "random",
    )  # fmt: skip
    assert candidates("rating") == ("bayes_fm", "neural_dot", "mf", "item_knn", "user_knn", "svd")
    assert candidates("live") == (
        "collective_ease", "ease", "item_knn", "slist", "slist_newest", "next",
    )  # fmt: skip
    assert candidates("content") == ("content", "content_genres", "content_text")
    assert candidates("similar") == (
        "ease", "collective_ease", "item_knn", "als", "collective_als", "bpr", "content",
        "content_text", "content_genres",
    )  # fmt: skip
    assert candidates("similar_users") == ("user_knn",)
    assert candidates("popularity") == ("most_rated",)
    assert candidates("top") == ("top_rated", "trending")


def test_the_default_set():
    assert DEFAULT_SET == (
        "top_rated", "most_rated", "popular", "trending", "item_knn", "content_genres", "mf",
        "ease", "als",
    )  # fmt: skip


def test_models_that_may_be_blended_are_those_scored_by_one_product_and_charts():
    allowed = MODELS["blend"].part_scorings
    assert {name for name, other in MODELS.items() if (other.scoring or other.kind) in allowed} == {
        "top_rated", "most_rated", "popular", "trending", "exploratory", "random",
        "item_knn", "svd", "mf", "bayes_fm", "ease", "als", "bpr", "collective_ease",
        "collective_als", "slist", "slist_newest", "neural_dot", "youtube_dnn", "sasrec", "next",
    }  # fmt: skip


def test_an_entry_point_gives_its_model():
    entry = EntryPoint("ease", "recsys.models.linear.ease:SPEC", "recsys.models")
    assert load(entry) is MODELS["ease"]
    assert replace(load(entry), name="other").name == "other"


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("no_such_module:SPEC", "cannot be loaded: ModuleNotFoundError: No module named"),
        ("recsys.models.linear.ease:NONE", "cannot be loaded: AttributeError: "),
        ("recsys.models.linear.ease:fit", "is a function, not a ModelSpec"),
    ],
)
def test_a_broken_entry_point_is_named(value, problem):
    with pytest.raises(ConfigError) as caught:
        load(EntryPoint("mine", value, "recsys.models"))
    assert str(caught.value).startswith(f"entry point mine = {value} of a package {problem}")
    assert caught.value.hint == "mend the package, or uninstall it"
