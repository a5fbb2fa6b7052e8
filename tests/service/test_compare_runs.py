"""Runs in the Python API: lists, full records, comparisons."""

from dataclasses import asdict

import pytest
import sqlalchemy as sa

from recsys import Recommender
from recsys.config.settings import RefreshSettings
from recsys.errors import InvalidArgument, NotPublished, RunError
from recsys.jobs.plan import plan
from recsys.jobs.refresh import refresh
from recsys.models.registry import DEFAULT_SET
from recsys.service.types import RunMetric, RunPublication, RunStage

OTHER = {"als": {"factors": 2, "iterations": 1}}


@pytest.fixture
def service(refreshed_database):
    """A database with run 1 published and run 2, a trial of two models."""
    settings = RefreshSettings(seed=5, threads=1, parameters=OTHER)
    refresh(refreshed_database, plan(settings, ["als", "top_rated"]))
    return Recommender(refreshed_database)


def rows_of(database, query):
    with database.snapshot() as connection:
        return [dict(row) for row in connection.execute(sa.text(query)).mappings()]


def test_runs_are_those_of_the_contract(service, refreshed_database):
    runs = {run["run_id"]: run for run in rows_of(refreshed_database, "SELECT * FROM recsys.runs")}
    sizes = rows_of(
        refreshed_database, "SELECT recsys.run_size(1) AS one, recsys.run_size(2) AS two"
    )
    latest, first = service.runs()
    assert (latest.run_id, latest.published, latest.models) == (2, False, ["als", "top_rated"])
    assert (first.run_id, first.published, first.models) == (1, True, sorted(DEFAULT_SET))
    assert [latest.run_size, first.run_size] == [sizes[0]["two"], sizes[0]["one"]]
    assert 0 < latest.run_size < first.run_size
    for run in (latest, first):
        columns = asdict(run)
        del columns["models"], columns["run_size"]
        assert columns == {name: runs[run.run_id][name] for name in columns}
    assert service.runs(1) == [latest]
    assert service.runs(0) == []

    record = asdict(service.run(1))
    assert record.pop("epochs") == []
    lists = {name: record.pop(name) for name in ("stages", "metrics", "publications", "run_size")}
    assert record == runs[1]
    assert lists["run_size"] == first.run_size
    for name, view, order in (
        ("stages", "run_stages", "position"),
        ("metrics", "run_metrics", "model, protocol, metric, segment"),
        ("publications", "publications", "publication_id"),
    ):
        query = f"SELECT * FROM recsys.{view} WHERE run_id = 1 ORDER BY {order}"
        wanted = rows_of(refreshed_database, query)
        assert lists[name] == [{k: v for k, v in row.items() if k != "run_id"} for row in wanted]
        assert wanted
    found = service.run(1)
    kinds = (RunStage, RunMetric, RunPublication)
    assert [type(x[0]) for x in (found.stages, found.metrics, found.publications)] == [*kinds]
    assert service.run(2).publications == []


def test_compare_runs_is_that_of_the_contract(service, refreshed_database):
    for call, arguments in (("2, 1", (2, 1)), ("1, 2, 3", (1, 2, 3))):
        query = f"SELECT * FROM recsys.compare_runs({call})"
        found = [asdict(row) for row in service.compare_runs(*arguments)]
        assert found == rows_of(refreshed_database, query)
        assert {(row["part"], row["model"]) for row in found} >= {("lists", "als")}
    overlap = found[0]
    assert (overlap["metric"], overlap["n"], 0 < overlap["value"] < 1) == ("overlap@3", 80, True)


def test_runs_that_cannot_be_compared(service):
    for call, kind, message, hint in (
        (lambda: service.run(9), RunError, "there is no run 9", "recsys.runs holds every run"),
        (
            lambda: service.compare_runs(1, 9),
            RunError,
            "there is no run 9",
            "recsys.runs holds every run",
        ),
        (
            lambda: service.compare_runs(1, 2, 0),
            InvalidArgument,
            "lists cannot be compared to a depth of 0",
            "k is a number from 1 to 1000",
        ),
    ):
        with pytest.raises(kind) as caught:
            call()
        assert (str(caught.value), caught.value.hint) == (message, hint)


def test_pruned_and_failed_runs(service, refreshed_database):
    with refreshed_database.transaction() as connection:
        connection.execute(
            sa.text("UPDATE recsys_store.runs SET pruned_at = now() WHERE run_id = 1")
        )
        connection.execute(
            sa.text("UPDATE recsys_store.runs SET state = 'failed', error = 'x' WHERE run_id = 2")
        )
    for a, b, message in (
        (1, 2, "the results of run 1 were pruned"),
        (2, 1, "run 2 has no results to compare: it is failed"),
    ):
        with pytest.raises(RunError) as caught:
            service.compare_runs(a, b)
        assert str(caught.value) == message


def test_empty_databases(empty_database, database):
    for call in ("runs", "run", "compare_runs"):
        arguments = {"runs": (), "run": (1,), "compare_runs": (1, 2)}[call]
        with pytest.raises(NotPublished):
            getattr(Recommender(empty_database), call)(*arguments)
    assert Recommender(database).runs() == []
