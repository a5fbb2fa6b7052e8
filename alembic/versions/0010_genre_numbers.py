"""genres numbered by the ingest, as a sequence of small integers runs out; rejected rows bounded"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

STORE = "recsys_store"
GENRE_ID = (
    "Number of the genre",
    "Number of the genre, given by the ingest: the lowest that is free",
)
REJECTED = ("Rows in rejected_rows", "Rows not loaded; rejected_rows has the first")
CONTENT = (
    "The row as it stood, cut to 500 characters",
    "The row, cut to 500 characters, control characters escaped",
)
REJECTED_ROWS = (
    "Rows of files that were not loaded, and why",
    "Rows of files that were not loaded, and why: the first of each file",
)


def upgrade() -> None:
    # Numbers stay: charts name their genre by them. An exhausted sequence is no obstacle any more.
    op.execute(f"ALTER TABLE {STORE}.genres ALTER COLUMN genre_id DROP IDENTITY")
    _comment(1)


def downgrade() -> None:
    op.execute(f"ALTER TABLE {STORE}.genres ALTER COLUMN genre_id ADD GENERATED ALWAYS AS IDENTITY")
    op.execute(
        f"SELECT setval(pg_get_serial_sequence('{STORE}.genres', 'genre_id'), max(genre_id)) "
        f"FROM {STORE}.genres HAVING max(genre_id) IS NOT NULL"
    )
    _comment(0)


def _comment(version: int) -> None:
    op.alter_column("genres", "genre_id", comment=GENRE_ID[version], schema=STORE)
    op.alter_column("ingests", "rejected", comment=REJECTED[version], schema=STORE)
    op.alter_column("rejected_rows", "content", comment=CONTENT[version], schema=STORE)
    op.create_table_comment("rejected_rows", REJECTED_ROWS[version], schema=STORE)
