"""Overhead of the Python API over its query: stored lists, with one and with eight threads.

    python tests/benchmarks/python_latency.py --home HOME [--seconds 3] [--rounds 5] [--json]

HOME is that of contract_latency.py. The bare side has a psycopg connection for each thread, asks
the same query, and fetches its rows as tuples. Both sides take turns. With one thread the median of
a call counts, with eight the 99th percentile.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg

from recsys import Recommender
from recsys.service.queries.users import RECOMMEND
from recsys.storage.server.embedded import EmbeddedServer

THREADS = 8
VALUES: dict[str, Any] = {
    "n": 10,
    "model": None,
    "genres": None,
    "year_from": None,
    "year_to": None,
}


def timed(
    ask: Callable[[int], object], users: list[int], threads: int, seconds: float
) -> list[float]:
    """Return the milliseconds of each call, of all threads."""
    times: list[float] = []
    end = time.monotonic() + seconds

    def work(seed: int) -> None:
        draw, own = random.Random(seed), []
        while time.monotonic() < end:
            user = draw.choice(users)
            began = time.perf_counter()
            ask(user)
            own.append((time.perf_counter() - began) * 1000)
        times.extend(own)

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sorted(times)


def measure(url: str, seconds: float, rounds: int) -> dict[str, float]:
    """Return medians over the rounds; the first one warms up."""
    kept = threading.local()

    def bare(user: int) -> object:
        if not hasattr(kept, "connection"):
            kept.connection = psycopg.connect(url, autocommit=True)
        return kept.connection.execute(RECOMMEND, {"user_id": user, **VALUES}).fetchall()

    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT user_id FROM recsys_store.run_users").fetchall()
    users = [row[0] for row in rows]
    found: dict[str, list[float]] = {}
    with Recommender.connect(url) as recommender:
        for turn in range(rounds + 1):
            for threads in (1, THREADS):
                for side, ask in (("psycopg", bare), ("recommender", recommender.recommend)):
                    times = timed(ask, users, threads, seconds)
                    if turn:
                        name = f"{side}_{threads}"
                        found.setdefault(f"{name}_median_ms", []).append(statistics.median(times))
                        last = times[int(0.99 * len(times))]
                        found.setdefault(f"{name}_p99_ms", []).append(last)
                        found.setdefault(f"{name}_per_s", []).append(len(times) / seconds)
    figures = {name: round(statistics.median(values), 3) for name, values in found.items()}
    beside = zip(found["recommender_1_median_ms"], found["psycopg_1_median_ms"], strict=True)
    figures["overhead"] = round(statistics.median(ours / bare for ours, bare in beside) - 1, 3)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with EmbeddedServer(given.home).running() as url:
        figures = measure(url, given.seconds, given.rounds)
    if given.json:
        sys.stdout.write(json.dumps(figures) + "\n")
        return
    for name, value in figures.items():
        sys.stdout.write(f"{name:<28}{value:>12}\n")


if __name__ == "__main__":
    main()
