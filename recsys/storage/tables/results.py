"""Result tables, LIST-partitioned by run: filled by COPY, attached whole, dropped whole.

Their primary keys lead with the id people look up by, since run and model are given in every query
and a partition holds one run; so one index serves as key, as list in order and as the index of the
foreign key.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, DOUBLE_PRECISION

from recsys.storage.tables.base import finite, metadata, reference


def _result_table(
    name: str, *parts: sa.Column[int] | sa.schema.SchemaItem, comment: str
) -> sa.Table:
    return sa.Table(
        name,
        metadata,
        reference("run_id", "runs.run_id", "The run that wrote it"),
        reference("model_id", "models.model_id", "The model that gave it"),
        *parts,
        postgresql_partition_by="LIST (run_id)",
        comment=comment,
    )


def _rank() -> sa.Column[int]:
    return sa.Column("rank", sa.SmallInteger, nullable=False, comment="Place in the list, from 1")


def _score(comment: str) -> sa.Column[float]:
    return sa.Column("score", DOUBLE_PRECISION, nullable=False, comment=comment)


def _rank_positive() -> sa.CheckConstraint:
    return sa.CheckConstraint("rank > 0", name="rank_positive")


movie_similarities = _result_table(
    "movie_similarities",
    _rank(),
    reference("movie_id", "movies.movie_id", "Whose neighbours these are"),
    reference("similar_movie_id", "movies.movie_id", "The neighbour"),
    _score("Similarity, or the weight with which the movie speaks for it"),
    sa.PrimaryKeyConstraint(
        "movie_id", "model_id", "rank", "run_id", postgresql_include=["similar_movie_id", "score"]
    ),
    _rank_positive(),
    finite("score"),
    sa.CheckConstraint("movie_id <> similar_movie_id", name="not_itself"),
    sa.Index(None, "similar_movie_id"),
    comment="Nearest movies of each movie",
)

user_similarities = _result_table(
    "user_similarities",
    _rank(),
    reference("user_id", "users.user_id", "Whose neighbours these are"),
    reference("similar_user_id", "users.user_id", "The neighbour"),
    sa.Column("common_ratings", sa.Integer, nullable=False, comment="Movies both have rated"),
    _score("Similarity of taste"),
    sa.PrimaryKeyConstraint(
        "user_id", "model_id", "rank", "run_id", postgresql_include=["similar_user_id", "score"]
    ),
    _rank_positive(),
    finite("score"),
    sa.CheckConstraint("user_id <> similar_user_id", name="not_itself"),
    sa.Index(None, "similar_user_id"),
    comment="Nearest users of each user",
)

user_recommendations = _result_table(
    "user_recommendations",
    _rank(),
    reference("user_id", "users.user_id", "Whose list this is"),
    reference("movie_id", "movies.movie_id", "The movie recommended"),
    _score("The model's score, higher is better"),
    sa.PrimaryKeyConstraint(
        "user_id", "model_id", "rank", "run_id", postgresql_include=["movie_id", "score"]
    ),
    _rank_positive(),
    finite("score"),
    sa.Index(None, "movie_id"),
    comment="Stored recommendations; movies rated when the run read are not in it",
)

movie_charts = _result_table(
    "movie_charts",
    sa.Column("rank", sa.Integer, nullable=False, comment="Place in the chart, from 1"),
    reference("genre_id", "genres.genre_id", "Chart of this genre; NULL: of all", nullable=True),
    reference("movie_id", "movies.movie_id", "The movie"),
    sa.Column("votes", sa.BigInteger, nullable=False, comment="Ratings counted"),
    _score("The chart's score, higher is better"),
    sa.Column("mean_rating", DOUBLE_PRECISION, nullable=False, comment="Mean of those ratings"),
    sa.UniqueConstraint(
        "model_id", "genre_id", "rank", "run_id", postgresql_nulls_not_distinct=True
    ),
    _rank_positive(),
    finite("score"),
    finite("mean_rating"),
    sa.Index(None, "movie_id"),
    sa.Index(None, "genre_id"),
    comment="Charts: ranked movies without personalisation",
)

user_factors = _result_table(
    "user_factors",
    reference("user_id", "users.user_id", "The user"),
    sa.Column("factors", ARRAY(sa.REAL, dimensions=1), nullable=False, comment="Latent factors"),
    sa.PrimaryKeyConstraint("user_id", "model_id", "run_id"),
    comment="Latent factors of users who have rated",
)

movie_factors = _result_table(
    "movie_factors",
    reference("movie_id", "movies.movie_id", "The movie"),
    sa.Column("factors", ARRAY(sa.REAL, dimensions=1), nullable=False, comment="Latent factors"),
    sa.PrimaryKeyConstraint("movie_id", "model_id", "run_id"),
    comment="Latent factors of movies that have been rated",
)

RESULT_TABLES = (
    movie_similarities,
    user_similarities,
    user_recommendations,
    movie_charts,
    user_factors,
    movie_factors,
)
