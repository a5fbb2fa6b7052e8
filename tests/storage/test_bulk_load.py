import json

import numpy as np
import psycopg
import pytest
import sqlalchemy as sa

from recsys.storage.load import bulk_load
from recsys.storage.load.copy import Timestamps
from recsys.storage.schema import introspection

CONSTRAINTS = sa.text("""
SELECT conname, contype, condeferrable, convalidated, pg_get_constraintdef(oid),
    obj_description(oid, 'pg_constraint')
FROM pg_constraint WHERE conrelid = CAST(:table AS regclass) ORDER BY conname
""")
INDEXES = sa.text("""
SELECT c.relname, i.indisunique, i.indisprimary, i.indisvalid, pg_get_indexdef(c.oid),
    obj_description(c.oid, 'pg_class')
FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE i.indrelid = CAST(:table AS regclass) ORDER BY c.relname
""")
COLUMNS = sa.text("""
SELECT attname, attnotnull, col_description(attrelid, attnum)
FROM pg_attribute WHERE attrelid = CAST(:table AS regclass) AND attnum > 0 ORDER BY attnum
""")
PEOPLE = sa.text("""
INSERT INTO recsys_store.users (user_id, key) SELECT i, i FROM generate_series(1, 200) AS i;
INSERT INTO recsys_store.movies (movie_id, key, title, original_title)
SELECT i, i, 'Film', 'Film' FROM generate_series(1, 100) AS i;
INSERT INTO recsys_store.genome_tags (tag_id, tag)
SELECT i, 'tag ' || i FROM generate_series(1, 10) AS i
""")
RATINGS, SCORES = "recsys_store.ratings", "recsys_store.genome_scores"


def catalogue_of(connection, table):
    return [
        connection.execute(query, {"table": table}).all()
        for query in (CONSTRAINTS, INDEXES, COLUMNS)
    ]


def ratings(users=200, movies=100):
    return {
        "user_id": np.repeat(np.arange(1, users + 1, dtype=np.int32), movies),
        "movie_id": np.tile(np.arange(1, movies + 1, dtype=np.int32), users),
        "rating": np.full(users * movies, 3.5),
        "rated_at": Timestamps(np.arange(users * movies, dtype=np.int64)),
    }


@pytest.fixture
def peopled(connection):
    for statement in PEOPLE.text.split(";"):
        connection.execute(sa.text(statement))
    return connection


def test_a_load_restores_the_definition_of_ratings(peopled):
    peopled.execute(
        sa.text("COMMENT ON CONSTRAINT pk_ratings ON recsys_store.ratings IS 'the user''s key'")
    )
    before = catalogue_of(peopled, RATINGS)
    assert bulk_load.fill(peopled, RATINGS, ratings()) == 20_000
    assert catalogue_of(peopled, RATINGS) == before
    names = {row.relname: row.obj_description for row in before[1]}
    assert names["ix_ratings_movie_id_user_id"] is not None


def test_a_load_restores_the_definition_of_genome_scores(peopled):
    before = catalogue_of(peopled, SCORES)
    columns = {
        "movie_id": np.repeat(np.arange(1, 101, dtype=np.int32), 10),
        "tag_id": np.tile(np.arange(1, 11, dtype=np.int32), 100),
        "relevance": np.linspace(0, 1, 1000, dtype=np.float32),
    }
    assert bulk_load.fill(peopled, SCORES, columns) == 1000
    assert catalogue_of(peopled, SCORES) == before


def test_an_index_only_scan_fetches_no_row_from_the_table(database):
    with database.transaction() as connection:
        for statement in PEOPLE.text.split(";"):
            connection.execute(sa.text(statement))
        bulk_load.fill(connection, RATINGS, ratings())
    query = "SELECT count(*), avg(rating) FROM recsys_store.ratings WHERE movie_id = 7"
    with database.transaction() as connection:
        connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
        connection.execute(sa.text("SET LOCAL enable_bitmapscan = off"))
        answer = connection.scalar(sa.text(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}"))
        plan = answer if isinstance(answer, list) else json.loads(answer)
        assert connection.execute(sa.text(query)).one() == (200, 3.5)
    scan = plan[0]["Plan"]["Plans"][0]
    assert (scan["Node Type"], scan["Index Name"], scan["Heap Fetches"]) == (
        "Index Only Scan",
        "ix_ratings_movie_id_user_id",
        0,
    )


def test_the_table_is_analysed(peopled):
    bulk_load.fill(peopled, RATINGS, ratings())
    rows = peopled.scalar(
        sa.text("SELECT reltuples FROM pg_class WHERE oid = CAST(:t AS regclass)"), {"t": RATINGS}
    )
    assert rows == 20_000


def test_progress_counts_the_rows(peopled):
    calls: list[tuple[int, int]] = []
    bulk_load.fill(peopled, RATINGS, ratings(10, 10), lambda *call: calls.append(call))
    assert calls == [(100, 100)]


def test_no_rows_leave_the_table_whole(peopled):
    before = catalogue_of(peopled, RATINGS)
    assert bulk_load.fill(peopled, RATINGS, ratings(0, 0)) == 0
    assert catalogue_of(peopled, RATINGS) == before
    assert bulk_load.is_empty(peopled, RATINGS)


@pytest.mark.parametrize(
    ("column", "value", "error"),
    [
        ("movie_id", 999, psycopg.errors.ForeignKeyViolation),
        ("movie_id", 2, psycopg.errors.UniqueViolation),
        ("rating", np.nan, psycopg.errors.CheckViolation),
    ],
)
def test_a_bad_row_fails_and_a_rollback_brings_everything_back(peopled, column, value, error):
    before = catalogue_of(peopled, RATINGS)
    columns = ratings(10, 10)
    columns[column][0] = value
    nested = peopled.begin_nested()
    with pytest.raises(error):
        bulk_load.fill(peopled, RATINGS, columns)
    nested.rollback()
    assert catalogue_of(peopled, RATINGS) == before
    assert bulk_load.is_empty(peopled, RATINGS)


def test_is_empty(peopled):
    assert bulk_load.is_empty(peopled, RATINGS)
    assert not bulk_load.is_empty(peopled, "recsys_store.users")


def test_table_parts_are_keys_first_and_indexes_that_are_no_keys(connection):
    keys = [part.name for part in introspection.constraints(connection, RATINGS)]
    assert keys == ["pk_ratings", "fk_ratings_movie_id_movies", "fk_ratings_user_id_users"]
    assert [part.name for part in introspection.indexes(connection, RATINGS)] == [
        "ix_ratings_movie_id_user_id"
    ]
