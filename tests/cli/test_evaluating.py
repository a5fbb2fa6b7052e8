"""`recsys evaluate` and the gate of `recsys refresh`, as people use them."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from recsys.evaluation.protocols import PROTOCOLS


@pytest.fixture
def on_filled(recsys, filled_database, small_config):
    settings = {"RECSYS_DATABASE_URL": filled_database.url, "RECSYS_CONFIG": small_config()}
    return lambda *arguments: recsys(*arguments, **settings)


def test_tables(on_filled):
    found = on_filled("evaluate", "--models", "ease,mf,most_rated", "--seed", "5")
    assert found.code == 0
    lines = found.out.splitlines()
    assert lines[0].strip() == "random-90-10, seed 5: lists of 10"
    assert lines[2].split() == [
        "rank", "model", "ndcg", "map", "precision", "recall", "hit", "rate",
    ]  # fmt: skip
    assert sorted(line.split()[1] for line in lines[4:7]) == ["ease", "mf", "most_rated"]
    graded = lines.index(next(line for line in lines if "By the ratings of the hits" in line))
    assert lines[graded + 2].split() == [
        "rank", "model", "ndcg", "liked", "ndcg", "gain", "disliked", "share",
    ]  # fmt: skip
    assert "random-90-10, seed 5: predicted ratings" in found.out
    assert "recsys.run_metrics WHERE run_id = 1" in found.err


def test_one_json_document(on_filled):
    found = on_filled("evaluate", "--models", "ease,most_rated", "--json").json
    assert (found["protocol"], found["seed"], found["run_id"]) == ("random-90-10", 42, 1)
    assert [model["rank"] for model in found["models"]] == [1, 2]
    [ndcg] = [
        metric
        for metric in found["models"][0]["metrics"]
        if (metric["metric"], metric["segment"]) == ("ndcg@10", "all")
    ]
    assert ndcg["ci_low"] < ndcg["value"] < ndcg["ci_high"]


def test_models_that_are_not_measured_are_named(on_filled):
    found = on_filled("evaluate", "--models", "ease,mf", "--protocol", "surprise-5fold")
    assert found.code == 0
    assert "Not measured by this protocol: ease" in found.err


def test_all_protocols_are_listed(on_filled):
    found = on_filled("evaluate", "--protocol", "list")
    assert [line.split()[0] for line in found.out.splitlines()] == list(PROTOCOLS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--protocol", "nonsense"), "error: there is no protocol 'nonsense'"),
        (("--before-last",), "error: protocol random-90-10 has no rating before the last"),
        (("--models", "nonsense"), "error: unknown model 'nonsense'"),
        (("--protocol", "ml100k-u1"), "error: protocol ml100k-u1 needs "),
        (("--protocol", "ml100k-u1", "--split-file", "gone.test"), "error: gone.test: "),
    ],
)
def test_invalid_arguments_are_reported(on_filled, arguments, message):
    found = on_filled("evaluate", *arguments)
    assert (found.code, found.out) == (1, "")
    assert any(line.startswith(message) for line in found.errors)


def test_the_gate_exits_with_3_and_yields_to_a_reason(on_filled, filled_database, recsys, tmp_path):
    assert on_filled("refresh").code == 0
    config = tmp_path / "shorter.toml"
    config.write_text("[refresh]\nneighbours = 20\nthreads = 1\n")
    settings = {"RECSYS_DATABASE_URL": filled_database.url, "RECSYS_CONFIG": str(config)}
    refused = recsys("refresh", **settings)
    assert refused.code == 3
    assert refused.errors[-2].startswith("error: run 2 is not published: item_knn has ")
    assert "--force REASON" in refused.errors[-1]
    assert recsys("refresh", "--force", " ", **settings).code == 2
    forced = recsys("refresh", "--force", "twenty are enough", **settings)
    assert forced.code == 0
    assert forced.errors[-2].startswith("The gate was overridden: ")
    assert forced.errors[-1].startswith("Run 3 is published: ")
    with filled_database.transaction() as connection:
        query = sa.text("SELECT run_id, reason FROM recsys.publications ORDER BY publication_id")
        log = connection.execute(query).all()
    assert log == [(1, None), (3, "twenty are enough")]


def test_a_picture(on_filled, tmp_path):
    path = tmp_path / "figures.svg"
    found = on_filled("evaluate", "--models", "ease,most_rated", "--plot", str(path))
    assert (found.code, f"Written: {path}" in found.err) == (0, True)
    assert "most_rated" in path.read_text()


def test_an_unwritable_picture_fails_before_any_measurement(on_filled, tmp_path):
    found = on_filled("evaluate", "--plot", str(tmp_path / "figures.doc"))
    assert (found.code, found.out) == (1, "")
    assert found.errors[0].endswith("figures.doc is neither a .png nor an .svg file")
