"""The three bulk paths against their requirements: files in, matrix out, results in.

    python tests/benchmarks/bulk_paths.py [--ratings N] [--users N] [--movies N] [--folder FOLDER]
        [--repeats N] [--url URL] [--json]

One server, one run. Competing sides take turns, the medians are compared, all times are printed.
The data is generated once and kept in FOLDER. A requirement that is missed does not fail.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import sqlalchemy as sa
from bench_server import Server, bench_server, in_own_process
from bulk_parts import (
    COPY,
    Measured,
    make_data,
    run_ingest,
    run_pandas,
    run_results,
    run_snapshot,
)

from recsys.errors import RecsysError
from recsys.storage.schema import introspection

RATINGS = "recsys_store.ratings"
EXPORTS = {
    "users": "recsys_store.users (user_id, key)",
    "movies": "recsys_store.movies (movie_id, key, title, original_title)",
    "ratings": f"{RATINGS} (user_id, movie_id, rating, rated_at)",
}
SUMS = sa.text(f"""
SELECT count(*), sum(rating), sum(CAST(user_id AS bigint) * movie_id), min(rated_at), max(rated_at)
FROM {RATINGS}
""")
INGEST_TIMES_PSQL, SNAPSHOT_TIMES_PANDAS = 1.5, 3.0
SNAPSHOT_A_SECOND, RESULTS_A_SECOND = 2_000_000, 1_000_000
MEMORY_MB = 4096

Runs = dict[str, list[Measured]]


@dataclass(frozen=True)
class Check:
    """One requirement; its limit applies to `ratio`."""

    what: str
    required: str
    measured: str
    ratio: float
    ok: bool

    @property
    def verdict(self) -> str:
        return "ok" if self.ok else "missed"


# --- measuring ------------------------------------------------------------------------------------


def measure(server: Server, folder: Path, chosen: argparse.Namespace) -> Runs:
    """Run each part `repeats` times; reading and writing use the database ingested last."""
    found: Runs = {name: [] for name in ("ingest", "psql", "snapshot", "pandas", "results")}
    empty = server.migrated()
    bare, ours = "", ""
    for turn in range(chosen.repeats):
        if ours:
            server.drop(ours)
        ours = server.create(empty)
        server.checkpoint()
        found["ingest"].append(in_own_process(run_ingest, server.url_of(ours), folder))
        _tell(f"ingest {turn + 1}", found["ingest"][-1])
        bare = bare or _prepare_psql(server, ours, folder)
        found["psql"].append(_psql_turn(server, bare, ours, folder))
        _tell(f"psql {turn + 1}", found["psql"][-1])
    url = server.url_of(ours)
    for turn in range(chosen.repeats):
        server.checkpoint()
        found["snapshot"].append(in_own_process(run_snapshot, url))
        _tell(f"snapshot {turn + 1}", found["snapshot"][-1])
        found["pandas"].append(in_own_process(run_pandas, url, chosen.pandas_rows))
        _tell(f"pandas {turn + 1}", found["pandas"][-1])
    for turn in range(chosen.repeats):
        server.checkpoint()
        found["results"].append(in_own_process(run_results, url, chosen.listed_users, chosen.seed))
        _tell(f"results {turn + 1}", found["results"][-1])
    return found


def _prepare_psql(server: Server, ours: str, folder: Path) -> str:
    """Write the files psql can read; return a database with all but ratings, their keys off."""
    exports = folder.with_name(f"{folder.name}-psql")
    exports.mkdir(exist_ok=True)
    bare = server.migrated()
    for name, table in EXPORTS.items():
        file = exports / f"{name}.csv"
        if not file.exists():
            part = file.with_suffix(".part")
            server.timed_psql(ours, f"\\copy {table} to {_quoted(part)} with (format csv, header)")
            part.rename(file)
        if name != "ratings":
            server.timed_psql(bare, _copy_in(table, file))
    with server.database(bare).transaction() as connection:
        for constraint in introspection.constraints(connection, RATINGS):
            connection.execute(sa.text(f"ALTER TABLE {RATINGS} DROP CONSTRAINT {constraint.name}"))
        for index in introspection.indexes(connection, RATINGS):
            connection.execute(sa.text(f"DROP INDEX recsys_store.{index.name}"))
    server.timed_psql(bare, "ANALYZE")
    return bare


def _psql_turn(server: Server, bare: str, ours: str, folder: Path) -> Measured:
    """Load the ratings with psql, add keys and indexes as in `ours`, and compare the tables."""
    with server.database(ours).transaction() as connection:
        constraints = introspection.constraints(connection, RATINGS)
        indexes = introspection.indexes(connection, RATINGS)
        expected = connection.execute(SUMS).one()
    file = folder.with_name(f"{folder.name}-psql") / "ratings.csv"
    commands = {"\\copy": _copy_in(EXPORTS["ratings"], file)}
    for part in constraints:
        commands[part.name] = f"ALTER TABLE {RATINGS} ADD CONSTRAINT {part.name} {part.definition}"
    commands |= {part.name: part.definition for part in indexes}
    commands["analyse"] = f"ANALYZE {RATINGS}"
    theirs = server.create(bare)
    server.checkpoint()
    seconds = {name: server.timed_psql(theirs, command) for name, command in commands.items()}
    with server.database(theirs).transaction() as connection:
        loaded = connection.execute(SUMS).one()
    server.drop(theirs)
    if tuple(loaded) != tuple(expected):
        raise SystemExit(f"psql loaded {loaded}, ingest {expected}: not the same ratings")
    return Measured(seconds, loaded[0], 0, sum(seconds.values()))


def _copy_in(table: str, file: Path) -> str:
    return f"\\copy {table} from {_quoted(file)} with (format csv, header)"


def _quoted(file: Path) -> str:
    return "'" + str(file).replace("'", "''") + "'"


# --- judging --------------------------------------------------------------------------------------


def judge(found: Runs) -> list[Check]:
    ingest, psql = (_median(found[name]) for name in ("ingest", "psql"))
    snapshot, pandas, results = (_rate(found[name]) for name in ("snapshot", "pandas", "results"))
    copied = found["results"][0].rows / statistics.median(r.seconds[COPY] for r in found["results"])
    checks = [
        Check(
            "ingest, validation, keys, indexes; against psql \\copy, keys, indexes",
            f"<= {INGEST_TIMES_PSQL} x its time",
            f"{ingest:.1f} s to {psql:.1f} s",
            ingest / psql,
            ingest <= INGEST_TIMES_PSQL * psql,
        ),
        _at_least("read the matrix", snapshot, SNAPSHOT_A_SECOND, "ratings"),
        Check(
            f"read the matrix; against pandas.read_sql of {found['pandas'][0].rows:,} rows",
            f">= {SNAPSHOT_TIMES_PANDAS:g} x its rate",
            f"{snapshot / 1e6:.2f} to {pandas / 1e6:.2f} M/s",
            snapshot / pandas,
            snapshot >= SNAPSHOT_TIMES_PANDAS * pandas,
        ),
        _at_least("write results: columns, checksum, COPY", copied, RESULTS_A_SECOND, "entries"),
        _at_least("write results: all up to the publication", results, RESULTS_A_SECOND, "entries"),
    ]
    return checks + [_memory(name, found[name]) for name in ("ingest", "snapshot", "results")]


def _at_least(what: str, rate: float, required: int, unit: str) -> Check:
    limit = f">= {required / 1e6:g} M {unit}/s"
    return Check(what, limit, f"{rate / 1e6:.2f} M/s", rate / required, rate >= required)


def _memory(name: str, runs: list[Measured]) -> Check:
    peak = max(run.peak_memory_mb for run in runs)
    limit = f"< {MEMORY_MB:,} MiB"
    ratio = peak / MEMORY_MB
    return Check(f"peak memory: {name}", limit, f"{peak:,} MiB", ratio, peak < MEMORY_MB)


def _median(runs: list[Measured]) -> float:
    return statistics.median(run.total for run in runs)


def _rate(runs: list[Measured]) -> float:
    return runs[0].rows / _median(runs)


# --- telling --------------------------------------------------------------------------------------


def _tell(name: str, run: Measured) -> None:
    memory = f", {run.peak_memory_mb:,} MiB" if run.peak_memory_mb else ""
    sys.stderr.write(f"{name}: {run.total:.2f} s, {run.rows / run.total / 1e6:.2f} M/s{memory}\n")


def as_text(found: Runs, checks: list[Check]) -> str:
    rows = [("what", "required", "measured", "ratio", "verdict")]
    rows += [(c.what, c.required, c.measured, f"{c.ratio:.2f}", c.verdict) for c in checks]
    lines = [*_aligned(rows), "", "Steps are those of the median run."]
    for name, runs in found.items():
        totals = "  ".join(f"{run.total:.2f}" for run in runs)
        lines.append(f"{name}: {runs[0].rows:,} rows in {totals} s")
        median = sorted(runs, key=lambda run: run.total)[(len(runs) - 1) // 2]
        lines += [f"  {spent:8.2f} s  {step}" for step, spent in median.seconds.items()]
    return "\n".join(lines) + "\n"


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def as_json(found: Runs, checks: list[Check], chosen: argparse.Namespace) -> str:
    document = {
        "measured_at": time.strftime("%Y-%m-%d"),
        "machine": {"cores": os.cpu_count(), "system": platform.platform(terse=True)},
        "arguments": {"ratings": chosen.ratings, "users": chosen.users, "movies": chosen.movies},
        "checks": [{**asdict(check), "verdict": check.verdict} for check in checks],
        "runs": {name: [asdict(run) for run in runs] for name, runs in found.items()},
    }
    return json.dumps(document, indent=2) + "\n"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--ratings", type=int, default=10_000_000)
    parser.add_argument("--users", type=int, default=60_000)
    parser.add_argument("--movies", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--listed-users", type=int, default=50_000, help="users given lists of 100")
    parser.add_argument("--pandas-rows", type=int, default=2_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "recsys-bench")
    parser.add_argument("--url", help="a PostgreSQL to make databases on; default: a temporary one")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main() -> None:
    chosen = _arguments()
    shape = (chosen.users, chosen.movies, chosen.ratings, chosen.seed)
    folder = chosen.folder.resolve() / "movielens-like-{}-{}-{}-{}".format(*shape)
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        in_own_process(make_data, folder, *shape)
        with bench_server(chosen.url) as server:
            found = measure(server, folder, chosen)
    except RecsysError as exc:
        sys.exit(f"error: {exc}" + (f"\nhint: {exc.hint}" if exc.hint else ""))
    except KeyboardInterrupt:
        sys.exit(130)
    checks = judge(found)
    sys.stdout.write(as_json(found, checks, chosen) if chosen.json else as_text(found, checks))


if __name__ == "__main__":
    main()
