"""How often each rating was given to a movie."""

import pytest
import sqlalchemy as sa

HISTOGRAM = "SELECT rating_from, rating_to, ratings FROM recsys.rating_histogram(1)"
INGEST = """
INSERT INTO recsys_store.ingests
    (kind, edition, dialect, source, files, on_duplicate, replaced, rating_min, rating_max,
     rating_step, started_at, finished_at, rows_read, inserted, updated, unchanged, duplicates,
     rejected)
VALUES ('ratings', 'e', 'd', 's', '[]', 'last', false, :low, :high, :step, now(), now(),
        0, 0, 0, 0, 0, 0)
"""


@pytest.fixture
def histogram(connection):
    """The histogram of a movie with these ratings, on a scale if one is given."""
    connection.exec_driver_sql(
        "INSERT INTO recsys_store.movies (movie_id, key, title, original_title) "
        "VALUES (1, '1', 'One', 'One')"
    )

    def histogram(ratings, scale=None):
        if scale is not None:
            low, high, step = scale
            connection.execute(sa.text(INGEST), {"low": low, "high": high, "step": step})
        for user, rating in enumerate(ratings):
            connection.execute(
                sa.text(
                    "INSERT INTO recsys_store.users (user_id, key) "
                    "VALUES (:user, CAST(:user AS text))"
                ),
                {"user": user},
            )
            connection.execute(
                sa.text("INSERT INTO recsys_store.ratings VALUES (:user, 1, :rating)"),
                {"user": user, "rating": rating},
            )
        return [tuple(row) for row in connection.execute(sa.text(HISTOGRAM))]

    return histogram


def test_every_value_of_the_scale_is_counted(histogram):
    assert histogram([3, 3, 5, 1.5], scale=(1, 5, 0.5)) == [
        (1.0, 1.0, 0), (1.5, 1.5, 1), (2.0, 2.0, 0), (2.5, 2.5, 0), (3.0, 3.0, 2), (3.5, 3.5, 0),
        (4.0, 4.0, 0), (4.5, 4.5, 0), (5.0, 5.0, 1),
    ]  # fmt: skip


def test_steps_that_are_no_binary_fractions_are_the_values_given(histogram):
    found = histogram([0.3, 0.7, 0.3], scale=(0, 1, 0.1))
    assert [low for low, _, _ in found] == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    assert [count for _, _, count in found] == [0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0]


def test_without_steps_the_values_given_are_counted(histogram):
    assert histogram([2, 4, 4]) == [(2.0, 2.0, 1), (4.0, 4.0, 2)]


def test_many_values_are_ten_ranges_of_the_scale(histogram):
    found = histogram([0, 9.99, 10, 55, 99, 100], scale=(0, 100, 1))
    assert [(low, high) for low, high, _ in found] == [(10.0 * k, 10.0 * k + 10) for k in range(10)]
    assert [count for _, _, count in found] == [2, 1, 0, 0, 0, 1, 0, 0, 0, 2]


def test_a_rating_outside_the_scale_is_counted(histogram):
    found = histogram([-7, *range(1, 22)], scale=(1, 21, 1))
    assert (found[0][0], found[-1][1]) == (-7.0, 21.0)
    assert sum(count for _, _, count in found) == 22


def test_a_movie_without_ratings(histogram):
    assert histogram([]) == []
    assert histogram([], scale=(1, 3, 1)) == [(1.0, 1.0, 0), (2.0, 2.0, 0), (3.0, 3.0, 0)]


def test_an_unknown_movie(connection):
    with pytest.raises(sa.exc.DBAPIError) as caught:
        connection.execute(sa.text(HISTOGRAM))
    assert caught.value.orig.sqlstate == "P0002"
