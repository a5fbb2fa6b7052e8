"""Compare queries on people's own tables with the store, and make the store equal to them.

Queries are read in a transaction that is read-only, so nothing in them can write. What differs from
the store is collected in temporary tables, in the database itself, and merged afterwards in one
transaction. Rows of another database are copied through, in binary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import psycopg
import sqlalchemy as sa
from psycopg import sql

from recsys.domain import LONGEST_KEY, SourceFile
from recsys.errors import DataError, StorageError
from recsys.storage.load import bulk_load
from recsys.storage.load.catalogue import Counts
from recsys.storage.load.copy import copy_rows, driver
from recsys.storage.load.keys import IDS, STAGE
from recsys.storage.snapshot import rating_changes

Kind = Literal["ratings", "movies", "users", "tags"]
Row = tuple[Any, ...]
Scale = tuple[float, float]
"""Lowest and highest rating."""
COLUMNS: dict[Kind, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "ratings": (("user_id", "movie_id"), ("rating", "rated_at")),
    "movies": (
        ("movie_id", "title"),
        ("year", "genres", "imdb_id", "tmdb_id", "overview", "poster_path", "available"),
    ),
    "users": (("user_id",), ("age", "gender", "occupation", "zip_code")),
    "tags": (("user_id", "movie_id", "tag"), ("tagged_at",)),
}
"""Columns that a query must have, and those it may have."""
TYPES = {"rating": "double precision", "rated_at": "timestamptz", "tagged_at": "timestamptz"}
TYPE_NAMES = """
SELECT format_type(o.oid, NULL) FROM unnest(%s::oid[]) WITH ORDINALITY AS o (oid, place)
ORDER BY o.place
"""
HASHED = {"smallint", "integer", "bigint", "text", "uuid", "character varying"}
"""Types of keys that PostgreSQL hashes as they are; others are hashed as text."""
DIALECT = "sql"

TABLES = """
CREATE TEMPORARY TABLE source_ratings (
    user_key text COLLATE "C", movie_key text COLLATE "C", rating double precision,
    rated_at timestamptz
);
CREATE TEMPORARY TABLE source_tags (
    user_key text COLLATE "C", movie_key text COLLATE "C", tag text, tagged_at timestamptz
);
CREATE TEMPORARY TABLE source_changes (
    user_key text COLLATE "C", movie_key text COLLATE "C", rating double precision,
    rated_at timestamptz, user_id integer, movie_id integer, stored_rating double precision,
    stored_at timestamptz, present boolean
);
CREATE TEMPORARY TABLE source_again (
    user_key text COLLATE "C", movie_key text COLLATE "C", rating double precision,
    rated_at timestamptz
);
CREATE TEMPORARY TABLE source_rejects (file text, user_key text, content text, reason text);
CREATE TEMPORARY TABLE source_hashes (
    user_key text COLLATE "C", rows_count bigint, rows_hash numeric
);
CREATE TEMPORARY TABLE source_touched (user_key text COLLATE "C")
"""
# A sum, because equal rows would cancel each other in bit_xor.
HASHES = """
INSERT INTO source_hashes
SELECT CAST(g.user_id AS text), g.rows_count, g.rows_hash
FROM (
    SELECT q.user_id, count(*) AS rows_count,
        sum(hash_record_extended(ROW({columns}), 0)) AS rows_hash
    FROM ({text}
) AS q
    GROUP BY q.user_id
) AS g
"""
# Those with other rows than at the last sync, and those whose ratings changed here since.
TOUCHED = """
INSERT INTO source_touched
SELECT coalesce(h.user_key, s.key)
FROM source_hashes AS h
FULL JOIN (
    SELECT u.key, k.rows_count, k.rows_hash,
        (k.ratings_count, k.ratings_hash) IS DISTINCT FROM (c.ratings_count, c.ratings_hash)
            AS changed
    FROM recsys_store.users AS u
    LEFT JOIN recsys_store.source_users AS k ON k.user_id = u.user_id
    LEFT JOIN ({recorded}) AS c ON c.user_id = u.user_id
    WHERE k.user_id IS NOT NULL OR c.ratings_count > 0
) AS s ON s.key = h.user_key
WHERE s.changed IS NOT FALSE
   OR (h.rows_count, h.rows_hash) IS DISTINCT FROM (s.rows_count, s.rows_hash)
