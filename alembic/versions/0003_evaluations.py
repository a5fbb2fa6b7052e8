"""runs that measure models, and refreshes that the gate refused"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STORE = "recsys_store"


def upgrade() -> None:
    op.add_column(
        "runs",
        sa.Column(
            "kind",
            sa.Text,
            nullable=False,
            server_default="refresh",
            comment="refresh: writes results; evaluation: measures models, has no results",
        ),
        schema=STORE,
    )
    op.create_check_constraint(
        op.f("ck_runs_kind"), "runs", "kind IN ('refresh', 'evaluation')", schema=STORE
    )
    op.add_column(
        "runs",
        sa.Column("refused", sa.Text, comment="Why the gate kept it from being published"),
        schema=STORE,
    )


def downgrade() -> None:
    op.execute(f"DELETE FROM {STORE}.runs WHERE kind = 'evaluation'")
    op.drop_column("runs", "refused", schema=STORE)
    op.drop_column("runs", "kind", schema=STORE)
