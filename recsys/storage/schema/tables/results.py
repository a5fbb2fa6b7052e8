"""Result tables, LIST-partitioned by run: filled by COPY, attached whole, dropped whole.

A list is read, written and replaced whole, so it is one row, with arrays in the order of rank: a
tenth of the disk of one row per entry, and a key that is built in no time. The primary keys lead
with the id people look up by, since a partition holds one run.

Rows of up to a page are stored in line and uncompressed (`results.create`, migration 0012).
Otherwise each list would be fetched from a second table and each weight decompressed for every
live recommendation.

They have no foreign keys. Attaching or dropping a partition that has them locks readers out of
the tables referred to, and so publishing would wait for every reader of `movies`. The ids come from
the snapshot the run read, where they are all held by keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, DOUBLE_PRECISION

from recsys.storage.schema.tables.base import finite, metadata


def _result_table(
    name: str, *parts: sa.Column[int] | sa.schema.SchemaItem, comment: str
) -> sa.Table:
    return sa.Table(
        name,
        metadata,
        sa.Column("run_id", sa.Integer, nullable=False, comment="The run that wrote it"),
        # Two bytes: it is repeated in every row of the largest tables.
        sa.Column("model_id", sa.SmallInteger, nullable=False, comment="The model that gave it"),
        *parts,
        postgresql_partition_by="LIST (run_id)",
        comment=comment,
    )


def _id(name: str, comment: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, comment=comment)


def _score(comment: str) -> sa.Column[float]:
    return sa.Column("score", DOUBLE_PRECISION, nullable=False, comment=comment)


def _bias(comment: str) -> sa.Column[float]:
    return sa.Column("bias", DOUBLE_PRECISION, nullable=False, server_default="0", comment=comment)


def _lists(*columns: str) -> Iterator[sa.CheckConstraint]:
    """Yield checks: arrays are equally long and not empty, and scores are finite."""
    lengths = " AND ".join(f"cardinality({each}) = cardinality(scores)" for each in columns)
    yield sa.CheckConstraint(f"cardinality(scores) > 0 AND {lengths}", name="lengths")
    yield _all_finite("scores")


def _all_finite(column: str) -> sa.CheckConstraint:
    # NaN sorts above Infinity in PostgreSQL, so the upper bound excludes it as well.
    condition = f"'-Infinity' < ALL ({column}) AND 'Infinity' > ALL ({column})"
    return sa.CheckConstraint(condition, name=f"{column}_finite")


def _list(name: str, element: type[sa.types.TypeEngine[Any]], comment: str) -> sa.Column[Any]:
    return sa.Column(name, ARRAY(element, dimensions=1), nullable=False, comment=comment)


movie_similarities = _result_table(
    "movie_similarities",
    _id("movie_id", "Whose neighbours these are"),
    _list("similar_movie_ids", sa.Integer, "The neighbours, nearest first"),
    sa.Column(
        "scores",
        ARRAY(DOUBLE_PRECISION, dimensions=1),
        comment="Similarity of each, or the weight with which the movie speaks for it",
    ),
    sa.Column(
        "real_scores",
        ARRAY(sa.REAL, dimensions=1),
        comment="The same of models that compute in single precision, in place of scores",
    ),
    sa.PrimaryKeyConstraint("movie_id", "run_id", "model_id"),
    sa.CheckConstraint(
        "cardinality(similar_movie_ids) > 0 AND num_nonnulls(scores, real_scores) = 1 "
        "AND cardinality(similar_movie_ids) = cardinality(scores) "
        "AND cardinality(similar_movie_ids) = cardinality(real_scores)",
        name="lengths",
    ),
    _all_finite("scores"),
    _all_finite("real_scores"),
    sa.CheckConstraint("movie_id <> ALL (similar_movie_ids)", name="not_itself"),
    comment="Nearest movies of each movie",
)

user_similarities = _result_table(
    "user_similarities",
    _id("user_id", "Whose neighbours these are"),
    _list("similar_user_ids", sa.Integer, "The neighbours, nearest first"),
    _list("scores", DOUBLE_PRECISION, "Similarity of taste of each"),
    _list("common_ratings", sa.Integer, "Movies both have rated, for each"),
    sa.PrimaryKeyConstraint("user_id", "run_id", "model_id"),
    *_lists("similar_user_ids", "common_ratings"),
    sa.CheckConstraint("user_id <> ALL (similar_user_ids)", name="not_itself"),
    comment="Nearest users of each user",
)

user_recommendations = _result_table(
    "user_recommendations",
    _id("user_id", "Whose list this is"),
    _list("movie_ids", sa.Integer, "The movies recommended, best first"),
    _list("scores", DOUBLE_PRECISION, "The model's score of each, higher is better"),
    sa.Column(
        "source_model_ids",
        ARRAY(sa.SmallInteger, dimensions=1),
        comment="For a hybrid the model each movie came from, whose score it is; NULL: its own",
    ),
    sa.PrimaryKeyConstraint("user_id", "run_id", "model_id"),
    # A NULL is not compared.
    *_lists("movie_ids", "source_model_ids"),
    comment="Stored recommendations; movies rated when the run read are not in it",
)

movie_charts = _result_table(
    "movie_charts",
    sa.Column("rank", sa.Integer, nullable=False, comment="Place in the chart, from 1"),
    sa.Column("genre_id", sa.SmallInteger, comment="Chart of this genre; NULL: of all"),
    _id("movie_id", "The movie"),
    sa.Column("votes", sa.BigInteger, nullable=False, comment="Ratings counted"),
    _score("The chart's score, higher is better"),
    sa.Column("mean_rating", DOUBLE_PRECISION, comment="Mean of those ratings"),
    # Not a primary key, which would exclude the NULL of charts of all genres.
    sa.UniqueConstraint(
        "run_id", "model_id", "genre_id", "rank", postgresql_nulls_not_distinct=True
    ),
    sa.CheckConstraint("rank > 0", name="rank_positive"),
    finite("score"),
    finite("mean_rating"),
    sa.Index(None, "movie_id"),
    comment="Charts: ranked movies without personalisation",
)

user_factors = _result_table(
    "user_factors",
    _id("user_id", "The user"),
    sa.Column("factors", ARRAY(sa.REAL, dimensions=1), nullable=False, comment="Latent factors"),
    _bias("What is added to any predicted rating of the user, the mean included"),
    sa.PrimaryKeyConstraint("user_id", "model_id", "run_id"),
    finite("bias"),
    comment="Latent factors of users who have rated",
)

movie_factors = _result_table(
    "movie_factors",
    _id("movie_id", "The movie"),
    sa.Column("factors", ARRAY(sa.REAL, dimensions=1), nullable=False, comment="Latent factors"),
    _bias("What is added to any predicted rating of the movie"),
    sa.PrimaryKeyConstraint("movie_id", "model_id", "run_id"),
    finite("bias"),
    comment="Latent factors of movies that have been rated",
)

networks = _result_table(
    "networks",
    # Stored uncompressed (migration 0018): weights do not compress.
    sa.Column("network", BYTEA, nullable=False, comment="Architecture and weights"),
    _list("movie_ids", sa.Integer, "The movie of each row of its arrays over movies"),
    sa.Column(
        "user_ids",
        ARRAY(sa.Integer, dimensions=1),
        comment="The user of each row of its arrays over users; NULL: it has none",
    ),
    sa.PrimaryKeyConstraint("model_id", "run_id"),
    comment="Neural networks of runs, from which later ones may start",
)

run_users = sa.Table(
    "run_users",
    metadata,
    sa.Column("run_id", sa.Integer, nullable=False, comment="The run"),
    _id("user_id", "The user"),
    sa.Column("ratings_count", sa.Integer, nullable=False, comment="Ratings the run read of them"),
    sa.Column(
        "ratings_hash",
        sa.BigInteger,
        nullable=False,
        comment="bit_xor of recsys.rating_hash over these ratings",
    ),
    sa.PrimaryKeyConstraint(
        "user_id", "run_id", postgresql_include=["ratings_count", "ratings_hash"]
    ),
    postgresql_partition_by="LIST (run_id)",
    comment="What a run read of each user: who has other ratings now has changed since. In a run "
    "that shares the results of another: the users whose results are its own",
)

RESULT_TABLES = (
    movie_similarities,
    user_similarities,
    user_recommendations,
    movie_charts,
    user_factors,
    movie_factors,
    networks,
    run_users,
)