"""
STORED_OF_TOUCHED = """(
    SELECT o.* FROM recsys_store.ratings AS o
    JOIN recsys_store.users AS w ON w.user_id = o.user_id
    WHERE w.key IN (SELECT t.user_key FROM source_touched AS t)
)"""
MANY = "SELECT 3 * (SELECT count(*) FROM source_touched) > (SELECT count(*) FROM source_hashes)"
RECORDED = """
SELECT r.user_id, sum(r.ratings_count) AS ratings_count, bit_xor(r.ratings_hash) AS ratings_hash
FROM recsys_store.rating_changes AS r GROUP BY r.user_id
"""
FORGET_TOUCHED = """
DELETE FROM recsys_store.source_users AS k USING recsys_store.users AS u, source_touched AS t
WHERE u.user_id = k.user_id AND u.key = t.user_key
"""
# Not of users with a rejected row: it may become a good one, without a change of its own.
REMEMBER = """
INSERT INTO recsys_store.source_users
    (user_id, rows_count, rows_hash, ratings_count, ratings_hash)
SELECT u.user_id, h.rows_count, h.rows_hash, c.ratings_count, c.ratings_hash
FROM source_hashes AS h
JOIN recsys_store.users AS u ON u.key = h.user_key
JOIN ({recorded}) AS c ON c.user_id = u.user_id
WHERE NOT EXISTS (SELECT FROM source_rejects AS x WHERE x.user_key = h.user_key)
ON CONFLICT (user_id) DO NOTHING
"""
# The rows of a pair are one interaction; its strength is their number.
COUNTED_PAIRS = """
SELECT s.user_key, s.movie_key, CAST(count(*) AS double precision) AS rating,
    max(s.rated_at) AS rated_at
FROM ({rows}) AS s
GROUP BY s.user_key, s.movie_key
"""
# A time that the source does not tell is no difference.
DIFFERENCES = """
INSERT INTO source_changes
SELECT
    s.user_key, s.movie_key, s.rating, s.rated_at, r.user_id, r.movie_id, r.rating, r.rated_at,
    s.present IS NOT NULL
FROM (SELECT p.*, true AS present FROM ({rows}) AS p) AS s
LEFT JOIN recsys_store.users AS u ON u.key = s.user_key
LEFT JOIN recsys_store.movies AS m ON m.key = s.movie_key
{side} JOIN {stored} AS r ON r.user_id = u.user_id AND r.movie_id = m.movie_id
WHERE r.user_id IS NULL OR s.present IS NULL
   OR r.rating IS DISTINCT FROM s.rating OR r.rated_at <> s.rated_at
   OR (r.rated_at IS NULL AND s.rated_at IS NOT NULL)
"""
# Of several rows of a pair those are missing here that equal the store. Where a row is not newer
# than the stored rating, one of them may be: all rows of the pair are read again.
AGAIN = """
INSERT INTO source_again
SELECT DISTINCT ON (c.user_key, c.movie_key) c.user_key, c.movie_key, c.rating, c.rated_at
FROM ({rows}) AS c
JOIN (
    SELECT DISTINCT d.user_key, d.movie_key FROM source_changes AS d
    WHERE d.present AND d.stored_rating IS NOT NULL AND (d.rated_at > d.stored_at) IS NOT TRUE
) AS unsure USING (user_key, movie_key)
WHERE CASE {faults} END IS NULL
ORDER BY c.user_key, c.movie_key, c.rated_at DESC NULLS LAST, c.rating DESC
"""
UNSURE = """
SELECT EXISTS (
    SELECT FROM source_changes AS c
    WHERE c.present AND c.stored_rating IS NOT NULL AND (c.rated_at > c.stored_at) IS NOT TRUE
)
"""
DROP_OLDER = "DELETE FROM source_changes AS c WHERE c.present AND c.rated_at < c.stored_at"
TAKE_AGAIN = """
UPDATE source_changes AS c SET rating = a.rating, rated_at = a.rated_at
FROM source_again AS a
WHERE c.present AND c.user_key = a.user_key AND c.movie_key = a.movie_key
"""
DROP_EQUAL = """
DELETE FROM source_changes AS c
WHERE c.present AND c.rating = c.stored_rating
  AND coalesce(c.rated_at = c.stored_at, c.rated_at IS NULL)
