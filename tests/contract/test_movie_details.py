"""Metadata of movies in the views of the contract."""

from datetime import date

import sqlalchemy as sa

STORED = """
INSERT INTO recsys_store.movies (movie_id, key, title, original_title)
VALUES (1, '1', 'One', 'One'), (2, '2', 'Two', 'Two');
INSERT INTO recsys_store.movie_metadata
    (movie_id, overview, tagline, release_date, runtime, original_language, collection)
VALUES (1, 'Of one.', 'Once.', '1995-10-30', 81, 'en', 'The Ones');
INSERT INTO recsys_store.people (person_id, name)
SELECT p, 'Person ' || p FROM generate_series(1, 14) AS p;
INSERT INTO recsys_store.movie_credits (movie_id, person_id, role, position)
SELECT 1, p, 'cast', 20 - p FROM generate_series(1, 12) AS p;
INSERT INTO recsys_store.movie_credits (movie_id, person_id, role, position)
VALUES (1, 14, 'director', 0), (1, 13, 'director', 0);
INSERT INTO recsys_store.keywords (keyword_id, name) VALUES (1, 'toy'), (2, 'boy');
INSERT INTO recsys_store.movie_keywords (movie_id, keyword_id) VALUES (1, 1), (1, 2);
"""
DETAILS = "SELECT * FROM recsys.movie_details ORDER BY movie_id"


def test_each_movie_has_one_row_with_its_metadata(connection):
    connection.exec_driver_sql(STORED)
    first, second = connection.execute(sa.text(DETAILS)).all()
    # In order of billing, the first ten of twelve.
    actors = [f"Person {person}" for person in range(12, 2, -1)]
    assert tuple(first) == (
        1, "Once.", "Of one.", date(1995, 10, 30), 81.0, "en", "The Ones",
        ["Person 13", "Person 14"], actors, ["boy", "toy"], "1",
    )  # fmt: skip
    assert tuple(second) == (2, None, None, None, None, None, None, [], [], [], "2")
