"""A sync makes the store equal to the result of the queries, from any earlier state."""

import os
from dataclasses import replace

import pytest
import sqlalchemy as sa

from recsys.config.settings import SourceSettings
from recsys.domain import RejectedRow
from recsys.errors import ConfigError, DataError, StorageError
from recsys.ingest.reading.rejects import RejectLimit
from recsys.jobs.sync import sync
from recsys.storage.load.catalogue import Counts
from recsys.storage.runs import lock

SHOP = """
CREATE SCHEMA shop;
CREATE TABLE shop.products (sku text, name text, released int, tags text[], about text);
INSERT INTO shop.products VALUES
    ('A''; DROP--', 'The Knife (1990)', NULL, '{Tools,Steel}', 'sharp'),
    ('B', 'Rope', 2001, NULL, NULL), ('C', 'Lamp', 2002, '{Tools}', NULL);
CREATE TABLE shop.reviews (
    id serial, customer text, sku text, stars numeric, created_at timestamptz, changed timestamptz
);
INSERT INTO shop.reviews (customer, sku, stars, created_at, changed) VALUES
    ('ann', 'A''; DROP--', 5, '2024-01-01Z', '2024-01-01Z'),
    ('ann', 'B', 2, '2024-01-02Z', '2024-01-02Z'),
    ('bob', 'B', 4, '2024-01-03Z', '2024-01-03Z'), ('bob', 'C', 3, '2024-01-04Z', '2024-01-04Z')
"""
SOURCE = SourceSettings(
    ratings="SELECT customer AS user_id, sku AS movie_id, stars AS rating, "
    "created_at AS rated_at FROM shop.reviews;",
    movies="SELECT sku AS movie_id, name AS title, released AS year, tags AS genres, "
    "about AS overview FROM shop.products",
    name="shop",
    scale=(1.0, 5.0),
)
CHANGED = replace(
    SOURCE,
    ratings="SELECT customer AS user_id, sku AS movie_id, stars AS rating, "
    "created_at AS rated_at, changed FROM shop.reviews",
    changed_since="changed",
)
RATINGS = """
SELECT user_key, movie_key, rating, to_char(rated_at AT TIME ZONE 'UTC', 'MM-DD')
FROM recsys.ratings ORDER BY 1, 2
"""
KNIFE = "A'; DROP--"
FIRST = [
    ("ann", KNIFE, 5, "01-01"), ("ann", "B", 2, "01-02"), ("bob", "B", 4, "01-03"),
    ("bob", "C", 3, "01-04"),
]  # fmt: skip


def run(database, *statements):
    with database.transaction() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def rows(database, query):
    with database.transaction() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


@pytest.fixture
def shop(database):
    run(database, *SHOP.split(";\n"))
    return database


@pytest.fixture
def synced(shop):
    sync(shop, SOURCE)
    return shop


@pytest.fixture
def crowded(shop):
    """Synchronized with so many users that the changed ones alone are compared."""
    run(
        shop,
        "INSERT INTO shop.reviews (customer, sku, stars, created_at) "
        "SELECT 'u' || i, 'B', 3, '2024-01-01Z' FROM generate_series(1, 12) AS i",
    )
    sync(shop, SOURCE)
    return shop


def test_the_first_sync_loads_everything(shop):
    report = sync(shop, SOURCE)
    assert report.counts == {
        "movies": Counts(inserted=3), "users": Counts(inserted=2), "ratings": Counts(inserted=4),
    }  # fmt: skip
    assert (report.edition, report.partial, report.rejected_count) == ("shop", False, 0)
    assert rows(shop, RATINGS) == FIRST
    movies = "SELECT movie_id, movie_key, title, year, genres FROM recsys.movies ORDER BY 1"
    assert rows(shop, movies) == [
        (1, KNIFE, "The Knife", 1990, ["Steel", "Tools"]),
        (2, "B", "Rope", 2001, []),
        (3, "C", "Lamp", 2002, ["Tools"]),
    ]
    texts = "SELECT movie_id, overview FROM recsys_store.movie_metadata"
    assert rows(shop, texts) == [(1, "sharp")]
    recorded = (
        "SELECT kind, edition, dialect, feedback, source, rating_min, rating_max, inserted, removed"
        " FROM recsys.ingests"
    )
    assert rows(shop, recorded) == [
        ("ratings", "shop", "sql", "explicit", "queries on this database", 1, 5, 9, 0)
    ]


