"""Refreshes by the clock: when, one at a time, again after a failure, none left behind."""

import logging
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest

from recsys.config.settings import ScheduleSettings, load
from recsys.errors import ConfigError
from recsys.jobs.schedule import Scheduler, upcoming

NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)


def times(settings, after, count):
    return [(due.at.isoformat(), due.job) for due in islice(upcoming(settings, after), count)]


def test_the_default_is_every_night():
    assert times(ScheduleSettings(), NEW_YEAR, 2) == [
        ("2027-01-01T03:30:00+00:00", "refresh"),
        ("2027-01-02T03:30:00+00:00", "refresh"),
    ]


def test_a_sync_comes_before_the_refresh_of_the_same_time():
    settings = ScheduleSettings(sync="0 2 * * *", refresh="0 2 * * *")
    assert [job for _, job in times(settings, NEW_YEAR, 2)] == ["sync", "refresh"]
    assert [due.commands for due in islice(upcoming(settings, NEW_YEAR), 1)] == [
        (("sync", ("sync",)),)
    ]


def test_jobs_come_in_order_and_the_whole_refresh_first():
    settings = ScheduleSettings(refresh="0 2 * * *", users_only="*/30 1-2 * * *")
    assert [(at[11:16], job) for at, job in times(settings, NEW_YEAR, 5)] == [
        ("01:00", "users_only"), ("01:30", "users_only"), ("02:00", "refresh"),
        ("02:00", "users_only"), ("02:30", "users_only"),
    ]  # fmt: skip


def test_daylight_saving_time_neither_skips_nor_repeats_jobs():
    settings = ScheduleSettings(refresh="30 2 * * *", timezone="Europe/Berlin")
    spring = times(settings, datetime(2027, 3, 27, 12, tzinfo=UTC), 2)
    assert spring == [
        ("2027-03-28T03:00:00+02:00", "refresh"),  # 02:30 does not exist
        ("2027-03-29T02:30:00+02:00", "refresh"),
    ]
    autumn = times(settings, datetime(2027, 10, 30, 12, tzinfo=UTC), 2)
    assert autumn == [
        ("2027-10-31T02:30:00+02:00", "refresh"),
        ("2027-11-01T02:30:00+01:00", "refresh"),
    ]


@pytest.mark.parametrize("expression", ["noon", "61 * * * *", "0 0 30 2 *", "* * * *"])
def test_an_invalid_schedule_is_an_error(expression):
    with pytest.raises(ConfigError, match="is not a valid schedule"):
        times(ScheduleSettings(refresh=expression), NEW_YEAR, 1)


def test_nothing_scheduled_is_reported():
    with pytest.raises(ConfigError, match=r"^nothing is scheduled$"):
        times(ScheduleSettings(refresh=""), NEW_YEAR, 1)


class Clock:
    """Time that passes by sleeping only."""

    def __init__(self):
        self.now = NEW_YEAR
        self.slept = []

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock():
    return Clock()


def scheduler(settings, clock, code):
    """Run Python code in place of the command; `sys.argv[1:]` are its arguments."""
    return Scheduler(settings, [sys.executable, "-c", code], lambda: clock.now, clock.sleep)


def test_it_runs_the_command_when_it_is_due(clock, tmp_path):
    out = tmp_path / "out"
    code = f"import sys; print(*sys.argv[1:], file=open({str(out)!r}, 'a'))"
    settings = ScheduleSettings(refresh="0 3 * * *", users_only="0 2 * * *")
    scheduler(settings, clock, code).run(jobs=3)
    assert out.read_text() == "refresh --users-only\nrefresh --if-changed\nrefresh --users-only\n"
    assert clock.now == NEW_YEAR + timedelta(days=1, hours=2)
    assert max(clock.slept) == 30  # a clock that is set meanwhile is noticed


def test_new_files_are_loaded_before_everything_is_computed(clock, tmp_path):
    out = tmp_path / "out"
    code = f"import sys; print(*sys.argv[1:], file=open({str(out)!r}, 'a')); "
    code += "sys.exit(sys.argv[1] == 'ingest')"
    settings = ScheduleSettings(ingest_from="/incoming", users_only="0 5 * * *", retries=1)
    scheduler(settings, clock, code).run(jobs=2)
    # A failure of the ingest is retried, and the refresh takes what is there.
    assert out.read_text().splitlines() == [
        "ingest --new /incoming", "ingest --new /incoming", "refresh --if-changed",
        "refresh --users-only",
    ]  # fmt: skip


