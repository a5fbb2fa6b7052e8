"""Result tables, LIST-partitioned by run: filled by COPY, attached whole, dropped whole.

Their primary keys lead with the id people look up by, since run and model are given in every query
and a partition holds one run; so one index serves as key and as list in order.

They have no foreign keys. Attaching or dropping a partition that has them locks readers out of
the tables referred to, and so publishing would wait for every reader of `movies`. The ids come from
the snapshot the run read, where they are all held by keys.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, DOUBLE_PRECISION

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


def _rank() -> sa.Column[int]:
    return sa.Column("rank", sa.SmallInteger, nullable=False, comment="Place in the list, from 1")


def _score(comment: str) -> sa.Column[float]:
    return sa.Column("score", DOUBLE_PRECISION, nullable=False, comment=comment)


def _bias(comment: str) -> sa.Column[float]:
    return sa.Column("bias", DOUBLE_PRECISION, nullable=False, server_default="0", comment=comment)


def _rank_positive() -> sa.CheckConstraint:
    return sa.CheckConstraint("rank > 0", name="rank_positive")


movie_similarities = _result_table(
    "movie_similarities",
    _rank(),
    _id("movie_id", "Whose neighbours these are"),
    _id("similar_movie_id", "The neighbour"),
    _score("Similarity, or the weight with which the movie speaks for it"),
    sa.PrimaryKeyConstraint(
        "movie_id", "run_id", "model_id", "rank", postgresql_include=["similar_movie_id", "score"]
    ),
    _rank_positive(),
    finite("score"),
    sa.CheckConstraint("movie_id <> similar_movie_id", name="not_itself"),
    comment="Nearest movies of each movie",
)

user_similarities = _result_table(
    "user_similarities",
    _rank(),
    _id("user_id", "Whose neighbours these are"),
    _id("similar_user_id", "The neighbour"),
    sa.Column("common_ratings", sa.Integer, nullable=False, comment="Movies both have rated"),
    _score("Similarity of taste"),
    sa.PrimaryKeyConstraint(
        "user_id", "run_id", "model_id", "rank", postgresql_include=["similar_user_id", "score"]
    ),
    _rank_positive(),
    finite("score"),
    sa.CheckConstraint("user_id <> similar_user_id", name="not_itself"),
    comment="Nearest users of each user",
)

user_recommendations = _result_table(
    "user_recommendations",
    _rank(),
    _id("user_id", "Whose list this is"),
    _id("movie_id", "The movie recommended"),
    _score("The model's score, higher is better"),
    # NULL costs no room in a row.
    sa.Column(
        "source_model_id",
        sa.SmallInteger,
        comment="For a hybrid the model the row came from, whose score it is; NULL: its own",
    ),
    sa.PrimaryKeyConstraint(
        "user_id", "run_id", "model_id", "rank", postgresql_include=["movie_id", "score"]
    ),
    _rank_positive(),
    finite("score"),
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
    _rank_positive(),
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
    comment="What a run read of each user: who has other ratings now has changed since",
)

RESULT_TABLES = (
    movie_similarities,
    user_similarities,
    user_recommendations,
    movie_charts,
    user_factors,
    movie_factors,
    run_users,
)
