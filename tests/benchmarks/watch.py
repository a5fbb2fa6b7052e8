"""Single inserts into a table of the user, with and without the triggers of `recsys source watch`.

    python tests/benchmarks/watch.py [--ratings N] [--inserts N] [--rounds N]

Each insert is a transaction of its own. The two forms take turns; printed are the medians over all
inserts of a form, and their ratio.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

import psycopg
from bench_server import bench_server
from sync import RATINGS, fill

from recsys.config.settings import SourceSettings
from recsys.jobs.sync import sync
from recsys.jobs.watch import unwatch, watch

INSERT = "INSERT INTO public.reviews VALUES (%s, %s, 4, clock_timestamp(), clock_timestamp())"
KEYS = """
ALTER TABLE public.reviews ADD review_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;
CREATE INDEX ON public.reviews (customer);
CREATE INDEX ON public.reviews (sku)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ratings", type=int, default=1_000_000)
    parser.add_argument("--inserts", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=10)
    chosen = parser.parse_args()
    ratings = RATINGS.replace("FROM reviews", "FROM public.reviews")
    source = SourceSettings(ratings=ratings, changed_since="updated_at")
    with bench_server(None) as made:
        database = made.database(made.migrated())
        fill(database, 8_000, 5_000, chosen.ratings)
        sync(database, source)
        seconds: dict[str, list[float]] = {"plain": [], "watched": []}
        with psycopg.connect(database.conninfo, autocommit=True) as connection:
            connection.execute(KEYS)
            users = connection.execute("SELECT DISTINCT customer FROM public.reviews").fetchall()
            movies = connection.execute("SELECT DISTINCT sku FROM public.reviews").fetchall()
            for turn in range(2 * chosen.rounds):
                form = "watched" if turn % 2 else "plain"
                if form == "watched":
                    watch(database, source)
                for place in range(chosen.inserts):
                    user = users[(turn * 7919 + place * 31) % len(users)][0]
                    movie = movies[(turn * 104729 + place * 17) % len(movies)][0]
                    begun = time.perf_counter()
                    connection.execute(INSERT, (user, movie))
                    seconds[form].append(time.perf_counter() - begun)
                unwatch(database)
    medians = {form: statistics.median(times) for form, times in seconds.items()}
    for form, middle in medians.items():
        ratio = middle / medians["plain"]
        sys.stdout.write(f"{form:8} {1000 * middle:.3f} ms  {ratio:.2f} of plain\n")


if __name__ == "__main__":
    main()
