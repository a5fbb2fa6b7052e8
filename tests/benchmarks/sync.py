"""`recsys sync` from a table with UUIDs, beside plain `INSERT ... SELECT`.

    python tests/benchmarks/sync.py [--ratings N] [--users N] [--movies N]

Makes up ratings, puts them under UUIDs of users and keys of ten characters into a table of the same
database, and measures: a plain copy into a table with the same columns, keys, foreign keys and
indexes as the ratings of the store; the first sync; a sync after 1,000 changes; and one that reads
only what changed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np
import sqlalchemy as sa
from bench_server import bench_server
from generate import draw

from recsys.config.settings import SourceSettings
from recsys.jobs.sync import sync
from recsys.storage.load.copy import Timestamps, copy_arrays
from recsys.storage.server.engine import Database

SHOP = """
CREATE TABLE drawn (u integer, m integer, stars double precision, at timestamptz);
CREATE TABLE reviews (
    customer uuid NOT NULL, sku text NOT NULL, stars double precision NOT NULL,
    created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL
)
"""
REVIEWS = """
INSERT INTO reviews
SELECT CAST(md5(CAST(d.u AS text)) AS uuid), 'B' || lpad(CAST(d.m AS text), 9, '0'), d.stars,
    d.at, d.at
FROM drawn AS d ORDER BY d.at;
DROP TABLE drawn;
CREATE INDEX ON reviews (updated_at);
"""
COPY = """
CREATE TABLE people AS
SELECT row_number() OVER (ORDER BY key) AS user_id, key
FROM (SELECT DISTINCT CAST(customer AS text) COLLATE "C" AS key FROM reviews) AS k;
CREATE TABLE films AS
SELECT row_number() OVER (ORDER BY key) AS movie_id, key
FROM (SELECT DISTINCT sku COLLATE "C" AS key FROM reviews) AS k;
ALTER TABLE people ALTER user_id TYPE integer, ADD PRIMARY KEY (user_id), ADD UNIQUE (key);
ALTER TABLE films ALTER movie_id TYPE integer, ADD PRIMARY KEY (movie_id), ADD UNIQUE (key);
CREATE TABLE copied (
    user_id integer NOT NULL REFERENCES people, movie_id integer NOT NULL REFERENCES films,
    rating double precision NOT NULL, rated_at timestamptz, PRIMARY KEY (user_id, movie_id)
);
CREATE INDEX ON copied (movie_id, user_id) INCLUDE (rating);
ANALYZE people, films, reviews;
INSERT INTO copied
SELECT p.user_id, f.movie_id, r.stars, r.created_at
FROM reviews AS r
JOIN people AS p ON p.key = CAST(r.customer AS text) JOIN films AS f ON f.key = r.sku
"""
CHANGES = """
UPDATE reviews SET stars = 6 - stars, updated_at = clock_timestamp()
WHERE ctid = ANY (
    ARRAY(SELECT ctid FROM reviews ORDER BY md5(CAST(customer AS text) || sku) LIMIT 1000)
)
"""
RATINGS = (
    "SELECT customer AS user_id, sku AS movie_id, stars AS rating, created_at AS rated_at, "
    "updated_at FROM reviews"
)


def timed(what: str, work: Callable[[], object], beside: float | None = None) -> float:
    begun = time.monotonic()
    work()
    seconds = time.monotonic() - begun
    ratio = f"  {seconds / beside:.2f} of the copy" if beside else ""
    sys.stdout.write(f"{what:<44}{seconds:8.1f} s{ratio}\n")
    sys.stdout.flush()
    return seconds


def run(database: Database, statements: str) -> None:
    with database.transaction() as connection:
        for statement in filter(str.strip, statements.split(";")):
            connection.execute(sa.text(statement))


def fill(database: Database, users: int, movies: int, ratings: int) -> None:
    made = draw(users, movies, ratings, 1).ratings
    run(database, SHOP)
    with database.transaction() as connection:
        columns = {
            "u": made.user_ids,
            "m": made.movie_ids,
            "stars": made.values,
            "at": Timestamps(made.rated_at.astype(np.int64)),
        }
        copy_arrays(connection, "drawn", columns)
    run(database, REVIEWS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ratings", type=int, default=10_000_000)
    parser.add_argument("--users", type=int, default=60_000)
    parser.add_argument("--movies", type=int, default=20_000)
    chosen = parser.parse_args()
    part = SourceSettings(ratings=RATINGS, changed_since="updated_at")
    with bench_server(None) as made:
        database = made.database(made.migrated())
        fill(database, chosen.users, chosen.movies, chosen.ratings)
        copy = timed("INSERT ... SELECT with the same keys", lambda: run(database, COPY))
        run(database, "DROP TABLE copied")
        timed("first sync", lambda: sync(database, part), copy)
        timed("sync without a change", lambda: sync(database, part, full=True))
        run(database, CHANGES)
        timed("sync of 1,000 changes, by changed_since", lambda: sync(database, part))
        run(database, CHANGES)
        timed("sync of 1,000 changes, all compared", lambda: sync(database, part, full=True))


if __name__ == "__main__":
    main()
