"""What commands say and create before there is a database, and where memory is short."""

import resource
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "line",
    ["recommend 1", "search film", "status", "runs list", "top", "models", "db status --json"],
)
def test_reading_creates_nothing(recsys, tmp_path, line):
    done = recsys(*line.split())
    home = tmp_path / "home"
    assert not home.exists()
    if line.startswith("db"):
        assert done.json == {"server": "embedded", "running": False, "home": str(home)}
    elif line != "models":
        assert (done.code, done.out, done.errors) == (
            1,
            "",
            [
                f"error: there is no database in {home}",
                "hint: `recsys demo`, or `recsys ingest ml-latest-small` and then `recsys refresh`",
            ],
        )


@pytest.mark.parametrize("line", ["refresh", "ingest ml-latest-small", "models", "runs list"])
def test_a_low_limit_of_memory_is_told_before_anything_is_imported(tmp_path, line):
    done = subprocess.run(
        [sys.executable, "-m", "recsys", *line.split()],
        env={"RECSYS_HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin"},
        cwd=tmp_path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (300 << 20, 300 << 20)),
        capture_output=True,
        text=True,
        timeout=60,
    )
    told = [
        "error: the memory of this process is limited to 300 MiB; jobs need 512 MiB or more",
        "hint: raise the limit, as with `ulimit -v unlimited`",
    ]
    if line == "runs list":
        told = [f"error: there is no database in {tmp_path / 'home'}", done.stderr.splitlines()[1]]
    assert (done.returncode, done.stderr.splitlines()) == (1, told)


def test_memory_that_runs_out_later_is_no_traceback(recsys, monkeypatch):
    def fail(*given, **more):
        raise MemoryError

    monkeypatch.setattr("recsys.config.settings.load", fail)
    done = recsys("status")
    assert (done.code, done.errors) == (
        1,
        [
            "error: the process has run out of memory",
            "hint: lower memory_mb or threads in recsys.toml, or raise the limit of memory",
        ],
    )
