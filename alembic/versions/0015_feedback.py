"""whether an ingest read ratings, or interactions that are counted"""

import re

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

STORE = "recsys_store"
COMMENT = "explicit: people rated; implicit: what they did was counted; NULL for metadata"
DEPENDENT_VIEW = """
SELECT pg_get_viewdef(c.oid)
FROM pg_class AS c
WHERE c.oid = to_regclass('recsys.ingests') AND pg_get_viewdef(c.oid) ~ 'feedback'
"""


def upgrade() -> None:
    column = sa.Column("feedback", sa.Text(), comment=COMMENT)
    op.add_column("ingests", column, schema=STORE)
    op.execute(f"UPDATE {STORE}.ingests SET feedback = 'explicit' WHERE kind = 'ratings'")
    op.create_check_constraint(
        op.f("ck_ingests_feedback"),
        "ingests",
        "feedback IN ('explicit', 'implicit')",
        schema=STORE,
    )


def downgrade() -> None:
    # The view of the contract is there until it is applied again.
    query = op.get_bind().scalar(sa.text(DEPENDENT_VIEW))
    if query is not None:
        without = re.sub(r"\b(?:ingests\.)?feedback\b", "NULL::text AS feedback", query)
        op.execute(f"CREATE OR REPLACE VIEW recsys.ingests AS {without}")
    op.drop_column("ingests", "feedback", schema=STORE)
