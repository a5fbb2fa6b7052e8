"""Merge The Movies Dataset into the store; movies are matched by TMDB id, else by IMDb id."""

from __future__ import annotations

from dataclasses import dataclass, fields

import sqlalchemy as sa

from recsys.domain import Credit, MetadataSet, MovieMetadata, Person
from recsys.storage.load.catalogue import Counts
from recsys.storage.load.copy import copy_rows

STAGING = """
CREATE TEMPORARY TABLE staged_metadata (
    tmdb_id integer, imdb_id integer, title text, overview text, tagline text, release_date date,
    runtime double precision, original_language text, vote_average double precision,
    vote_count integer, popularity double precision, budget bigint, revenue bigint,
    poster_path text, collection text
) ON COMMIT DROP;
CREATE TEMPORARY TABLE staged_keywords (keyword_id integer, name text) ON COMMIT DROP;
CREATE TEMPORARY TABLE staged_movie_keywords (tmdb_id integer, keyword_id integer) ON COMMIT DROP;
CREATE TEMPORARY TABLE staged_people (person_id integer, name text) ON COMMIT DROP;
CREATE TEMPORARY TABLE staged_credits (
    tmdb_id integer, person_id integer, role text, position smallint, character text
) ON COMMIT DROP
"""
# An edition may list one film twice under one id: both movies get its metadata.
MATCH = """
CREATE TEMPORARY TABLE matched ON COMMIT DROP AS
WITH known AS (
    SELECT tmdb_id FROM staged_metadata
    UNION SELECT tmdb_id FROM staged_movie_keywords
    UNION SELECT tmdb_id FROM staged_credits
),
by_tmdb AS (
    SELECT m.movie_id, k.tmdb_id
    FROM recsys_store.movies AS m
    JOIN known AS k ON k.tmdb_id = m.tmdb_id
),
by_imdb AS (
    SELECT DISTINCT ON (m.movie_id) m.movie_id, s.tmdb_id
    FROM recsys_store.movies AS m
    JOIN staged_metadata AS s ON s.imdb_id = m.imdb_id
    WHERE NOT EXISTS (SELECT FROM by_tmdb AS b WHERE b.movie_id = m.movie_id)
    ORDER BY m.movie_id, s.vote_count DESC NULLS LAST, s.tmdb_id
)
SELECT movie_id, tmdb_id FROM by_tmdb UNION ALL SELECT movie_id, tmdb_id FROM by_imdb
"""
MATCHED = """
SELECT
    (SELECT count(*) FROM matched),
    (SELECT count(*) FROM matched JOIN staged_metadata USING (tmdb_id)),
    (SELECT count(*) FROM staged_metadata AS s
     WHERE NOT EXISTS (SELECT FROM matched AS m WHERE m.tmdb_id = s.tmdb_id))
"""
MERGE_METADATA = """
WITH done AS (
    INSERT INTO recsys_store.movie_metadata AS d (
        movie_id, overview, tagline, release_date, runtime, original_language, vote_average,
        vote_count, popularity, budget, revenue, poster_path, collection
    )
    SELECT
        m.movie_id, s.overview, s.tagline, s.release_date, s.runtime, s.original_language,
        s.vote_average, s.vote_count, s.popularity, s.budget, s.revenue, s.poster_path,
        s.collection
    FROM matched AS m
    JOIN staged_metadata AS s USING (tmdb_id)
    ON CONFLICT (movie_id) DO UPDATE SET
        overview = excluded.overview, tagline = excluded.tagline,
        release_date = excluded.release_date, runtime = excluded.runtime,
        original_language = excluded.original_language, vote_average = excluded.vote_average,
        vote_count = excluded.vote_count, popularity = excluded.popularity,
        budget = excluded.budget, revenue = excluded.revenue,
        poster_path = excluded.poster_path, collection = excluded.collection
    WHERE (d.*) IS DISTINCT FROM (excluded.*)
    RETURNING xmax = 0 AS fresh
)
SELECT count(*) FILTER (WHERE fresh), count(*) FILTER (WHERE NOT fresh) FROM done
"""
# Keywords and credits of a movie in the files replace the stored ones; others stay.
MERGE_KEYWORDS = """
INSERT INTO recsys_store.keywords AS k (keyword_id, name)
SELECT keyword_id, name FROM staged_keywords AS s
WHERE EXISTS (
    SELECT FROM staged_movie_keywords AS mk JOIN matched USING (tmdb_id)
    WHERE mk.keyword_id = s.keyword_id
)
ON CONFLICT (keyword_id) DO UPDATE SET name = excluded.name WHERE k.name <> excluded.name;
DELETE FROM recsys_store.movie_keywords AS mk
USING matched AS m
WHERE m.movie_id = mk.movie_id
  AND EXISTS (SELECT FROM staged_movie_keywords AS s WHERE s.tmdb_id = m.tmdb_id)
  AND NOT EXISTS (
      SELECT FROM staged_movie_keywords AS s
      WHERE s.tmdb_id = m.tmdb_id AND s.keyword_id = mk.keyword_id
  );
INSERT INTO recsys_store.movie_keywords (movie_id, keyword_id)
SELECT m.movie_id, s.keyword_id FROM staged_movie_keywords AS s JOIN matched AS m USING (tmdb_id)
ON CONFLICT DO NOTHING
"""
MERGE_CREDITS = """
INSERT INTO recsys_store.people AS p (person_id, name)
SELECT person_id, name FROM staged_people AS s
WHERE EXISTS (
    SELECT FROM staged_credits AS c JOIN matched USING (tmdb_id) WHERE c.person_id = s.person_id
)
ON CONFLICT (person_id) DO UPDATE SET name = excluded.name WHERE p.name <> excluded.name;
DELETE FROM recsys_store.movie_credits AS mc
USING matched AS m
WHERE m.movie_id = mc.movie_id
  AND EXISTS (SELECT FROM staged_credits AS s WHERE s.tmdb_id = m.tmdb_id)
  AND NOT EXISTS (
      SELECT FROM staged_credits AS s
      WHERE s.tmdb_id = m.tmdb_id AND s.role = mc.role AND s.position = mc.position
        AND s.person_id = mc.person_id AND s.character IS NOT DISTINCT FROM mc.character
  );
INSERT INTO recsys_store.movie_credits (movie_id, person_id, role, position, character)
SELECT m.movie_id, s.person_id, s.role, s.position, s.character
FROM staged_credits AS s
JOIN matched AS m USING (tmdb_id)
ON CONFLICT DO NOTHING
"""
UNSTAGE = """
DROP TABLE matched, staged_metadata, staged_keywords, staged_movie_keywords, staged_people,
    staged_credits;
ANALYZE recsys_store.movie_metadata, recsys_store.keywords, recsys_store.movie_keywords,
    recsys_store.people, recsys_store.movie_credits
"""


