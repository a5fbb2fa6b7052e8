"""Read features of movies and users (years, texts, votes, attributes) by position."""

from __future__ import annotations

import numpy as np
import sqlalchemy as sa
from scipy.sparse import csr_matrix

from recsys.domain import IdMap, Int32, Votes

YEARS = "SELECT coalesce(year, 0) FROM recsys_store.movies ORDER BY movie_id"
# Every subquery scans along a key. Adjacent words form terms of the text models, so the order of
# keywords and tags must not depend on the locale of the server: hence COLLATE "C".
TEXTS = """
SELECT m.movie_id, concat_ws(E'\\n',
    m.title,
    d.tagline,
    d.overview,
    (
        SELECT string_agg(k.name, E'\\n' ORDER BY k.name COLLATE "C", k.keyword_id)
        FROM recsys_store.movie_keywords AS mk
        JOIN recsys_store.keywords AS k ON k.keyword_id = mk.keyword_id
        WHERE mk.movie_id = m.movie_id
    ),
    (
        SELECT string_agg(t.tag, E'\\n' ORDER BY t.tag COLLATE "C", t.user_id)
        FROM recsys_store.tags AS t
        WHERE t.movie_id = m.movie_id AND :tags
    ),
    (
        SELECT string_agg(p.name, E'\\n' ORDER BY c.role, c.position, c.person_id)
        FROM recsys_store.movie_credits AS c
        JOIN recsys_store.people AS p ON p.person_id = c.person_id
        WHERE c.movie_id = m.movie_id AND (c.role = 'director' OR c.position < 5)
    )
)
FROM recsys_store.movies AS m
LEFT JOIN recsys_store.movie_metadata AS d ON d.movie_id = m.movie_id
ORDER BY m.movie_id
"""
VOTES = """
SELECT coalesce(d.vote_count, 0), CASE WHEN d.vote_count IS NOT NULL THEN d.vote_average END
FROM recsys_store.movies AS m
LEFT JOIN recsys_store.movie_metadata AS d ON d.movie_id = m.movie_id
ORDER BY m.movie_id
"""
ATTRIBUTES = """
SELECT user_id, 'age ' || age / 10 * 10 AS attribute FROM recsys_store.users WHERE age IS NOT NULL
UNION ALL
SELECT user_id, 'gender ' || gender FROM recsys_store.users WHERE gender IS NOT NULL
UNION ALL
SELECT user_id, 'occupation ' || occupation FROM recsys_store.users WHERE occupation IS NOT NULL
"""


def years(connection: sa.Connection, movies: IdMap) -> Int32:
    """Return the release year of each movie; 0 if unknown."""
    found = np.array(connection.scalars(sa.text(YEARS)).all(), np.int32)
    assert len(found) == len(movies)
    return found


def texts(connection: sa.Connection, movies: IdMap, *, tags: bool = True) -> tuple[str, ...]:
    """Return one text per movie, one line per item.

    Title, tagline, overview, keywords, users' tags, directors and the five leading actors.
    """
    rows = connection.execute(sa.text(TEXTS), {"tags": tags}).all()
    assert [row[0] for row in rows] == movies.ids.tolist()
    return tuple(text for _, text in rows)


def votes(connection: sa.Connection, movies: IdMap) -> Votes:
    """Return the TMDB votes of each movie; the mean is NaN if there are none."""
    rows = connection.execute(sa.text(VOTES)).all()
    assert len(rows) == len(movies)
    counts = np.array([count for count, _ in rows], np.int64)
    means = np.array([np.nan if mean is None else mean for _, mean in rows], np.float64)
    return Votes(counts, means)


def attributes(connection: sa.Connection, users: IdMap) -> csr_matrix:
    """Return users x attributes, binary: age by decade, gender, occupation."""
    rows = connection.execute(sa.text(ATTRIBUTES)).all()
    names = sorted({name for _, name in rows})
    column = {name: position for position, name in enumerate(names)}
    # Every id is in the map: both come from the same snapshot.
    owners = np.searchsorted(users.ids, np.array([user for user, _ in rows], np.int32))
    columns = np.array([column[name] for _, name in rows], np.int32)
    return csr_matrix((np.ones(len(rows)), (owners, columns)), shape=(len(users), len(names)))
