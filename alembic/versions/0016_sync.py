"""rows that a sync removed"""

import re

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

STORE = "recsys_store"
COMMENT = "Rows that a sync deleted because the source has them no more"
DIALECTS = "File format: ml-100k, ml-1m, ml-10m, ml-csv, csv, the-movies-dataset"
DEPENDENT_VIEW = """
SELECT pg_get_viewdef(c.oid)
FROM pg_class AS c
WHERE c.oid = to_regclass('recsys.ingests') AND pg_get_viewdef(c.oid) ~ 'removed'
"""


def upgrade() -> None:
    column = sa.Column(
        "removed", sa.BigInteger, nullable=False, server_default="0", comment=COMMENT
    )
    op.add_column("ingests", column, schema=STORE)
    op.alter_column("ingests", "dialect", comment=f"{DIALECTS}; sql: queries", schema=STORE)
    op.create_table(
        "source_users",
        sa.Column(
            "user_id",
            sa.Integer,
            sa.ForeignKey(
                f"{STORE}.users.user_id",
                name=op.f("fk_source_users_user_id_users"),
                ondelete="CASCADE",
            ),
            primary_key=True,
            autoincrement=False,
            comment="The user",
        ),
        sa.Column(
            "rows_count", sa.BigInteger, nullable=False, comment="Rows of the user in the source"
        ),
        sa.Column(
            "rows_hash", sa.Numeric, nullable=False, comment="Sum of the hashes of these rows"
        ),
        sa.Column(
            "ratings_count", sa.BigInteger, nullable=False, comment="Ratings here after the sync"
        ),
        sa.Column("ratings_hash", sa.BigInteger, nullable=False, comment="Their hash"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_source_users")),
        comment="What the last sync read of each user: who has other rows now is compared again",
        schema=STORE,
    )


def downgrade() -> None:
    # The view of the contract is there until it is applied again.
    query = op.get_bind().scalar(sa.text(DEPENDENT_VIEW))
    if query is not None:
        without = re.sub(r"\b(?:ingests\.)?removed\b", "NULL::bigint AS removed", query)
        op.execute(f"CREATE OR REPLACE VIEW recsys.ingests AS {without}")
    op.drop_column("ingests", "removed", schema=STORE)
    op.alter_column("ingests", "dialect", comment=DIALECTS, schema=STORE)
    op.drop_table("source_users", schema=STORE)
