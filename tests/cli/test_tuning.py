"""`recsys tune`, as people use it."""

from __future__ import annotations

import re
import tomllib

import pytest

from recsys.evaluation.intervals import Interval
from recsys.jobs import tune_all
from recsys.jobs.tune_all import TuneAllReport, Tuned


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


@pytest.fixture
def on_all(recsys, filled_database, tmp_path):
    path = tmp_path / "all.toml"
    path.write_text(
        '[refresh]\nmodels = ["popular", "ease", "mf"]\nthreads = 1\n'
        "[models.ease]\nregularization = 0.001  # far too little\n"
    )
    settings = {"RECSYS_DATABASE_URL": filled_database.url, "RECSYS_CONFIG": str(path)}
    arguments = ("tune", "--all", "--protocol", "random-90-10", "--trials", "3")
    return path, lambda *more: recsys(*arguments, *more, **settings)


def test_all_models_in_one_table(on_all):
    path, run = on_all
    before = path.read_text()
    found = run("--metric", "ndcg_gain")
    assert found.code == 0
    lines = [line.strip() for line in found.out.splitlines()]
    assert lines[0] == "All models, inside the train part of random-90-10"
    assert lines[2].split() == ["model", "metric", "configured", "best", "gain", "trials"]
    mf, ease = (line.split() for line in lines[4:6])
    assert (mf[:2], ease[:2], ease[-1]) == (["mf", "rmse"], ["ease", "ndcg_gain"], "3")
    assert re.fullmatch(r"\+0\.\d{4} to \+0\.\d{4}", " ".join(ease[4:7]))
    assert "gain is above the noise for" in found.err
    assert "ease" in tomllib.loads("\n".join(lines[lines.index("[models.ease]") :]))["models"]
    assert path.read_text() == before


def test_gains_above_the_noise_are_written(on_all):
    path, run = on_all
    found = run("--write", "--json")
    report = found.json
    assert {"protocol", "interrupted", "not_measured", "tuned"} == set(report)
    tuned = {one["name"]: one for one in report["tuned"]}
    assert tuned["ease"]["better"]
    assert tuned["ease"]["gain"][0] > 0
    assert f"Written to {path}: the next refresh uses it." in found.err
    written = tomllib.loads(path.read_text())
    assert written["models"]["ease"] == tuned["ease"]["values"]
    assert ("mf" in written["models"]) == tuned["mf"]["better"]
    assert "# far too little" in path.read_text()
    # What was found is configured now, and a search as short finds nothing better.
    again = {one["name"]: one for one in run("--trials", "1", "--json").json["tuned"]}
    assert again["ease"]["configured"] == tuned["ease"]["best"]
    assert (again["ease"]["best"], again["ease"]["gain"]) == (tuned["ease"]["best"], None)


def test_the_chart_for_new_users_is_written(on_all, monkeypatch):
    path, run = on_all
    report = TuneAllReport(
        "temporal",
        (
            Tuned("ease", "models.ease", "ndcg", 2, {"regularization": 9.0}, gain=Interval(-1, 1)),
            Tuned("cold_start", "refresh", "ndcg", 2, {"cold_start": "popular"}, 0.1, 0.2,
                  Interval(0.01, 0.2), 9),
        ),
        (),
        True,
    )  # fmt: skip
    monkeypatch.setattr(tune_all, "tune_all", lambda *_, **__: report)
    found = run("--write")
    assert found.code == 130
    assert found.out.splitlines()[5].split()[:3] == ["chart:", "popular", "ndcg"]
    assert "Interrupted; of the models so far: The gain is above the noise for cold" in found.err
    written = tomllib.loads(path.read_text())
    assert written["refresh"]["cold_start"] == "popular"
    assert written["models"] == {"ease": {"regularization": 0.001}}


@pytest.mark.parametrize("arguments", [[], ["ease", "--all"]])
def test_either_a_model_or_all(on_filled, arguments):
    found = on_filled(*arguments)
    assert (found.code, found.out) == (2, "")
    assert "name either a model or --all" in found.err


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
