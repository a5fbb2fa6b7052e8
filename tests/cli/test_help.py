"""The help of every command, on a terminal of 80 columns."""

import re

import pytest
import typer.main
from typer import rich_utils

from recsys.cli.app import app


def commands(command, *words):
    yield words, command
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, *words, name)


COMMANDS = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words) or "recsys")
def test_help_is_whole_and_fits(recsys, monkeypatch, words):
    monkeypatch.setattr(rich_utils, "MAX_WIDTH", 80)  # read from the environment at its import
    done = recsys(*words, "--help", COLUMNS="80")
    assert done.code == 0
    lines = done.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert not re.search(r"\\\[|\[/|…", done.out)
    # Nothing is swallowed as markup, and only the width of the terminal breaks a sentence.
    text = " ".join(done.out.split())
    for sentence in (COMMANDS[words].help or "").splitlines():
        assert " ".join(sentence.split()) in text
        assert not sentence or sentence.strip().endswith(".")
