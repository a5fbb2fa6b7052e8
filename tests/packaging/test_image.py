"""The Dockerfile, as far as it can be checked without Docker."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
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
    if not word.startswith("--")
]


def stages() -> dict[str, list[tuple[str, ...]]]:
    """Return the instructions of each stage by its name; those of the one it begins from first."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for step in STEPS:
        if step[0] == "FROM":
            origin, _, name = step[1].partition(" AS ")
            steps = found.setdefault(name, list(found.get(origin, ())))
        else:
            steps.append(step)
    return found


def last(name: str, stage: str = "") -> str:
    """Return the arguments of the last instruction of a name; it is the one that counts.

    The stage without a name is the image `recsys`.
    """
    return [text for step, text in stages()[stage] if step == name][-1]


def test_copied_files_exist_and_are_sent_to_the_builder() -> None:
    assert [name for name in COPIED if not (ROOT / name).exists()] == []
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert ignored[0] == "*"
    assert {f"!{name}" for name in COPIED} <= set(ignored)


def test_the_sources_of_the_package_are_copied() -> None:
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["packages"], *wheel["force-include"], "pyproject.toml"}
    needed |= {PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]}
    assert set(COPIED) == {*needed, "deploy/spark"}


def test_the_extras_are_installed_that_its_commands_need() -> None:
    [extras] = re.findall(
        r'pip install [^"]*"\.\[(.*?)\]"', " ".join(text for step, text in STEPS if step == "RUN")
    )
    assert set(extras.split(",")) == {"report", "web"}
    assert set(extras.split(",")) <= set(PROJECT["project"]["optional-dependencies"])


@pytest.mark.parametrize("stage", ["", "spark"])
def test_it_runs_as_a_user_without_rights_whose_cache_is_its_own(stage: str) -> None:
    # A number: pods that must not run as root ask for one.
    user = last("USER", stage)
    assert int(user) > 0
    [made] = [text for step, text in stages()[stage] if step == "RUN" and "useradd" in text]
    assert f"--uid {user} recsys " in f"{made.split('&&')[0]} "
    assert "-o recsys /cache" in made
    environment = dict(word.split("=", 1) for word in shlex.split(last("ENV")))
    assert environment["RECSYS_HOME"] == "/cache"
    assert environment["PATH"].startswith("/opt/recsys/bin:")


@pytest.mark.parametrize("stage", ["", "spark"])
def test_it_has_the_library_that_the_wheels_of_implicit_are_linked_with(stage: str) -> None:
    assert any("libgomp1" in text for step, text in stages()[stage] if step == "RUN")


def test_with_spark_it_starts_any_process_of_a_cluster() -> None:
    assert "COPY --chmod=755 deploy/spark /usr/local/bin/spark" in map(" ".join, stages()["spark"])
    assert json.loads(last("ENTRYPOINT", "spark")) == ["/usr/local/bin/spark"]
    # Workers write where their user may.
    assert last("ENV", "spark") == "SPARK_WORKER_DIR=/tmp/spark-work"


def test_arguments_are_a_command_of_ours_and_so_is_the_check() -> None:
    assert json.loads(last("ENTRYPOINT")) == list(PROJECT["project"]["scripts"])
    assert json.loads(last("CMD")) == ["--help"]
    program, name, *options = json.loads(last("HEALTHCHECK").split("CMD ")[1])
    assert program == "recsys"
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    assert command.make_context(name, options).args == []
