"""The page /docs: every operation, from the OpenAPI document, without a script of its own."""

import re
from html import unescape

import pytest

from recsys.web.pages.docs import Value, read_operations


@pytest.fixture(scope="module")
def document(http):
    return http.get("/openapi.json").json()


def test_every_operation_is_described(http, document):
    text = unescape(http.get("/docs").text)
    operations = list(read_operations(document))
    assert len(operations) == sum(map(len, document["paths"].values()))
    for each in operations:
        section = text.partition(f'<section class="operation" id="{each.name}"')[2]
        section = section.partition("</section>")[0]
        assert f"<code>{each.method} {each.path}</code>" in section
        assert each.summary in section
        assert ("needs the token" in section) is (each.method in ("PUT", "DELETE"))
        names = re.findall(r'<th scope="row"><code>(\w+)</code></th>', section)
        assert names == [value.name for value in each.values]
        assert re.findall(r"<dt>(\d+)</dt>", section) == [each.status for each in each.answers]


def test_a_parameter_is_described_in_words(document):
    operations = {(each.method, each.path): each for each in read_operations(document)}
    values = operations["GET", "/users/{user_id}/recommendations"].values
    assert values[:2] == [
        Value(
            "user_id",
            "path",
            "text, at most 512 characters",
            True,
            None,
            "Key of the user, percent-encoded; a number that is no key is an id.",
        ),
        Value("n", "query", "integer, 0 to 1000", False, "10", "Maximum number of rows."),
    ]
    assert [value.kind for value in values[2:5]] == [
        "text, at most 100 characters or null",
        "list of text, at most 100 characters or null",
        "integer, 0 to 9999 or null",
    ]
    [ratings, *_] = operations["POST", "/recommendations"].values
    assert ratings == Value(
        "ratings",
        "body",
        "object of number",
        True,
        None,
        "Ratings by key of the movie; a number that is no key is an id.",
    )
    fields = operations["GET", "/movies"].answers[0].fields
    assert [(each.name, each.kind) for each in fields] == [
        ("movie_id", "integer"), ("title", "text"), ("year", "integer or null"),
        ("movie_key", "text"),
    ]  # fmt: skip


def test_its_examples_can_be_followed(http, document):
    links = {each.path: each.link for each in read_operations(document) if each.link}
    assert len(links) == len([each for each in document["paths"].values() if "get" in each])
    # Movie 1 is rated by user 1, and explained all the same.
    assert {path: http.get(link).status_code for path, link in links.items()} == dict.fromkeys(
        links, 200
    )


def test_it_runs_no_script_of_its_own(http):
    page = http.get("/docs")
    assert "style=" not in page.text
    assert set(re.findall(r"<script[^>]*?src=\"([^?\"]+)", page.text)) == set(
        re.findall(r"<script[^>]*?src=\"([^?\"]+)", http.get("/search").text)
    )
    assert page.headers["content-security-policy"].startswith(
        "default-src 'none'; script-src 'self'"
    )
