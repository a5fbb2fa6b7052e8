"""How many requests a second one worker of `recsys serve` answers, how soon, in how much memory.

    python tests/benchmarks/http_load.py --home HOME --users 60000 [--connections 16] [--seconds 10]
        [--path /users/{user}/recommendations]

HOME holds a published run; users are drawn from 1 to --users. Asked by wrk, or where there is none
by threads of this program, which then has a good share of the processor. Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WARM_UP_S = 2
SCRIPT = """
math.randomseed(7)
request = function()
  return wrk.format("GET", (string.gsub("{path}", "{{user}}", math.random(1, {users}))))
end
done = function(summary, latency, requests)
  local failed = summary.errors
  io.write(string.format("RESULT %d %d %f %f %d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99),
    failed.connect + failed.read + failed.write + failed.status + failed.timeout))
end
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--users", type=int, default=600)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--path", default="/users/{user}/recommendations")
    asked = parser.parse_args()
    by = by_wrk if shutil.which("wrk") else by_threads
    with serving(asked.home) as (process, port):
        by(asked, port, WARM_UP_S)
        before = cpu_seconds(process.pid)
        figures = by(asked, port, asked.seconds)
        spent = cpu_seconds(process.pid) - before
        facts = {
            "client": by.__name__.removeprefix("by_"),
            "path": asked.path,
            "connections": asked.connections,
            "seconds": asked.seconds,
            **figures,
            "worker_cpu_ms": round(1000 * spent / figures["requests"], 3),
            "worker_rss_mb": memory_mb(process.pid),
            "load_average": round(os.getloadavg()[0], 1),
        }
    sys.stdout.write(json.dumps(facts) + "\n")


@contextmanager
def serving(home: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Start `recsys serve` on a free port, and end it."""
    command = [sys.executable, "-m", "recsys", "serve", "--port", "0"]
    environment = {**os.environ, "RECSYS_HOME": str(home.resolve())}
    environment.pop("RECSYS_DATABASE_URL", None)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        if not found:
            sys.exit(line + process.stderr.read())
        yield process, int(found[1])
    finally:
        process.terminate()
        process.wait()


def by_wrk(asked: argparse.Namespace, port: int, seconds: int) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT.format(path=asked.path, users=asked.users))
        script.flush()
        command = ["wrk", "-t1", f"-c{asked.connections}", f"-d{seconds}", "-s", script.name]
        address = f"http://127.0.0.1:{port}/"
        done = subprocess.run([*command, address], capture_output=True, text=True, check=True)
    requests, duration, half, most, failed = map(
        float, done.stdout.partition("RESULT ")[2].split()[:5]
    )
    return told(requests, duration / 1e6, half / 1e3, most / 1e3, failed)


def by_threads(asked: argparse.Namespace, port: int, seconds: int) -> dict[str, Any]:
    until = time.monotonic() + seconds
    took: list[float] = []
    failed: list[int] = []

    def ask(seed: int) -> None:
        draw = random.Random(seed)
        connection = http.client.HTTPConnection("127.0.0.1", port)
        while time.monotonic() < until:
            began = time.perf_counter()
            connection.request("GET", asked.path.format(user=draw.randint(1, asked.users)))
            answer = connection.getresponse()
            answer.read()
            took.append(time.perf_counter() - began)
            if answer.status != 200:
                failed.append(answer.status)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(asked.connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took.sort()
    half, most = took[len(took) // 2], took[len(took) * 99 // 100]
    return told(len(took), seconds, half * 1e3, most * 1e3, len(failed))


def told(
    requests: float, seconds: float, p50_ms: float, p99_ms: float, failed: float
) -> dict[str, Any]:
    return {
        "requests": int(requests),
        "requests_per_s": round(requests / seconds),
        "p50_ms": round(p50_ms, 1),
        "p99_ms": round(p99_ms, 1),
        "failed": int(failed),
    }


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return round(int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024, 1)


if __name__ == "__main__":
    main()
