"""one row per list instead of one per entry, converting the runs that are kept"""

from collections.abc import Mapping
from typing import NamedTuple

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

STORE = "recsys_store"
RUN, MODEL = "The run that wrote it", "The model that gave it"


class Form(NamedTuple):
    """A table in one of its two forms."""

    columns: Mapping[str, tuple[str, str]]
    """Type and comment of each column beside run and model."""
    key: str
    checks: Mapping[str, str]


class Lists(NamedTuple):
    comment: str
    rows: Form
    packed: Form
    pack: str
    unpack: str


FINITE = "score > '-Infinity' AND score < 'Infinity'"
ALL_FINITE = "'-Infinity' < ALL (scores) AND 'Infinity' > ALL (scores)"
RANK = ("smallint NOT NULL", "Place in the list, from 1")
TABLES = {
    "movie_similarities": Lists(
        "Nearest movies of each movie",
        Form(
            {
                "rank": RANK,
                "movie_id": ("integer NOT NULL", "Whose neighbours these are"),
                "similar_movie_id": ("integer NOT NULL", "The neighbour"),
                "score": (
                    "double precision NOT NULL",
                    "Similarity, or the weight with which the movie speaks for it",
                ),
            },
            "movie_id, run_id, model_id, rank) INCLUDE (similar_movie_id, score",
            {
                "rank_positive": "rank > 0",
                "score_finite": FINITE,
                "not_itself": "movie_id <> similar_movie_id",
            },
        ),
        Form(
            {
                "movie_id": ("integer NOT NULL", "Whose neighbours these are"),
                "similar_movie_ids": ("integer[] NOT NULL", "The neighbours, nearest first"),
                "scores": (
                    "double precision[]",
                    "Similarity of each, or the weight with which the movie speaks for it",
                ),
                "real_scores": (
                    "real[]",
                    "The same of models that compute in single precision, in place of scores",
                ),
            },
            "movie_id, run_id, model_id",
            {
                "lengths": "cardinality(similar_movie_ids) > 0 "
                "AND num_nonnulls(scores, real_scores) = 1 "
                "AND cardinality(similar_movie_ids) = cardinality(scores) "
                "AND cardinality(similar_movie_ids) = cardinality(real_scores)",
                "scores_finite": ALL_FINITE,
                "real_scores_finite": ALL_FINITE.replace("scores", "real_scores"),
                "not_itself": "movie_id <> ALL (similar_movie_ids)",
            },
        ),
        # Single precision where nothing is lost.
        "SELECT run_id, model_id, movie_id, movies, CASE WHEN NOT single THEN scores END, "
        "CASE WHEN single THEN CAST(scores AS real[]) END FROM ("
        "SELECT run_id, model_id, movie_id, array_agg(similar_movie_id ORDER BY rank) AS movies, "
        "array_agg(score ORDER BY rank) AS scores, "
        "bool_and(CASE WHEN abs(score) BETWEEN 1e-37 AND 1e38 "
        "THEN CAST(score AS real) = score ELSE score = 0 END) AS single "
        "FROM {source} GROUP BY run_id, model_id, movie_id) AS l",
        "SELECT run_id, model_id, CAST(generate_subscripts(similar_movie_ids, 1) AS smallint), "
        "movie_id, unnest(similar_movie_ids), "
        "unnest(coalesce(scores, CAST(real_scores AS double precision[]))) FROM {source}",
    ),
    "user_similarities": Lists(
        "Nearest users of each user",
        Form(
            {
                "rank": RANK,
                "user_id": ("integer NOT NULL", "Whose neighbours these are"),
                "similar_user_id": ("integer NOT NULL", "The neighbour"),
                "common_ratings": ("integer NOT NULL", "Movies both have rated"),
                "score": ("double precision NOT NULL", "Similarity of taste"),
            },
            "user_id, run_id, model_id, rank) INCLUDE (similar_user_id, score",
            {
                "rank_positive": "rank > 0",
                "score_finite": FINITE,
                "not_itself": "user_id <> similar_user_id",
            },
        ),
        Form(
            {
                "user_id": ("integer NOT NULL", "Whose neighbours these are"),
                "similar_user_ids": ("integer[] NOT NULL", "The neighbours, nearest first"),
                "scores": ("double precision[] NOT NULL", "Similarity of taste of each"),
                "common_ratings": ("integer[] NOT NULL", "Movies both have rated, for each"),
            },
            "user_id, run_id, model_id",
            {
                "lengths": "cardinality(scores) > 0 "
                "AND cardinality(similar_user_ids) = cardinality(scores) "
                "AND cardinality(common_ratings) = cardinality(scores)",
                "scores_finite": ALL_FINITE,
                "not_itself": "user_id <> ALL (similar_user_ids)",
            },
        ),
        "SELECT run_id, model_id, user_id, array_agg(similar_user_id ORDER BY rank), "
        "array_agg(score ORDER BY rank), array_agg(common_ratings ORDER BY rank) FROM {source} "
        "GROUP BY run_id, model_id, user_id",
        "SELECT run_id, model_id, CAST(generate_subscripts(scores, 1) AS smallint), user_id, "
        "unnest(similar_user_ids), unnest(common_ratings), unnest(scores) FROM {source}",
    ),
    "user_recommendations": Lists(
        "Stored recommendations; movies rated when the run read are not in it",
        Form(
            {
                "rank": RANK,
                "user_id": ("integer NOT NULL", "Whose list this is"),
                "movie_id": ("integer NOT NULL", "The movie recommended"),
                "score": ("double precision NOT NULL", "The model's score, higher is better"),
                "source_model_id": (
                    "smallint",
                    "For a hybrid the model the row came from, whose score it is; NULL: its own",
                ),
            },
            "user_id, run_id, model_id, rank) INCLUDE (movie_id, score",
            {"rank_positive": "rank > 0", "score_finite": FINITE},
        ),
        Form(
            {
                "user_id": ("integer NOT NULL", "Whose list this is"),
                "movie_ids": ("integer[] NOT NULL", "The movies recommended, best first"),
                "scores": (
                    "double precision[] NOT NULL",
                    "The model's score of each, higher is better",
                ),
                "source_model_ids": (
                    "smallint[]",
                    "For a hybrid the model each movie came from, whose score it is; NULL: its own",
                ),
            },
            "user_id, run_id, model_id",
            {
                "lengths": "cardinality(scores) > 0 "
                "AND cardinality(movie_ids) = cardinality(scores) "
                "AND cardinality(source_model_ids) = cardinality(scores)",
                "scores_finite": ALL_FINITE,
            },
        ),
        "SELECT run_id, model_id, user_id, array_agg(movie_id ORDER BY rank), "
        "array_agg(score ORDER BY rank), CASE WHEN count(source_model_id) > 0 "
        "THEN array_agg(source_model_id ORDER BY rank) END FROM {source} "
        "GROUP BY run_id, model_id, user_id",
        "SELECT run_id, model_id, CAST(generate_subscripts(scores, 1) AS smallint), user_id, "
        "unnest(movie_ids), unnest(scores), unnest(source_model_ids) FROM {source}",
    ),
}
# The contract is installed after the migrations: until then its views read the new tables, and
# keep the objects that others have built on them.
VIEWS_OF_ROWS = {
    "similar_movies": """
SELECT d.name AS model, s.movie_id, m.title, s.rank, s.similar_movie_id,
    o.title AS similar_title, s.score, s.run_id
FROM {movie_similarities} AS s
JOIN recsys_store.models AS d ON d.model_id = s.model_id
JOIN recsys_store.movies AS m ON m.movie_id = s.movie_id
JOIN recsys_store.movies AS o ON o.movie_id = s.similar_movie_id
WHERE s.run_id = (SELECT p.run_id FROM recsys_store.published AS p)
""",
    "recommendations": """
SELECT d.name AS model, r.user_id, r.rank, r.movie_id, m.title, r.score, r.run_id,
    coalesce(s.name, d.name) AS source_model,
    CAST(NULL AS text) AS label
FROM {user_recommendations} AS r
JOIN recsys_store.models AS d ON d.model_id = r.model_id
JOIN recsys_store.movies AS m ON m.movie_id = r.movie_id
LEFT JOIN recsys_store.models AS s ON s.model_id = r.source_model_id
WHERE r.run_id = (SELECT p.run_id FROM recsys_store.published AS p)
""",
}
UNPACKED = {
    "movie_similarities": "(SELECT run_id, model_id, movie_id, "
    "CAST(generate_subscripts(similar_movie_ids, 1) AS smallint) AS rank, "
    "unnest(similar_movie_ids) AS similar_movie_id, "
    "unnest(coalesce(scores, CAST(real_scores AS double precision[]))) AS score FROM {source})",
    "user_recommendations": "(SELECT run_id, model_id, user_id, "
    "CAST(generate_subscripts(scores, 1) AS smallint) AS rank, unnest(movie_ids) AS movie_id, "
    "unnest(scores) AS score, unnest(source_model_ids) AS source_model_id FROM {source})",
}
PARTITIONS = """
SELECT c.relname, i.inhrelid IS NOT NULL AS attached
FROM pg_class AS c
LEFT JOIN pg_inherits AS i ON i.inhrelid = c.oid
WHERE c.relnamespace = CAST(:store AS regnamespace) AND c.relkind = 'r'
  AND c.relname ~ ('^' || :table || '_run_[0-9]+$')
ORDER BY c.relname
"""
OWNER = """
SELECT quote_ident(pg_get_userbyid(relowner)) FROM pg_class WHERE oid = CAST(:table AS regclass)
"""


