"""Triggers on a table of the user, so that its rows change the ratings in the same transaction.

The functions of the triggers run the query of the source on the rows of the statement: there the
name of the table stands for its transition table. So nothing else is read, or for rows that
changed or went, the other rows of the same pairs of user and movie.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import psycopg
import sqlalchemy as sa
from psycopg import sql

from recsys.errors import DataError
from recsys.storage.load.copy import driver
from recsys.storage.load.sources import Query

TABLES = """
SELECT DISTINCT n.nspname, c.relname, c.relkind
FROM pg_rewrite AS w
JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
JOIN pg_class AS c ON d.refclassid = 'pg_class'::regclass AND c.oid = d.refobjid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE w.ev_class = 'pg_temp.watched_query'::regclass AND c.oid <> w.ev_class
ORDER BY 1, 2
"""
WATCHED = """
SELECT DISTINCT CAST(t.tgrelid AS regclass)
FROM pg_trigger AS t
JOIN pg_proc AS p ON p.oid = t.tgfoid
WHERE p.pronamespace = 'recsys_store'::regnamespace
  AND p.proname IN ('source_came', 'source_changed')
ORDER BY 1
"""
EVENTS = (
    ("recsys_1_insert", "INSERT", "NEW", "source_came"),
    ("recsys_2_delete", "DELETE", "OLD", "source_changed"),
    # An update may move a row to another pair: both are read again.
    ("recsys_3_before_update", "UPDATE", "OLD", "source_changed"),
    ("recsys_4_after_update", "UPDATE", "NEW", "source_changed"),
)
"""Name of a trigger, its event, which rows are named as the table, and its function."""
FUNCTION = """
CREATE OR REPLACE FUNCTION recsys_store.{name}()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- A writer must not wait for a load of the whole source, which brings these rows, too.
SET lock_timeout = '200ms'
AS $recsys$
BEGIN
    IF NOT EXISTS (SELECT FROM {table}) THEN
        RETURN NULL;
    END IF;
{body}
    RETURN NULL;
{failure}
END
$recsys$
"""
FAILURE = """
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'recsys could not follow a change of {shown}: %', SQLERRM
        USING HINT = 'The statement is unaffected. recsys sync makes up for it.';
    RETURN NULL;
"""
VALID = """
    s.user_key <> '' AND octet_length(s.user_key) <= 512
    AND s.user_key !~ '[\\u0001-\\u001f\\u007f-\\u009f]'
    AND s.rating >= {low} AND s.rating <= {high}
    AND coalesce(s.rated_at <= clock_timestamp() + interval '1 day', true)
"""
NEWEST = """
        SELECT DISTINCT ON (s.user_key, m.movie_id)
            s.user_key, m.movie_id, s.rating, s.rated_at
        FROM ({rows}) AS s
        JOIN recsys_store.movies AS m ON m.key = s.movie_key
        WHERE {valid}
        ORDER BY s.user_key, m.movie_id, s.rated_at DESC NULLS LAST, s.rating DESC
"""
ADD_USERS = """
    PERFORM recsys.ensure_user(n.user_key)
    FROM (SELECT DISTINCT s.user_key FROM ({rows}) AS s WHERE {valid}) AS n
    WHERE NOT EXISTS (SELECT FROM recsys_store.users AS u WHERE u.key = n.user_key);
"""
MERGE = """
    INSERT INTO recsys_store.ratings AS r (user_id, movie_id, rating, rated_at)
    SELECT u.user_id, n.movie_id, n.rating, n.rated_at
    FROM ({newest}) AS n
    JOIN recsys_store.users AS u ON u.key = n.user_key
    ON CONFLICT ON CONSTRAINT pk_ratings DO UPDATE
    SET {set}
    WHERE {when};
"""
TAKE = "rating = excluded.rating, rated_at = coalesce(excluded.rated_at, r.rated_at)"
ADD_UP = "rating = r.rating + excluded.rating, rated_at = greatest(r.rated_at, excluded.rated_at)"
IF_NEWER = "coalesce(excluded.rated_at >= r.rated_at, true)"
IF_OTHER = (
    "(r.rating, r.rated_at) IS DISTINCT FROM "
    "(excluded.rating, coalesce(excluded.rated_at, r.rated_at))"
)
REMOVE = """
    DELETE FROM recsys_store.ratings AS r
    USING (
        SELECT DISTINCT u.user_id, m.movie_id
        FROM ({rows}) AS s
        JOIN recsys_store.users AS u ON u.key = s.user_key
        JOIN recsys_store.movies AS m ON m.key = s.movie_key
    ) AS p
    WHERE r.user_id = p.user_id AND r.movie_id = p.movie_id
      AND NOT EXISTS (
          SELECT FROM ({left}) AS l
          JOIN recsys_store.users AS u ON u.key = l.user_key
          JOIN recsys_store.movies AS m ON m.key = l.movie_key
          WHERE u.user_id = p.user_id AND m.movie_id = p.movie_id
      );
