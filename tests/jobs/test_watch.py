"""Watching: after any statement on the table the ratings are those that a sync would give."""

from dataclasses import replace

import psycopg
import pytest

from recsys.config.settings import SourceSettings
from recsys.errors import ConfigError, DataError
from recsys.ingest.reading.rejects import RejectLimit
from recsys.jobs.sync import sync
from recsys.jobs.watch import unwatch, watch

SHOP = """
CREATE SCHEMA "Shop";
CREATE TABLE "Shop".films (sku text, name text);
INSERT INTO "Shop".films VALUES ('A', 'Alien'), ('B', 'Brazil'), ('C', 'Cube');
CREATE TABLE "Shop".reviews (customer uuid, sku text, stars numeric, at timestamptz);
INSERT INTO "Shop".reviews VALUES
    ('00000000-0000-0000-0000-000000000001', 'A', 5, '2024-01-01Z'),
    ('00000000-0000-0000-0000-000000000002', 'B', 3, '2024-01-02Z')
"""
SOURCE = SourceSettings(
    ratings="SELECT r.customer AS user_id, r.sku AS movie_id, r.stars AS rating, r.at AS rated_at "
    'FROM "Shop".reviews AS r WHERE r.stars <> 1',
    movies='SELECT sku AS movie_id, name AS title FROM "Shop".films',
    name="shop",
    scale=(1.0, 5.0),
)
RATINGS = "SELECT right(user_key, 1), movie_key, rating FROM recsys.ratings ORDER BY 1, 2"
STATEMENTS = {
    "insert": "INSERT INTO {t} VALUES ({u}2', 'A', 4, '2024-02-01Z'), ({u}7', 'C', 2, NULL)",
    "a row the query leaves out": "INSERT INTO {t} VALUES ({u}2', 'C', 1, '2024-02-01Z')",
    "a newer row": "INSERT INTO {t} VALUES ({u}1', 'A', 2, '2024-02-01Z')",
    "an older row": "INSERT INTO {t} VALUES ({u}1', 'A', 4, '2023-02-01Z')",
    "several rows of a pair": "INSERT INTO {t} SELECT {u}3', 'B', 1 + i, "
    "timestamptz '2024-01-01Z' + make_interval(days => 5 - i) FROM generate_series(1, 3) AS i",
    "a rating changed": "UPDATE {t} SET stars = 2 WHERE sku = 'A'",
    "another movie": "UPDATE {t} SET sku = 'C' WHERE sku = 'B'",
    "another user": "UPDATE {t} SET customer = {u}9' WHERE sku = 'A'",
    "out of the query": "UPDATE {t} SET stars = 1 WHERE sku = 'A'",
    "deleted": "DELETE FROM {t} WHERE sku = 'A'",
    "all deleted": "DELETE FROM {t}",
    "nothing": "DELETE FROM {t} WHERE false",
    "rows that break a rule": "INSERT INTO {t} VALUES (NULL, 'A', 3, NULL), ({u}4', NULL, 3, NULL),"
    " ({u}4', 'A', 9, NULL), ({u}4', 'A', NULL, NULL), ({u}4', 'B', 3, '2999-01-01Z')",
}


def run(database, *statements):
    with database.transaction() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def rows(database, query):
    with database.transaction() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]


def filled(statement):
    return statement.format(t='"Shop".reviews', u="'00000000-0000-0000-0000-00000000000")


@pytest.fixture
def shop(database):
    run(database, *SHOP.split(";\n"))
    sync(database, SOURCE)
    return database


@pytest.fixture
def watched(shop):
    assert watch(shop, SOURCE) == "Shop.reviews"
    return shop


def synced(database, source=SOURCE):
    """The ratings after a sync, which finds nothing to do but rows that break a rule."""
    report = sync(database, source, max_rejects=RejectLimit(rows=9))
    assert report.no_change, report.counts
    return rows(database, RATINGS)


def test_every_statement_is_followed(watched):
    expected = {
        "insert": [("1", "A", 5), ("2", "A", 4), ("2", "B", 3), ("7", "C", 2)],
        "a newer row": [("1", "A", 2), ("2", "B", 3)],
        "several rows of a pair": [("1", "A", 5), ("2", "B", 3), ("3", "B", 2)],
        "another movie": [("1", "A", 5), ("2", "C", 3)],
        "out of the query": [("2", "B", 3)],
        "all deleted": [],
        "rows that break a rule": [("1", "A", 5), ("2", "B", 3)],
    }
    first = rows(watched, 'SELECT * FROM "Shop".reviews')
    for name, statement in STATEMENTS.items():
        run(watched, filled(statement))
        found = rows(watched, RATINGS)
        assert found == expected.get(name, found), name
        assert synced(watched) == found, name
        run(watched, 'DELETE FROM "Shop".reviews')
        with watched.transaction() as connection:
            for row in first:
                insert = 'INSERT INTO "Shop".reviews VALUES (%s, %s, %s, %s)'
                connection.exec_driver_sql(insert, row)
        assert rows(watched, RATINGS) == [("1", "A", 5), ("2", "B", 3)]


