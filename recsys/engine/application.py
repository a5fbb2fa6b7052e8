"""Start and stop an application of Spark, and make sure that its executors have this code.

pyspark is imported here and nowhere before: other commands do without it.
"""

from __future__ import annotations

import logging
import os
import platform
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from recsys.errors import ConfigError, RunError

if TYPE_CHECKING:
    from pyspark import SparkContext

logger = logging.getLogger(__name__)

COMPARED = ("recsys", "numpy", "scipy", "implicit", "scikit-learn")
"""Packages whose versions decide about the last digit of a result."""
_SECONDS_FOR_EXECUTORS = 120
_SECONDS_WITHOUT_EXECUTORS = 300
_SECONDS_BETWEEN_LOOKS = 5.0
_IN_ARCHIVE = "recsys_packages"
"""Folder that an archive of packages is unpacked to, beside a task."""


@dataclass(frozen=True, slots=True)
class Application:
    """How to start an application of Spark."""

    master: str
    archive: str = ""
    """Archive of the packages for executors that have none."""
    python: str = ""
    """Interpreter of the executors."""
    driver_memory: str = "4g"
    executor_memory: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)
    """Further properties of Spark."""


def start(wanted: Application, name: str) -> SparkContext:
    """Start an application.

    Raises ConfigError without pyspark or Java, RunError without a cluster.
    """
    if find_spec("pyspark") is None:
        raise ConfigError(
            "the engine spark needs the package pyspark, which is not installed",
            hint="pip install 'recsys[spark]', and Java 17 or newer",
        )
    from pyspark import SparkConf, SparkContext
    from pyspark.errors import PySparkException

    if wanted.master.startswith("local") or wanted.python:
        os.environ["PYSPARK_PYTHON"] = wanted.python or sys.executable
    conf = SparkConf().setMaster(wanted.master).setAppName(name)
    for key, value in _properties(wanted).items():
        conf.set(key, value)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        context = SparkContext(conf=conf)
    except (PySparkException, OSError) as exc:
        raise ConfigError(
            f"Spark cannot start: {_first_line(exc)}", hint="is Java 17 installed? `java -version`"
        ) from exc
    # An error of the JVM: py4j is there with pyspark only.
    except Exception as exc:
        raise RunError(
            f"no application starts on {wanted.master}: {_first_line(exc)}",
            hint="check [engine] master in recsys.toml",
        ) from exc
    finally:
        # Spark puts a handler of its own in place, which would keep the run from ending cleanly.
        with suppress(ValueError):
            for number, handler in handlers.items():
                signal.signal(number, handler)
    context.setLogLevel("ERROR")
    return context


def _properties(wanted: Application) -> dict[str, str]:
    found = {
        "spark.driver.memory": wanted.driver_memory,
        "spark.driver.maxResultSize": "0",
        "spark.ui.showConsoleProgress": "false",
        "spark.task.maxFailures": "10",
        # A lost machine refuses no connection: each fetch would wait 120 s, Spark's default.
        "spark.shuffle.io.connectionCreationTimeout": "10s",
        "spark.executorEnv.OPENBLAS_NUM_THREADS": "1",
        "spark.executorEnv.OMP_NUM_THREADS": "1",
    }
    if wanted.executor_memory:
        found["spark.executor.memory"] = wanted.executor_memory
    if wanted.archive:
        found["spark.archives"] = f"{wanted.archive}#{_IN_ARCHIVE}"
        found["spark.executorEnv.PYTHONPATH"] = _IN_ARCHIVE
    return {**found, **wanted.properties}


def cancel(context: SparkContext) -> None:
    """Cancel what runs."""
    # The JVM may be gone already, as after a signal to the whole group of processes.
    with suppress(Exception):
        context.cancelAllJobs()


def stop(context: SparkContext) -> None:
    """Cancel what runs, and end the application with its executors."""
    cancel(context)
    with suppress(Exception):
        context.stop()


