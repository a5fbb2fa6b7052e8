"""Write the results of some users as rows of the tables keyed by user."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import sqlalchemy as sa

from recsys.domain import Factors, TopN, UserNeighbours
from recsys.jobs.columns import (
    RUN_USERS,
    USER_FACTORS,
    USER_RECOMMENDATIONS,
    USER_SIMILARITIES,
    Columns,
    factor_columns,
    list_columns,
    mean_columns,
    ragged,
    rows_of,
)
from recsys.jobs.restore import Restored
from recsys.storage.runs import results
from recsys.storage.runs.changed_users import Changes


def write_user_results(
    connection: sa.Connection,
    run_id: int,
    model_ids: Mapping[str, int],
    changes: Changes,
    restored: Restored,
    lists: Mapping[str, TopN],
) -> int:
    """COPY the changed users, and the results of those that were computed; return the rows."""
    users: Columns = {
        "user_id": changes.user_ids,
        "ratings_count": changes.counts,
        "ratings_hash": changes.hashes,
    }
    # It has a partition even if all users have their old ratings again: the run is then empty.
    results.create(connection, RUN_USERS, run_id)
    rows, created = 0, {RUN_USERS}
    for table, name, columns in [(RUN_USERS, None, users), *_tables(model_ids, restored, lists)]:
        length = rows_of(columns)
        if not length:
            continue
        if table not in created:
            results.create(connection, table, run_id)
            created.add(table)
        # Broadcast: one number for all rows takes no memory.
        numbered: Columns = {"run_id": np.broadcast_to(np.int32(run_id), length)}
        if name is not None:
            numbered["model_id"] = np.broadcast_to(np.int16(model_ids[name]), length)
        rows += results.append(connection, table, run_id, {**numbered, **columns})
    return rows


def _tables(
    model_ids: Mapping[str, int], restored: Restored, lists: Mapping[str, TopN]
) -> Iterator[tuple[str, str | None, Columns]]:
    """Yield table, model and columns of everything that belongs to a user."""
    users, movies = restored.users, restored.movies
    for name, found in lists.items():
        columns = list_columns(found, restored.listed, "user_id", "movie_ids", movies)
        yield USER_RECOMMENDATIONS, name, {**columns, **_source_column(found, model_ids)}
        fitted = restored.models[name].fitted
        if isinstance(fitted, Factors):
            for table, of_side in factor_columns(fitted, users, movies):
                # Those of the movies are in the shared run.
                if table == USER_FACTORS:
                    yield table, name, of_side
        elif isinstance(fitted, UserNeighbours):
            near = list_columns(fitted, users, "user_id", "similar_user_ids", users)
            common = ragged(fitted, fitted.common, np.int32)
            yield USER_SIMILARITIES, name, {**near, "common_ratings": common}
            means = np.full(len(users), np.nan)
            means[restored.rows.positions] = fitted.means[restored.rows.positions]
            yield USER_FACTORS, name, mean_columns(means, users)


def _source_column(lists: TopN, model_ids: Mapping[str, int]) -> Columns:
    """Return the source models of the lists of a hybrid; no column for other models."""
    if lists.sources is None:
        return {}
    ids = np.array([model_ids[name] for name in lists.source_names], np.int16)
    return {"source_model_ids": ragged(lists, ids[lists.sources], np.int16)}
