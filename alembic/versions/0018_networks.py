"""neural networks of runs and the epochs of their training"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

STORE = "recsys_store"
EXTERNAL = ("network", "movie_ids", "user_ids")
VIEWS = ("networks", "training_epochs")


def upgrade() -> None:
    op.create_table(
        "networks",
        sa.Column("run_id", sa.Integer, nullable=False, comment="The run that wrote it"),
        sa.Column("model_id", sa.SmallInteger, nullable=False, comment="The model that gave it"),
        sa.Column("network", BYTEA, nullable=False, comment="Architecture and weights"),
        sa.Column(
            "movie_ids",
            ARRAY(sa.Integer, dimensions=1),
            nullable=False,
            comment="The movie of each row of its arrays over movies",
        ),
        sa.Column(
            "user_ids",
            ARRAY(sa.Integer, dimensions=1),
            comment="The user of each row of its arrays over users; NULL: it has none",
        ),
        sa.PrimaryKeyConstraint("model_id", "run_id", name=op.f("pk_networks")),
        schema=STORE,
        postgresql_partition_by="LIST (run_id)",
        comment="Neural networks of runs, from which later ones may start",
    )
    # Weights do not compress.
    for name in EXTERNAL:
        op.execute(f"ALTER TABLE {STORE}.networks ALTER {name} SET STORAGE EXTERNAL")
    op.create_table(
        "training_epochs",
        sa.Column("run_id", sa.Integer, nullable=False, comment="The run"),
        sa.Column("model_id", sa.SmallInteger, nullable=False, comment="The model trained"),
        sa.Column("epoch", sa.Integer, nullable=False, comment="Number of the epoch, from 1"),
        sa.Column("loss", sa.Double, nullable=False, comment="Mean of what the training minimizes"),
        sa.Column(
            "metric",
            sa.Text,
            comment="Metric of the validation figure, as rmse; NULL: nothing was held out",
        ),
        sa.Column(
            "validation", sa.Double, comment="Figure of the held-out part; NULL: without one"
        ),
        sa.Column("seconds", sa.Double, nullable=False, comment="How long the epoch took"),
        sa.ForeignKeyConstraint(
            ["run_id"],
            [f"{STORE}.runs.run_id"],
            name=op.f("fk_training_epochs_run_id_runs"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["model_id"],
            [f"{STORE}.models.model_id"],
            name=op.f("fk_training_epochs_model_id_models"),
        ),
        sa.PrimaryKeyConstraint("run_id", "model_id", "epoch", name=op.f("pk_training_epochs")),
        sa.CheckConstraint("epoch > 0", name=op.f("ck_training_epochs_epoch_positive")),
        sa.CheckConstraint(
            "loss > '-Infinity' AND loss < 'Infinity'", name=op.f("ck_training_epochs_loss_finite")
        ),
        sa.CheckConstraint(
            "validation > '-Infinity' AND validation < 'Infinity'",
            name=op.f("ck_training_epochs_validation_finite"),
        ),
        sa.CheckConstraint(
            "validation IS NULL OR metric IS NOT NULL", name=op.f("ck_training_epochs_metric")
        ),
        schema=STORE,
        comment="Epochs of the networks that runs trained",
    )
    op.create_index(
        op.f("ix_training_epochs_model_id"), "training_epochs", ["model_id"], schema=STORE
    )


def downgrade() -> None:
    # Views of the contract are there until it is applied again.
    for view in VIEWS:
        op.execute(f"DROP VIEW IF EXISTS recsys.{view}")
    op.drop_table("training_epochs", schema=STORE)
    op.drop_table("networks", schema=STORE)