"""
DROP_DUPLICATES = """
DELETE FROM source_changes AS c
USING (
    SELECT d.ctid AS row, row_number() OVER (
        PARTITION BY d.user_key, d.movie_key ORDER BY d.rated_at DESC NULLS LAST, d.rating DESC
    ) AS place
    FROM source_changes AS d
    JOIN (
        SELECT e.user_key, e.movie_key FROM source_changes AS e
        WHERE e.present
        GROUP BY e.user_key, e.movie_key
        HAVING count(*) > 1
    ) AS several USING (user_key, movie_key)
) AS ordered
WHERE c.ctid = ordered.row AND ordered.place > 1
"""
FAULT_OF_KEY = r"""
        WHEN c.{key} IS NULL THEN '{name} is missing'
        WHEN c.{key} = '' THEN '{name} is empty'
        WHEN octet_length(c.{key}) > {longest} THEN '{name} is longer than {longest} bytes'
        WHEN c.{key} ~ '[\u0001-\u001f\u007f-\u009f]' THEN '{name} has a control character'
"""
FAULTS = "".join(
    FAULT_OF_KEY.format(key=key, name=name, longest=LONGEST_KEY)
    for key, name in (("user_key", "user_id"), ("movie_key", "movie_id"))
)
FAULTS_OF_RATING = """
        WHEN c.rating IS NULL THEN 'rating is missing'
        WHEN NOT (c.rating > '-Infinity' AND c.rating < 'Infinity') THEN 'rating is not finite'
        WHEN c.rating < {low} OR c.rating > {high}
            THEN 'rating ' || c.rating || ' is outside {low:g} to {high:g}'
        WHEN c.rated_at > clock_timestamp() + interval '1 day'
            THEN 'rated_at is in the future: ' || c.rated_at
        WHEN NOT isfinite(c.rated_at) THEN 'rated_at is not finite'
"""
FAULTS_OF_TAG = """
        WHEN c.tag IS NULL OR c.tag = '' THEN 'tag is empty'
        WHEN octet_length(c.tag) > 2000 THEN 'tag is longer than 2000 bytes'
"""
UNKNOWN_MOVIE = """
        WHEN NOT EXISTS (SELECT FROM recsys_store.movies AS m WHERE m.key = c.movie_key)
            THEN 'movie ' || c.movie_key || ' is unknown'
"""
REJECT = r"""
WITH wrong AS (
    DELETE FROM {table} AS c
    USING (SELECT c.ctid AS row, CASE {faults} END AS reason FROM {table} AS c {when}) AS f
    WHERE c.ctid = f.row AND f.reason IS NOT NULL
    RETURNING f.reason, c.user_key,
        concat_ws(',', coalesce(c.user_key, 'NULL'), coalesce(c.movie_key, 'NULL'), {rest}) AS row
)
INSERT INTO source_rejects
SELECT '{kind}', w.user_key,
    regexp_replace(left(w.row, 500), '[\u0001-\u001f\u007f-\u009f]', '?', 'g'),
    left(w.reason, 500)