def test_later_syncs_insert_update_and_delete(synced):
    assert sync(synced, SOURCE).no_change
    run(
        synced,
        "UPDATE shop.reviews SET stars = 1 WHERE customer = 'ann' AND sku = 'B'",
        "DELETE FROM shop.reviews WHERE customer = 'bob' AND sku = 'C'",
        "INSERT INTO shop.reviews (customer, sku, stars, created_at) VALUES "
        "('cid', 'C', 2, '2024-02-01Z')",
        "UPDATE shop.products SET name = 'Cord' WHERE sku = 'B'",
    )
    report = sync(synced, SOURCE)
    assert report.counts == {
        "movies": Counts(updated=1, unchanged=2),
        "users": Counts(inserted=1),
        "ratings": Counts(inserted=1, updated=1, unchanged=2, removed=1),
    }
    wanted = [FIRST[0], ("ann", "B", 1, "01-02"), FIRST[2], ("cid", "C", 2, "02-01")]
    assert rows(synced, RATINGS) == wanted
    assert rows(synced, "SELECT user_id FROM recsys_store.rating_changes WHERE user_id = 3") == [
        (3,)
    ]
    assert sync(synced, SOURCE).no_change


def test_users_with_the_same_rows_are_not_compared_again(crowded):
    synced = crowded
    # A comparison would find this: only the hashes keep it from being looked at.
    run(
        synced,
        "ALTER TABLE recsys_store.ratings DISABLE TRIGGER USER",
        "UPDATE recsys_store.ratings SET rating = 1.5 WHERE user_id = 1",
        "ALTER TABLE recsys_store.ratings ENABLE TRIGGER USER",
    )
    assert sync(synced, SOURCE).no_change
    # With other rows of a user, or with a recorded change here, that user is compared.
    run(synced, "SELECT recsys.rate('bob', 'C', 5)")
    assert sync(synced, SOURCE).counts["ratings"].updated == 1
    run(synced, "UPDATE shop.reviews SET stars = 3 WHERE id = 1")
    assert sync(synced, SOURCE).counts["ratings"].updated == 2
    wanted = [("ann", KNIFE, 3, "01-01"), *FIRST[1:]]
    assert rows(synced, RATINGS)[:4] == wanted


def test_a_user_with_a_rejected_row_is_compared_each_time(crowded):
    synced = crowded
    run(synced, "INSERT INTO shop.reviews (customer, sku, stars) VALUES ('ann', 'D', 3)")
    some = RejectLimit(rows=2)
    assert sync(synced, SOURCE, max_rejects=some).rejected_count == 1
    # The row is the same, and the movie is new.
    run(synced, "INSERT INTO shop.products VALUES ('D', 'Saw')")
    assert sync(synced, SOURCE).counts["ratings"].inserted == 1


def test_rows_without_a_user_are_rejected_each_time(crowded):
    run(crowded, "INSERT INTO shop.reviews (customer, sku, stars) VALUES (NULL, 'B', 3)")
    for _ in range(2):
        report = sync(crowded, SOURCE, max_rejects=RejectLimit(rows=1))
        assert [row.reason for row in report.rejected] == ["user_id is missing"]


def test_times_follow_too(synced):
    run(synced, "UPDATE shop.reviews SET created_at = '2024-04-04Z' WHERE id = 1")
    assert sync(synced, SOURCE).counts["ratings"].updated == 1
    assert rows(synced, RATINGS)[0] == ("ann", KNIFE, 5, "04-04")
    run(
        synced,
        "INSERT INTO shop.reviews (customer, sku, stars) VALUES ('cid', 'B', 3)",
    )
    sync(synced, SOURCE)
    assert rows(synced, RATINGS)[-1] == ("cid", "B", 3, None)
    run(synced, "UPDATE shop.reviews SET created_at = '2024-05-05Z' WHERE customer = 'cid'")
    sync(synced, SOURCE)
    assert rows(synced, RATINGS)[-1] == ("cid", "B", 3, "05-05")


def test_a_bad_row_does_not_stand_for_its_pair_when_it_is_read_again(synced):
    # The older row sends the pair to be read again; the newest of all is bad.
    run(
        synced,
        "INSERT INTO shop.reviews (customer, sku, stars, created_at) VALUES "
        "('ann', 'B', 4, '2023-01-01Z'), ('ann', 'B', 99, '2025-01-01Z')",
    )
    report = sync(synced, SOURCE, max_rejects=RejectLimit(rows=1))
    assert report.counts["ratings"] == Counts(unchanged=4)
    assert rows(synced, RATINGS) == FIRST


