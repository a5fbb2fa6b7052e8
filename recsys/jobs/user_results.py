"""Write the results of some users as rows of the tables keyed by user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import sqlalchemy as sa

from recsys.domain import Fitted, TopN, UserNeighbours
from recsys.jobs.columns import RUN_USERS, Columns
from recsys.jobs.restore import Restored
from recsys.jobs.results import ResultWriter
from recsys.jobs.training import ModelResults
from recsys.storage.runs import results
from recsys.storage.runs.changed_users import BY_USER, Changes


def write_user_results(
    connection: sa.Connection,
    run_id: int,
    model_ids: Mapping[str, int],
    changes: Changes,
    restored: Restored,
    lists: Mapping[str, TopN],
) -> int:
    """COPY the changed users, and the results of those that were computed; return the rows."""
    writer = ResultWriter(run_id, restored.users, restored.movies, model_ids)
    users: Columns = {
        "user_id": changes.user_ids,
        "ratings_count": changes.counts,
        "ratings_hash": changes.hashes,
    }
    rows = writer.append(connection, RUN_USERS, None, users)
    if not rows:
        # All users have their old ratings again. Its partition tells that the run has results.
        results.create(connection, RUN_USERS, run_id)
    for name, found in lists.items():
        computed = ModelResults(_of_users(restored, name), recommendations=found)
        for table, columns in writer.tables_of(computed, {}, restored.listed):
            # Results by movie are in the shared run.
            if table in BY_USER:
                rows += writer.append(connection, table, name, columns)
    return rows


def _of_users(restored: Restored, name: str) -> Fitted:
    """Return what a model knows of the restored users alone, to be stored."""
    fitted = restored.models[name].fitted
    if not isinstance(fitted, UserNeighbours):
        return fitted
    means = np.full_like(fitted.means, np.nan)
    means[restored.rows.positions] = fitted.means[restored.rows.positions]
    return replace(fitted, means=means)
