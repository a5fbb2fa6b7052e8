"""What a config refuses, and how it says so."""

from __future__ import annotations

from typing import Any

import pytest

from recsys.errors import ConfigError
from recsys.models.registry import MODELS, FitOptions, make_config

SIMILARITIES = "pearson, cosine, adjusted_cosine, jaccard"


def test_nothing_given_is_the_defaults() -> None:
    for spec in MODELS.values():
        assert make_config(spec, {}) == spec.config()


def test_values_arrive() -> None:
    config = make_config(MODELS["ease"], {"regularization": 50, "weights": 7})
    assert (config.regularization, config.weights, config.max_items) == (50.0, 7, 20_000)
    assert isinstance(config.regularization, float)


def test_unknown_name_lists_the_known() -> None:
    with pytest.raises(ConfigError, match="model als: unknown parameter 'factor'") as caught:
        make_config(MODELS["als"], {"factor": 3})
    assert caught.value.hint == "Its parameters are: factors, regularization, alpha, iterations."
    with pytest.raises(ConfigError) as caught:
        make_config(MODELS["most_rated"], {"q": 3})
    assert caught.value.hint == "It takes none."


@pytest.mark.parametrize(
    ("model", "name", "value", "hint"),
    [
        ("als", "factors", 3.5, "factors must be a whole number."),
        ("als", "factors", True, "factors must be a whole number."),
        ("als", "alpha", "2", "alpha must be a number."),
        ("top_rated", "q", None, "q must be a number."),
        ("item_knn", "similarity", "cosin", f"similarity must be one of: {SIMILARITIES}."),
        ("item_knn", "similarity", 1, f"similarity must be one of: {SIMILARITIES}."),
        ("user_knn", "similarity", "dice", f"similarity must be one of: {SIMILARITIES}."),
    ],
)
def test_wrong_type(model: str, name: str, value: Any, hint: str) -> None:
    with pytest.raises(ConfigError, match="of the wrong type") as caught:
        make_config(MODELS[model], {name: value})
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("model", "name", "value", "hint"),
    [
        ("top_rated", "q", 1.5, "q must be at least 0 and at most 1."),
        ("top_rated", "q", float("nan"), "q must be at least 0 and at most 1."),
        ("trending", "half_life_days", 0, "half_life_days must be above 0."),
        ("trending", "half_life_days", float("inf"), "half_life_days must be above 0."),
        ("item_knn", "min_support", 0, "min_support must be at least 1."),
        ("item_knn", "shrinkage", -1, "shrinkage must be at least 0."),
        ("ease", "regularization", 0, "regularization must be above 0."),
        ("ease", "weights", 0, "weights must be at least 1 and at most 10000."),
        ("ease", "min_raters", -0.1, "min_raters must be at least 0."),
        ("ease", "max_items", 46_341, "max_items must be at least 1 and at most 46340."),
        ("als", "factors", 0, "factors must be at least 1 and at most 1024."),
        ("als", "regularization", -1, "regularization must be at least 0."),
        ("als", "alpha", 0, "alpha must be above 0."),
        ("als", "iterations", 0, "iterations must be at least 1."),
    ],
)
def test_out_of_range(model: str, name: str, value: float, hint: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} = .* is out of range") as caught:
        make_config(MODELS[model], {name: value})
    assert caught.value.hint == hint


def test_a_config_checks_itself() -> None:
    with pytest.raises(ConfigError, match=r"^similarity = 'dice' is not known$") as caught:
        MODELS["item_knn"].config(similarity="dice")
    assert caught.value.hint == f"similarity must be one of: {SIMILARITIES}."
    assert caught.value.key == ("similarity",)


def test_an_error_names_the_model_and_the_parameter() -> None:
    with pytest.raises(ConfigError) as caught:
        make_config(MODELS["mf"], {"factors": 0})
    assert str(caught.value) == "model mf: factors = 0 is out of range"
    assert caught.value.key == ("factors",)


@pytest.mark.parametrize("name", ["k", "n", "seed", "memory_mb", "threads"])
def test_options_out_of_range(name: str) -> None:
    with pytest.raises(ConfigError, match=f"^{name} = -1 is out of range$") as caught:
        FitOptions(**{name: -1})
    assert caught.value.key == (name,)
