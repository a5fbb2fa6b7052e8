"""what each user's ratings hash to, kept as they change"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

STORE = "recsys_store"
# As recsys.rating_hash, which belongs to the contract and may not be there yet.
HASH = "hashint4extended(r.movie_id, hashfloat8extended(r.rating, 0))"
RECORD = f"""
CREATE FUNCTION {STORE}.record_rating_changes() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM {STORE}.rating_changes;
    ELSIF TG_OP = 'INSERT' THEN
        INSERT INTO {STORE}.rating_changes (user_id, ratings_count, ratings_hash)
        SELECT r.user_id, count(*), bit_xor({HASH})
        FROM given AS r
        GROUP BY r.user_id;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO {STORE}.rating_changes (user_id, ratings_count, ratings_hash)
        SELECT r.user_id, -count(*), bit_xor({HASH})
        FROM taken AS r
        GROUP BY r.user_id;
    ELSE
        INSERT INTO {STORE}.rating_changes (user_id, ratings_count, ratings_hash)
        SELECT r.user_id, sum(r.one), bit_xor({HASH})
        FROM (
            SELECT g.user_id, g.movie_id, g.rating, 1 AS one FROM given AS g
            UNION ALL
            SELECT t.user_id, t.movie_id, t.rating, -1 FROM taken AS t
        ) AS r
        GROUP BY r.user_id
        HAVING (sum(r.one), bit_xor({HASH})) <> (0, 0);
    END IF;
    RETURN NULL;
END
$$
"""
FILL = f"""
INSERT INTO {STORE}.rating_changes (user_id, ratings_count, ratings_hash)
SELECT r.user_id, count(*), bit_xor({HASH})
FROM {STORE}.ratings AS r
GROUP BY r.user_id
ORDER BY r.user_id
"""
TRIGGERS = {
    "insert": "AFTER INSERT ON {table} REFERENCING NEW TABLE AS given",
    "update": "AFTER UPDATE ON {table} REFERENCING OLD TABLE AS taken NEW TABLE AS given",
    "delete": "AFTER DELETE ON {table} REFERENCING OLD TABLE AS taken",
    "truncate": "AFTER TRUNCATE ON {table}",
}


def upgrade() -> None:
    op.create_table(
        "rating_changes",
        sa.Column("user_id", sa.Integer, nullable=False, comment="Whose ratings changed"),
        sa.Column(
            "change_id",
            sa.BigInteger,
            sa.Identity(always=True),
            nullable=False,
            comment="Number of the change",
        ),
        sa.Column(
            "ratings_count",
            sa.Integer,
            nullable=False,
            comment="How many more they are; summed over a user's rows: how many there are",
        ),
        sa.Column(
            "ratings_hash",
            sa.BigInteger,
            nullable=False,
            comment="bit_xor of recsys.rating_hash over what came and went; over a user's rows: "
            "over all their ratings",
        ),
        sa.PrimaryKeyConstraint(
            "user_id",
            "change_id",
            name=op.f("pk_rating_changes"),
            postgresql_include=["ratings_count", "ratings_hash"],
        ),
        schema=STORE,
        comment="What each user's ratings hash to, written by triggers on ratings: nobody waits "
        "for anybody, as rows are only added",
    )
    op.execute(RECORD)
    op.execute(
        f"COMMENT ON FUNCTION {STORE}.record_rating_changes() IS 'Keeps rating_changes in step'"
    )
    for name, event in TRIGGERS.items():
        op.execute(
            f"CREATE TRIGGER record_{name} {event.format(table=f'{STORE}.ratings')} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {STORE}.record_rating_changes()"
        )
    op.execute(FILL)


def downgrade() -> None:
    for name in TRIGGERS:
        op.execute(f"DROP TRIGGER record_{name} ON {STORE}.ratings")
    op.execute(f"DROP FUNCTION {STORE}.record_rating_changes()")
    op.drop_table("rating_changes", schema=STORE)