FROM wrong AS w
"""
OF_RATINGS = {
    "table": "source_changes", "kind": "ratings", "rest": "c.rating, c.rated_at",
    "when": "WHERE c.present",
}  # fmt: skip
OF_TAGS = {"table": "source_tags", "kind": "tags", "rest": "c.tag, c.tagged_at", "when": ""}
REJECTED = (
    "SELECT file, content, reason FROM source_rejects ORDER BY file, content, reason LIMIT {n}"
)
NEW_KEYS = """
INSERT INTO staged_keys (place, key)
SELECT row_number() OVER (ORDER BY n.key), n.key
FROM (
    SELECT DISTINCT c.{column} AS key FROM {table} AS c
    WHERE {when} AND NOT EXISTS (SELECT FROM recsys_store.{kind} AS t WHERE t.key = c.{column})
) AS n
"""
# `IDS` returns the ids in the order of the places.
WITH_IDS = """
SELECT i.id, s.key
FROM (SELECT row_number() OVER () AS place, o.id FROM ({ids}) AS o (id)) AS i
JOIN staged_keys AS s ON s.place = i.place
ORDER BY i.id
"""
ADD = {
    "users": "INSERT INTO recsys_store.users (user_id, key) {new}",
    "movies": """
INSERT INTO recsys_store.movies (movie_id, key, title, original_title)
SELECT n.id, n.key, 'Movie ' || n.key, 'Movie ' || n.key FROM ({new}) AS n
""",
}
REMOVE_RATINGS = """
DELETE FROM recsys_store.ratings AS r USING source_changes AS c
WHERE NOT c.present AND r.user_id = c.user_id AND r.movie_id = c.movie_id
"""
FILL_RATINGS = """
INSERT INTO recsys_store.ratings AS r (user_id, movie_id, rating, rated_at)
SELECT u.user_id, m.movie_id, c.rating, c.rated_at
FROM source_changes AS c
JOIN recsys_store.users AS u ON u.key = c.user_key
JOIN recsys_store.movies AS m ON m.key = c.movie_key
WHERE c.present
ORDER BY u.user_id, m.movie_id
"""
MERGE_RATINGS = """
WITH done AS (
    {fill}
    ON CONFLICT ON CONSTRAINT pk_ratings DO UPDATE
    SET rating = excluded.rating, rated_at = coalesce(excluded.rated_at, r.rated_at)
    WHERE (r.rating, r.rated_at)
        IS DISTINCT FROM (excluded.rating, coalesce(excluded.rated_at, r.rated_at))
    RETURNING xmax = 0 AS fresh
)
SELECT count(*) FILTER (WHERE fresh), count(*) FILTER (WHERE NOT fresh) FROM done
"""
MERGE_TAGS = """
WITH wanted AS MATERIALIZED (
    SELECT u.user_id, m.movie_id, s.tag, min(s.tagged_at) AS tagged_at
    FROM source_tags AS s
    JOIN recsys_store.users AS u ON u.key = s.user_key
    JOIN recsys_store.movies AS m ON m.key = s.movie_key
    GROUP BY u.user_id, m.movie_id, s.tag
),
removed AS (
    DELETE FROM recsys_store.tags AS t
    WHERE NOT EXISTS (
        SELECT FROM wanted AS w
        WHERE w.user_id = t.user_id AND w.movie_id = t.movie_id AND w.tag = t.tag
    )
    RETURNING 1
),
added AS (
    INSERT INTO recsys_store.tags (user_id, movie_id, tag, tagged_at)
    SELECT w.user_id, w.movie_id, w.tag, w.tagged_at FROM wanted AS w
    ON CONFLICT DO NOTHING
    RETURNING 1
)
SELECT (SELECT count(*) FROM added), (SELECT count(*) FROM removed), (SELECT count(*) FROM wanted)
"""
STAGED_TEXTS = """
CREATE TEMPORARY TABLE staged_texts (movie_id integer, overview text, poster_path text)
ON COMMIT DROP
"""
MERGE_TEXTS = """
INSERT INTO recsys_store.movie_metadata AS d (movie_id, overview, poster_path)
SELECT s.movie_id, s.overview, s.poster_path FROM staged_texts AS s
ON CONFLICT (movie_id) DO UPDATE
SET overview = excluded.overview, poster_path = excluded.poster_path
WHERE (d.overview, d.poster_path) IS DISTINCT FROM (excluded.overview, excluded.poster_path)
"""
STAGED_AVAILABLE = """
CREATE TEMPORARY TABLE staged_available (movie_id integer, available boolean) ON COMMIT DROP
"""
# Movies that the source no longer has are withdrawn; their ratings may still tell about taste.
SET_AVAILABLE = """
WITH wanted AS (
    SELECT m.movie_id, coalesce(s.available, false) AS available
    FROM recsys_store.movies AS m
    LEFT JOIN staged_available AS s ON s.movie_id = m.movie_id
),
changed AS (
    UPDATE recsys_store.movies AS m SET available = w.available FROM wanted AS w
    WHERE w.movie_id = m.movie_id AND w.available <> m.available
    RETURNING m.available
)
SELECT count(*) FILTER (WHERE c.available), count(*) FILTER (WHERE NOT c.available)
FROM changed AS c
"""
STORED_RATINGS = "SELECT coalesce(sum(c.ratings_count), 0) FROM recsys_store.rating_changes AS c"
LAST_SYNC = """
SELECT i.files, i.started_at FROM recsys_store.ingests AS i
WHERE i.dialect = 'sql' AND i.ingest_id > coalesce((
    SELECT max(o.ingest_id) FROM recsys_store.ingests AS o
    WHERE o.kind = 'ratings' AND o.dialect <> 'sql'
), 0)
ORDER BY i.ingest_id DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Since:
    """A column of the ratings with the time of a change, and the time to read from."""

    column: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Query:
    """A query of the source, checked: what it is for, its text and its columns."""

    kind: Kind
    text: str
    columns: tuple[str, ...]
    types: tuple[str, ...] = ()
    """Names of the types of the columns."""

    @property
    def implicit(self) -> bool:
        """Return whether these are interactions without ratings."""
        return self.kind == "ratings" and "rating" not in self.columns

    def rows(self, since: Since | None = None) -> str:
        """Return a query of its rows as `source_ratings` or `source_tags` has them.

        With `since` those of pairs that changed from then on.
        """
        rows = self.plain_rows(since)
        return COUNTED_PAIRS.format(rows=rows) if self.implicit else rows

    def plain_rows(self, since: Since | None = None) -> str:
        """Return the same, with every row of a pair by itself if these are interactions."""
        names = ("tag", "tagged_at") if self.kind == "tags" else ("rating", "rated_at")
        values = {name: f"q.{name}" if name in self.columns else "NULL" for name in names}
        rest = (f"CAST({values[name]} AS {TYPES.get(name, 'text')}) AS {name}" for name in names)
        rows = (
            'SELECT CAST(q.user_id AS text) COLLATE "C" AS user_key, '
            f'CAST(q.movie_id AS text) COLLATE "C" AS movie_key, {", ".join(rest)} '
            f"FROM ({self.text}\n) AS q"
        )
        if since is None:
            return rows
        changed = f"{since.column} >= TIMESTAMPTZ '{since.at.isoformat()}'"
        if not self.implicit:
            return f"{rows} WHERE q.{changed}"
        pairs = f"SELECT c.user_id, c.movie_id FROM ({self.text}\n) AS c WHERE c.{changed}"
        return f"{rows} WHERE (q.user_id, q.movie_id) IN ({pairs})"


