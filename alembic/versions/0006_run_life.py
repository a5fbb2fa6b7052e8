"""heartbeats, scopes of runs, and what was forgotten"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

STORE = "recsys_store"


def upgrade() -> None:
    op.add_column(
        "runs",
        sa.Column(
            "heartbeat_at",
            sa.TIMESTAMP(timezone=True),
            comment="When the process that computes it last said so",
        ),
        schema=STORE,
    )
    op.add_column(
        "runs",
        sa.Column(
            "scope",
            sa.Text,
            nullable=False,
            server_default="full",
            comment="full: all models; models: some, for trying out; users: lists of changed users",
        ),
        schema=STORE,
    )
    op.add_column(
        "runs",
        sa.Column(
            "base_run_id",
            sa.Integer,
            comment="Of scope users the full run whose other results it took over",
        ),
        schema=STORE,
    )
    op.create_check_constraint(
        op.f("ck_runs_scope"), "runs", "scope IN ('full', 'models', 'users')", schema=STORE
    )
    op.create_check_constraint(
        op.f("ck_runs_base_run_id"),
        "runs",
        "(scope = 'users') = (base_run_id IS NOT NULL)",
        schema=STORE,
    )
    op.create_foreign_key(
        op.f("fk_runs_base_run_id_runs"),
        "runs",
        "runs",
        ["base_run_id"],
        ["run_id"],
        source_schema=STORE,
        referent_schema=STORE,
    )
    op.create_index(op.f("ix_runs_base_run_id"), "runs", ["base_run_id"], schema=STORE)
    op.create_table(
        "erasures",
        sa.Column(
            "erasure_id",
            sa.Integer,
            sa.Identity(always=True),
            nullable=False,
            comment="Number of the entry, ascending",
        ),
        sa.Column(
            "erased_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the person was removed",
        ),
        sa.Column("rows", postgresql.JSONB, nullable=False, comment="Rows removed of each table"),
        sa.Column(
            "erased_by",
            sa.Text,
            server_default=sa.text("current_user"),
            nullable=False,
            comment="Database role that did it",
        ),
        sa.PrimaryKeyConstraint("erasure_id", name=op.f("pk_erasures")),
        schema=STORE,
        comment="Log of people who were forgotten; it does not say who",
    )


def downgrade() -> None:
    op.drop_table("erasures", schema=STORE)
    op.execute(f"UPDATE {STORE}.runs SET base_run_id = NULL, scope = 'full'")
    for column in ("base_run_id", "scope", "heartbeat_at"):
        op.drop_column("runs", column, schema=STORE)
