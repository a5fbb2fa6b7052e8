from pathlib import Path

import pytest

from recsys.errors import DataError
from recsys.ingest.movielens.download import EDITIONS
from recsys.jobs import ingest


class Told:
    """Records the reports."""

    def __init__(self):
        self.calls = []

    def begin(self, stage):
        self.calls.append(("begin", stage))

    def advance(self, done, total):
        self.calls.append(("advance", done, total))

    def end(self, note):
        self.calls.append(("end", note))


@pytest.fixture
def fetched(monkeypatch, tmp_path):
    """Replace the download by an existing file; record the requests."""
    asked = []

    def fetch(name, cache, progress):
        asked.append((name, cache))
        progress(500, 1000)
        progress(700, 1000)
        archive = tmp_path / f"{name}.zip"
        archive.write_bytes(b"x" * 1234)
        return archive

    monkeypatch.setattr(ingest, "fetch", fetch)
    monkeypatch.chdir(tmp_path)
    return asked


def test_a_path_is_taken_as_it_is(tmp_path, fetched):
    told = Told()
    assert ingest.find_source(str(tmp_path), tmp_path / "cache", told) == tmp_path
    assert (fetched, told.calls) == ([], [])


def test_a_path_below_home(tmp_path, monkeypatch, fetched):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "ml").mkdir()
    assert ingest.find_source("~/ml", tmp_path, Told()) == tmp_path / "ml"


def test_a_name_is_fetched(tmp_path, fetched):
    told = Told()
    cache = tmp_path / "cache"
    assert ingest.find_source("ml-25m", cache, told) == tmp_path / "ml-25m.zip"
    assert fetched == [("ml-25m", cache)]
    assert told.calls == [
        ("begin", "download ml-25m"),
        ("advance", 500, 1000),
        ("advance", 700, 1000),
        ("end", "1,234 bytes"),
    ]


def test_a_path_comes_before_a_name(tmp_path, fetched):
    (tmp_path / "ml-25m").mkdir()
    assert ingest.find_source("ml-25m", tmp_path, Told()) == Path("ml-25m")
    assert fetched == []


@pytest.mark.parametrize("text", ["ml-nosuch", "ML-25M", "../../etc/ml-25m", "ml-25m.zip"])
def test_neither(tmp_path, fetched, text):
    with pytest.raises(DataError) as caught:
        ingest.find_source(text, tmp_path, Told())
    assert str(caught.value) == (
        f"{text} is neither a file or folder nor the name of a MovieLens edition"
    )
    assert caught.value.hint == f"editions: {', '.join(EDITIONS)}"
    assert fetched == []
