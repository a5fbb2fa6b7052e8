"""Short ways to read and change a database in tests of jobs."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from recsys.storage.server.engine import Database


def rows_of(database: Database, query: str, **values: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a query; `::` is a cast, `:name` a parameter."""
    with database.transaction() as connection:
        found = connection.execute(sa.text(query.replace("::", r"\:\:")), values)
        return [tuple(row) for row in found]


def change(database: Database, *statements: str) -> None:
    """Execute statements in one transaction."""
    with database.transaction() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


ENTRIES = {
    "movie_similarities": (
        "movie_id, unnest(similar_movie_ids) AS similar_movie_id, "
        "unnest(coalesce(scores, CAST(real_scores AS double precision[]))) AS score"
    ),
    "user_similarities": (
        "user_id, unnest(similar_user_ids) AS similar_user_id, unnest(scores) AS score, "
        "unnest(common_ratings) AS common_ratings"
    ),
    "user_recommendations": (
        "user_id, unnest(movie_ids) AS movie_id, unnest(scores) AS score, "
        "unnest(source_model_ids) AS source_model_id"
    ),
}


def entries(table: str) -> str:
    """Return a subquery with one row for each entry of the lists of a result table."""
    if table not in ENTRIES:
        return f"recsys_store.{table}"
    listed = "similar_movie_ids" if table == "movie_similarities" else "scores"
    rank = f"CAST(generate_subscripts({listed}, 1) AS smallint) AS rank"
    return f"(SELECT run_id, model_id, {rank}, {ENTRIES[table]} FROM recsys_store.{table})"