def test_two_syncs_do_not_run_at_once(synced):
    with synced.transaction() as connection:
        lock.keep_ingests_out(connection)
        with pytest.raises(StorageError, match="another ingest is running"):
            sync(synced, SOURCE)


def test_a_dry_run_counts_and_writes_nothing(synced):
    run(synced, "DELETE FROM shop.reviews", "INSERT INTO shop.products VALUES ('D', 'Saw')")
    report = sync(synced, SOURCE, dry_run=True)
    assert report.ingest_id is None
    assert report.counts["movies"] == Counts(inserted=1, unchanged=3)
    assert report.counts["ratings"] == Counts(removed=4)
    assert rows(synced, RATINGS) == FIRST
    assert rows(synced, "SELECT count(*) FROM recsys.ingests") == [(1,)]


def test_the_newest_row_of_a_pair_counts(synced):
    # An older row first, then one of unknown time, then a newer one.
    for stars, at, wanted in (
        (1, "'2023-01-01Z'", (5, "01-01")), (2, "NULL", (5, "01-01")),
        (3, "'2024-05-05Z'", (3, "05-05")),
    ):  # fmt: skip
        run(
            synced,
            "INSERT INTO shop.reviews (customer, sku, stars, created_at) "
            f"SELECT customer, sku, {stars}, {at} FROM shop.reviews WHERE id = 1",
        )
        report = sync(synced, SOURCE)
        assert rows(synced, RATINGS)[0] == ("ann", KNIFE, *wanted)
        assert report.counts["ratings"].removed == 0
        assert sync(synced, SOURCE).no_change
    # The row that counted is corrected without a new time; then the newest is gone.
    run(synced, "UPDATE shop.reviews SET stars = 4 WHERE stars = 3 AND sku <> 'B'")
    sync(synced, SOURCE)
    assert rows(synced, RATINGS)[0] == ("ann", KNIFE, 4, "05-05")
    run(synced, "DELETE FROM shop.reviews WHERE stars = 4 AND customer = 'ann'")
    sync(synced, SOURCE)
    assert rows(synced, RATINGS)[0] == ("ann", KNIFE, 5, "01-01")


BAD = """
INSERT INTO shop.reviews (customer, sku, stars, created_at) VALUES
    (NULL, 'B', 3, NULL), ('', 'B', 3, NULL), (E'a\tb', 'B', 3, NULL),
    (repeat('x', 513), 'B', 3, NULL), ('ann', NULL, 3, NULL), ('ann', 'nope', 3, NULL),
    ('ann', 'B', 99, '2024-09-09Z'), ('ann', 'C', 'NaN', NULL), ('ann', 'C', NULL, NULL),
    ('ann', 'C', 3, '2999-01-01Z'), ('ann', 'C', 3, 'infinity')
"""


def test_bad_rows_are_rejected_with_a_reason(shop):
    run(shop, BAD)
    with pytest.raises(DataError, match="11 of 20 rows are bad, 0 are allowed: ratings line 1"):
        sync(shop, SOURCE)
    assert rows(shop, "SELECT count(*) FROM recsys.ingests") == [(0,)]
    assert rows(shop, "SELECT count(*) FROM recsys_store.movies") == [(0,)]
    report = sync(shop, SOURCE, max_rejects=RejectLimit(rows=11))
    # The bad row of ann on B is newer, and does not take the place of the good one.
    assert rows(shop, RATINGS) == FIRST
    assert sorted(row.reason for row in report.rejected) == [
        "movie nope is unknown", "movie_id is missing", "rated_at is in the future: 2999-01-01 "
        "00:00:00+00", "rated_at is in the future: infinity", "rating 99 is outside 1 to 5",
        "rating is missing", "rating is not finite", "user_id has a control character",
        "user_id is empty", "user_id is longer than 512 bytes", "user_id is missing",
    ]  # fmt: skip
    assert report.rejected[0] == RejectedRow("ratings", 1, ",B,3", "user_id is empty")
    stored = "SELECT file, count(*) FROM recsys.rejected_rows GROUP BY file"
    assert rows(shop, stored) == [("ratings", 11)]


def test_another_database_gives_the_same(shop, make_database, template):
    other = make_database(template)
    report = sync(other, replace(SOURCE, url=shop.url))
    assert report.counts["ratings"] == Counts(inserted=4)
    assert rows(other, RATINGS) == FIRST
    run(shop, "DELETE FROM shop.reviews WHERE customer = 'bob'")
    assert sync(other, SOURCE, source_url=shop.url).counts["ratings"].removed == 2
    assert rows(other, RATINGS) == FIRST[:2]
    assert rows(other, "SELECT source FROM recsys.ingests")[0][0].startswith("postgresql://")


