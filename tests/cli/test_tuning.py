"""`recsys tune`, as people use it."""

from __future__ import annotations

import tomllib

import pytest


@pytest.fixture
def settings_file(tmp_path):
    path = tmp_path / "recsys.toml"
    path.write_text("# mine\n[models.ease]\nregularization = 1e6  # far too much\n")
    return path


@pytest.fixture
def on_filled(recsys, filled_database, settings_file):
    settings = {"RECSYS_DATABASE_URL": filled_database.url, "RECSYS_CONFIG": str(settings_file)}
    return lambda *arguments: recsys("tune", *arguments, **settings)


def test_a_table_the_verdict_and_lines_to_paste(on_filled, settings_file):
    before = settings_file.read_text()
    found = on_filled("ease", "--trials", "4", "--seed", "3")
    assert found.code == 0
    lines = found.out.splitlines()
    assert lines[0].strip() == "ease by ndcg, inside the train part of random-90-10"
    assert lines[2].split() == ["rank", "trial", "parameters", "figure", "train", "s"]
    assert "configured" in found.out
    assert "its gain in ndcg over the configured parameters lies in " in found.err
    pasted = tomllib.loads("\n".join(lines[lines.index("[models.ease]") :]))
    assert pasted["models"]["ease"].keys() == {
        "regularization", "grades", "grade_effect", "recency",
    }  # fmt: skip
    assert settings_file.read_text() == before


def test_better_parameters_are_written_on_request(on_filled, settings_file):
    found = on_filled("ease", "--trials", "4", "--seed", "3", "--write", "--json")
    best = found.json["trials"][0]["parameters"]
    assert f"Written to {settings_file}: the next refresh uses it." in found.err
    text = settings_file.read_text()
    assert text == (
        f"# mine\n[models.ease]\nregularization = {best['regularization']}  # far too much\n"
        f'grades = "{best["grades"]}"\ngrade_effect = {best["grade_effect"]}\n'
        f"recency = {best['recency']}\n"
    )
    again = on_filled("ease", "--trials", "1", "--seed", "3", "--json").json["trials"][0]
    assert (again["parameters"], again["configured"]) == (best, True)
    assert again["value"] == found.json["trials"][0]["value"]


def test_parameters_that_are_not_better_are_not_written(on_filled, settings_file):
    before = settings_file.read_text()
    found = on_filled("ease", "--trials", "1", "--write")
    assert "recsys.toml stays as it is." in found.err
    assert settings_file.read_text() == before


def test_one_json_document(on_filled):
    found = on_filled("mf", "--metric", "rmse", "--trials", "2", "--json").json
    assert {"model", "protocol", "metric", "n", "interrupted", "gain", "trials"} == set(found)
    assert (found["model"], found["metric"], found["interrupted"]) == ("mf", "rmse", False)
    assert sorted(trial["trial"] for trial in found["trials"]) == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nix"], "error: unknown model 'nix'"),
        (["ease", "--protocol", "nix"], "error: there is no protocol 'nix'"),
        (["most_rated"], "error: model most_rated has no parameters to search"),
        (["ease", "--metric", "mae"], "error: model ease predicts no ratings, so it has no mae"),
    ],
)
def test_mistakes(on_filled, arguments, told):
    found = on_filled(*arguments)
    assert (found.code, found.out) == (1, "")
    assert told in found.errors
