"""The queries of a report, all run in one snapshot of the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

import sqlalchemy as sa

from recsys.errors import NotPublished
from recsys.report.findings import (
    CountBin,
    DatabaseState,
    Decade,
    Findings,
    Genre,
    Measured,
    RatingGroup,
    Reach,
    ReportedRun,
    Staleness,
)
from recsys.service.queries.query import FIRST_STEPS
from recsys.service.queries.runs import COMPARE, EPOCHS, LATEST_METRICS
from recsys.service.types import RunDifference, RunEpoch
from recsys.storage.server.engine import Database

STATE = """
SELECT
    (SELECT i.edition FROM recsys.ingests AS i WHERE i.kind = 'ratings'
     ORDER BY i.ingest_id DESC LIMIT 1) AS edition,
    coalesce((SELECT i.feedback = 'implicit' FROM recsys.ingests AS i WHERE i.kind = 'ratings'
     ORDER BY i.ingest_id DESC LIMIT 1), false) AS implicit,
    greatest(
        (SELECT max(i.finished_at) FROM recsys.ingests AS i),
        (SELECT max(r.finished_at) FROM recsys.runs AS r),
        (SELECT max(p.published_at) FROM recsys.publications AS p)
    ) AS as_of
"""
GROUPS = """
SELECT
    r.rating, date_trunc('month', r.rated_at) AS month, count(*) AS ratings,
    min(r.rated_at) AS first_at, max(r.rated_at) AS last_at
FROM recsys.ratings AS r
GROUP BY r.rating, month
ORDER BY r.rating, month
"""
PEOPLE = """
SELECT u.ratings, count(*) AS members
FROM (SELECT count(*) AS ratings FROM recsys.ratings AS r GROUP BY r.user_id) AS u
GROUP BY u.ratings
ORDER BY u.ratings
"""
MOVIES = """
SELECT coalesce(c.ratings, 0) AS ratings, count(*) AS members
FROM recsys.movies AS m
LEFT JOIN (
    SELECT r.movie_id, count(*) AS ratings FROM recsys.ratings AS r GROUP BY r.movie_id
) AS c ON c.movie_id = m.movie_id
GROUP BY 1
ORDER BY 1
"""
# Ratings are summed by movie before the join with genres, so that each rating is read only once.
GENRES = """
SELECT
    g.genre, count(*) AS movies,
    CAST(coalesce(sum(c.ratings), 0) AS bigint) AS ratings,
    sum(c.total) / sum(c.ratings) AS mean
FROM recsys.movies AS m
CROSS JOIN LATERAL unnest(m.genres) AS g (genre)
LEFT JOIN (
    SELECT r.movie_id, count(*) AS ratings, sum(r.rating) AS total
    FROM recsys.ratings AS r
    GROUP BY r.movie_id
) AS c ON c.movie_id = m.movie_id
GROUP BY g.genre
ORDER BY ratings DESC, g.genre
"""
TITLES = "SELECT m.title FROM recsys.movies AS m ORDER BY m.movie_id"
DECADES = """
SELECT m.year / 10 * 10 AS decade, count(*) AS movies
FROM recsys.movies AS m
WHERE m.year IS NOT NULL
GROUP BY 1
ORDER BY 1
"""
FRESH = """
SELECT
    f.snapshot_at + f.max_age AS stale_from, f.ratings_since, f.consecutive_failures, f.last_error
FROM recsys.freshness AS f
ORDER BY f.artefact
LIMIT 1
"""
# The published run or the one published before it, each with its latest publication.
PUBLISHED = """
SELECT
    r.run_id, r.default_model,
    ARRAY(SELECT jsonb_object_keys(r.parameters -> 'models') AS name ORDER BY name) AS models,
    p.published_at, r.snapshot_at, r.ratings_count, r.users_count, r.movies_count, r.seconds,
    r.pruned_at
FROM recsys.runs AS r
JOIN recsys.publications AS p ON p.run_id = r.run_id
WHERE r.published = CAST(%(published)s AS boolean)
ORDER BY p.publication_id DESC
LIMIT 1
"""
REACH = """
SELECT l.model, count(*) AS movies, CAST(sum(l.firsts) AS bigint) AS users
FROM (
    SELECT r.model, r.movie_id, count(*) FILTER (WHERE r.rank = 1) AS firsts
    FROM recsys.recommendations AS r
    WHERE r.rank <= 10
    GROUP BY r.model, r.movie_id
) AS l
GROUP BY l.model
ORDER BY movies DESC, l.model
"""
MEASURED = f"""
SELECT
    k.protocol, k.run_id, r.kind, r.seed, k.model, k.metric, k.value, k.ci_low, k.ci_high, k.n
{LATEST_METRICS}
"""
DEPTH = 10

Row = TypeVar("Row")


def read(database: Database) -> Findings:
    """Read the data of a report; raises NotPublished if nothing has been ingested."""
    with database.snapshot() as connection:
        _require_movies(connection)
        published = _run(connection, published=True)
        previous = _run(connection, published=False)
        return Findings(
            state=_rows(connection, DatabaseState, STATE)[0],
            groups=_rows(connection, RatingGroup, GROUPS),
            people=_rows(connection, CountBin, PEOPLE),
            movies=_rows(connection, CountBin, MOVIES),
            genres=_rows(connection, Genre, GENRES),
            titles=list(connection.scalars(sa.text(TITLES))),
            decades=_rows(connection, Decade, DECADES),
            fresh=_rows(connection, Staleness, FRESH)[0],
            published=published,
            previous=previous,
            reach=_rows(connection, Reach, REACH) if published else [],
            measured=_rows(connection, Measured, MEASURED),
            changes=_changes(connection, previous, published),
            epochs=_epochs(connection, published),
        )


def _require_movies(connection: sa.Connection) -> None:
    if connection.scalar(sa.text("SELECT to_regnamespace('recsys') IS NULL")):
        raise NotPublished("the database is empty", hint=FIRST_STEPS)
    if not connection.scalar(sa.text("SELECT EXISTS (SELECT FROM recsys.movies)")):
        raise NotPublished("there are no movies to report on", hint=FIRST_STEPS)


def _run(connection: sa.Connection, *, published: bool) -> ReportedRun | None:
    found = _rows(connection, ReportedRun, PUBLISHED, {"published": published})
    return found[0] if found else None


def _changes(
    connection: sa.Connection, previous: ReportedRun | None, published: ReportedRun | None
) -> list[RunDifference]:
    """Compare the two runs; empty unless both still have their results."""
    if previous is None or published is None or previous.pruned_at is not None:
        return []
    wanted = {"a": previous.run_id, "b": published.run_id, "k": DEPTH}
    return _rows(connection, RunDifference, COMPARE, wanted)


def _epochs(connection: sa.Connection, published: ReportedRun | None) -> list[RunEpoch]:
    if published is None:
        return []
    return _rows(connection, RunEpoch, EPOCHS, {"run_id": published.run_id})


def _rows(
    connection: sa.Connection, kind: type[Row], query: str, values: Mapping[str, Any] | None = None
) -> list[Row]:
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    found = connection.exec_driver_sql(query, dict(values or {})).mappings()
    return [kind(**{name: row[name] for name in names}) for row in found]
