"""Parameters declare the accepted values, refuse all others, and document themselves."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

import numpy as np
import pytest

from recsys.errors import ConfigError
from recsys.models.params import (
    NOT_A_KEY,
    Bounds,
    Called,
    ModelName,
    Parameter,
    Params,
    allowed,
    parameters,
    read,
)
from recsys.models.registry import MODELS, FitOptions, make_config

SIMILARITIES = "pearson, pearson_baseline, cosine, adjusted_cosine, jaccard"


def test_without_values_a_model_has_its_defaults() -> None:
    for spec in MODELS.values():
        assert make_config(spec, {}) == spec.config()


def test_values_arrive_in_the_declared_type() -> None:
    config = make_config(MODELS["ease"], {"regularization": 50, "weights": 7})
    assert (config.regularization, config.weights, config.max_items) == (50.0, 7, 20_000)
    assert isinstance(config.regularization, float)
    blend = make_config(MODELS["blend"], {"models": ["svd", "als"], "weights": [1, 2]})
    assert (blend.models, blend.weights) == (("svd", "als"), (1.0, 2.0))
    assert [type(weight) for weight in blend.weights] == [float, float]


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(ConfigError, match=r"^model als: unknown key 'factor'$") as caught:
        make_config(MODELS["als"], {"factor": 3})
    assert (
        caught.value.hint
        == "allowed keys: grades, grade_effect, factors, regularization, alpha, iterations"
    )
    assert caught.value.key == ("factor",)
    with pytest.raises(ConfigError) as caught:
        make_config(MODELS["most_rated"], {"q": 3})
    assert caught.value.hint == "there are no keys"


@pytest.mark.parametrize(
    ("model", "name", "value", "hint"),
    [
        ("als", "factors", 3.5, "factors must be a whole number from 1 to 1024"),
        ("als", "factors", True, "factors must be a whole number from 1 to 1024"),
        ("als", "alpha", "2", "alpha must be a number above 0"),
        ("top_rated", "q", None, "q must be a number from 0 to 1"),
        ("blend", "weights", 1.0, "weights must be a list of numbers of at least 0"),
        ("blend", "models", "ease", "models must be a list of model names"),
        ("hybrid_mixed", "chain", ["ease", 1], "chain must be a list of model names"),
    ],
)
def test_a_wrong_type_is_refused(model: str, name: str, value: Any, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_config(MODELS[model], {name: value})
    assert str(caught.value) == f"model {model}: {name} = {value!r} has the wrong type"
    assert (caught.value.hint, caught.value.key) == (hint, (name,))


@pytest.mark.parametrize("value", ["cosin", "dice", 1, ["cosine"]])
@pytest.mark.parametrize("model", ["item_knn", "user_knn"])
def test_an_unknown_word_is_refused(model: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=r"similarity = .* is not known$") as caught:
        make_config(MODELS[model], {"similarity": value})
    assert caught.value.hint == f"similarity must be one of: {SIMILARITIES}"


@pytest.mark.parametrize(
    ("model", "name", "value", "hint"),
    [
        ("top_rated", "q", 1.5, "q must be a number from 0 to 1"),
        ("top_rated", "q", float("nan"), "q must be a number from 0 to 1"),
        ("trending", "half_life_days", -1, "half_life_days must be a number of at least 0"),
        (
            "trending",
            "half_life_days",
            float("inf"),
            "half_life_days must be a number of at least 0",
        ),
        ("trending", "half_life_days", 10**400, "half_life_days must be a number of at least 0"),
        ("item_knn", "min_support", 0, "min_support must be a whole number of at least 1"),
        ("item_knn", "shrinkage", -1, "shrinkage must be a number of at least 0"),
        ("ease", "regularization", 0, "regularization must be a number above 0"),
        ("ease", "weights", 0, "weights must be a whole number from 1 to 10000"),
        ("ease", "min_raters", -0.1, "min_raters must be a number of at least 0"),
        ("ease", "max_items", 65_536, "max_items must be a whole number from 1 to 65535"),
        ("als", "factors", 0, "factors must be a whole number from 1 to 1024"),
        ("als", "regularization", -1, "regularization must be a number of at least 0"),
        ("als", "alpha", 0, "alpha must be a number above 0"),
        ("als", "iterations", 0, "iterations must be a whole number of at least 1"),
        ("blend", "weights", [1, -1], "weights must be a list of numbers of at least 0"),
        (
            "hybrid_switching",
            "min_ratings",
            [5, 1, -1],
            "min_ratings must be a list of whole numbers of at least 0",
        ),
    ],
)
def test_a_number_out_of_range_is_refused(model: str, name: str, value: Any, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_config(MODELS[model], {name: value})
    assert str(caught.value) == f"model {model}: {name} = {value!r} is out of range"
    assert (caught.value.hint, caught.value.key) == (hint, (name,))


def test_parameters_check_themselves_in_python() -> None:
    with pytest.raises(ConfigError, match=r"^similarity = 'dice' is not known$") as caught:
        MODELS["item_knn"].config(similarity="dice")
    assert caught.value.hint == f"similarity must be one of: {SIMILARITIES}"
    assert caught.value.key == ("similarity",)
    with pytest.raises(ConfigError, match=r"^factors = 0 is out of range$"):
        replace(MODELS["als"].config(), factors=0)


@pytest.mark.parametrize("name", ["k", "seed", "memory_mb", "threads", "block_rows"])
def test_options_out_of_range_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"^{name} = -1 is out of range$") as caught:
        FitOptions(**{name: -1})
    assert caught.value.key == (name,)


# --- a set of parameters of its own ---


@dataclass(frozen=True, slots=True)
class Base(Params):
    count: Annotated[int, Bounds(0, 9)] = 3
    """How many,
    on two lines."""
    share: Annotated[float, Bounds(0, 1, above=True)] = 0.5
    note: Annotated[str, Called("note")] | None = None
    mode: Literal["slow", "fast"] = "slow"
    """How."""
    extra: dict[str, int] = field(default_factory=dict, metadata=NOT_A_KEY)

    def check(self) -> None:
        if self.mode == "fast" and self.count > 5:
            raise ConfigError("count does not fit mode", key=("count",))


@dataclass(frozen=True, slots=True)
class Derived(Base):
    mode: Literal["slow", "fast"] = "fast"
    names: tuple[ModelName, ...] | None = None
    """Which."""


def test_a_set_of_parameters_documents_itself() -> None:
    assert parameters(Derived) == (
        Parameter("count", "integer", 3, "a whole number from 0 to 9", "How many, on two lines."),
        Parameter("share", "float", 0.5, "a number above 0 and at most 1", ""),
        Parameter("note", "string", None, "a note", ""),
        Parameter("mode", "string", "fast", "one of: slow, fast", "How."),
        Parameter("names", "array", None, "a list of model names", "Which."),
    )
    assert allowed(bool) == "true or false"


def test_fields_that_are_no_parameters_are_not_checked() -> None:
    assert read(Derived, {"count": 1}, "here", extra={"a": 1}).extra == {"a": 1}
    with pytest.raises(ConfigError, match=r"^here: unknown key 'extra'$"):
        read(Derived, {"extra": {}}, "here")


def test_parameters_that_do_not_fit_each_other_are_refused() -> None:
    assert Base(count=9).count == 9
    with pytest.raises(ConfigError, match=r"^here: count does not fit mode$") as caught:
        read(Derived, {"count": 9}, "here")
    assert caught.value.key == ("count",)


def test_optional_values_and_numbers_of_numpy_are_accepted() -> None:
    made = Derived(count=np.int32(4), share=np.float32(0.5), names=["ease"])  # type: ignore[arg-type]
    assert (made.count, made.share, made.names, made.note) == (4, 0.5, ("ease",), None)
    assert Derived(note="a", names=None).note == "a"
    with pytest.raises(ConfigError, match="has the wrong type"):
        Derived(note=1)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", MODELS)
def test_each_parameter_of_a_model_has_a_meaning(name: str) -> None:
    for parameter in parameters(MODELS[name].config):
        assert parameter.meaning.endswith("."), parameter