def test_the_list_changes_in_the_same_transaction(watched):
    with psycopg.connect(watched.conninfo) as own:
        own.execute(filled("INSERT INTO {t} VALUES ({u}2', 'A', 4, now())"))
        found = own.execute("SELECT movie_key FROM recsys.ratings WHERE user_key LIKE '%2'")
        assert sorted(found) == [("A",), ("B",)]
        own.rollback()
    assert rows(watched, RATINGS) == [("1", "A", 5), ("2", "B", 3)]


def test_interactions_are_counted(shop):
    views = replace(
        SOURCE,
        ratings='SELECT customer AS user_id, sku AS movie_id FROM "Shop".reviews',
        scale=(),
    )
    sync(shop, views, replace_data=True)
    watch(shop, views)
    run(shop, filled("INSERT INTO {t} SELECT {u}2', 'B', NULL, NULL FROM generate_series(1, 3)"))
    assert rows(shop, RATINGS) == [("1", "A", 1), ("2", "B", 4)]
    run(shop, filled("DELETE FROM {t} WHERE stars = 3"), filled("UPDATE {t} SET sku = 'C'"))
    assert synced(shop, views) == [("1", "C", 1), ("2", "C", 3)]


def test_a_failure_of_ours_fails_no_statement_unless_asked_for(watched):
    insert = filled("INSERT INTO {t} VALUES ({u}2', 'A', 4, now())")
    run(watched, "ALTER TABLE recsys_store.users RENAME TO elsewhere")
    warnings = []
    with psycopg.connect(watched.conninfo) as own:
        own.add_notice_handler(lambda told: warnings.append(told.message_primary))
        own.execute(insert)
    assert len(warnings) == 1
    assert "recsys could not follow a change of Shop.reviews: relation" in warnings[0]
    run(watched, "ALTER TABLE recsys_store.elsewhere RENAME TO users")
    assert rows(watched, 'SELECT count(*) FROM "Shop".reviews') == [(3,)]
    assert sync(watched, SOURCE).counts["ratings"].inserted == 1
    watch(watched, SOURCE, strict=True)
    run(watched, "ALTER TABLE recsys_store.users RENAME TO elsewhere")
    with pytest.raises(Exception, match="does not exist"):
        run(watched, filled("INSERT INTO {t} VALUES ({u}2', 'C', 4, now())"))


def test_a_writer_does_not_wait_for_a_load(watched):
    with watched.transaction() as loading:
        loading.exec_driver_sql("LOCK TABLE recsys_store.ratings IN ACCESS EXCLUSIVE MODE")
        run(watched, filled("INSERT INTO {t} VALUES ({u}2', 'A', 4, now())"))
    assert sync(watched, SOURCE).counts["ratings"].inserted == 1


def test_no_trace_is_left(watched):
    before = rows(watched, "SELECT count(*) FROM pg_trigger WHERE tgname ~ '^recsys_'")
    assert before == [(4,)]
    assert unwatch(watched) == ['"Shop".reviews']
    assert unwatch(watched) == []
    assert rows(watched, "SELECT count(*) FROM pg_trigger WHERE tgname ~ '^recsys_'") == [(0,)]
    assert rows(watched, "SELECT count(*) FROM pg_proc WHERE proname ~ '^source_'") == [(0,)]
    run(watched, filled("INSERT INTO {t} VALUES ({u}2', 'A', 4, now())"))
    assert rows(watched, RATINGS) == [("1", "A", 5), ("2", "B", 3)]


@pytest.mark.parametrize(
    ("query", "error", "message"),
    [
        ('SELECT customer AS user_id, sku AS movie_id FROM "Shop".reviews JOIN "Shop".films '
         "USING (sku)", DataError, "reads Shop.films, Shop.reviews; a query on one table"),
        ('SELECT customer AS user_id, sku AS movie_id FROM "Shop".reviews UNION ALL '
         'SELECT customer, sku FROM "Shop".reviews', DataError, "names Shop.reviews 2 times"),
        ("SELECT 1 AS user_id, 2 AS movie_id", DataError, "reads none"),
        ("", ConfigError, "there is no table to watch"),
    ],
)  # fmt: skip
def test_what_cannot_be_watched_is_refused(shop, query, error, message):
    with pytest.raises(error, match=message):
        watch(shop, replace(SOURCE, ratings=query))
    assert unwatch(shop) == []


def test_only_loaded_data_of_this_database_can_be_watched(database):
    run(database, *SHOP.split(";\n"))
    with pytest.raises(ConfigError, match="shop is not loaded"):
        watch(database, SOURCE)
    with pytest.raises(ConfigError, match="no table to watch"):
        watch(database, replace(SOURCE, url="postgresql://elsewhere/shop"))