VIEW_COLUMNS = """
SELECT
    quote_ident(a.attname),
    format('CAST(NULL AS %s)', format_type(a.atttypid, a.atttypmod))
    || coalesce(
        ' COLLATE ' || CAST(CAST(nullif(a.attcollation, t.typcollation) AS regcollation) AS text),
        ''
    )
FROM pg_attribute AS a
JOIN pg_type AS t ON t.oid = a.atttypid
WHERE a.attrelid = CAST(:name AS regclass) AND a.attnum > 0
ORDER BY a.attnum
"""


def upgrade() -> None:
    for table, lists in TABLES.items():
        _exchange(table, lists.comment, lists.packed, lists.pack, packed=True)


def downgrade() -> None:
    for table, lists in TABLES.items():
        _exchange(table, lists.comment, lists.rows, lists.unpack, packed=False)


def _exchange(table: str, comment: str, form: Form, query: str, *, packed: bool) -> None:
    """Replace a table and its partitions by those of the other form."""
    new = f"{table}_new"
    runs = _partitions(table)
    _create(new, table, comment, form, packed=packed)
    _give(new, like=table)
    for run_id in runs:
        child = f"{new}_run_{run_id}"
        # The setting of results.create.
        op.execute(
            f"CREATE TABLE {STORE}.{child} (LIKE {STORE}.{new} INCLUDING CONSTRAINTS "
            "INCLUDING COMMENTS INCLUDING STORAGE) WITH (toast_tuple_target = 8160)"
        )
        _give(child, like=f"{table}_run_{run_id}")
        source = f"{STORE}.{table}_run_{run_id}"
        op.execute(f"INSERT INTO {STORE}.{child} {query.format(source=source)}")
    _redirect_views(table, new, packed=packed)
    op.execute(f"DROP TABLE {STORE}.{table}")
    op.execute(f"ALTER TABLE {STORE}.{new} RENAME TO {table}")
    op.execute(f"ALTER TABLE {STORE}.{table} ADD CONSTRAINT pk_{table} PRIMARY KEY ({form.key})")
    for run_id in runs:
        child = f"{table}_run_{run_id}"
        op.execute(f"ALTER TABLE {STORE}.{new}_run_{run_id} RENAME TO {child}")
        for name, definition in {
            f"ck_{child}": f"CHECK (run_id = {run_id})",
            f"pk_{child}": f"PRIMARY KEY ({form.key})",
        }.items():
            op.execute(f"ALTER TABLE {STORE}.{child} ADD CONSTRAINT {name} {definition}")
        op.execute(
            f"ALTER TABLE {STORE}.{table} ATTACH PARTITION {STORE}.{child} FOR VALUES IN ({run_id})"
        )
        op.execute(f"ANALYZE {STORE}.{child}")


