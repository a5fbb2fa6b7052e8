"""what recommendations need to follow ratings that came after the run"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

STORE = "recsys_store"


def upgrade() -> None:
    op.add_column(
        "models",
        sa.Column(
            "scoring",
            sa.Text,
            comment="How its lists follow from its similarities: sum, mean_product; "
            "NULL: they do not",
        ),
        schema=STORE,
    )
    op.create_check_constraint(
        op.f("ck_models_scoring"), "models", "scoring IN ('sum', 'mean_product')", schema=STORE
    )
    op.add_column(
        "runs",
        sa.Column(
            "live_model_id",
            sa.SmallInteger,
            comment="Model that serves ratings given since, where the one asked for cannot",
        ),
        schema=STORE,
    )
    op.create_foreign_key(
        op.f("fk_runs_live_model_id_models"),
        "runs",
        "models",
        ["live_model_id"],
        ["model_id"],
        source_schema=STORE,
        referent_schema=STORE,
    )
    op.create_index(op.f("ix_runs_live_model_id"), "runs", ["live_model_id"], schema=STORE)
    op.add_column(
        "runs",
        sa.Column(
            "max_age",
            postgresql.INTERVAL,
            comment="Age from which its results are stale; NULL: never",
        ),
        schema=STORE,
    )
    op.create_table(
        "run_users",
        sa.Column("run_id", sa.Integer, nullable=False, comment="The run"),
        sa.Column("user_id", sa.Integer, nullable=False, comment="The user"),
        sa.Column(
            "ratings_count", sa.Integer, nullable=False, comment="Ratings the run read of them"
        ),
        sa.Column(
            "ratings_hash",
            sa.BigInteger,
            nullable=False,
            comment="bit_xor of recsys.rating_hash over these ratings",
        ),
        sa.PrimaryKeyConstraint(
            "user_id",
            "run_id",
            name=op.f("pk_run_users"),
            postgresql_include=["ratings_count", "ratings_hash"],
        ),
        schema=STORE,
        postgresql_partition_by="LIST (run_id)",
        comment="What a run read of each user: who has other ratings now has changed since",
    )


def downgrade() -> None:
    # With its partitions.
    op.drop_table("run_users", schema=STORE)
    for column in ("max_age", "live_model_id"):
        op.drop_column("runs", column, schema=STORE)
    op.drop_column("models", "scoring", schema=STORE)