@dataclass(frozen=True, slots=True)
class SourceQuery(SourceFile):
    """What an ingest records of a query; its name is the kind, its size that of the text."""

    columns: tuple[str, ...]
    watermark: str | None
    """Newest time of change that was read, if that was asked for; ISO 8601."""
    compared_at: str | None
    """When all rows were last compared."""


@dataclass(frozen=True, slots=True)
class LastSync:
    columns: dict[str, list[str]]
    """Columns of each query, by kind."""
    watermark: datetime | None
    """Newest time of change that was read, if that was asked for."""
    compared_at: datetime | None
    """When the whole of the source was last compared."""


def last_sync(connection: sa.Connection) -> LastSync | None:
    """Return what the last sync recorded; None if there was none, or files were loaded since."""
    found = connection.execute(sa.text(LAST_SYNC)).one_or_none()
    if found is None:
        return None
    [ratings] = [file for file in found.files if file["name"] == "ratings"]
    watermark, compared_at = (
        datetime.fromisoformat(ratings[name]) if ratings.get(name) else None
        for name in ("watermark", "compared_at")
    )
    columns = {file["name"]: file["columns"] for file in found.files}
    return LastSync(columns, watermark, compared_at)


def checked(
    source: psycopg.Connection[Any], kind: Kind, text: str, changed_since: str | None
) -> Query:
    """Ask the source for the columns of a query, and check them.

    Raises DataError for a query that the source refuses, or that has other columns.
    """
    text = text.strip().rstrip(";")
    where = f"the query {kind} in [source]"
    try:
        # Prepared: the server refuses several statements in one text.
        found = source.execute(f"SELECT * FROM ({text}\n) AS q LIMIT 0".encode(), prepare=True)
    except psycopg.Error as exc:
        message = str(exc.diag.message_primary or exc).strip()
        raise DataError(
            f"{where} cannot be read: {message}",
            hint="it must be one SELECT that the role of the source may run",
        ) from exc
    columns = tuple(column.name for column in found.description or ())
    oids = [column.type_code for column in found.description or ()]
    types = tuple(name for (name,) in source.execute(TYPE_NAMES, (oids,)))
    required, optional = COLUMNS[kind]
    needed = (*required, *((changed_since,) if changed_since else ()))
    missing = [name for name in needed if name not in columns]
    unknown = [name for name in columns if name not in (*needed, *optional)]
    twice = [name for name in columns if columns.count(name) > 1]
    wrong = (
        f"has no column {missing[0]}" if missing
        else f"has the column {unknown[0]}, which means nothing here" if unknown
        else f"has the column {twice[0]} twice" if twice
        else None
    )  # fmt: skip
    if wrong:
        raise DataError(
            f"{where} {wrong}; its columns: {', '.join(columns)}",
            hint=f"needed: {', '.join(needed)}; possible: {', '.join(optional)}; use AS",
        )
    return Query(kind, text, columns, types)


