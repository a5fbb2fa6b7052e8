"""The Makefile: its targets, its help, and its error without a suitable Python."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="no make here")


def make(*arguments, folder=ROOT, **more):
    # The tests themselves may have been started by make.
    ours = ("MAKE", "MFLAGS", "RECSYS_DATABASE_URL")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(ours)} | more
    return subprocess.run(
        ["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )


def test_help_lists_every_target():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)[1].split()
    listed = re.findall(r"^  make ([a-z]+)\t\S", make("help").stdout, re.MULTILINE)
    assert listed == phony
    assert make().stdout == make("help").stdout


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("demo",), ".venv/bin/recsys demo "),
        (("demo", "DATA=a b/ml-25m"), '.venv/bin/recsys demo --data "a b/ml-25m"'),
        (("check",), ".venv/bin/mypy"),
        (("bench",), ".venv/bin/python tests/benchmarks/bulk_paths.py"),
    ],
)
def test_the_commands_of_a_target(arguments, line):
    done = make("--dry-run", *arguments)
    assert (done.returncode, line in done.stdout.splitlines()) == (0, True)


def test_workers_run_the_tests_side_by_side_but_one_alone_on_a_given_server():
    def pytest_line(**environment):
        lines = make("--dry-run", "test", **environment).stdout.splitlines()
        [line] = [line for line in lines if "-m pytest" in line]
        return line.split()

    assert "-n" in pytest_line()
    assert "-n" not in pytest_line(RECSYS_DATABASE_URL="postgresql://somewhere/else")


def test_files_it_runs_exist():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    scripts = re.findall(r"\S+/\S+\.py", text)
    assert scripts == [
        "tests/torture/kill_at_random.py",
        "tests/torture/failover.py",
        "tests/torture/publish_under_readers.py",
        "tests/benchmarks/bulk_paths.py",
    ]
    assert all((ROOT / script).is_file() for script in scripts)


def test_an_old_python_is_refused_before_anything_is_made(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "pyproject.toml").touch()
    old = tmp_path / "old-python"
    old.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    old.chmod(0o755)
    done = make("demo", f"PYTHON={old}", folder=tmp_path)
    assert done.returncode == 2
    assert "Python 3.11 or newer is needed: make PYTHON=python3.12 ..." in done.stdout
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize(
    ("target", "extras"), [("ready-to-run", "embedded"), ("ready-to-develop", "embedded,dev")]
)
def test_what_a_target_installs(tmp_path, target, extras):
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "pyproject.toml").touch()
    done = make("--dry-run", f".venv/{target}", folder=tmp_path)
    assert f"--editable '.[{extras}]'" in done.stdout


@pytest.mark.parametrize(("code", "ending"), [(0, "done"), (1, "failed")])
def test_an_installation_shows_its_progress_and_fails_with_pip(tmp_path, code, ending):
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "pyproject.toml").touch()
    pip = tmp_path / ".venv" / "bin" / "python"
    pip.parent.mkdir(parents=True)
    pip.write_text(
        "#!/bin/sh\necho 'Collecting numpy>=2 (from recsys)'\n"
        f"echo '  Downloading numpy.whl (16 MB)'\nexit {code}\n"
    )
    pip.chmod(0o755)
    done = make(".venv/ready-to-run", folder=tmp_path)
    shown = [line.strip() for line in re.split(r"[\r\n]", done.stdout) if line.strip()]
    assert shown[:4] == [
        "Installing recsys into .venv:",
        "package 1: numpy>=2",
        "package 1: numpy>=2 (16 MB)",
        ending,
    ]
    assert done.returncode == (2 if code else 0)
    assert (tmp_path / ".venv" / "ready-to-run").exists() is (code == 0)
