"""Parameters that a search draws: within bounds, valid, the same for the same seed."""

from itertools import islice

import numpy as np
import pytest

from recsys.models.base import Choice, ModelSpec, Range
from recsys.models.registry import MODELS, make_config
from recsys.models.search_space import draws, searched

SEARCHED = [name for name, spec in MODELS.items() if spec.search_space]


def drawn(space, value, count=400, seed=3):
    spec = ModelSpec(
        name="x",
        display_name="X",
        family="tests",
        kind="personal",
        config=type("C", (), {}),
        fit=lambda *_: None,
        score_meaning="",
        description="",
        search_space={"p": space},
    )
    config = type("Config", (), {"p": value})
    return [each["p"] for each in islice(draws(spec, config, seed), count)]


@pytest.mark.parametrize("name", SEARCHED)
def test_every_model_accepts_the_drawn_parameters(name):
    spec = MODELS[name]
    config = spec.config()
    assert set(searched(spec, config)) == set(spec.search_space)
    for parameters in islice(draws(spec, config, seed=0), 200):
        assert vars_of(make_config(spec, parameters), parameters) == parameters


def vars_of(config, parameters):
    return {name: getattr(config, name) for name in parameters}


def test_models_with_parameters_can_be_tuned():
    assert {"ease", "als", "bpr", "item_knn", "user_knn", "mf", "svd", "bayes_fm", "blend"} <= {
        *SEARCHED
    }


def test_the_same_seed_draws_the_same():
    space = Range(1, 100, log=True)
    assert drawn(space, 1.0) == drawn(space, 1.0)
    assert drawn(space, 1.0) != drawn(space, 1.0, seed=4)


def test_each_choice_is_drawn():
    assert set(drawn(Choice(("a", "b", "c")), "a")) == {"a", "b", "c"}


def test_whole_numbers_reach_both_ends():
    found = drawn(Range(3, 6, whole=True), 3)
    assert set(found) == {3, 4, 5, 6}
    assert all(type(number) is int for number in found)
    logged = drawn(Range(2, 64, log=True, whole=True), 2)
    assert (min(logged), max(logged)) == (2, 64)
    assert all(type(number) is int for number in logged)


def test_log_ranges_are_drawn_uniformly_on_a_log_scale():
    logged, plain = drawn(Range(1, 10_000, log=True), 1.0), drawn(Range(1, 10_000), 1.0)
    assert 0.4 < np.mean(np.array(logged) < 100) < 0.6
    assert np.mean(np.array(plain) < 100) < 0.05
    assert min(logged) >= 1
    assert max(plain) <= 10_000


def test_a_tuple_gets_a_number_for_each_element():
    found = drawn(Range(0.1, 1, each="p"), (1.0, 2.0, 3.0), count=5)
    assert all(len(numbers) == 3 and min(numbers) >= 0.1 and max(numbers) <= 1 for numbers in found)
    assert len({numbers[0] for numbers in found}) == 5


def test_numbers_are_written_shortly():
    assert all(len(f"{number:g}") <= 9 for number in drawn(Range(0.001, 1000, log=True), 1.0))