@contextmanager
def reading(source: psycopg.Connection[Any], role: str) -> Iterator[None]:
    """Run a block in a read-only transaction with one snapshot, as a role if one is named."""
    with source.transaction():
        source.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        if role:
            source.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
        yield


def make_tables(session: sa.Connection, role: str) -> None:
    """Create the temporary tables of a sync, which last as long as the session.

    `role` may fill those for the rows of the source.
    """
    for statement in TABLES.split(";"):
        _run(session, statement)
    if role:
        grant = sql.SQL("GRANT INSERT ON source_ratings, source_tags TO {}")
        driver(session).execute(grant.format(sql.Identifier(role)))


def stage(
    session: sa.Connection, source: psycopg.Connection[Any], query: Query, since: Since | None
) -> Query:
    """Copy the rows of a query as they are; return the query that reads the copy."""
    table, rows = f"source_{query.kind}", query.plain_rows(since)
    own = driver(session)
    if source is own:
        source.execute(f"INSERT INTO {table} {rows}".encode(), prepare=True)
    else:
        out = f"COPY ({rows}) TO STDOUT (FORMAT binary)".encode()
        into = f"COPY {table} FROM STDIN (FORMAT binary)".encode()
        with source.cursor().copy(out) as read, own.cursor().copy(into) as written:
            for block in read:
                written.write(block)
    names = {"ratings": ["rating", "rated_at"], "tags": ["tag", "tagged_at"]}[query.kind]
    names = [name for name in names if not (query.implicit and name == "rating")]
    text = f"SELECT user_key AS user_id, movie_key AS movie_id, {', '.join(names)} FROM {table}"
    return Query(query.kind, text, ("user_id", "movie_id", *names))


