"""How long the functions of the contract take, on ten million ratings.

    python tests/benchmarks/contract_latency.py [--home HOME] [--calls 2000] [--seconds 5] [--json]

HOME keeps the server with generated ratings, ingested and refreshed once; it is used again. One
client and warm, unless said otherwise; times are the server's own, of single calls. A target that
is missed does not fail.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg
from generate import generate

from recsys.config.settings import RefreshSettings
from recsys.jobs.ingest import ingest
from recsys.jobs.plan import plan
from recsys.jobs.refresh import refresh
from recsys.storage.schema import versions
from recsys.storage.server.embedded import EmbeddedServer
from recsys.storage.server.engine import Database

USERS, MOVIES, RATINGS = 60_000, 20_000, 10_000_000
LIVE_RATINGS = 200
ROUNDS = 5
TIMED = """
DO $body$
DECLARE
    argument integer;
    began timestamptz;
BEGIN
    CREATE TEMPORARY TABLE IF NOT EXISTS timed (round integer, ms double precision);
    TRUNCATE timed;
    FOR argument IN SELECT unnest('{arguments}'::integer[]) LOOP
        began := clock_timestamp();
        PERFORM {call};
        INSERT INTO timed VALUES (1, extract(epoch FROM clock_timestamp() - began) * 1000);
    END LOOP;
END
$body$
"""
BASELINE = """\
\\set user random({low}, {high})
SELECT u.rank, u.movie_id, m.title, u.score
FROM (
    SELECT
        generate_subscripts(l.scores, 1) AS rank, unnest(l.movie_ids) AS movie_id,
        unnest(l.scores) AS score
    FROM recsys_store.user_recommendations AS l
    WHERE l.run_id = {run_id} AND l.model_id = {model_id} AND l.user_id = :user
    ORDER BY rank
) AS u
JOIN recsys_store.movies AS m ON m.movie_id = u.movie_id
ORDER BY u.rank LIMIT 10;
"""
CALLED = """\
\\set user random({low}, {high})
SELECT * FROM recsys.recommend(:user::integer, 10);
"""
EQUAL = """
SELECT count(*) FROM recsys.recommend(%(user)s, 10) AS s
FULL JOIN recsys.recommend_for(
    (SELECT jsonb_object_agg(r.movie_id, r.rating) FROM recsys.ratings AS r
     WHERE r.user_id = %(user)s), 10
) AS l ON l.rank = s.rank
WHERE l.movie_id IS DISTINCT FROM s.movie_id OR abs(l.score - s.score) > 1e-5
    OR (s.source, l.source) IS DISTINCT FROM ('stored', 'live')
