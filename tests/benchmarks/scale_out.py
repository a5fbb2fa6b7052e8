"""Simulate refreshes of billions of ratings on a Spark cluster, from measured costs of a shard.

    python tests/benchmarks/scale_out.py [--executors 20 100] [--ratings 1e9 1e10]

Prints the table of docs/scale-out.md. The costs are constants below, with how each was measured;
put your own there. The simulation adds up stages one after the other: reading, sums, the solve on
the driver, ranking with writing, and the gate, which reads nothing and learns once more.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass

# Measured on one core of a machine with two, busy with other work, PostgreSQL 18 beside it.
READ = 5.6e-7
"""Seconds to read a rating by COPY and put it into a shard (stage `read` at 10 million)."""
PAIR = 1.1e-9
"""Seconds to add a pair of ratings of one user to a Gram matrix (`recsys.models.cost`)."""
WEIGHT = 1.4e-9
"""Seconds to add a stored weight to a score (`recsys.models.cost`)."""
LIST = 3.5e-5
"""Seconds to select, check and encode a list (`recsys.models.cost`)."""
WRITE = 1.0 / 74_000
"""Seconds of PostgreSQL to take a list of 100 entries, at 7.4 million entries a second."""
FLOP = 3.5e-12
"""Seconds of a step of a dense inverse on the two cores of the driver."""
START = 20.0
"""Seconds to start an application, its executors and Python on them."""
JOB = 0.15
"""Seconds that a job of Spark takes beside its work."""
RATING_BYTES, LIST_BYTES, SUM_BYTES = 20, 1_250, 8
NETWORK = 1.25e9
"""Bytes a second between two nodes: 10 Gbit/s."""
DATABASE = 4.0e6
"""Ratings a second that one server hands out to all sessions together: an assumption for 8 cores.
Measured: 1.8 million for one session."""


@dataclass(frozen=True)
class Case:
    ratings: float
    users: float
    items: int
    cores: int
    connections: int = 64
    weights: int = 400


def simulate(case: Case) -> dict[str, float]:
    """Return the seconds of each stage, of `ease` with `content_genres` and charts left out."""
    mean = case.ratings / case.users
    pairs = case.users * 3 * mean**2  # the spread of MovieLens: mean of squares over squared mean
    reading = min(case.cores, case.connections)
    read = max(case.ratings * READ / reading, case.ratings / DATABASE)
    local = pairs * PAIR / case.cores
    nodes = max(1, case.cores // 4)
    if 2 * case.items**2 * SUM_BYTES / 2 < case.cores * case.ratings * RATING_BYTES:
        # The sums of each core travel, written and read.
        travel = 2 * case.cores * case.items**2 / 2 * SUM_BYTES / (NETWORK * nodes)
    else:  # every node reads what the others have read
        travel = (nodes - 1) * case.ratings / DATABASE
    gram = case.items**2 / 2 * 4 / NETWORK
    solve = case.items**3 * FLOP
    rank = (case.ratings * case.weights * WEIGHT + case.users * LIST) / case.cores
    write = max(rank, case.users * WRITE)
    fit = local + travel + gram + solve
    return {
        "start": START + 10 * JOB,
        "read": read,
        "sums": local,
        "travel": travel + gram,
        "solve": solve,
        "rank and write": write,
        "gate": fit + 20_000 * mean * case.weights * WEIGHT,
        "all": START + read + 2 * fit + write,
    }


def table(cases: list[Case]) -> str:
    head = ["ratings", "users", "movies", "cores", *simulate(cases[0])]
    lines = [f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
    for case in cases:
        seconds = simulate(case).values()
        cells = [
            f"{case.ratings:,.0f}", f"{case.users:,.0f}", f"{case.items:,}", f"{case.cores}",
            *(spoken(each) for each in seconds),
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def spoken(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def memory(case: Case, executor_cores: int = 4) -> str:
    """Return what a node of an executor and the driver need, in GB."""
    nodes = math.ceil(case.cores / executor_cores)
    disk = case.ratings * RATING_BYTES / nodes / 1e9
    driver = (case.items**2 * 2 + case.users * 24 + 1e9) / 1e9
    gate = case.ratings * 9 / 1e9  # a permutation of all ratings, and a mark for each
    return (
        f"{case.ratings:,.0f} ratings on {nodes} nodes: {disk:.0f} GB of local disk a node, "
        f"driver {driver:.0f} GB, with the gate {driver + gate:.0f} GB, "
        f"database {case.ratings * 106 / 1e9:,.0f} GB of ratings and "
        f"{case.users * LIST_BYTES / 1e9:,.0f} GB of lists a run and model"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ratings", type=float, nargs="+", default=[1e8, 1e9, 1e10])
    parser.add_argument("--cores", type=int, nargs="+", default=[8, 80, 400])
    parser.add_argument("--movies", type=int, default=20_000)
    arguments = parser.parse_args()
    cases = [
        Case(ratings, ratings / 150, arguments.movies, cores)
        for ratings in arguments.ratings
        for cores in arguments.cores
    ]
    sys.stdout.write(table(cases) + "\n\n")
    for case in cases:
        if case.cores == max(arguments.cores):
            sys.stdout.write(f"- {memory(case)}\n")


if __name__ == "__main__":
    main()