def rows_of(source: psycopg.Connection[Any], query: Query) -> list[Row]:
    """Return the rows of a query of movies or users, in the order of `COLUMNS`, keys as text."""
    key, *rest = (name for names in COLUMNS[query.kind] for name in names)
    others = (name if name in query.columns else f"NULL AS {name}" for name in rest)
    text = f"SELECT CAST({key} AS text), {', '.join(others)} FROM ({query.text}\n) AS q"
    return source.execute(text.encode(), prepare=True).fetchall()


def newest(source: psycopg.Connection[Any], query: Query, column: str) -> datetime | None:
    """Return the newest time of change in the source."""
    text = f"SELECT CAST(max(q.{column}) AS timestamptz) FROM ({query.text}\n) AS q"
    [(found,)] = source.execute(text.encode(), prepare=True).fetchall()
    assert found is None or isinstance(found, datetime)
    return found


def touched_alone(session: sa.Connection, query: Query, *, compare: bool) -> Query | None:
    """Hash the rows of each user, and name the users whose hashes are not those of the last sync.

    Returns the query of their rows; None if they are many, or without `compare`.
    """
    type_of = dict(zip(query.columns, query.types, strict=True))
    movie = "q.movie_id" if type_of["movie_id"] in HASHED else "CAST(q.movie_id AS text)"
    names = [name for name in ("rating", "rated_at") if name in query.columns]
    columns = [movie, *(f"CAST(q.{name} AS {TYPES[name]})" for name in names)]
    _run(session, HASHES.format(columns=", ".join(columns), text=query.text))
    _run(session, "ANALYZE source_hashes")
    if not compare:
        return None
    _run(session, TOUCHED.format(recorded=RECORDED))
    _run(session, "ANALYZE source_touched")
    if session.scalar(sa.text(MANY)):
        return None
    # In the type of the column, so that an index on it can serve.
    keys = f"SELECT CAST(t.user_key AS {type_of['user_id']}) FROM source_touched AS t"
    text = f"SELECT i.* FROM ({query.text}\n) AS i WHERE i.user_id IN ({keys}) OR i.user_id IS NULL"
    return Query(query.kind, text, query.columns, query.types)


def remember(session: sa.Connection, *, touched: bool) -> None:
    """Record the hashes of all users, or those of the touched ones, for the next sync."""
    _run(session, FORGET_TOUCHED if touched else "DELETE FROM recsys_store.source_users")
    _run(session, REMEMBER.format(recorded=RECORDED))
    _run(session, "ANALYZE recsys_store.source_users")


def find_differences(
    session: sa.Connection,
    query: Query,
    since: Since | None,
    scale: Scale | None,
    *,
    stored: Literal["all", "touched", "none"] = "all",
    partial: bool,
) -> int:
    """Collect in `source_changes` what differs; return the number of duplicates merged.

    `stored` names the users whose stored ratings are compared. Nothing counts as removed if a part
    of the source is compared.
    """
    relation = {
        "all": "recsys_store.ratings",
        "touched": STORED_OF_TOUCHED,
        "none": "(SELECT * FROM recsys_store.ratings WHERE false)",
    }[stored]
    side = "LEFT" if partial else "FULL"
    _run(session, DIFFERENCES.format(rows=query.rows(since), side=side, stored=relation))
    _run(session, "ANALYZE source_changes")
    low, high = scale or (-1e300, 1e300)
    faults = FAULTS + FAULTS_OF_RATING.format(low=low, high=high)
    # Before duplicates are merged: a bad row must not take the place of a good one.
    _run(session, REJECT.format(**OF_RATINGS, faults=faults))
    if query.implicit:
        return 0
    if partial:
        # The others of a pair are not here. An older row waits for the next full comparison.
        _run(session, DROP_OLDER)
    elif session.scalar(sa.text(UNSURE)):
        _run(session, AGAIN.format(rows=query.rows(), faults=faults))
        _run(session, TAKE_AGAIN)
        _run(session, DROP_EQUAL)
    return _run(session, DROP_DUPLICATES)