"""
VIOLATIONS = """
SELECT count(*) FROM recsys.recommend(%(user)s, 10) AS s
WHERE EXISTS (
    SELECT FROM recsys.ratings AS r WHERE r.user_id = %(user)s AND r.movie_id = s.movie_id
)
"""


@dataclass(frozen=True)
class Line:
    what: str
    median_ms: float | None
    p99_ms: float | None
    target: str
    met: bool
    note: str = ""


class Bench:
    def __init__(self, database: Database, server: EmbeddedServer, calls: int) -> None:
        self.url = database.url.replace("+psycopg", "")
        self.server, self.calls = server, calls
        self.random = random.Random(1)
        with self.connection() as connection:
            found = connection.execute(
                "SELECT p.run_id, r.default_model_id FROM recsys_store.published AS p "
                "JOIN recsys_store.runs AS r USING (run_id)"
            ).fetchone()
            assert found is not None
            self.run_id, self.model_id = found
            self.users = [
                row[0] for row in connection.execute("SELECT user_id FROM recsys_store.run_users")
            ]

    def connection(self) -> psycopg.Connection:
        return psycopg.connect(self.url, autocommit=True)

    def some(self, values: Sequence[int], count: int) -> list[int]:
        return self.random.choices(values, k=count)

    def timed(self, call: str, arguments: Sequence[int]) -> list[float]:
        """Return the milliseconds of each call; the first tenth warms up and does not count."""
        with self.connection() as connection:
            written = "{" + ",".join(map(str, arguments)) + "}"
            connection.execute(TIMED.format(call=call, arguments=written))
            rows = connection.execute("SELECT ms FROM timed ORDER BY ctid").fetchall()
        return [row[0] for row in rows[len(rows) // 10 :]]

    def line(
        self, what: str, call: str, arguments: Sequence[int], median: float, p99: float | None
    ) -> Line:
        times = sorted(self.timed(call, arguments))
        middle, last = statistics.median(times), times[int(0.99 * len(times))]
        target = f"median < {median:g} ms" + (f", 99th < {p99:g} ms" if p99 else "")
        met = middle < median and (p99 is None or last < p99)
        return Line(what, middle, last, target, met)

    # --- single calls ---

    def lines(self) -> Iterator[Line]:
        users = self.some(self.users, self.calls)
        movies = self.movies()
        yield self.line("recommend, stored", "* FROM recsys.recommend(argument, 10)", users, 1, 5)
        by_key = "* FROM recsys.recommend(argument::text, 10)"
        yield self.line("recommend, stored, by key", by_key, users, 1, 5)
        live = self.with_ratings(LIVE_RATINGS)
        as_json = (
            "* FROM recsys.recommend_for((SELECT jsonb_object_agg(movie_id, rating) "
            "FROM recsys_store.ratings WHERE user_id = argument), 10)"
        )
        what = f"recommend_for, {LIVE_RATINGS} ratings"
        yield self.line(what, as_json, self.some(live, self.calls // 4), 15, 40)
        yield self.changed(live)
        yield self.line("similar", "* FROM recsys.similar(argument, 10)", movies, 1, None)
        searched = (
            "* FROM recsys.search_movies(left((SELECT title FROM recsys_store.movies "
            "WHERE movie_id = argument), 12), 10)"
        )
        yield self.line("search_movies", searched, movies, 10, None)
        explained = (
            "* FROM recsys.explain(argument, "
            "(SELECT r.movie_ids[3] FROM recsys_store.user_recommendations AS r "
            f"WHERE r.run_id = {self.run_id} AND r.model_id = {self.model_id} "
            "AND r.user_id = argument))"
        )
        yield self.line("explain", explained, users[: self.calls // 4], 10, None)
        predicted = "recsys.predict_rating(argument, 1 + argument % 2000)"
        yield self.line("predict_rating", predicted, users, 1, None)
        yield self.line("user_status", "* FROM recsys.user_status(argument)", users, 1, None)
        charts = "* FROM recsys.top_movies(10, NULL, 'top_rated')"
        yield self.line("top_movies", charts, movies[:500], 1, None)

    def movies(self) -> list[int]:
        with self.connection() as connection:
            rows = connection.execute(
                "SELECT movie_id FROM recsys_store.movie_charts AS c JOIN recsys_store.models AS m "
                "USING (model_id) WHERE c.run_id = %s AND m.name = 'most_rated' "
                "AND c.genre_id IS NULL",
                [self.run_id],
            ).fetchall()
        return self.some([row[0] for row in rows], self.calls)

    def with_ratings(self, count: int) -> list[int]:
        with self.connection() as connection:
            rows = connection.execute(
                "SELECT user_id FROM recsys_store.run_users "
                "WHERE run_id = %s AND ratings_count BETWEEN %s - 5 AND %s + 5",
                [self.run_id, count, count],
            ).fetchall()
        return [row[0] for row in rows]

    def changed(self, live: Sequence[int]) -> Line:
        """Time users with one rating more than in the run, then undo it."""
        chosen = self.random.sample(live, min(len(live), self.calls // 8))
        with self.connection() as connection:
            connection.execute(
                "INSERT INTO recsys_store.ratings (user_id, movie_id, rating) "
                "SELECT u, m.movie_id, 3 FROM unnest(%s::integer[]) AS u "
                "CROSS JOIN LATERAL (SELECT o.movie_id FROM recsys_store.movies AS o "
                "WHERE NOT EXISTS (SELECT FROM recsys_store.ratings AS r "
                "WHERE r.user_id = u AND r.movie_id = o.movie_id) "
                "ORDER BY movie_id DESC LIMIT 1) AS m",
                [chosen],
            )
            try:
                what = f"recommend, live, {LIVE_RATINGS} ratings"
                call = "* FROM recsys.recommend(argument, 10)"
                return self.line(what, call, chosen, 15, 40)
            finally:
                connection.execute(
                    "DELETE FROM recsys_store.ratings WHERE user_id = ANY (%s) "
                    "AND rated_at IS NULL AND rating = 3",
                    [chosen],
                )

    # --- what holds ---

    def live_is_stored(self) -> Line:
        with self.connection() as connection:
            chosen = self.random.sample(self.users, 200)
            wrong = sum(
                bool((connection.execute(EQUAL, {"user": user}).fetchone() or [1])[0])
                for user in chosen
            )
        note = f"{wrong} of 200 users differ"
        return Line("live equals stored", None, None, "200 of 200 users", wrong == 0, note)

    def no_rated_movie(self, reads: int) -> Line:
        """Read while one writer rates, as fast as possible, the movies at the top of the lists."""
        over, rated, wrong = threading.Event(), 0, 0
        few = self.users[:300]
        with self.connection() as connection:
            [began] = connection.execute("SELECT now()").fetchone() or [None]

        def rate() -> None:
            nonlocal rated
            with self.connection() as connection:
                while not over.is_set():
                    user = random.choice(few)
                    connection.execute(
                        "SELECT recsys.rate(%(user)s, r.movie_id, 3) "
                        "FROM recsys.recommend(%(user)s, 3) AS r",
                        {"user": user},
                    )
                    rated += 1

        thread = threading.Thread(target=rate)
        thread.start()
        try:
            with self.connection() as connection:
                for _ in range(reads):
                    user = random.choice(few)
                    found = connection.execute(VIOLATIONS, {"user": user}).fetchone()
                    wrong += bool(found and found[0])
        finally:
            over.set()
            thread.join()
            with self.connection() as connection:
                connection.execute(
                    "DELETE FROM recsys_store.ratings WHERE user_id = ANY (%s) AND rated_at >= %s",
                    [few, began],
                )
        note = f"{reads:,} reads beside {rated:,} rounds of 3 ratings: {wrong} violations"
        return Line("no rated movie", None, None, "0 violations", wrong == 0, note)

    def throughput(self, seconds: int, protocol: str) -> Line:
        """Compare with the bare rows, by turns, as the machine is not as fast at all times."""
        values = {
            "low": min(self.users), "high": max(self.users), "run_id": self.run_id,
            "model_id": self.model_id,
        }  # fmt: skip
        called: list[float] = []
        bare: list[float] = []
        for _ in range(ROUNDS):
            called.append(self._pgbench(CALLED.format(**values), seconds, protocol))
            bare.append(self._pgbench(BASELINE.format(**values), seconds, protocol))
        share = statistics.median(a / b for a, b in zip(called, bare, strict=True))
        note = (
            f"{statistics.median(called):,.0f} calls/s, {statistics.median(bare):,.0f} lookups/s "
            f"by key: {share:.2f}"
        )
        what = f"pgbench, 4 clients, {protocol}"
        return Line(what, None, None, "half of the lookups", share >= 0.5, note)

    def _pgbench(self, script: str, seconds: int, protocol: str) -> float:
        with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
            file.write(script)
            file.flush()
            command = [
                self.server.program("pgbench"), "-n", "-M", protocol, "-c", "4", "-j", "2",
                "-T", str(seconds), "-f", file.name, self.url,
            ]  # fmt: skip
            out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found = re.search(r"tps = ([0-9.]+)", out)
        assert found is not None
        return float(found[1])


def filled(database: Database, home: Path, ratings: int) -> None:
    """Fill the database unless that was done before."""
    with database.transaction() as connection:
        versions.upgrade(connection)
        done = connection.exec_driver_sql("SELECT EXISTS (SELECT FROM recsys_store.published)")
        if done.scalar():
            return
    data = home / "data"
    if not (data / "ratings.csv").exists():
        generate(data, USERS * ratings // RATINGS, MOVIES, ratings, 1)
    ingest(database, data)
    refresh(database, plan(RefreshSettings()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=Path(tempfile.gettempdir()) / "recsys-latency")
    parser.add_argument("--ratings", type=int, default=RATINGS)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    given.home.mkdir(parents=True, exist_ok=True)
    server = EmbeddedServer(given.home)
    with server.running() as url:
        database = Database(url)
        filled(database, given.home, given.ratings)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE) recsys_store.ratings")
            connection.execute("VACUUM (ANALYZE) recsys_store.rating_changes")
        bench = Bench(database, server, given.calls)
        lines: list[Line] = []
        steps: list[Callable[[], Iterator[Line]]] = [
            bench.lines,
            lambda: iter([bench.live_is_stored()]),
            lambda: iter([bench.throughput(given.seconds, "prepared")]),
            lambda: iter([bench.throughput(given.seconds, "simple")]),
            lambda: iter([bench.no_rated_movie(10_000)]),
        ]
        for step in steps:
            for line in step():
                lines.append(line)
                if not given.json:
                    _tell(line)
    if given.json:
        sys.stdout.write(json.dumps([asdict(line) for line in lines], indent=2) + "\n")


def _tell(line: Line) -> None:
    times = "" if line.median_ms is None else f"{line.median_ms:8.3f} {line.p99_ms:8.3f} ms"
    met = "met" if line.met else "MISSED"
    sys.stdout.write(f"{line.what:<32}{times:<22}{line.target:<34}{met:<8}{line.note}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
