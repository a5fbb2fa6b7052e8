"""Messages name commands as they work in the shell that runs them."""

import os
import sys

import pytest

from recsys.cli.program import call, named, program


@pytest.fixture
def script(tmp_path, monkeypatch):
    """A script of this name in a folder below the current one, not on PATH."""
    path = tmp_path / "my env" / "bin" / "recsys"
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(sys, "argv", [str(path)])
    return path


def test_a_script_that_is_not_on_the_path(script):
    assert program() == "'my env/bin/recsys'"
    assert named("see `recsys runs list`") == "see `'my env/bin/recsys' runs list`"


def test_a_script_in_the_current_folder(script, monkeypatch):
    monkeypatch.chdir(script.parent)
    assert program() == "./recsys"


def test_the_shorter_of_two_paths(script, monkeypatch, tmp_path):
    far = tmp_path.joinpath(*"abcdefghijklmnopqrstuvwxyz" * 3)
    far.mkdir(parents=True)
    monkeypatch.chdir(far)
    assert program() == f"'{script}'"


def test_a_script_on_the_path(script, monkeypatch):
    monkeypatch.setenv("PATH", os.pathsep.join(["/usr/bin", str(script.parent)]))
    assert program() == "recsys"


def test_another_script_on_the_path(script, monkeypatch, tmp_path):
    other = tmp_path / "recsys"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program() == "'my env/bin/recsys'"


def test_arguments_are_quoted(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["recsys"])
    assert call("search", "Schindler's List") == 'recsys search "Schindler\'s List"'
    assert call("search", 'The "Who" $1') == "recsys search 'The \"Who\" $1'"
    assert call("recommend", 1) == "recsys recommend 1"
