"""What the last full run took: the best guide to the next one on the same machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from recsys.storage.runs import results

LAST_FULL_RUN = """
SELECT
    r.run_id, r.parameters, r.ratings_count, r.users_count, r.movies_count, r.peak_memory_mb
FROM recsys_store.runs AS r
WHERE r.kind = 'refresh' AND r.state = 'complete' AND r.scope = 'full'
ORDER BY r.run_id DESC
LIMIT 1
"""
STAGES = """
SELECT stage, CAST(seconds AS float8) FROM recsys_store.run_stages
WHERE run_id = :run_id ORDER BY position
"""


@dataclass(frozen=True, slots=True)
class MeasuredRun:
    """Size, parameters and cost of a run."""

    run_id: int
    parameters: Mapping[str, Any]
    ratings: int
    users: int
    movies: int
    peak_memory_mb: int
    disk: int
    """Bytes of its results; 0 if they are dropped."""
    seconds: Mapping[str, float]
    """Of each stage, by name."""


def last_full_run(connection: sa.Connection) -> MeasuredRun | None:
    """Return the newest complete run of all models; None if there is none."""
    run = connection.execute(sa.text(LAST_FULL_RUN)).one_or_none()
    if run is None:
        return None
    stages = connection.execute(sa.text(STAGES), {"run_id": run.run_id})
    return MeasuredRun(
        run.run_id,
        run.parameters,
        run.ratings_count,
        run.users_count,
        run.movies_count,
        run.peak_memory_mb,
        results.analyzed_bytes(connection, run.run_id),
        {stage: seconds for stage, seconds in stages},
    )
