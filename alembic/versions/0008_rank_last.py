"""the rank last in the keys of lists, so that a whole list is one stretch of the index"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

STORE = "recsys_store"
OLD, NEW = "PRIMARY KEY ({}, model_id, rank, run_id)", "PRIMARY KEY ({}, run_id, model_id, rank)"
LISTS = {
    "movie_similarities": ("movie_id", "INCLUDE (similar_movie_id, score)"),
    "user_similarities": ("user_id", "INCLUDE (similar_user_id, score)"),
    "user_recommendations": ("user_id", "INCLUDE (movie_id, score)"),
}
CHARTS = "UNIQUE NULLS NOT DISTINCT ({})"
OLD_CHARTS, NEW_CHARTS = "model_id, genre_id, rank, run_id", "run_id, model_id, genre_id, rank"
PARTITIONS = """
SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
WHERE i.inhparent = CAST(:parent AS regclass) ORDER BY c.relname
"""


def upgrade() -> None:
    for table, (whose, include) in LISTS.items():
        key = f"pk_{table}"
        _exchange(table, key, key, f"{NEW.format(whose)} {include}")
    _exchange(
        "movie_charts", _chart_key(OLD_CHARTS), _chart_key(NEW_CHARTS), CHARTS.format(NEW_CHARTS)
    )


def downgrade() -> None:
    _exchange(
        "movie_charts", _chart_key(NEW_CHARTS), _chart_key(OLD_CHARTS), CHARTS.format(OLD_CHARTS)
    )
    for table, (whose, include) in LISTS.items():
        key = f"pk_{table}"
        _exchange(table, key, key, f"{OLD.format(whose)} {include}")


def _chart_key(columns: str) -> str:
    return "_".join(["uq_movie_charts", *columns.split(", ")])


def _exchange(table: str, old: str, new: str, definition: str) -> None:
    op.drop_constraint(old, table, schema=STORE)
    # The keys of the partitions first, by their names: the one of all takes them over.
    of_table = {"parent": f"{STORE}.{table}"}
    for child in op.get_bind().scalars(sa.text(PARTITIONS), of_table).all():
        key = new + child.removeprefix(table)
        op.execute(f"ALTER TABLE {STORE}.{child} ADD CONSTRAINT {key} {definition}")
    op.execute(f"ALTER TABLE {STORE}.{table} ADD CONSTRAINT {new} {definition}")
