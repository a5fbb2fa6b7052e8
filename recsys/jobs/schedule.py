"""Run jobs on a schedule: one at a time, retried if they fail, until stopped.

Each command is a process of its own, so that its memory returns to the system and a crash does not
stop the schedule. Times follow Debian's cron, also at changes of daylight saving time.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from recsys.config.settings import ScheduleSettings
from recsys.errors import ConfigError, GateRefused, RefreshBusy

logger = logging.getLogger(__name__)

LONGEST_SLEEP_S = 30.0
"""Longer waits are divided, so that a changed clock or a suspended machine is noticed."""
TO_END_S = 30.0
"""Time for a refresh to mark its run as failed before it is killed."""
RETRIED = 1
"""Exit code of a failure that a retry may cure, such as a database that is down."""
MEANINGS = {
    2: "wrong usage or settings",
    GateRefused.exit_code: "refused by the gate",
    RefreshBusy.exit_code: "another refresh is running",
}


@dataclass(frozen=True, slots=True)
class Due:
    """A job and when it is next due."""

    at: datetime
    job: str
    commands: tuple[tuple[str, tuple[str, ...]], ...]
    """The commands that do it one after the other, each with a name for messages."""


JOBS = {
    "sync": ("sync",),
    "refresh": ("refresh", "--if-changed"),
    "users_only": ("refresh", "--users-only"),
}
"""The command that each key of `[schedule]` runs."""


def upcoming(settings: ScheduleSettings, after: datetime) -> Iterator[Due]:
    """Yield the jobs due after a time, in order; of two at one time a sync first, then
    the whole refresh.

    Raises ConfigError for an expression that is invalid or never matches.
    """
    times = {job: _times(settings, job, after) for job in JOBS if getattr(settings, job)}
    if not times:
        raise ConfigError(
            "nothing is scheduled", hint='write refresh = "30 3 * * *" into [schedule]'
        )
    following = {job: next(at) for job, at in times.items()}
    while True:
        job = min(following, key=lambda name: (following[name], list(JOBS).index(name)))
        yield Due(following[job], job, _commands(settings, job))
        following[job] = next(times[job])


def _commands(settings: ScheduleSettings, job: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    command = (job, JOBS[job])
    if job != "refresh" or not settings.ingest_from:
        return (command,)
    # Before the refresh, which may compute without it if a file is not as it should be.
    return (("ingest", ("ingest", "--new", settings.ingest_from)), command)


def _times(settings: ScheduleSettings, job: str, after: datetime) -> Iterator[datetime]:
    expression = getattr(settings, job)
    try:
        times = CronSim(expression, after.astimezone(ZoneInfo(settings.timezone)))
        # A second iterator: only the first step shows that an expression never matches.
        next(CronSim(expression, after.astimezone(ZoneInfo(settings.timezone))))
    except (CronSimError, StopIteration) as exc:
        error = ConfigError(
            f"{job} = {expression!r} in [schedule] is not a valid schedule: "
            f"{exc or 'it never matches'}",
            hint="five fields: minute hour day month weekday, as 30 3 * * *",
            key=(job,),
        )
        raise settings.located(error, "schedule") from exc
    return iter(times)


class Scheduler:
    """Runs the jobs that are due; their arguments are appended to `command`."""

    def __init__(
        self,
        settings: ScheduleSettings,
        command: Sequence[str] = (sys.executable, "-m", "recsys"),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings = settings
        self._command = tuple(command)
        self._now = now
        self._sleep = sleep

    def run(self, jobs: int | None = None) -> None:
        """Run due jobs forever, or a number of them; times missed meanwhile are skipped."""
        while jobs is None or jobs > 0:
            due = next(upcoming(self._settings, self._now()))
            self._tell(f"next: {due.job} at {due.at:%Y-%m-%d %H:%M %Z}", due)
            self._wait_until(due.at)
            self._run(due)
            jobs = None if jobs is None else jobs - 1

    def _wait_until(self, at: datetime) -> None:
        while (left := (at - self._now()).total_seconds()) > 0:
            self._sleep(min(left, LONGEST_SLEEP_S))

    def _run(self, due: Due) -> None:
        for name, arguments in due.commands:
            self._run_command(due, name, arguments)

    def _run_command(self, due: Due, name: str, arguments: Sequence[str]) -> None:
        """Run a command; retry it after failures, with pauses that double."""
        for attempt in range(self._settings.retries + 1):
            code = self._run_once(due, name, arguments)
            # Wrong settings or a refusal of the gate would only repeat themselves.
            if code != RETRIED:
                break
            if attempt == self._settings.retries:
                logger.error(
                    "%s failed %d times; it runs again when it is next due", name, attempt + 1
                )
                break
            pause = self._settings.retry_seconds * 2**attempt
            logger.warning("%s failed; retry in %d s", name, pause)
            self._sleep(pause)

    def _run_once(self, due: Due, name: str, arguments: Sequence[str]) -> int:
        with _ended(subprocess.Popen([*self._command, *arguments])) as process:
            code = process.wait()
        if code in (0, RETRIED):
            self._tell(f"{name} ended with exit code {code}", due)
        else:
            meaning = MEANINGS.get(code, "it was killed" if code < 0 else "unknown")
            logger.warning("%s ended with exit code %d: %s", name, code, meaning)
        return code

    def _tell(self, message: str, due: Due) -> None:
        logger.info(message, extra={"facts": {"job": due.job, "due": due.at.isoformat()}})


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Terminate the process if the block ends before it."""
    try:
        yield process
    finally:
        if process.poll() is None:
            # SIGTERM and a pause: the refresh marks its run as failed before it exits.
            process.terminate()
            try:
                process.wait(TO_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