@pytest.mark.parametrize(("code", "runs"), [(0, 1), (1, 4), (2, 1), (3, 1), (4, 1)])
def test_only_transient_failures_are_retried(clock, tmp_path, code, runs):
    out = tmp_path / "out"
    program = f"import sys; print(file=open({str(out)!r}, 'a')); sys.exit({code})"
    settings = ScheduleSettings(refresh="0 0 2 1 *", retries=3, retry_seconds=40)
    scheduler(settings, clock, program).run(jobs=1)
    assert len(out.read_text().splitlines()) == runs
    assert clock.slept[-3:] == ([40, 80, 160] if runs == 4 else [30, 30, 30])


def test_it_stops_trying_when_it_succeeds(clock, tmp_path):
    flag = tmp_path / "flag"
    code = f"import os, sys; f={str(flag)!r}; e=os.path.exists(f); open(f,'w'); sys.exit(not e)"
    scheduler(ScheduleSettings(retry_seconds=7), clock, code).run(jobs=1)
    assert clock.slept[-1] == 7


def test_each_job_is_logged(clock, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("recsys"), "propagate", True)
    caplog.set_level(logging.INFO, "recsys")
    scheduler(ScheduleSettings(), clock, "raise SystemExit(3)").run(jobs=1)
    assert [record.getMessage() for record in caplog.records] == [
        "next: refresh at 2027-01-01 03:30 UTC",
        "refresh ended with exit code 3: refused by the gate",
    ]
    assert caplog.records[0].facts == {"job": "refresh", "due": "2027-01-01T03:30:00+00:00"}


# --- as an operator meets it ---


def recsys(tmp_path, text, *arguments):
    (tmp_path / "recsys.toml").write_text(text)
    environment = {**os.environ, "RECSYS_CONFIG": str(tmp_path / "recsys.toml")}
    return subprocess.Popen(
        [sys.executable, "-m", "recsys", "schedule", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip


def test_upcoming_times_are_shown(tmp_path):
    text = '[schedule]\nrefresh = "0 4 1 1 *"\ntimezone = "Asia/Tokyo"\n'
    out, _ = recsys(tmp_path, text, "--next", "2").communicate(timeout=60)
    assert [line[4:] for line in out.splitlines()] == ["-01-01 04:00 JST  refresh"] * 2


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('timezone = "Mars/Base"', "[schedule]: timezone = 'Mars/Base' is not known"),
        ('refresh = "soon"', "refresh = 'soon' in [schedule] is not a valid schedule"),
        ("retries = -1", "[schedule]: retries = -1 is out of range"),
        ("refresh = 3", "[schedule]: refresh = 3 has the wrong type"),
        ("often = true", "[schedule]: unknown key 'often'"),
    ],
)
def test_a_wrong_setting_is_reported_with_its_line(tmp_path, line, told):
    process = recsys(tmp_path, f"[schedule]\n{line}\n")
    err = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert told in err
    assert "line 2" in err


def test_stopping_it_stops_what_it_runs(tmp_path):
    """The process it runs gets the signal on, and nothing is left."""
    code = (
        "from datetime import datetime, UTC\nimport os, sys, time\n"
        "from recsys.cli.app import signal, _terminated\n"
        "from recsys.jobs.schedule import Scheduler\n"
        "from recsys.config.settings import ScheduleSettings\n"
        "signal.signal(signal.SIGTERM, _terminated)\n"
        "child = 'import os, time; print(os.getpid(), flush=True); time.sleep(600)'\n"
        "early, late = (datetime(2027, 1, 1, hour, 29, tzinfo=UTC) for hour in (3, 4))\n"
        "now = iter([early] + 9 * [late])\n"
        "Scheduler(ScheduleSettings(), [sys.executable, '-c', child], lambda: next(now)).run()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    child = int(process.stdout.readline())
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 143
    assert time.monotonic() - began < 10
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_without_settings_there_is_a_schedule(tmp_path, monkeypatch):
    monkeypatch.delenv("RECSYS_CONFIG", raising=False)
    assert load({"RECSYS_HOME": str(tmp_path)}, tmp_path).schedule == ScheduleSettings()