@dataclass(frozen=True, slots=True)
class MetadataCounts:
    movies: Counts
    matched: int
    """Movies of the store that are in the files."""
    unmatched: int
    """Films of the files that are not in the store."""


def merge_metadata(connection: sa.Connection, found: MetadataSet) -> MetadataCounts:
    """Write the metadata of the movies in the store; other films are left out."""
    connection.exec_driver_sql(STAGING)
    _stage(connection, "staged_metadata", MovieMetadata, found.movies)
    copy_rows(connection, "staged_keywords", ("keyword_id", "name"), found.keywords.items())
    copy_rows(connection, "staged_movie_keywords", ("tmdb_id", "keyword_id"), found.movie_keywords)
    _stage(connection, "staged_people", Person, found.people)
    _stage(connection, "staged_credits", Credit, found.credits)
    # Autovacuum never analyzes temporary tables.
    connection.exec_driver_sql(
        "ANALYZE staged_metadata, staged_movie_keywords, staged_credits, staged_people"
    )
    connection.exec_driver_sql(MATCH)
    matched, described, unmatched = connection.exec_driver_sql(MATCHED).one()
    inserted, updated = connection.exec_driver_sql(MERGE_METADATA).one()
    connection.exec_driver_sql(MERGE_KEYWORDS)
    connection.exec_driver_sql(MERGE_CREDITS)
    connection.exec_driver_sql(UNSTAGE)
    counts = Counts(inserted, updated, described - inserted - updated)
    return MetadataCounts(counts, matched, unmatched)


def _stage(
    connection: sa.Connection,
    table: str,
    kind: type[MovieMetadata] | type[Person] | type[Credit],
    rows: list[MovieMetadata] | list[Person] | list[Credit],
) -> None:
    # Genres belong to the catalogue.
    columns = [field.name for field in fields(kind) if field.name != "genres"]
    copy_rows(connection, table, columns, ([getattr(row, c) for c in columns] for row in rows))