def slots(context: SparkContext) -> int:
    """Return how many tasks run side by side, once the executors are there."""
    deadline, local = time.monotonic() + _SECONDS_FOR_EXECUTORS, _is_local(context)
    while not local and not _executors(context):
        if time.monotonic() > deadline:
            raise RunError(
                f"no executor has come to {context.master} in {_SECONDS_FOR_EXECUTORS} s",
                hint="are its workers running, and have they free cores and memory?",
            )
        time.sleep(0.1)
    # Others may come a little later; their number is not known to every cluster.
    settled, count = 0, 0
    while not local and settled < 10 and time.monotonic() < deadline:
        now = _executors(context)
        settled, count = (settled + 1, count) if now == count else (0, now)
        time.sleep(0.1)
    return max(1, int(context.defaultParallelism))


def _is_local(context: SparkContext) -> bool:
    """Return whether tasks run in the JVM of the driver."""
    return str(context.master) == "local" or str(context.master).startswith("local[")


def _executors(context: SparkContext) -> int:
    jvm: Any = context._jsc.sc()
    # The status includes the driver.
    return int(jvm.getExecutorMemoryStatus().size()) - 1


@contextmanager
def watched(context: SparkContext) -> Iterator[None]:
    """Warn when all executors are lost, and cancel the jobs if none comes back.

    Spark would wait without end and keep the snapshot open.
    """
    ended = threading.Event()

    def watch() -> None:
        lost_at, told = None, False
        while not ended.wait(_SECONDS_BETWEEN_LOOKS):
            # The JVM may end meanwhile.
            with suppress(Exception):
                if _executors(context):
                    lost_at, told = None, False
                    continue
                lost_at = lost_at or time.monotonic()
                waited = time.monotonic() - lost_at
                if waited >= _SECONDS_WITHOUT_EXECUTORS:
                    logger.error("no executor has come back in %d s: given up", waited)
                    cancel(context)
                    lost_at = None
                elif not told:
                    told = True
                    logger.warning(
                        "all executors of %s are lost; waiting %d s for others",
                        context.master,
                        _SECONDS_WITHOUT_EXECUTORS,
                    )

    watcher = threading.Thread(target=watch, name="executors", daemon=True)
    if not _is_local(context):
        watcher.start()
    try:
        yield
    finally:
        ended.set()


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages of this process."""
    found = {"python": ".".join(platform.python_version_tuple()[:2])}
    for package in COMPARED:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def compare_versions(context: SparkContext) -> None:
    """Raise ConfigError unless the executors have the versions of this process."""
    tasks = 2 * context.defaultParallelism
    try:
        found = context.parallelize(range(tasks), tasks).map(_told).collect()
    except Exception as exc:
        missing = "recsys" if "No module named 'recsys'" in str(exc) else None
        raise ConfigError(
            "the executors cannot run this code: "
            + (f"they have no package {missing}" if missing else _first_line(exc)),
            hint="install recsys on the workers, or name an archive of `recsys engine package` in "
            "[engine] archive",
        ) from exc
    own = versions()
    for host, others in found:
        different = [name for name in own if others[name] != own[name]]
        if different:
            told = ", ".join(f"{name} {others[name]}, not {own[name]}" for name in different)
            raise ConfigError(
                f"the executors on {host} have other versions: {told}",
                hint="install the same on all workers, or name an archive of `recsys engine "
                "package` in [engine] archive",
            )


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn the failure of a job into a RunError with the error of its task."""
    try:
        yield
    except Exception as exc:
        if not type(exc).__module__.startswith(("py4j", "pyspark")):
            raise
        raise RunError(
            f"a task failed on the executors: {error_of_task(str(exc))}",
            hint="the logs of the executors have the traceback",
        ) from exc


def error_of_task(text: str) -> str:
    """Return the error that Python raised in a task, from what Spark tells of it."""
    found = re.findall(r"(?m)^(?:[A-Za-z_]\w*\.)*([A-Z]\w*): (.*)$", text)
    raised = [(kind, told) for kind, told in found if not kind.startswith(("Py4J", "Spark"))]
    for kind, told in raised:
        if kind not in ("PythonException", "Caused"):
            return f"{kind}: {told.strip()}"
    lost = re.search(r"ExecutorLostFailure[^\n]*|Job aborted[^\n]*", text)
    return lost[0].strip() if lost else _first_line(RuntimeError(text))


def _told(_: int) -> tuple[str, dict[str, str]]:
    return platform.node(), versions()


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    lines = [line for line in text.splitlines() if line.strip()]
    return next(
        (line.strip() for line in lines if "Exception" in line or "Error" in line), lines[0]
    )
