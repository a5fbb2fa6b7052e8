"""Queries about runs, publications and published models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from psycopg.rows import class_row, dict_row

from recsys.errors import NotPublished, UnknownModel, UnknownRun
from recsys.service.queries.query import FIRST_STEPS, Query, Rows, row, rows
from recsys.service.types import (
    Freshness,
    MeasuredMetric,
    PublicationEntry,
    PublishedModel,
    PublishedRun,
    Run,
    RunDifference,
    RunEpoch,
    RunFigure,
    RunMetric,
    RunPublication,
    RunRecord,
    RunStage,
    Status,
    VerifiedLists,
)
from recsys.storage.server.pool import Statement

COUNTS = """
SELECT
    (SELECT edition FROM recsys.ingests WHERE kind = 'ratings' ORDER BY ingest_id DESC LIMIT 1)
        AS edition,
    (SELECT finished_at FROM recsys.ingests ORDER BY ingest_id DESC LIMIT 1) AS last_ingest_at,
    (SELECT count(*) FROM recsys.ratings) AS ratings,
    (SELECT count(DISTINCT user_id) FROM recsys.ratings) AS users,
    (SELECT count(*) FROM recsys.movies) AS movies,
    r.run_id AS last_run_id, r.state AS last_run_state, r.error AS last_run_error
FROM (VALUES (1)) AS one
LEFT JOIN (
    SELECT * FROM recsys.runs WHERE kind = 'refresh' ORDER BY run_id DESC LIMIT 1
) AS r ON true
"""
PUBLISHED = """
SELECT
    r.run_id, r.default_model,
    ARRAY(SELECT jsonb_object_keys(r.parameters -> 'models') AS name ORDER BY name) AS models,
    p.published_at, CAST(extract(epoch FROM now() - p.published_at) AS double precision)
        AS age_seconds,
    r.ratings_count, r.users_count, r.movies_count, r.seconds, r.peak_memory_mb
FROM recsys.runs AS r
CROSS JOIN (
    SELECT published_at FROM recsys.publications ORDER BY publication_id DESC LIMIT 1
) AS p
WHERE r.published
"""
MODELS = """
SELECT
    m.model, m.kind, m.score_meaning, m.description, m.prediction, m.family, m.display_name,
    m.top_order, m.popularity_order, m.cold_start_order, m.model = r.default_model AS is_default
FROM recsys.runs AS r
JOIN recsys.models AS m ON r.parameters -> 'models' ? m.model
WHERE r.published
ORDER BY is_default DESC, m.model
"""
RUNS = """
SELECT
    run_id, kind, scope, base_run_id, state, published, refused, started_at, seconds,
    ratings_count,
    ARRAY(SELECT jsonb_object_keys(parameters -> 'models') AS name ORDER BY name) AS models,
    recsys.run_size(run_id) AS run_size, pruned_at, edition
FROM recsys.runs
ORDER BY run_id DESC
LIMIT CAST(%(n)s AS integer)
"""
RUN = """
SELECT
    run_id, kind, scope, base_run_id, state, published, refused, error, started_at,
    finished_at, seconds, default_model, cold_start, rating_model, seed, parameters, versions,
    snapshot_at, ratings_count, users_count, movies_count, rating_min, rating_max,
    snapshot_checksum, output_checksum, peak_memory_mb, pruned_at,
    recsys.run_size(run_id) AS run_size, edition
FROM recsys.runs
WHERE run_id = %(run_id)s
"""
STAGES = """
SELECT position, stage, started_at, seconds, rows, peak_memory_mb
FROM recsys.run_stages
WHERE run_id = %(run_id)s
ORDER BY position
"""
METRICS = """
SELECT model, protocol, metric, segment, value, ci_low, ci_high, n
FROM recsys.run_metrics
WHERE run_id = %(run_id)s
ORDER BY model, protocol, metric, segment
"""
EPOCHS = """
SELECT e.model, e.epoch, e.loss, e.metric, e.validation, e.seconds, e.best
FROM recsys.training_epochs AS e
WHERE e.run_id = (
    SELECT coalesce(r.base_run_id, r.run_id) FROM recsys.runs AS r WHERE r.run_id = %(run_id)s
)
ORDER BY e.model, e.epoch
"""
PUBLICATIONS = """
SELECT publication_id, action, published_at, reason, published_by
FROM recsys.publications
WHERE run_id = %(run_id)s
ORDER BY publication_id
"""
ALL_PUBLICATIONS = """
SELECT publication_id, run_id, action, published_at, reason, published_by
FROM recsys.publications
ORDER BY publication_id DESC
LIMIT CAST(%(n)s AS integer)
"""
FIGURES = """
SELECT
    k.run_id, r.started_at, k.model, k.protocol, k.metric, k.value, k.ci_low, k.ci_high, r.edition