def reject_rest(session: sa.Connection, *, known_movies: bool) -> None:
    """Reject tags that break a rule, and with `known_movies` what is about unknown movies."""
    unknown = UNKNOWN_MOVIE if known_movies else ""
    if unknown:
        _run(session, REJECT.format(**OF_RATINGS, faults=unknown))
    _run(session, REJECT.format(**OF_TAGS, faults=FAULTS + FAULTS_OF_TAG + unknown))


def rejected(session: sa.Connection, most: int) -> tuple[list[Row], int]:
    """Return the first rejected rows (kind, content, reason) and the number of all."""
    count = session.scalar(sa.text("SELECT count(*) FROM source_rejects"))
    found = session.execute(sa.text(REJECTED.format(n=int(most))))
    return [tuple(row) for row in found], int(count or 0)


def add_new(session: sa.Connection, kind: Literal["users", "movies"]) -> int:
    """Add the users or movies that the changes name and the store lacks; return their number."""
    column = {"users": "user_key", "movies": "movie_key"}[kind]
    id_ = {"users": "user_id", "movies": "movie_id"}[kind]
    added = 0
    for table, when in (("source_changes", "c.present"), ("source_tags", "true")):
        _run(session, STAGE)
        if _run(session, NEW_KEYS.format(column=column, table=table, kind=kind, when=when)):
            _run(session, "ANALYZE staged_keys")
            new = WITH_IDS.format(ids=IDS.format(kind=kind, id=id_))
            try:
                added += _run(session, ADD[kind].format(new=new))
            except psycopg.errors.UniqueViolation as exc:
                raise StorageError(
                    f"another session added {kind} with these keys meanwhile", hint="run it again"
                ) from exc
        _run(session, "DROP TABLE staged_keys")
    if added:
        _run(session, f"ANALYZE recsys_store.{kind}")
    return added


def merge_ratings(session: sa.Connection) -> Counts:
    """Apply the changes of ratings; stored ratings that no change touches count as unchanged."""
    stored = int(session.scalar(sa.text(STORED_RATINGS)) or 0)
    if bulk_load.is_empty(session, "recsys_store.ratings"):
        with bulk_load.filling(session, "recsys_store.ratings"):
            added = _run(session, FILL_RATINGS)
        rating_changes.record_all(session)
        return Counts(inserted=added)
    removed = _run(session, REMOVE_RATINGS)
    added, updated = session.execute(sa.text(MERGE_RATINGS.format(fill=FILL_RATINGS))).one()
    if 20 * (added + updated + removed) > stored:
        _run(session, "ANALYZE recsys_store.ratings")
    return Counts(added, updated, stored - updated - removed, removed)


def merge_tags(session: sa.Connection) -> Counts:
    """Make the stored tags equal to those of the source."""
    added, removed, wanted = session.execute(sa.text(MERGE_TAGS)).one()
    return Counts(added, 0, wanted - added, removed)


def describe_movies(session: sa.Connection, texts: Sequence[Row]) -> None:
    """Store the overview and the path of the poster of movies, as (movie_id, overview, path)."""
    _run(session, STAGED_TEXTS)
    copy_rows(session, "staged_texts", ("movie_id", "overview", "poster_path"), texts)
    _run(session, MERGE_TEXTS)
    _run(session, "DROP TABLE staged_texts")


def set_available(session: sa.Connection, movies: Sequence[tuple[int, bool]]) -> Counts:
    """Withdraw all other movies; return how many came back (updated) and went (removed)."""
    _run(session, STAGED_AVAILABLE)
    copy_rows(session, "staged_available", ("movie_id", "available"), movies)
    back, gone = session.execute(sa.text(SET_AVAILABLE)).one()
    _run(session, "DROP TABLE staged_available")
    # A movie that came back was counted by the merge as well.
    return Counts(updated=back, unchanged=-back, removed=gone)


def _run(session: sa.Connection, statement: str) -> int:
    """Run a statement as it stands, which may hold a query of the user; return the rows."""
    return driver(session).execute(statement.encode(), prepare=True).rowcount
