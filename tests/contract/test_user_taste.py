"""What a user rates and how high."""

from collections import defaultdict
from statistics import fmean

import pytest
import sqlalchemy as sa

TASTE = sa.text("SELECT * FROM recsys.user_taste(:user)")
RATED = """
SELECT r.rating, m.year, m.genres, c.mean_rating
FROM recsys.ratings AS r
JOIN recsys.movies AS m ON m.movie_id = r.movie_id
LEFT JOIN recsys.charts AS c
    ON c.movie_id = r.movie_id AND c.chart = 'most_rated' AND c.genre IS NULL
WHERE r.user_id = 1
"""


def taste(connection, user=1):
    return [tuple(row) for row in connection.execute(TASTE, {"user": user})]


def expected(rated):
    """The same rows, computed from what is rated."""
    facets = defaultdict(list)
    for rating, year, genres, others in rated:
        names = [(1, "all", None), *((2, "genre", genre) for genre in genres)]
        if year is not None:
            names.append((3, "decade", f"{year // 10 * 10}s"))
        for name in names:
            facets[name].append((rating, None if others is None else rating - others))

    def place(each):
        (place, _, name), members = each
        return place, -len(members) if place == 2 else 0, name or ""

    for (_, facet, name), members in sorted(facets.items(), key=place):
        known = [difference for _, difference in members if difference is not None]
        yield (
            facet, name, len(members), len(members) / len(rated),
            fmean(rating for rating, _ in members), fmean(known) if known else None,
        )  # fmt: skip


def same(found, wanted):
    assert [row[:3] for row in found] == [row[:3] for row in wanted]
    for row, other in zip(found, wanted, strict=True):
        assert row[3:] == pytest.approx(other[3:], abs=1e-12)


def test_taste_by_genre_and_decade_against_others(published):
    rated = published.execute(sa.text(RATED)).all()
    found = taste(published)
    same(found, list(expected(rated)))
    assert {row[0] for row in found} == {"all", "genre", "decade"}
    assert all(row[5] is not None for row in found)


def test_a_new_rating_counts_at_once_and_without_a_mean(published):
    # Movie 60 has no ratings in the run.
    published.execute(sa.text("SELECT recsys.rate(1, 60, 1)"))
    published.execute(sa.text("UPDATE recsys_store.movies SET year = NULL WHERE movie_id = 60"))
    rated = published.execute(sa.text(RATED)).all()
    assert (1.0, None) in {(row.rating, row.mean_rating) for row in rated}
    same(taste(published), list(expected(rated)))


def test_taste_before_anything_is_published(connection):
    connection.exec_driver_sql(
        "INSERT INTO recsys_store.movies (movie_id, key, title, original_title, year) "
        "VALUES (1, '1', 'One', 'One', 1999), (2, '2', 'Two', 'Two', NULL)"
    )
    connection.exec_driver_sql("INSERT INTO recsys_store.users (user_id, key) VALUES (1, '1')")
    connection.exec_driver_sql("INSERT INTO recsys_store.ratings VALUES (1, 1, 4), (1, 2, 1)")
    assert taste(connection) == [
        ("all", None, 2, 1.0, 2.5, None),
        ("decade", "1990s", 1, 0.5, 4.0, None),
    ]


def test_a_user_without_ratings(published):
    assert taste(published, 81) == taste(published, 4711) == []


def test_no_user(published):
    with pytest.raises(sa.exc.DBAPIError) as caught:
        taste(published, None)
    assert (caught.value.orig.sqlstate, caught.value.orig.diag.message_primary) == (
        "22004", "user_id must not be NULL"
    )  # fmt: skip
