"""The Dockerfile, as far as it can be checked without Docker."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path

import typer.main

from recsys.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
LINES = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
STEPS = [tuple(line.split(maxsplit=1)) for line in LINES if line and not line.startswith("#")]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
COPIED = [
    word
    for name, text in STEPS
    if name == "COPY" and not text.startswith("--from")
    for word in text.split()[:-1]
]


def last(name: str) -> str:
    """Return the arguments of the last instruction of a name; it is the one that counts."""
    return [text for step, text in STEPS if step == name][-1]


def test_copied_files_exist_and_are_sent_to_the_builder() -> None:
    assert [name for name in COPIED if not (ROOT / name).exists()] == []
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert ignored[0] == "*"
    assert {f"!{name}" for name in COPIED} <= set(ignored)


def test_the_sources_of_the_package_are_copied() -> None:
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["packages"], *wheel["force-include"], "pyproject.toml"}
    needed |= {PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]}
    assert set(COPIED) == needed


def test_the_extras_are_installed_that_its_commands_need() -> None:
    [extras] = re.findall(
        r'pip install [^"]*"\.\[(.*?)\]"', " ".join(text for step, text in STEPS if step == "RUN")
    )
    assert set(extras.split(",")) == {"report", "web"}
    assert set(extras.split(",")) <= set(PROJECT["project"]["optional-dependencies"])


def test_it_runs_as_a_user_without_rights_whose_cache_is_its_own() -> None:
    user = last("USER")
    assert user != "root"
    made = last("RUN")
    assert f" {user} " in f"{made.split('&&')[0]} "
    assert f"-o {user} /cache" in made
    environment = dict(word.split("=", 1) for word in shlex.split(last("ENV")))
    assert environment["RECSYS_HOME"] == "/cache"
    assert environment["PATH"].startswith("/opt/recsys/bin:")


def test_arguments_are_a_command_of_ours_and_so_is_the_check() -> None:
    assert json.loads(last("ENTRYPOINT")) == list(PROJECT["project"]["scripts"])
    assert json.loads(last("CMD")) == ["--help"]
    program, name, *options = json.loads(last("HEALTHCHECK").split("CMD ")[1])
    assert program == "recsys"
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    assert command.make_context(name, options).args == []