FROM (
    SELECT run_id, started_at, edition FROM recsys.runs
    ORDER BY run_id DESC
    LIMIT CAST(%(n)s AS integer)
) AS r
JOIN recsys.run_metrics AS k ON k.run_id = r.run_id
WHERE k.segment = 'all'
ORDER BY k.protocol, k.metric, k.model, k.run_id
"""
# The latest metrics of each protocol, for pages and reports. Errors on the training ratings say
# nothing about quality, hence no protocol `train`.
LATEST_METRICS = """
FROM recsys.run_metrics AS k
JOIN recsys.runs AS r ON r.run_id = k.run_id
JOIN (
    SELECT DISTINCT ON (x.protocol) x.protocol, x.run_id
    FROM recsys.run_metrics AS x
    JOIN recsys.runs AS y ON y.run_id = x.run_id
    WHERE (y.kind = 'evaluation' AND y.state = 'complete') OR y.published
    GROUP BY x.protocol, x.run_id
    -- A later evaluation of a single model compares nothing.
    ORDER BY x.protocol, count(DISTINCT x.model) > 1 DESC, x.run_id DESC
) AS latest ON latest.protocol = k.protocol AND latest.run_id = k.run_id
WHERE k.segment = 'all' AND k.protocol <> 'train'
ORDER BY r.kind, k.run_id DESC, k.protocol, k.model, k.metric
"""
MEASURED = f"""
SELECT
    k.protocol, k.run_id, r.kind, r.finished_at, r.edition, k.model, k.metric, k.value, k.ci_low,
    k.ci_high, k.n
{LATEST_METRICS}
"""
COMPARE = """
SELECT part, model, protocol, metric, segment, value_a, value_b, value, n
FROM recsys.compare_runs(CAST(%(a)s AS integer), CAST(%(b)s AS integer), CAST(%(k)s AS integer))
"""
FRESHNESS = """
SELECT
    artefact, run_id, published_at,
    CAST(extract(epoch FROM age) AS double precision) AS age_seconds,
    CAST(extract(epoch FROM max_age) AS double precision) AS max_age_seconds,
    {ratings_since} AS ratings_since, last_attempt_at, last_error, consecutive_failures, stale
FROM recsys.freshness
ORDER BY artefact
"""
VERIFY = """
SELECT model, users, stored, recomputed, missing, extra, run_id
FROM recsys.verify_lists(CAST(%(run_id)s AS integer), CAST(%(users)s AS integer))
ORDER BY model
"""


def freshness(count_ratings: bool) -> Query[Rows[Freshness]]:
    since = "ratings_since" if count_ratings else "CAST(NULL AS bigint)"
    return rows(Freshness, FRESHNESS.format(ratings_since=since), {})


def verify_lists(run_id: int | None, users: int | None) -> Query[Rows[VerifiedLists]]:
    return rows(VerifiedLists, VERIFY, {"run_id": run_id, "users": users})


def status() -> Query[Status]:
    def parse(found: list[list[Any]]) -> Status:
        [counts], published = found
        return Status(**counts, published=published[0] if published else None)

    statements = [Statement(COUNTS, dict_row), Statement(PUBLISHED, class_row(PublishedRun))]
    return Query(statements, {}, parse)


def published() -> Query[PublishedRun]:
    return row(PublishedRun, PUBLISHED, {}, _not_published)


def models() -> Query[Rows[PublishedModel]]:
    query = rows(PublishedModel, MODELS, {})

    def parse(found: list[list[Any]]) -> Rows[PublishedModel]:
        if not found[0]:
            raise _not_published()
        return query.parse(found)

    return replace(query, parse=parse)


def model_check(
    model: str | None, result: str, fits: Callable[[PublishedModel], bool]
) -> Query[None]:
    """Raise if the named model has no results of this kind; None means the default model."""
    query = models()

    def parse(found: list[list[Any]]) -> None:
        fitting = sorted(known.model for known in query.parse(found) if fits(known))
        if model is not None and model not in fitting:
            raise UnknownModel(
                f"no {result} of a model {model!r} are published",
                hint=f"models: {', '.join(fitting)}" if fitting else "no published model has any",
            )

    return Query(query.statements, query.params, parse)


def _not_published() -> NotPublished:
    return NotPublished("nothing is published yet", hint=FIRST_STEPS)


def publications(n: int) -> Query[Rows[PublicationEntry]]:
    return rows(PublicationEntry, ALL_PUBLICATIONS, {"n": n})


def figures(n: int) -> Query[Rows[RunFigure]]:
    return rows(RunFigure, FIGURES, {"n": n})


def measured() -> Query[Rows[MeasuredMetric]]:
    return rows(MeasuredMetric, MEASURED, {})


def runs(n: int) -> Query[Rows[Run]]:
    return rows(Run, RUNS, {"n": n})


def run(run_id: int) -> Query[RunRecord]:
    def parse(found: list[list[Any]]) -> RunRecord:
        facts, stages, metrics, publications, epochs = found
        if not facts:
            raise UnknownRun(f"there is no run {run_id}", hint="recsys.runs holds every run")
        return RunRecord(
            **facts[0], stages=stages, metrics=metrics, publications=publications, epochs=epochs
        )

    statements = [
        Statement(RUN, dict_row),
        Statement(STAGES, class_row(RunStage)),
        Statement(METRICS, class_row(RunMetric)),
        Statement(PUBLICATIONS, class_row(RunPublication)),
        Statement(EPOCHS, class_row(RunEpoch)),
    ]
    return Query(statements, {"run_id": run_id}, parse)


def compare_runs(a: int, b: int, k: int) -> Query[Rows[RunDifference]]:
    return rows(RunDifference, COMPARE, {"a": a, "b": b, "k": k})