def _give(new: str, *, like: str) -> None:
    """Give a table to the owner of another: the next migration may run as another role."""
    owner = op.get_bind().scalar(sa.text(OWNER), {"table": f"{STORE}.{like}"})
    op.execute(f"ALTER TABLE {STORE}.{new} OWNER TO {owner}")


def _partitions(table: str) -> list[int]:
    """Return the runs that have a partition; drop those of runs that were never finished."""
    given = {"store": STORE, "table": table}
    runs = []
    for name, attached in op.get_bind().execute(sa.text(PARTITIONS), given).all():
        if attached:
            runs.append(int(name.rpartition("_")[2]))
        else:
            op.execute(f"DROP TABLE {STORE}.{name}")
    return sorted(runs)


def _create(new: str, table: str, comment: str, form: Form, *, packed: bool) -> None:
    columns = {
        "run_id": ("integer NOT NULL", RUN),
        "model_id": ("smallint NOT NULL", MODEL),
        **form.columns,
    }
    parts = [f"{name} {kind}" for name, (kind, _) in columns.items()]
    parts += [f"CONSTRAINT ck_{table}_{name} CHECK ({text})" for name, text in form.checks.items()]
    op.execute(f"CREATE TABLE {STORE}.{new} ({', '.join(parts)}) PARTITION BY LIST (run_id)")
    for on, text in {
        f"TABLE {STORE}.{new}": comment,
        **{f"COLUMN {STORE}.{new}.{name}": text for name, (_, text) in columns.items()},
    }.items():
        quoted = text.replace("'", "''")
        op.execute(f"COMMENT ON {on} IS '{quoted}'")
    if packed:
        for name, (kind, _) in form.columns.items():
            if "[]" in kind:
                op.execute(f"ALTER TABLE {STORE}.{new} ALTER {name} SET STORAGE EXTERNAL")


def _redirect_views(table: str, new: str, *, packed: bool) -> None:
    if table not in UNPACKED:
        return
    source = f"{STORE}.{new}"
    if packed:
        source = UNPACKED[table].format(source=source)
    [(view, query)] = [
        (view, query) for view, query in VIEWS_OF_ROWS.items() if f"{{{table}}}" in query
    ]
    if op.get_bind().scalar(sa.text("SELECT to_regclass(:name)"), {"name": f"recsys.{view}"}):
        columns = _later_columns(view, query.format(**{table: source}))
        op.execute(f"CREATE OR REPLACE VIEW recsys.{view} AS {columns}")


def _later_columns(view: str, query: str) -> str:
    """Add the later columns of a view as NULL, because a view keeps its columns."""
    connection = op.get_bind()
    known = connection.execute(sa.text(f"SELECT * FROM ({query}) AS q LIMIT 0")).keys()
    found = connection.execute(sa.text(VIEW_COLUMNS), {"name": f"recsys.{view}"}).all()
    later = [f"{null} AS {name}" for name, null in found if name not in known]
    return f"SELECT {', '.join(['q.*', *later])} FROM ({query}) AS q"
