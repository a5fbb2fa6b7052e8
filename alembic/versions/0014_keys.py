"""keys of users and movies, beside their ids"""

import re

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

STORE = "recsys_store"
COMMENTS = {
    "users": "What the source calls the user; for MovieLens the id as text",
    "movies": "What the source calls the movie; for MovieLens the id as text",
}
ID_COMMENTS = {
    "users": "Number of the user inside: the key, if that is a free whole number",
    "movies": "Number of the movie inside: its key, if that is a free whole number",
}
OLD_ID_COMMENT = "Id in the ingested edition"
VALID = r"key <> '' AND octet_length(key) <= 512 AND key !~ '[\u0001-\u001f\u007f-\u009f]'"
DEPENDENT_VIEWS = r"""
SELECT c.relname, pg_get_viewdef(c.oid)
FROM pg_class AS c
WHERE c.relnamespace = to_regnamespace('recsys') AND c.relkind = 'v'
  AND pg_get_viewdef(c.oid) ~ '\ykey AS '
ORDER BY c.relname
"""


def upgrade() -> None:
    for table, comment in COMMENTS.items():
        id_ = f"{table[:-1]}_id"
        column = sa.Column("key", sa.Text(collation="C"), comment=comment)
        op.add_column(table, column, schema=STORE)
        # Rewrites the table once; an UPDATE would leave it twice as large.
        op.execute(
            f"ALTER TABLE {STORE}.{table} "
            f'ALTER COLUMN key TYPE text COLLATE "C" USING CAST({id_} AS text), '
            "ALTER COLUMN key SET NOT NULL"
        )
        op.create_check_constraint(op.f(f"ck_{table}_key"), table, VALID, schema=STORE)
        op.create_unique_constraint(op.f(f"uq_{table}_key"), table, ["key"], schema=STORE)
        op.alter_column(table, id_, comment=ID_COMMENTS[table], schema=STORE)
        op.execute(f"ANALYZE {STORE}.{table}")


def downgrade() -> None:
    # The views of the contract are there until it is applied again, and others build on them.
    for view, query in op.get_bind().execute(sa.text(DEPENDENT_VIEWS)).all():
        without = re.sub(r"(\w+\.)?\bkey AS ", 'NULL::text COLLATE "C" AS ', query)
        op.execute(f"CREATE OR REPLACE VIEW recsys.{view} AS {without}")
    for table in COMMENTS:
        op.drop_column(table, "key", schema=STORE)
        op.alter_column(table, f"{table[:-1]}_id", comment=OLD_ID_COMMENT, schema=STORE)
