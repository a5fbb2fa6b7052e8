"""Record the answers of the SQL contract, or compare two such records.

    python tests/benchmarks/contract_answers.py dump URL before.json
    python tests/benchmarks/contract_answers.py dump URL after.json --like before.json
    python tests/benchmarks/contract_answers.py compare before.json after.json

A record holds every view of the schema `recsys` (rows counted and hashed, and the first of them
as they are) and some 200 calls of its functions. Columns that name a time, a duration or the code
that ran are left out: two refreshes of the same data never agree on them. With `--like` only the
columns of an earlier record are asked for, so that a column that was added is no difference.
The names that changed on purpose are listed below and count as equal. Exits with 1 when something
else differs.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path
from typing import Any

import psycopg

SEED, PEOPLE, MOVIES, SHOWN = 42, 24, 24, 50
DIFFERS_EACH_TIME = {
    "run_id", "base_run_id", "parameters", "versions", "output_checksum", "peak_memory_mb",
    "seconds", "publication_id", "ingest_id", "age", "run_age", "explanation", "source",
    "last_attempt_run_id", "last_error", "max_age", "published_by",
}  # fmt: skip
RENAMED_SOURCES = {"popular": "chart"}
"""Values of `source` that have another name now."""
NEW_SQLSTATES = {
    "there is no run": "RS001",
    "has no model": "RS002",
    "has no chart": "RS002",
    "has compared no users": "RS002",
    "there is no genre": "RS003",
    "has no results": "RS004",
}
"""Errors that have a SQLSTATE of their own now, by words of their messages."""
SKIPPED_VIEWS = {"run_stages", "runs", "run_metrics", "publications", "ingests"}
"""Views of times and durations, which differ between runs."""
COLUMNS = """
SELECT c.table_name, c.column_name, c.data_type
FROM information_schema.columns AS c
WHERE c.table_schema = 'recsys'
ORDER BY c.table_name, c.ordinal_position
"""


def views(connection: psycopg.Connection[Any]) -> dict[str, list[str]]:
    """Return the columns of each view that two refreshes of one data set agree on."""
    found: dict[str, list[str]] = {}
    for view, column, kind in connection.execute(COLUMNS):
        timed = kind.startswith("timestamp") or kind == "interval"
        agreed = column not in DIFFERS_EACH_TIME and (not timed or column == "rated_at")
        if view not in SKIPPED_VIEWS and agreed:
            found.setdefault(view, []).append(column)
    return found


def record_view(connection: psycopg.Connection[Any], view: str, columns: list[str]) -> Any:
    listed = ", ".join(f'v."{column}"' for column in columns)
    row = f"CAST(row({listed}) AS text)"
    [count, total] = connection.execute(
        f"SELECT count(*), sum(CAST(hashtextextended({row}, 0) AS numeric)) FROM recsys.{view} AS v"
    ).fetchone() or (0, None)
    some = connection.execute(
        f"SELECT {row} FROM recsys.{view} AS v ORDER BY hashtext({row}), 1 LIMIT {SHOWN}"
    )
    return {"columns": columns, "rows": count, "hash": str(total), "some": [r[0] for r in some]}


def calls(connection: psycopg.Connection[Any]) -> list[str]:
    """Return calls over people, movies and models drawn with a fixed seed."""
    chance = random.Random(SEED)
    users = [r[0] for r in connection.execute("SELECT DISTINCT user_id FROM recsys.ratings")]
    movies = [r[0] for r in connection.execute("SELECT movie_id FROM recsys.movies")]
    models = [r[0] for r in connection.execute("SELECT model FROM recsys.models ORDER BY 1")]
    people = [0, *chance.sample(sorted(users), min(PEOPLE, len(users)))]
    films = chance.sample(sorted(movies), min(MOVIES, len(movies)))
    some = (
        "'{"
        + ", ".join(f'"{movie}": {3 + place % 3}' for place, movie in enumerate(films[:9]))
        + "}'"
    )
    asked = [f"recommend({user}, 12)" for user in people]
    asked += [f"recommend({people[1]}, 300)", f"recommend({people[1]}, 0)", "recommend(NULL)"]
    asked += [f"recommend({people[2]}, 10, genres => ARRAY['Drama', 'crime'], year_from => 1990)"]
    asked += [f"recommend({people[2]}, 10, year_from => 2000, year_to => 1990)"]
    asked += [f"recommend({user}, 10, '{model}')" for model in models for user in people[:4]]
    asked += [f"recommend_for({some}, 15, '{model}')" for model in models]
    asked += [f"recommend_for({some}, 15)", "recommend_for('{}', 5)", "recommend_for('[1]')"]
    asked += [f"similar({movie}, 8)" for movie in films]
    asked += [f"similar({films[0]}, 8, '{model}')" for model in models]
    asked += [f"similar_users({user})" for user in people[:3]]
    asked += [f"explain({user}, {movie})" for user, movie in zip(people, films, strict=False)]
    asked += [f"explain({people[3]}, {films[3]}, '{model}')" for model in models]
    asked += [f"user_status({user})" for user in people[:8]]
    asked += ["search_movies('matrix')", "search_movies('godfahter')", "search_movies('star 1977')"]
    asked += ["top_movies()", "top_movies(5, 'comedy')", "top_movies(5, NULL, 'popular')"]
    asked += ["top_movies(5, 'nonsense')", "recommend(1, 5, 'nonsense')", "similar(-1)"]
    asked += ["rating_scale()", "recommendations_as_of(1, now(), 5)", "verify_lists(NULL, 20)"]
    asked += [
        f"predict_rating({user}, {movie})" for user, movie in zip(people, films, strict=False)
    ]
    return asked


def record_call(connection: psycopg.Connection[Any], call: str, like: Any) -> Any:
    try:
        with connection.transaction():
            cursor = connection.execute(f"SELECT * FROM recsys.{call}")  # calls are our own
            names = [column.name for column in cursor.description or ()]
            wanted = like["columns"] if like and "columns" in like else names
            kept = [name for name in wanted if name not in DIFFERS_EACH_TIME - {"source"}]
            rows = [{name: row[names.index(name)] for name in kept} for row in cursor]
            return {"columns": kept, "rows": json.loads(json.dumps(rows, default=str))}
    except psycopg.Error as error:
        return {"sqlstate": error.sqlstate, "message": error.diag.message_primary}


def dump(url: str, path: Path, like: Path | None) -> None:
    before = json.loads(like.read_text()) if like else {"views": {}, "calls": {}}
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET TimeZone = 'UTC'; SET jit = off")
        columns = {view: found["columns"] for view, found in before["views"].items()}
        record = {
            "views": {
                view: record_view(connection, view, columns.get(view, found))
                for view, found in views(connection).items()
            },
            "calls": {
                call: record_call(connection, call, before["calls"].get(call))
                for call in before["calls"] or calls(connection)
            },
        }
    path.write_text(json.dumps(record, indent=1, default=str))
    print(f"{len(record['views'])} views, {len(record['calls'])} calls")  # noqa: T201


def renamed(answer: Any) -> Any:
    """Return an answer of the earlier contract as the present one gives it."""
    if "sqlstate" in answer:
        found = (code for words, code in NEW_SQLSTATES.items() if words in answer["message"])
        return answer | {"sqlstate": next(found, answer["sqlstate"])}
    if "source" not in answer["columns"] or "hash" in answer:
        return answer
    rows = [
        row | {"source": RENAMED_SOURCES.get(row["source"], row["source"])}
        for row in answer["rows"]
    ]
    return answer | {"rows": rows}


def compare(before: Path, after: Path) -> int:
    one, other = (json.loads(path.read_text()) for path in (before, after))
    wrong = 0
    for kind in ("views", "calls"):
        for name, answer in one[kind].items():
            if other[kind].get(name) != renamed(answer):
                wrong += 1
                print(f"{kind[:-1]} {name} differs")  # noqa: T201
                print(f"  before: {json.dumps(answer)[:400]}")  # noqa: T201
                print(f"  after:  {json.dumps(other[kind].get(name))[:400]}")  # noqa: T201
    print(f"{wrong} of {len(one['views']) + len(one['calls'])} answers differ")  # noqa: T201
    return 1 if wrong else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    commands = parser.add_subparsers(dest="command", required=True)
    dumping = commands.add_parser("dump")
    dumping.add_argument("url")
    dumping.add_argument("path", type=Path)
    dumping.add_argument("--like", type=Path)
    comparing = commands.add_parser("compare")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    given = parser.parse_args()
    if given.command == "compare":
        return compare(given.before, given.after)
    dump(given.url, given.path, given.like)
    return 0


if __name__ == "__main__":
    sys.exit(main())
