"""`recsys report`, as people use it."""

from __future__ import annotations

import pytest


@pytest.fixture
def reporting(reading):
    return lambda *arguments: reading("report", *(str(each) for each in arguments))


def test_a_page_and_its_plots(reporting, contract_rows, published_url, tmp_path):
    page, plots = tmp_path / "out.html", tmp_path / "plots"
    found = reporting(page, "--png", plots, "--title", "Ours & theirs")
    assert (found.code, found.out) == (0, "")
    assert found.errors == [f"Written: {page}", f"Written: 10 plots in {plots}"]
    text = page.read_text(encoding="utf-8")
    [row] = contract_rows(published_url, "SELECT count(*) AS ratings FROM recsys.ratings")
    assert f"<dt>ratings</dt><dd>{row['ratings']:,}</dd>" in text
    assert "<h1>Ours &amp; theirs</h1>" in text
    assert len(list(plots.iterdir())) == 10
    assert page.stat().st_mode & 0o777 == 0o644


def test_plots_alone(reporting, tmp_path):
    found = reporting("--png", tmp_path)
    assert (found.code, found.errors) == (0, [f"Written: 10 plots in {tmp_path}"])
    assert {each.suffix for each in tmp_path.iterdir() if each.is_file()} == {".png"}


def test_errors_are_reported_in_two_lines(reporting, tmp_path):
    found = reporting()
    assert found.code == 2
    assert "name a page, for example report.html, or a folder with --png" in found.err
    found = reporting(tmp_path / "a.pdf")
    assert (found.code, found.errors) == (
        1,
        [
            f"error: {tmp_path}/a.pdf is not an .html file",
            "hint: use one of .html, .htm",
        ],
    )
    found = reporting(tmp_path / "none" / "a.html")
    assert found.errors == [
        f"error: {tmp_path}/none/a.html cannot be written: there is no folder {tmp_path}/none"
    ]


def test_without_the_extra(reporting, monkeypatch, tmp_path):
    monkeypatch.setattr("recsys.report.pictures.find_spec", lambda name: None)
    found = reporting(tmp_path / "a.html")
    assert found.code == 1
    assert found.errors[-1] == "hint: pip install 'recsys[report]'"
    assert not (tmp_path / "a.html").exists()


def test_nothing_to_report_on(recsys, empty_database, tmp_path):
    page = str(tmp_path / "a.html")
    found = recsys("report", page, RECSYS_DATABASE_URL=empty_database.url)
    assert (found.code, found.errors[0]) == (1, "error: the database is empty")
    assert found.errors[1].startswith(
        "hint: load ratings, and publish a refresh of them; `recsys demo`"
    )
