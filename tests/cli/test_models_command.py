"""`recsys models`: the registry, with and without a database."""

import pytest

from recsys.models.params import parameters
from recsys.models.registry import DEFAULT_SET, MODELS


def test_models_are_listed_without_a_database(recsys, tmp_path):
    found = recsys("models", "--json")
    assert found.code == 0
    assert [row["name"] for row in found.json] == list(MODELS)
    assert {row["published"] for row in found.json} == {None}
    assert [row["name"] for row in found.json if row["default_set"]] == list(DEFAULT_SET)
    assert not (tmp_path / "home" / "postgresql" / "data").exists()


def test_published_models_are_marked(reading):
    found = reading("models", "--json")
    published = {row["name"] for row in found.json if row["published"]}
    assert published == set(DEFAULT_SET)
    lines = reading("models").out.splitlines()
    [ease] = [line.split() for line in lines if line.split()[:1] == ["ease"]]
    assert ease[:4] == ["ease", "*", "linear", "yes"]


def test_a_database_that_does_not_answer_leaves_the_registry(recsys):
    found = recsys("models", "--json", RECSYS_DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    assert (found.code, len(found.json)) == (0, len(MODELS))
    assert found.errors[0].startswith("The published run cannot be read: no connection to")


@pytest.mark.parametrize("name", MODELS)
def test_every_model_is_documented(recsys, name):
    found = recsys("models", name, "--json").json
    assert found["documentation"]
    assert [one["name"] for one in found["parameters"]] == [
        one.name for one in parameters(MODELS[name].config)
    ]
    assert all(one["meaning"] for one in found["parameters"])
    searched = {one["name"] for one in found["parameters"] if one["search"]}
    assert searched == set(MODELS[name].search_space)


def test_a_model_as_text(recsys):
    found = recsys("models", "svd")
    assert found.out.startswith(f"{MODELS['svd'].display_name} (svd)\n")
    [rank] = [line.split() for line in found.out.splitlines() if line.split()[:1] == ["rank"]]
    assert rank[1] == "50"


def test_an_unknown_model_is_refused(recsys):
    found = recsys("models", "nope")
    assert found.code == 2
    assert "there is no model 'nope'" in found.err
