"""A sample of the users who have rated."""

import pytest
import sqlalchemy as sa

SAMPLE = sa.text("SELECT user_id FROM recsys.sample_users(:n, :seed)")
READ = sa.text(
    "SELECT pg_stat_get_xact_tuples_returned('recsys_store.ratings'::regclass), "
    "pg_stat_get_xact_tuples_returned('recsys_store.pk_ratings'::regclass)"
)


def sample(connection, n, seed=0.0):
    return list(connection.scalars(SAMPLE, {"n": n, "seed": seed}))


def test_users_who_have_rated_each_once(published):
    rated = published.scalars(sa.text("SELECT DISTINCT user_id FROM recsys.ratings")).all()
    # User 81 has only tagged.
    assert sorted(sample(published, 1000)) == sorted(rated)
    assert sorted(sample(published, 1000, None)) == sorted(rated)
    assert sample(published, 0) == []


def test_a_seed_gives_the_same_users(published):
    first = sample(published, 10, 0.25)
    assert len(set(first)) == 10
    assert sample(published, 10, 0.25) == first
    assert sample(published, 10, 0.5) != first


def test_a_sample_is_not_the_first_users(published):
    assert sample(published, 10) != sorted(sample(published, 10))
    assert max(sample(published, 10)) > 20


def test_one_rating_of_each_user_is_read(published):
    published.execute(sa.text("SET LOCAL enable_seqscan = off"))
    before = published.execute(READ).one()
    sample(published, 30)
    after = published.execute(READ).one()
    rows, entries = (now - then for now, then in zip(after, before, strict=True))
    assert rows == 0
    assert entries <= 81


def test_a_large_table_is_sampled_by_blocks(connection):
    connection.exec_driver_sql(
        "INSERT INTO recsys_store.movies (movie_id, key, title, original_title) "
        "VALUES (1, '1', 'One', 'One')"
    )
    connection.exec_driver_sql(
        "INSERT INTO recsys_store.users (user_id, key) "
        "SELECT g, g FROM generate_series(1, 20000) AS g"
    )
    connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
    connection.exec_driver_sql(
        "INSERT INTO recsys_store.ratings SELECT g, 1, 4 FROM generate_series(1, 20000) AS g"
    )
    # Only the users of about 12 of more than 80 blocks are looked up.
    before = connection.execute(READ).one()[1]
    assert len(sample(connection, 10)) == 10
    assert connection.execute(READ).one()[1] - before < 10_000


@pytest.mark.parametrize("n", [None, -1])
def test_invalid_counts(published, n):
    with pytest.raises(sa.exc.DBAPIError):
        sample(published, n)