"""


@dataclass(frozen=True, slots=True)
class Watched:
    """The table that a query reads, and the query on it and on a transition table of its name."""

    schema: str
    table: str
    whole: Query
    rows: Query

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.table)


def find_table(connection: sa.Connection, query: Query) -> Watched:
    """Return the one table that a query reads; raise DataError if that cannot be told."""
    run = driver(connection).execute
    run("SET LOCAL search_path = pg_catalog, pg_temp")
    try:
        run(f"CREATE TEMPORARY VIEW watched_query AS {query.text}".encode())
    except psycopg.errors.UndefinedTable as exc:
        raise DataError(
            f"the query ratings in [source] cannot be watched: {exc.diag.message_primary}",
            hint="name each table with its schema, as shop.reviews",
        ) from exc
    found = run(TABLES).fetchall()
    run("DROP VIEW pg_temp.watched_query")
    tables = [(schema, name) for schema, name, kind in found if kind in ("r", "p")]
    if len(found) != 1 or len(tables) != 1:
        names = ", ".join(f"{schema}.{name}" for schema, name, _ in found) or "none"
        raise DataError(
            f"the query ratings in [source] reads {names}; a query on one table can be watched",
            hint="join other tables in `movies` or `users`, or leave it to recsys sync",
        )
    [(schema, table)] = tables
    pattern = rf'(?<![\w."])"?{re.escape(schema)}"?\s*\.\s*("?{re.escape(table)}"?)(?![\w"])'
    rows, count = re.subn(pattern, r"\1", query.text, flags=re.IGNORECASE)
    if count != 1:
        raise DataError(
            f"the query ratings in [source] names {schema}.{table} {count} times",
            hint="name it once, in FROM, and its columns without the schema",
        )
    return Watched(schema, table, query, Query(query.kind, rows, query.columns, query.types))


def watch(
    connection: sa.Connection,
    found: Watched,
    scale: tuple[float, float] | None,
    *,
    strict: bool,
) -> None:
    """Put triggers on the table; with `strict` an error of ours is one of the statement."""
    low, high = scale or ("'-1e300'", "'1e300'")
    valid = VALID.format(low=low, high=high)
    implicit = found.whole.implicit
    rows = found.rows.rows()
    # In the types of the columns, so that an index of the table on them can serve.
    pairs = f"SELECT c.user_id, c.movie_id FROM ({found.rows.text}\n) AS c"
    text = f"SELECT i.* FROM ({found.whole.text}\n) AS i WHERE (i.user_id, i.movie_id) IN ({pairs})"
    left = Query("ratings", text, found.whole.columns).rows()
    bodies = {
        "source_came": _merge(rows, valid, ADD_UP if implicit else TAKE,
                              "true" if implicit else IF_NEWER),
        "source_changed": REMOVE.format(rows=rows, left=left)
        + _merge(left, valid, TAKE, IF_OTHER),
    }  # fmt: skip
    quoted = f'"{found.table}"'.replace("%", "%%")
    for name, body in bodies.items():
        failure = "" if strict else FAILURE.format(
            shown=f"{found.schema}.{found.table}".replace("'", "''").replace("%", "%%")
        )  # fmt: skip
        function = FUNCTION.format(name=name, body=body, failure=failure, table=quoted)
        _run(connection, function)
        _run(connection, f"REVOKE ALL ON FUNCTION recsys_store.{name}() FROM PUBLIC")
    for trigger, event, kind, name in EVENTS:
        statement = sql.SQL(
            "CREATE OR REPLACE TRIGGER {} AFTER {} ON {} REFERENCING {} TABLE AS {} "
            "FOR EACH STATEMENT EXECUTE FUNCTION recsys_store.{}()"
        ).format(
            sql.Identifier(trigger),
            sql.SQL(event),
            found.identifier,
            sql.SQL(kind),
            sql.Identifier(found.table),
            sql.Identifier(name),
        )
        driver(connection).execute(statement)


def _merge(rows: str, valid: str, set_: str, when: str) -> str:
    newest = NEWEST.format(rows=rows, valid=valid)
    return ADD_USERS.format(rows=rows, valid=valid) + MERGE.format(
        newest=newest, set=set_, when=when
    )


def unwatch(connection: sa.Connection) -> list[str]:
    """Drop the triggers and their functions; return the tables that had them."""
    tables = [name for (name,) in driver(connection).execute(WATCHED)]
    # With the triggers on them, which only the owner of the table could drop by themselves.
    for function in ("source_came", "source_changed"):
        _run(connection, f"DROP FUNCTION IF EXISTS recsys_store.{function}() CASCADE")
    return tables


def _run(connection: sa.Connection, statement: str) -> None:
    driver(connection).execute(statement.encode())
