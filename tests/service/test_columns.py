"""Rows are taken by their order: what is selected are the fields of what it becomes."""

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
    "explain": (1, 3),
    "reasons": (1, [3]),
    "user_status": (1,),
    "freshness": (),
    "verify_lists": (1, 5),
    "published": (),
    "models": (),
    "publications": (),
    "figures": (),
    "runs": (),
    "compare_runs": (1, 1),
}


@pytest.fixture
def asked(everything_database, monkeypatch):
    """Answer a question, and tell its query and values as well."""
    questions = []

    def remember(self, question):
        questions.append(question)
        return ask(self, question)

    ask = Recommender._ask
    monkeypatch.setattr(Recommender, "_ask", remember)
    service = Recommender(everything_database)

    def answer(name, arguments):
        return getattr(service, name)(*arguments), questions[0]

    return answer


@pytest.mark.parametrize("name", CALLS)
def test_the_columns_are_the_fields(asked, everything_database, name):
    answer, question = asked(name, CALLS[name])
    kind = answer.kind if isinstance(answer, Rows) else type(answer)
    assert is_dataclass(kind)
    [statement] = question.statements
    with everything_database.snapshot() as connection:
        cursor = connection.connection.cursor()
        cursor.execute(statement.query, question.values)
        columns = [column.name for column in cursor.description]
    assert columns == [field.name for field in fields(kind)]
