"""movies that are withdrawn"""

import re

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

STORE = "recsys_store"
COMMENT = "Whether the movie may be recommended; false: it is withdrawn"
INDEX = "recsys.recommend: whether any movie is withdrawn"
DEPENDENT_VIEWS = r"""
SELECT c.relname, pg_get_viewdef(c.oid)
FROM pg_class AS c
WHERE c.relnamespace = to_regnamespace('recsys') AND c.relkind = 'v'
  AND pg_get_viewdef(c.oid) ~ '\yavailable\y'
ORDER BY c.relname
"""


def upgrade() -> None:
    column = sa.Column(
        "available", sa.Boolean, nullable=False, server_default="true", comment=COMMENT
    )
    op.add_column("movies", column, schema=STORE)
    op.create_index(
        "ix_movies_withdrawn",
        "movies",
        ["movie_id"],
        schema=STORE,
        postgresql_where=sa.text("NOT available"),
    )
    op.execute(f"COMMENT ON INDEX {STORE}.ix_movies_withdrawn IS '{INDEX}'")


def downgrade() -> None:
    # The views of the contract are there until it is applied again, and others build on them.
    for view, query in op.get_bind().execute(sa.text(DEPENDENT_VIEWS)).all():
        without = re.sub(r"(?<!AS )(\w+\.)?\bavailable\b", "true", query)
        without = re.sub(r"^(\s+)true(,?)$", r"\1true AS available\2", without, flags=re.MULTILINE)
        op.execute(f"CREATE OR REPLACE VIEW recsys.{view} AS {without}")
    op.drop_column("movies", "available", schema=STORE)
