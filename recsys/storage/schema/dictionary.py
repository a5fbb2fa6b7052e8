"""The data dictionary of the SQL contract, read from the system catalogue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from recsys.storage.schema.contract import CONTRACT

VIEWS = """
SELECT c.relname, obj_description(c.oid, 'pg_class'), a.attname,
    format_type(a.atttypid, a.atttypmod), col_description(c.oid, a.attnum)
FROM pg_class AS c
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = CAST(:schema AS regnamespace) AND c.relkind = 'v'
ORDER BY c.relname, a.attnum
"""
FUNCTIONS = """
SELECT p.proname, obj_description(p.oid, 'pg_proc'), pg_get_function_arguments(p.oid),
    pg_get_function_result(p.oid)
FROM pg_proc AS p
WHERE p.pronamespace = CAST(:schema AS regnamespace)
  AND obj_description(p.oid, 'pg_proc') !~ '^Internal: '
ORDER BY p.proname, 3
"""
EXAMPLES = {
    "block": "SELECT recsys.block(1, 2, now() + interval '30 days')",
    "compare_runs": "SELECT * FROM recsys.compare_runs(1, 2)",
    "explain": "SELECT * FROM recsys.explain(1, 2)",
    "label": "SELECT recsys.label('pearson_average', 3.2)",
    "movie_id": "SELECT recsys.movie_id('1')",
    "predict_rating": "SELECT recsys.predict_rating(1, 2)",
    "rate": "SELECT recsys.rate(1, 2, 4.5)",
    "rating_hash": "SELECT bit_xor(recsys.rating_hash(movie_id, rating)) FROM recsys.ratings",
    "rating_histogram": "SELECT * FROM recsys.rating_histogram(1)",
    "rating_scale": "SELECT * FROM recsys.rating_scale()",
    "recommend": "SELECT * FROM recsys.recommend(1, 5, genres => '{Drama}', year_from => 1960)",
    "recommend_for": """SELECT * FROM recsys.recommend_for('{"1": 5.0, "2": 4}', 5)""",
    "recommendations_as_of": "SELECT * FROM recsys.recommendations_as_of(1, now(), 5)",
    "run_size": "SELECT run_id, pg_size_pretty(recsys.run_size(run_id)) FROM recsys.runs",
    "sample_users": "SELECT user_id FROM recsys.sample_users(100, random())",
    "search_movies": "SELECT * FROM recsys.search_movies('god fath', 5)",
    "set_available": "SELECT recsys.set_available(2, true)",
    "similar": "SELECT * FROM recsys.similar(1, 5)",
    "similar_users": "SELECT * FROM recsys.similar_users(1, 5)",
    "top_movies": "SELECT * FROM recsys.top_movies(5, 'Drama')",
    "user_id": "SELECT recsys.user_id('1')",
    "user_status": "SELECT * FROM recsys.user_status(1)",
    "user_taste": "SELECT * FROM recsys.user_taste(1)",
    "verify_lists": "SELECT * FROM recsys.verify_lists(NULL, 100)",
}
"""An example call of each function."""
HEADER = """\
# Data dictionary

Schema `recsys`: what analysts and applications read, kept stable. This page is made from the
comments in the database by `recsys db dictionary`; in psql, `\\dv+ recsys.*`, `\\d+ recsys.movies`
and `\\df+ recsys.*` show the same.

Each error has its own SQLSTATE:

| SQLSTATE | meaning | standard class |
|---|---|---|
| `22004` | an argument is NULL and must not be | null value not allowed |
| `22023` | an invalid argument: `n` out of bounds, years in the wrong order, malformed `ratings` \
| invalid parameter value |
| `22003` | a rating outside the scale | numeric value out of range |
| `P0002` | no such movie | no data found |
| `55000` | nothing is published | object not in prerequisite state |
| `RS001` | no such run | own class `RS` |
| `RS002` | the run has no such model or chart, or none for the purpose | own class `RS` |
| `RS003` | no such genre | own class `RS` |
| `RS004` | the run has no results: pruned, not complete or an evaluation | own class `RS` |

An unknown user is no error: the chart serves them. `recsys.user_status` tells who is known.

A function that takes the id of a user or movie also takes the key, as text. A whole number that is
no key is then taken as the id, except by `rate`, `block` and `set_available`. Of two arguments,
both are ids or both are keys: `recsys.explain(17, 42)`, `recsys.explain('alice', 'B00X')`.

Arguments are bounded, so that no call costs more than the data warrants: `n` is at most 10,000,
`genres` at most 100 names, `ratings` at most 10,000 movies, and a search reads the first 200
characters. Beyond a bound the error is `22023`.
"""


def markdown(connection: sa.Connection) -> str:
    """Return the dictionary as a page of Markdown."""
    views = connection.execute(sa.text(VIEWS), {"schema": CONTRACT}).all()
    functions = connection.execute(sa.text(FUNCTIONS), {"schema": CONTRACT}).all()
    names = list(dict.fromkeys(row[0] for row in views))
    calls = list(dict.fromkeys(row[0] for row in functions))
    parts = [
        HEADER,
        "Views: " + " · ".join(f"[`{name}`](#{name})" for name in names) + "\n",
        # Of two headings with one name, Markdown renderers append -1 to the anchor of the second.
        "Functions: " + " · ".join(f"[`{name}`](#{name}-1)" if name in names
                                    else f"[`{name}`](#{name})" for name in calls) + "\n",
        "## Views\n",
    ]  # fmt: skip
    for name, rows in groupby(views, key=lambda row: str(row[0])):
        parts.append("\n".join(_view(name, list(rows))))
    parts.append("## Functions\n")
    for name, rows in groupby(functions, key=lambda row: str(row[0])):
        parts.append("\n".join(_function(name, list(rows))))
    return "\n".join(parts)


def _view(name: str, rows: Sequence[Any]) -> Iterator[str]:
    yield f"### {name}\n\n{rows[0][1]}.\n"
    yield "| column | type | meaning |\n|---|---|---|"
    for _, _, column, kind, comment in rows:
        yield f"| `{column}` | {kind} | {_cell(comment)} |"
    yield ""


def _function(name: str, overloads: Sequence[Any]) -> Iterator[str]:
    yield f"### {name}\n"
    for _, comment, _, _ in overloads:
        yield f"{comment}.\n"
    yield "```sql"
    for _, _, arguments, result in overloads:
        yield f"recsys.{name}({arguments})\n    -> {result}\n"
    yield f"{EXAMPLES[name]};\n```\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