@pytest.fixture
def scratch_role(shop):
    """A role that may do nothing yet; roles belong to the whole server."""
    name = f"limited_{os.getpid()}"
    run(shop, f"CREATE ROLE {name}")
    yield name
    run(shop, f"DROP OWNED BY {name}", f"DROP ROLE {name}")


def test_queries_run_as_a_role_that_sees_nothing_else(shop, scratch_role):
    run(
        shop,
        f"GRANT USAGE ON SCHEMA shop TO {scratch_role}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA shop TO {scratch_role}",
    )
    limited = replace(SOURCE, role=scratch_role)
    sync(shop, limited)
    assert rows(shop, RATINGS) == FIRST
    assert sync(shop, limited).no_change
    # Columns of the copy are not those of the query: a second sync misses none.
    untimed = replace(
        limited,
        ratings="SELECT customer AS user_id, sku AS movie_id, stars AS rating FROM shop.reviews",
    )
    for _ in range(2):
        sync(shop, untimed, replace_data=rows(shop, RATINGS)[0][3] is not None)
    assert rows(shop, RATINGS)[0] == ("ann", KNIFE, 5, None)
    with pytest.raises(DataError, match="permission denied"):
        sync(shop, replace(limited, ratings="SELECT user_id, movie_id FROM recsys_store.ratings"))


@pytest.mark.parametrize(
    ("kind", "query", "message"),
    [
        ("ratings", "SELECT 1 AS user_id", "has no column movie_id; its columns: user_id"),
        ("ratings", "SELECT 1 AS user_id, 2 AS movie_id, 3 AS star", "the column star, which"),
        ("ratings", "SELECT 1 AS user_id, 2 AS movie_id, 3 AS user_id", "user_id twice"),
        ("ratings", "SELECT * FROM shop.nothing", 'relation "shop.nothing" does not exist'),
        (
            "ratings",
            "SELECT 1 AS user_id, 2 AS movie_id); DELETE FROM shop.reviews; SELECT (1",
            "multiple commands",
        ),
        (
            "ratings",
            "WITH d AS (DELETE FROM shop.reviews RETURNING *) SELECT customer AS user_id, "
            "sku AS movie_id FROM d",
            "data-modifying",
        ),
        ("movies", "SELECT sku AS movie_id FROM shop.products", "has no column title"),
    ],
)
def test_a_query_is_one_select_with_the_right_columns(shop, kind, query, message):
    with pytest.raises(DataError, match=message) as caught:
        sync(shop, replace(SOURCE, **{kind: query}))
    assert f"the query {kind} in [source]" in str(caught.value)
    assert rows(shop, "SELECT count(*) FROM shop.reviews") == [(4,)]


def test_a_query_cannot_write(shop):
    run(
        shop,
        "CREATE FUNCTION shop.sneak() RETURNS text LANGUAGE sql AS "
        "$$ DELETE FROM shop.reviews; SELECT 'x' $$",
    )
    with pytest.raises(Exception, match="read-only transaction"):
        sync(shop, replace(SOURCE, users="SELECT shop.sneak() AS user_id"))
    assert rows(shop, "SELECT count(*) FROM shop.reviews") == [(4,)]


def test_a_column_that_is_gone_is_told(synced):
    gone = replace(SOURCE, ratings="SELECT customer AS user_id, sku AS movie_id FROM shop.reviews")
    with pytest.raises(DataError, match="has lost its column rating, which the last sync read"):
        sync(synced, gone)


def test_without_a_query_there_is_nothing_to_read(database):
    with pytest.raises(ConfigError, match="nothing to read"):
        sync(database, SourceSettings())


def test_interactions_are_counted(shop):
    views = replace(
        SOURCE,
        ratings="SELECT customer AS user_id, sku AS movie_id, created_at AS rated_at, changed "
        "FROM shop.reviews",
        changed_since="changed",
        scale=(),
    )
    again = (
        "INSERT INTO shop.reviews (customer, sku, created_at, changed) VALUES "
        "('ann', 'B', '2024-03-01Z', '2024-03-01Z')"
    )
    run(shop, again)
    report = sync(shop, views)
    assert report.implicit
    assert [row[:3] for row in rows(shop, RATINGS)] == [
        ("ann", KNIFE, 1), ("ann", "B", 2), ("bob", "B", 1), ("bob", "C", 1),
    ]  # fmt: skip
    assert rows(shop, "SELECT feedback, on_duplicate FROM recsys.ingests") == [
        ("implicit", "count")
    ]
    # All rows of a pair count, although only one of them is new.
    run(shop, again)
    report = sync(shop, views)
    assert report.partial
    assert rows(shop, RATINGS)[1] == ("ann", "B", 3, "03-01")


