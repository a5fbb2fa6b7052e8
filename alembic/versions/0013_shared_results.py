"""runs of changed users that share the results of a full run"""

import re

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

STORE = "recsys_store"
FACTS = {
    "ratings_mean": "Mean of the ratings it learned from",
    "ratings_deviation": "Their standard deviation",
}
DEPENDENT_VIEWS = """
SELECT c.relname, pg_get_viewdef(c.oid)
FROM pg_class AS c
WHERE c.relnamespace = to_regnamespace('recsys') AND c.relkind = 'v'
  AND pg_get_viewdef(c.oid) ~ '[.]shared_run_id'
ORDER BY c.relname
"""
RUN_USERS = (
    "What a run read of each user: who has other ratings now has changed since",
    "What a run read of each user: who has other ratings now has changed since. In a run "
    "that shares the results of another: the users whose results are its own",
)


def upgrade() -> None:
    # Runs from before have all results of their own, and keep them.
    comment = "The run whose results it shows beside its own; NULL: all results are its own"
    op.add_column("runs", sa.Column("shared_run_id", sa.Integer, comment=comment), schema=STORE)
    for name, comment in FACTS.items():
        op.add_column("runs", sa.Column(name, sa.Double, comment=comment), schema=STORE)
    op.create_check_constraint(
        op.f("ck_runs_shared_run_id"),
        "runs",
        "shared_run_id IS NULL OR scope = 'users'",
        schema=STORE,
    )
    op.create_foreign_key(
        op.f("fk_runs_shared_run_id_runs"),
        "runs",
        "runs",
        ["shared_run_id"],
        ["run_id"],
        source_schema=STORE,
        referent_schema=STORE,
    )
    op.create_index(op.f("ix_runs_shared_run_id"), "runs", ["shared_run_id"], schema=STORE)
    op.create_table_comment("run_users", RUN_USERS[1], schema=STORE)


def downgrade() -> None:
    _leave_out_sharing_runs()
    # The views of the contract are there until it is applied again, and others build on them.
    for view, query in op.get_bind().execute(sa.text(DEPENDENT_VIEWS)).all():
        without = re.sub(r"\w+\.shared_run_id", "NULL::integer", query)
        op.execute(f"CREATE OR REPLACE VIEW recsys.{view} AS {without}")
    op.create_table_comment("run_users", RUN_USERS[0], schema=STORE)
    op.drop_column("runs", "shared_run_id", schema=STORE)
    for name in FACTS:
        op.drop_column("runs", name, schema=STORE)


def _leave_out_sharing_runs() -> None:
    """Publish the full run in place of one that shares it, and give up the results of these."""
    published = f"{STORE}.published"
    op.execute(
        f"INSERT INTO {STORE}.publications (run_id, action, reason) "
        f"SELECT r.shared_run_id, 'publish', 'downgrade of the schema' FROM {published} AS p "
        f"JOIN {STORE}.runs AS r USING (run_id) WHERE r.shared_run_id IS NOT NULL"
    )
    op.execute(
        f"UPDATE {published} AS p SET run_id = r.shared_run_id FROM {STORE}.runs AS r "
        "WHERE r.run_id = p.run_id AND r.shared_run_id IS NOT NULL"
    )
    op.execute(
        f"UPDATE {STORE}.runs SET pruned_at = coalesce(pruned_at, now()) "
        "WHERE shared_run_id IS NOT NULL AND state = 'complete'"
    )
