"""Milliseconds of a live list by each model, in one run, for people with about so many ratings.

    python tests/benchmarks/live_lists.py [--ratings 200] [--models ease,next] [--calls 60]

Reads the database of RECSYS_HOME, whose published run must have the models. In a transaction that
is rolled back one rating of each person is changed, so that the list is computed from the published
weights. Rounds of the models alternate.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

import sqlalchemy as sa

from recsys.cli.options import database

PEOPLE = sa.text("""
SELECT user_id FROM recsys.ratings
GROUP BY user_id ORDER BY abs(count(*) - :ratings), user_id LIMIT 10
""")
RATE = sa.text("""
SELECT recsys.rate(:user, r.movie_id, s.rating_min + s.rating_max - r.rating)
FROM recsys.ratings AS r, recsys.rating_scale() AS s
WHERE r.user_id = :user ORDER BY r.movie_id LIMIT 1
""")
LIST = sa.text("SELECT source FROM recsys.recommend(:user, 10, :model)")


def measure(connection: sa.Connection, people: list[int], models: list[str], calls: int) -> None:
    """Print the median of each model; the first round warms up and does not count."""
    taken: dict[str, list[float]] = {model: [] for model in models}
    for round_ in range(-1, calls // len(people)):
        for model in models:
            for user in people:
                begun = time.perf_counter()
                sources = set(connection.scalars(LIST, {"user": user, "model": model}))
                if round_ >= 0:
                    taken[model].append(1000 * (time.perf_counter() - begun))
                assert sources == {"live"}, f"{model} gives {sources}"
    first = statistics.median(taken[models[0]])
    for model, times in taken.items():
        middle = statistics.median(times)
        sys.stdout.write(f"{model:16} {middle:6.2f} ms   {middle / first:.2f} of {models[0]}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ratings", type=int, default=200)
    parser.add_argument("--models", default="ease,next")
    parser.add_argument("--calls", type=int, default=100)
    asked = parser.parse_args()
    with database() as opened, opened.transaction() as connection:
        people = list(connection.scalars(PEOPLE, {"ratings": asked.ratings}))
        for user in people:
            connection.execute(RATE, {"user": user})
        measure(connection, people, asked.models.split(","), asked.calls)
        connection.rollback()


if __name__ == "__main__":
    main()
