"""Errors carry hints for every reader; the command line adds its commands."""

import re
from pathlib import Path

import pytest

import recsys
from recsys import errors
from recsys.cli.hints import COMMANDS, hint_of


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (errors.UnknownMovie("gone"), "`recsys search TITLE`"),
        (errors.UnknownRun("gone", hint="look"), "look; `recsys runs list`"),
        (errors.RunError("gone", hint="look"), "look"),
        (errors.GateRefused("no"), "`--force REASON` publishes it anyway"),
        (errors.RecsysError("no"), None),
    ],
)
def test_the_command_of_the_nearest_type_is_added(error, hint):
    assert hint_of(error) == hint


def test_each_command_is_of_a_type_of_error():
    assert all(issubclass(kind, errors.RecsysError) for kind in COMMANDS)


@pytest.mark.parametrize("package", ["service", "storage", "web", "report", "models", "evaluation"])
def test_no_hint_below_the_command_line_names_a_command(package):
    command = re.compile(r"`recsys (-v|demo|ingest|refresh|search|runs|db|evaluate|tune)\b")
    for path in (Path(recsys.__file__).parent / package).rglob("*.py"):
        code = re.sub(r'""".*?"""', "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert not command.findall(code), path
