"""`recsys refresh --dry-run`: a forecast that changes nothing."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from recsys.jobs import forecast as forecast_job
from recsys.models.registry import DEFAULT_SET

RUNS = sa.text("SELECT count(*) FROM recsys_store.runs")


@pytest.fixture
def dry_run(recsys, refreshed_database):
    """Predict a refresh of the made-up edition; no run may be begun by it."""

    def run(*arguments, **settings):
        found = recsys(
            "refresh", "--dry-run", *arguments, RECSYS_DATABASE_URL=refreshed_database.url,
            COLUMNS="80", TERMINAL_WIDTH="80", **settings,
        )  # fmt: skip
        with refreshed_database.snapshot() as connection:
            assert connection.scalar(RUNS) == 1
        return found

    return run


def test_it_prints_time_memory_and_disk(dry_run):
    found = dry_run()
    assert (found.code, found.err) == (0, "")
    lines = found.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].endswith(" ratings of 80 users, 60 movies")
    first = [line.split()[0] for line in lines[1:] if line.strip() and "──" not in line]
    table = ["stage", "read", *DEFAULT_SET, "gate", "all"]
    assert first == [*table, "Forecast", "memory", "free", "at"]
    assert "at the pace of  run 1" in found.out
    assert "free disk       not known" in found.out


def test_it_predicts_the_models_that_are_named(dry_run):
    out = dry_run("--models", "ease").out
    assert "ease" in out
    assert "als" not in out


def test_it_refuses_what_the_disk_would_not_hold(dry_run, monkeypatch):
    monkeypatch.setattr(forecast_job, "free_disk", lambda database: 1000)
    found = dry_run()
    assert found.code == 1
    assert "stage" in found.out
    assert "MiB of disk, and 0 MiB are free" in found.err
    assert dry_run("--force", "there is room elsewhere").code == 0


def test_it_knows_the_disk_of_the_embedded_server(recsys, edition):
    assert recsys("ingest", str(edition)).code == 0
    found = recsys("refresh", "--dry-run")
    assert found.code == 0
    [line] = [line for line in found.out.splitlines() if "free disk" in line]
    assert line.split()[2].replace(",", "").partition(".")[0].isdigit()


def test_it_is_not_for_changed_users_only(recsys):
    found = recsys("refresh", "--dry-run", "--users-only")
    assert found.code == 2
    assert "--users-only takes none of --models, --force and --dry-run" in found.err
