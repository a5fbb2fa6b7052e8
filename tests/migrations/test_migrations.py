import pytest
import sqlalchemy as sa
from alembic import command
from alembic.util.exc import CommandError

from recsys.storage import schema

TABLES = sa.text("""
SELECT c.relname, obj_description(c.oid, 'pg_class') FROM pg_class AS c
WHERE c.relnamespace = 'recsys_store'::regnamespace AND c.relkind IN ('r', 'p')
  AND c.relname <> 'alembic_version' ORDER BY 1
""")
COLUMNS = sa.text("""
SELECT c.relname, a.attname, col_description(c.oid, a.attnum)
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
WHERE c.relnamespace = 'recsys_store'::regnamespace AND c.relkind IN ('r', 'p')
  AND c.relname <> 'alembic_version' AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1, 2
""")
INDEXES = sa.text("""
SELECT c.relname, obj_description(c.oid, 'pg_class')
FROM pg_class AS c
JOIN pg_index AS i ON i.indexrelid = c.oid
WHERE c.relnamespace = 'recsys_store'::regnamespace AND c.relname ~ '^ix_'
  AND NOT c.relispartition ORDER BY 1
""")
STRUCTURE = sa.text("""
SELECT table_name, column_name, data_type, is_nullable, column_default, is_identity
FROM information_schema.columns
WHERE table_schema = 'recsys_store' AND table_name !~ '_run_[0-9]+$' ORDER BY 1, 2
""")
KEYS = sa.text("""
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = 'recsys_store'::regnamespace AND contype <> 'n'
  AND conrelid::regclass::text !~ '_run_[0-9]+$' AND conparentid = 0 ORDER BY 1, 2
""")
UNINDEXED = sa.text("""
SELECT k.conrelid::regclass::text, k.conname
FROM pg_constraint AS k
WHERE k.contype = 'f' AND k.connamespace = 'recsys_store'::regnamespace AND k.conparentid = 0
  AND NOT EXISTS (
      SELECT FROM pg_index AS i
      WHERE i.indrelid = k.conrelid AND i.indkey[0] = k.conkey[1]
  )
ORDER BY 1, 2
""")


def structure(connection):
    return [connection.execute(query).all() for query in (STRUCTURE, KEYS, INDEXES)]


def config(connection):
    return schema.alembic_config(connection)


def test_up_from_empty_matches_the_models(empty_database):
    with empty_database.transaction() as connection:
        command.upgrade(config(connection), "head")
        command.check(config(connection))
        assert schema.revision(connection) == schema.head()


def test_down_to_nothing_and_up_again_gives_the_same(database):
    with database.transaction() as connection:
        before = structure(connection)
        connection.execute(sa.text("DROP SCHEMA recsys CASCADE"))
        command.downgrade(config(connection), "base")
        assert connection.execute(TABLES).all() == []
        assert schema.revision(connection) is None
        schema.upgrade(connection)
        assert structure(connection) == before
        command.check(config(connection))


def test_the_models_match_a_filled_database_with_partitions(refreshed_database):
    with refreshed_database.transaction() as connection:
        command.check(config(connection))


def test_a_filled_database_goes_down_and_up(refreshed_database):
    with refreshed_database.transaction() as connection:
        before = structure(connection)
        connection.execute(sa.text("DROP SCHEMA recsys CASCADE"))
        command.downgrade(config(connection), "base")
        assert connection.execute(TABLES).all() == []
        schema.upgrade(connection)
        assert structure(connection) == before


def test_the_check_sees_a_difference(database):
    with database.transaction() as connection:
        connection.execute(sa.text("ALTER TABLE recsys_store.movies ADD COLUMN odd integer"))
    with database.transaction() as connection, pytest.raises(CommandError, match="odd"):
        command.check(config(connection))


def test_every_table_and_column_has_a_comment(connection):
    tables, columns = connection.execute(TABLES).all(), connection.execute(COLUMNS).all()
    assert (len(tables), len(columns)) > (25, 100)
    assert [table for table, comment in tables if not comment] == []
    assert [(table, column) for table, column, comment in columns if not comment] == []


def test_every_index_that_is_no_key_names_its_query(connection):
    indexes = connection.execute(INDEXES).all()
    assert len(indexes) >= 12
    # The indexes of two small tables serve foreign keys only.
    bare = {name for name, comment in indexes if not comment}
    assert bare <= {
        "ix_publications_run_id", "ix_published_run_id", "ix_run_metrics_model_id",
        "ix_runs_default_model_id",
    }  # fmt: skip


def test_every_foreign_key_leads_an_index(connection):
    assert connection.execute(UNINDEXED).all() == []