def test_changed_rows_alone_are_read_until_a_full_comparison(shop):
    assert not sync(shop, CHANGED).partial
    run(
        shop,
        "UPDATE shop.reviews SET stars = 1, changed = '2024-06-01Z' WHERE id = 1",
        "UPDATE shop.reviews SET stars = 1 WHERE id = 2",
        "DELETE FROM shop.reviews WHERE id = 3",
    )
    report = sync(shop, CHANGED)
    assert report.partial
    assert report.counts["ratings"] == Counts(updated=1, unchanged=3)
    # An older row of a pair is no news.
    run(
        shop,
        "INSERT INTO shop.reviews (customer, sku, stars, created_at, changed) "
        "VALUES ('ann', 'B', 5, '2020-01-01Z', '2024-06-01Z')",
    )
    assert sync(shop, CHANGED).counts["ratings"].updated == 0
    # A transaction that was committed late has a time before the watermark.
    run(shop, "UPDATE shop.reviews SET stars = 2, changed = '2024-05-31 23:55Z' WHERE id = 4")
    assert sync(shop, CHANGED).counts["ratings"].updated == 1
    report = sync(shop, CHANGED, full=True)
    assert report.counts["ratings"] == Counts(updated=1, unchanged=2, removed=1)
    assert rows(shop, RATINGS)[1] == ("ann", "B", 1, "01-02")
    assert not sync(shop, CHANGED, full_hours=0).partial


def test_other_data_is_replaced_only_if_asked_for(filled_database):
    run(filled_database, *SHOP.split(";\n"))
    with pytest.raises(DataError, match="would be mixed with it"):
        sync(filled_database, SOURCE)
    report = sync(filled_database, SOURCE, replace_data=True)
    assert report.counts["ratings"] == Counts(inserted=4)
    assert rows(filled_database, RATINGS) == FIRST


def test_movies_that_are_gone_are_withdrawn(synced):
    shown = "SELECT key FROM recsys_store.movies WHERE available ORDER BY key"
    run(
        synced,
        "DELETE FROM shop.products WHERE sku = 'B'",
        "DELETE FROM shop.reviews WHERE sku = 'B'",
    )
    assert sync(synced, SOURCE).counts["movies"] == Counts(unchanged=2, removed=1)
    assert rows(synced, shown) == [(KNIFE,), ("C",)]
    run(synced, "INSERT INTO shop.products VALUES ('B', 'Rope', 2001)")
    assert sync(synced, SOURCE).counts["movies"] == Counts(updated=1, unchanged=2)
    assert rows(synced, shown) == [(KNIFE,), ("B",), ("C",)]
    sold_out = replace(
        SOURCE,
        movies="SELECT sku AS movie_id, name AS title, released AS year, tags AS genres, "
        "about AS overview, sku <> 'C' AS available FROM shop.products",
    )
    assert sync(synced, sold_out).counts["movies"].removed == 1
    assert rows(synced, shown) == [(KNIFE,), ("B",)]


def test_users_and_tags_follow_too(synced):
    more = replace(
        SOURCE,
        users="SELECT * FROM (VALUES ('ann', 33, 'F'), ('dan', NULL, NULL), ('eve', 400, 'F')) "
        "AS p (user_id, age, gender)",
        tags="SELECT customer AS user_id, sku AS movie_id, 'good' || stars AS tag "
        "FROM shop.reviews WHERE stars > 3",
    )
    report = sync(synced, more, max_rejects=RejectLimit(rows=1))
    assert report.counts["users"] == Counts(inserted=1, updated=1)
    assert [row.reason for row in report.rejected] == ["age 400 is outside 0 to 150"]
    assert report.counts["tags"] == Counts(inserted=2)
    people = "SELECT key, age, gender FROM recsys_store.users ORDER BY key"
    assert rows(synced, people) == [("ann", 33, "F"), ("bob", None, None), ("dan", None, None)]
    run(synced, "UPDATE shop.reviews SET stars = 3 WHERE customer = 'bob' AND sku = 'B'")
    report = sync(synced, more, max_rejects=RejectLimit(rows=1))
    assert report.counts["tags"] == Counts(unchanged=1, removed=1)
    assert rows(synced, "SELECT tag FROM recsys_store.tags") == [("good5",)]
