"""Runs and their publication."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, DOUBLE_PRECISION, INTERVAL, JSONB

from recsys.storage.schema.tables.base import (
    finite,
    metadata,
    reference,
    text_column,
    timestamp,
)

ROLES = {
    "cold_start": "not a chart for users without ratings",
    "content": "lists do not follow what movies are",
    "similar": "similar movies only after all others",
    "similar_users": "compares no users",
    "popularity": "does not order search results",
    "top": "top_movies shows it only after all others",
}
"""Roles that models are candidates for, and what it means not to be one."""

models = sa.Table(
    "models",
    metadata,
    sa.Column(
        "model_id",
        sa.SmallInteger,
        sa.Identity(always=True),
        primary_key=True,
        comment="Number of the model in result tables",
    ),
    text_column("name", "Name of the model everywhere: command line, SQL, Python"),
    text_column("kind", "chart: the same for all; similarity: movie to movie; personal: lists"),
    text_column("score_meaning", "What its score says"),
    text_column("description", "What it does, in short"),
    text_column(
        "prediction",
        "From what it predicts ratings: factors, user_neighbours, movie_neighbours",
        nullable=True,
    ),
    text_column(
        "scoring",
        "How its lists are scored: sum, mean_product, factors, profile, neighbour_ratings, parts",
        nullable=True,
    ),
    # Empty for models that only older versions have refreshed.
    sa.Column(
        "family", sa.Text, nullable=False, server_default="", comment="Group it is listed with"
    ),
    sa.Column(
        "display_name", sa.Text, nullable=False, server_default="", comment="Name that pages show"
    ),
    sa.Column("labels", ARRAY(sa.Text), comment="Words for scores, highest first; NULL: none"),
    sa.Column(
        "label_bounds",
        ARRAY(DOUBLE_PRECISION),
        comment="The bound that a score exceeds to have the label of the same position",
    ),
    sa.Column(
        "personal_start",
        sa.Boolean,
        nullable=False,
        server_default=sa.false(),
        comment="Whether each user enters the chart at a place of their own",
    ),
    *(
        sa.Column(f"{role}_order", sa.SmallInteger, comment=f"Lowest first; NULL: {otherwise}")
        for role, otherwise in ROLES.items()
    ),
    sa.UniqueConstraint("name"),
    sa.CheckConstraint(
        "scoring IN ('sum', 'mean_product', 'factors', 'profile', 'neighbour_ratings', 'parts')",
        name="scoring",
    ),
    sa.CheckConstraint(
        "cardinality(labels) IS NOT DISTINCT FROM cardinality(label_bounds)", name="labels"
    ),
    sa.CheckConstraint(
        "prediction IN ('factors', 'user_neighbours', 'movie_neighbours')", name="prediction"
    ),
    sa.CheckConstraint("kind IN ('chart', 'similarity', 'personal')", name="kind"),
    comment="The models that have been refreshed here",
)

runs = sa.Table(
    "runs",
    metadata,
    sa.Column(
        "run_id",
        sa.Integer,
        sa.Identity(always=True),
        primary_key=True,
        comment="Number of the run, ascending",
    ),
    text_column("state", "running, complete or failed"),
    timestamp("started_at", "When the refresh began", now=True),
    timestamp("finished_at", "When it completed or failed", nullable=True),
    reference(
        "default_model_id", "models.model_id", "Model used when none is named", nullable=True
    ),
    sa.Column("seed", sa.Integer, nullable=False, comment="Seed of all randomness in it"),
    sa.Column("parameters", JSONB, nullable=False, comment="Models with their parameters, lengths"),
    sa.Column("versions", JSONB, nullable=False, comment="Versions of the code and its libraries"),
    text_column("backend", "The machine's name and the process id that computed it"),
    timestamp("heartbeat_at", "When the process that computes it last said so", nullable=True),
    sa.Column(
        "scope",
        sa.Text,
        nullable=False,
        server_default="full",
        comment="full: all models; models: some, for trying out; users: lists of changed users",
    ),
    reference(
        "base_run_id",
        "runs.run_id",
        "Of scope users the full run whose other results it took over",
        nullable=True,
    ),
    reference(
        "shared_run_id",
        "runs.run_id",
        "The run whose results it shows beside its own; NULL: all results are its own",
        nullable=True,
    ),
    timestamp("snapshot_at", "Time of the state of the database it read", nullable=True),
    sa.Column("ratings_count", sa.BigInteger, comment="Ratings it read"),
    sa.Column("users_count", sa.Integer, comment="Users it read"),
    sa.Column("movies_count", sa.Integer, comment="Movies it read"),
    text_column("snapshot_checksum", "sha256 over all it read", nullable=True),
    text_column("output_checksum", "sha256 over all it wrote", nullable=True),
    sa.Column("peak_memory_mb", sa.Integer, comment="Highest resident memory of the process, MiB"),
    timestamp("pruned_at", "When its results were dropped; NULL: they are here", nullable=True),
    text_column("error", "Why it failed", nullable=True),
    sa.Column("rating_min", DOUBLE_PRECISION, comment="Lowest rating of the scale it read"),
    sa.Column("rating_max", DOUBLE_PRECISION, comment="Highest rating of the scale it read"),
    sa.Column("ratings_mean", DOUBLE_PRECISION, comment="Mean of the ratings it learned from"),
    sa.Column("ratings_deviation", DOUBLE_PRECISION, comment="Their standard deviation"),
    reference(
        "cold_start_model_id",
        "models.model_id",
        "Chart for people of whom nothing is known",
        nullable=True,
    ),
    reference(
        "rating_model_id",
        "models.model_id",
        "Model that predicts ratings when none is named",
        nullable=True,
    ),
    reference(
        "live_model_id",
        "models.model_id",
        "Model that serves ratings given since, where the one asked for cannot",
        nullable=True,
    ),
    sa.Column("max_age", INTERVAL, comment="Age from which its results are stale; NULL: never"),
    sa.Column(
        "kind",
        sa.Text,
        nullable=False,
        server_default="refresh",
        comment="refresh: writes results; evaluation: measures models, has no results",
    ),
    text_column("refused", "Why the gate kept it from being published", nullable=True),
    sa.CheckConstraint("kind IN ('refresh', 'evaluation')", name="kind"),
    sa.CheckConstraint("scope IN ('full', 'models', 'users')", name="scope"),
    sa.CheckConstraint("(scope = 'users') = (base_run_id IS NOT NULL)", name="base_run_id"),
    sa.CheckConstraint("shared_run_id IS NULL OR scope = 'users'", name="shared_run_id"),
    sa.CheckConstraint("state IN ('running', 'complete', 'failed')", name="state"),
    sa.CheckConstraint("(state = 'running') = (finished_at IS NULL)", name="finished"),
    sa.CheckConstraint("(state = 'failed') = (error IS NOT NULL)", name="error"),
    sa.Index(None, "default_model_id"),
    sa.Index(None, "cold_start_model_id"),
    sa.Index(None, "rating_model_id"),
    sa.Index(None, "live_model_id"),
    sa.Index(None, "base_run_id"),
    sa.Index(None, "shared_run_id"),
    comment="Every refresh: what it read, with which parameters, how it ended",
)

run_stages = sa.Table(
    "run_stages",
    metadata,
    reference("run_id", "runs.run_id", "The run", ondelete="CASCADE"),
    sa.Column("position", sa.SmallInteger, nullable=False, comment="Order within the run, from 1"),
    text_column("stage", "read, the name of a model, write, index"),
    timestamp("started_at", "When the stage began"),
    sa.Column("seconds", DOUBLE_PRECISION, nullable=False, comment="How long it took"),
    sa.Column("rows", sa.BigInteger, nullable=False, comment="Rows read or written"),
    sa.Column(
        "peak_memory_mb",
        sa.Integer,
        nullable=False,
        comment="Highest resident memory of the process up to its end, MiB",
    ),
    sa.PrimaryKeyConstraint("run_id", "position"),
    comment="Stages of runs with timings and row counts",
)

run_metrics = sa.Table(
    "run_metrics",
    metadata,
    reference("run_id", "runs.run_id", "The run", ondelete="CASCADE"),
    reference("model_id", "models.model_id", "The model measured"),
    text_column("protocol", "How it was measured"),
    text_column("metric", "What was measured, as ndcg@10"),
    text_column("segment", "Which users or movies; all: every one"),
    sa.Column("value", DOUBLE_PRECISION, nullable=False, comment="The figure"),
    sa.Column("ci_low", DOUBLE_PRECISION, comment="Lower end of its 95 % interval"),
    sa.Column("ci_high", DOUBLE_PRECISION, comment="Upper end of its 95 % interval"),
    sa.Column("n", sa.BigInteger, nullable=False, comment="Over how many users or ratings"),
    sa.PrimaryKeyConstraint("run_id", "model_id", "protocol", "metric", "segment"),
    sa.Index(None, "model_id"),
    comment="Measured quality of the models of a run",
)

training_epochs = sa.Table(
    "training_epochs",
    metadata,
    reference("run_id", "runs.run_id", "The run", ondelete="CASCADE"),
    reference("model_id", "models.model_id", "The model trained"),
    sa.Column("epoch", sa.Integer, nullable=False, comment="Number of the epoch, from 1"),
    sa.Column(
        "loss", DOUBLE_PRECISION, nullable=False, comment="Mean of what the training minimizes"
    ),
    text_column(
        "metric",
        "Metric of the validation figure, as rmse; NULL: nothing was held out",
        nullable=True,
    ),
    sa.Column(
        "validation",
        DOUBLE_PRECISION,
        comment="Figure of the held-out part; NULL: without one",
    ),
    sa.Column("seconds", DOUBLE_PRECISION, nullable=False, comment="How long the epoch took"),
    sa.PrimaryKeyConstraint("run_id", "model_id", "epoch"),
    sa.CheckConstraint("epoch > 0", name="epoch_positive"),
    finite("loss"),
    finite("validation"),
    sa.CheckConstraint("validation IS NULL OR metric IS NOT NULL", name="metric"),
    sa.Index(None, "model_id"),
    comment="Epochs of the networks that runs trained",
)

publications = sa.Table(
    "publications",
    metadata,
    sa.Column(
        "publication_id",
        sa.Integer,
        sa.Identity(always=True),
        primary_key=True,
        comment="Number of the entry, ascending",
    ),
    reference(
        "run_id", "runs.run_id", "What is published from then on; NULL: nothing", nullable=True
    ),
    text_column("action", "publish, rollback or withdraw"),
    timestamp("published_at", "From when", now=True),
    text_column("reason", "Why, where somebody said", nullable=True),
    sa.Column(
        "published_by",
        sa.Text,
        nullable=False,
        server_default=sa.text("current_user"),
        comment="Database role that did it",
    ),
    sa.CheckConstraint("action IN ('publish', 'rollback', 'withdraw')", name="action"),
    sa.CheckConstraint("(action = 'withdraw') = (run_id IS NULL)", name="run_id"),
    sa.Index(None, "run_id"),
    comment="Log of what was published when; rows are only ever added",
)

published = sa.Table(
    "published",
    metadata,
    sa.Column(
        "only_row",
        sa.Boolean,
        primary_key=True,
        server_default=sa.true(),
        comment="Always true: there is one row",
    ),
    reference("run_id", "runs.run_id", "The run readers see"),
    # With the primary key: the table cannot hold a second row.
    sa.CheckConstraint("only_row", name="only_row"),
    sa.Index(None, "run_id"),
    comment="The pointer that all contract views follow; no row: nothing is published",
)

erasures = sa.Table(
    "erasures",
    metadata,
    sa.Column(
        "erasure_id",
        sa.Integer,
        sa.Identity(always=True),
        primary_key=True,
        comment="Number of the entry, ascending",
    ),
    timestamp("erased_at", "When the person was removed", now=True),
    sa.Column("rows", JSONB, nullable=False, comment="Rows removed of each table"),
    sa.Column(
        "erased_by",
        sa.Text,
        nullable=False,
        server_default=sa.text("current_user"),
        comment="Database role that did it",
    ),
    comment="Log of people who were forgotten; it does not say who",
)
