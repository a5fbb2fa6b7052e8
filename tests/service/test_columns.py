"""Rows become results by position: the selected columns are the fields of the result type."""

from dataclasses import fields, is_dataclass

import pytest

from recsys import Recommender
from recsys.service.queries.query import Rows

CALLS = {
    "recommend": (1,),
    "recommend_for": ({1: 4.5},),
    "similar": (1,),
    "similar_by_model": (1,),
    "similar_users": (1,),
    "top_movies": (),
    "charts": (3,),
    "search": ("film",),
    "movie": (1,),
    "movie_cards": ([2, 1],),
    "ratings": (1,),
    "rating_scale": (),
    "rating_histogram": (1,),
    "user_taste": (1,),
    "example_users": (2,),
    "explain": (1, 3),
    "reasons": (1, [3]),
    "user_status": (1,),
    "freshness": (),
    "verify_lists": (1, 5),
    "published": (),
    "models": (),
    "publications": (),
    "figures": (),
    "measured": (),
    "runs": (),
    "compare_runs": (1, 1),
}


@pytest.fixture
def call(everything_database, monkeypatch):
    """Call a method; return its result and the query that it ran first."""
    queries = []

    def record(self, query):
        queries.append(query)
        return run(self, query)

    run = Recommender._run
    monkeypatch.setattr(Recommender, "_run", record)
    service = Recommender(everything_database)

    def call(name, arguments):
        return getattr(service, name)(*arguments), queries[0]

    return call


@pytest.mark.parametrize("name", CALLS)
def test_selected_columns_are_the_fields(call, everything_database, name):
    result, query = call(name, CALLS[name])
    kind = result.kind if isinstance(result, Rows) else type(result)
    assert is_dataclass(kind)
    [statement] = query.statements
    with everything_database.snapshot() as connection:
        cursor = connection.connection.cursor()
        cursor.execute(statement.query, query.params)
        columns = [column.name for column in cursor.description]
    assert columns == [field.name for field in fields(kind)]
