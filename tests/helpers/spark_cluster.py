"""A Spark cluster of real processes: a master and workers of one core each."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pyspark

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
DEPLOY = "org.apache.spark.deploy"


@dataclass
class Cluster:
    """Processes of Spark on this machine."""

    folder: Path
    master: str
    master_ui: str
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *arguments: str) -> None:
        program = Path(pyspark.__file__).parent / "bin" / "spark-class"
        environment = {
            **os.environ,
            "SPARK_LOCAL_IP": HOST,
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
            "SPARK_LOCAL_DIRS": str(self.folder / "local"),
            "SPARK_WORKER_DIR": str(self.folder / "work"),
            "SPARK_DAEMON_MEMORY": "256m",
        }
        # The executors must find the database by what the driver tells them.
        environment.pop("RECSYS_DATABASE_URL", None)
        number = len(self.processes)
        with (self.folder / f"process-{number}.log").open("wb") as log:
            self.processes.append(
                subprocess.Popen(
                    [program, *arguments], env=environment, stdout=log, stderr=log, cwd=self.folder
                )
            )

    def wait(self, workers: int) -> None:
        """Wait until the workers have come to the master."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            with suppress(OSError):
                told = json.loads(urllib.request.urlopen(f"{self.master_ui}/json/").read())
                if told["aliveworkers"] >= workers:
                    return
            time.sleep(0.3)
        raise TimeoutError("the workers of Spark do not come up")

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        return int(taken.getsockname()[1])


def executors(cluster: Cluster) -> list[int]:
    """Return the process ids of the executors of a cluster."""
    found = []
    for folder in Path("/proc").iterdir():
        with suppress(OSError):
            if (
                not folder.name.isdigit()
                or cluster.folder not in (folder / "cwd").readlink().parents
            ):
                continue
            if b"CoarseGrainedExecutorBackend" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return sorted(found)


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@contextmanager
def spark_cluster(workers: int = 2) -> Iterator[Cluster]:
    """Run a master and its workers meanwhile."""
    folder = Path(tempfile.mkdtemp(prefix="recsys-spark-"))
    port, ui = free_port(), free_port()
    cluster = Cluster(folder, f"spark://{HOST}:{port}", f"http://{HOST}:{ui}")
    where = ["--host", HOST, "--port", str(port), "--webui-port", str(ui)]
    try:
        cluster.start(f"{DEPLOY}.master.Master", *where)
        for _ in range(workers):
            cluster.start(
                f"{DEPLOY}.worker.Worker", "--host", HOST, "--cores", "1", "--memory", "2g",
                "--webui-port", str(free_port()), cluster.master,
            )  # fmt: skip
        cluster.wait(workers)
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)
