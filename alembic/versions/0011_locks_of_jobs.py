"""locks of jobs that readers cannot take"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# Views: VACUUM and ANALYZE of the whole database would wait for a locked table.
LOCKS = {
    "refresh_lock": "Locked by the refresh that runs, until it ends",
    "ingest_lock": "Locked by the ingest that writes, until it ends",
}


def upgrade() -> None:
    for name, comment in LOCKS.items():
        op.execute(f"CREATE VIEW recsys_store.{name} AS SELECT CAST('{name}' AS text) AS name")
        op.execute(f"COMMENT ON VIEW recsys_store.{name} IS '{comment}'")


def downgrade() -> None:
    for name in LOCKS:
        op.execute(f"DROP VIEW recsys_store.{name}")
