"""Every error is a problem with status, field and hint, and without internals."""

import json
import re
from http import HTTPStatus

import httpx
import pytest
import sqlalchemy as sa
from psycopg import sql
from store import change

from recsys.storage.server import pool
from recsys.storage.server.engine import Database
from recsys.web.middleware.security import MAX_BODY, SECURITY_HEADERS

CHARTS = "It has: most_rated, popular, top_rated, trending."
GENRES = "There are: Action, Comedy, Drama, Film-Noir, Sci-Fi."
FIND = "GET /movies?query=TITLE finds movies by title"
JSON = "application/json"
FIRST_STEPS = "load ratings, and publish a refresh of them"
TOO_GREAT = "Input should be less than or equal to {}"
TOO_SMALL = "Input should be greater than or equal to 0"


def problem_of(response):
    """Check the form of a problem and return it."""
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    problem = response.json()
    assert list(problem) == ["title", "status", "detail", "hint", "errors"]
    assert problem["status"] == response.status_code
    assert problem["title"] == HTTPStatus(response.status_code).phrase
    return problem


UNKNOWN = [
    ("/movies/4711", "there is no movie 4711", FIND),
    ("/movies/4711/similar", "there is no movie 4711", FIND),
    ("/users/1/recommendations/4711/explanation", "there is no movie 4711", FIND),
    (
        "/users/4711/recommendations/1/explanation",
        "there is no user 4711",
        "the first rating adds a user",
    ),
    ("/charts/best", "run 1 has no chart 'best'", CHARTS),
    ("/charts/best?genre=Drama", "run 1 has no chart 'best'", CHARTS),
    ("/charts/best?genre=Western", "run 1 has no chart 'best'", CHARTS),
    ("/charts/als", "run 1 has no chart 'als'", CHARTS),
    ("/runs/4711", "there is no run 4711", "GET /runs lists the runs"),
    ("/nothing", "there is nothing at /nothing", "/openapi.json lists the routes"),
    ("/movies/", "there is nothing at /movies/", "/openapi.json lists the routes"),
]


@pytest.mark.parametrize(("path", "detail", "hint"), UNKNOWN, ids=[case[0] for case in UNKNOWN])
def test_unknown_paths_and_ids_return_404(http, path, detail, hint):
    problem = problem_of(http.get(path))
    assert (problem["status"], problem["detail"], problem["hint"]) == (404, detail, hint)


REFUSED = [
    ("/charts/popular?genre=Western", "there is no genre 'Western'", GENRES),
    ("/users/1/recommendations?genres=Drama&genres=no", "there is no genre 'no'", GENRES),
    (
        "/users/1/recommendations?model=no",
        "run 1 has no model 'no'",
        "It has: als, content_genres, ease, item_knn, mf, most_rated, popular, top_rated, "
        "trending.",
    ),
    (
        "/movies/1/similar?model=popular",
        "no similar movies of a model 'popular' are published",
        "models: als, content_genres, ease, item_knn, mf",
    ),
    ("/users/1/recommendations?year_from=2&year_to=1", "year_from 2 is after year_to 1", None),
]


@pytest.mark.parametrize(("path", "detail", "hint"), REFUSED, ids=[case[0] for case in REFUSED])
def test_invalid_arguments_return_422(http, path, detail, hint):
    problem = problem_of(http.get(path))
    assert (problem["status"], problem["detail"], problem["hint"]) == (422, detail, hint)


NO_INTEGER = "Input should be a valid integer, unable to parse string as an integer"
NO_KEY = r"String should match pattern '^[^\x00-\x1f\x7f-\x9f]+$'"
OUT_OF_BOUNDS = [
    ("/users/1/recommendations?n=-1", "n", TOO_SMALL),
    ("/users/1/recommendations?n=1001", "n", TOO_GREAT.format(1000)),
    ("/users/1/recommendations?year_to=10000", "year_to", TOO_GREAT.format(9999)),
    ("/users/%00/recommendations", "user_id", NO_KEY),
    ("/users/a%0Ab", "user_id", NO_KEY),
    (f"/movies/{'x' * 513}", "movie_id", "String should have at most 512 characters"),
    ("/movies/%7F", "movie_id", NO_KEY),
    ("/runs/99999999999999999999999", "run_id", TOO_GREAT.format(2147483647)),
    ("/runs/one", "run_id", NO_INTEGER),
    ("/runs/1_0", "run_id", NO_INTEGER),
    ("/runs/+1", "run_id", NO_INTEGER),
    ("/runs/%201", "run_id", NO_INTEGER),
    ("/runs/01", "run_id", NO_INTEGER),
    ("/runs/1.0", "run_id", NO_INTEGER),
    ("/runs/%D9%A1", "run_id", NO_INTEGER),  # a one in Arabic
    ("/users/1/recommendations?n=%2B5", "n", NO_INTEGER),
    ("/users/1/recommendations?n=+5+", "n", NO_INTEGER),
    ("/users/1/recommendations?n=1_0", "n", NO_INTEGER),
    ("/users/1/recommendations?n=5.0", "n", NO_INTEGER),
    ("/users/1/recommendations?n=", "n", NO_INTEGER),
    ("/users/1/recommendations?year_from=1_990", "year_from", NO_INTEGER),
    ("/users/1/recommendations?n=1&n=2", "n", "the parameter occurs more than once"),
    ("/users/1/recommendations?genre=Drama", "genre", "there is no such parameter"),
    ("/users/1?n=1", "n", "there is no such parameter"),
    ("/users/1/recommendations?model=%ff", "query", "the text is not UTF-8"),
    (f"/users/1/recommendations?{'genres=Drama&' * 201}", "query", "there are more than 200 {}"),
    ("/movies", "query", "Field required"),
    (f"/movies?query={'x' * 501}", "query", "String should have at most 500 characters"),
    ("/movies?query=%00", "query", r"String should match pattern '^[^\x00]*$'"),
    ("/movies/1/similar?model=%00", "model", r"String should match pattern '^[^\x00]*$'"),
]


@pytest.mark.parametrize(("path", "field", "message"), OUT_OF_BOUNDS)
def test_values_out_of_bounds_name_the_field(http, path, field, message):
    problem = problem_of(http.get(path))
    assert problem["status"] == 422
    message = message.format("parameters")
    assert problem["errors"] == [{"field": field, "message": message}]
    assert problem["detail"] == f"{field}: {message}"


FINITE = "Input should be a finite number"
NO_TEXT = "Input should be a valid string, unable to parse raw data as a unicode string"
INVALID_JSON = "invalid JSON at character 0: "
BODIES = [
    ("", "body", "Field required"),
    ("[[[", "body", "invalid JSON at character 3: Expecting value"),
    ('{"ratings": {}, "ratings": {}}', "body", INVALID_JSON + "the key 'ratings' occurs {}"),
    ('{"ratings": {"1": 4, "1": 5}}', "body", INVALID_JSON + "the key '1' occurs {}"),
    (b'{"ratings": {}, "model": "\xff"}', "body", "invalid JSON at character 26: not UTF-8"),
    ('{"ratings": {"\\ud800": 1}}', "ratings.\ufffd\ufffd\ufffd.[key]", NO_TEXT),
    ('{"ratings": {"": 4}}', "ratings..[key]", NO_KEY),
    ('{"ratings": {"\\u0000": 4}}', "ratings.\0.[key]", NO_KEY),
    ('{"ratings": {}, "n": "5"}', "n", "Input should be a valid integer"),
    ('{"ratings": {}, "n": 5.0}', "n", "Input should be a valid integer"),
    ('{"ratings": {}, "n": true}', "n", "Input should be a valid integer"),
    ('{"ratings": {}, "n": NaN}', "n", "Input should be a valid integer"),
    ('{"ratings": {}, "year_from": "1990"}', "year_from", "Input should be a valid integer"),
    ("{}", "ratings", "Field required"),
    ('{"ratings": {"1": NaN}}', "ratings.1", FINITE),
    ('{"ratings": {"1": Infinity}}', "ratings.1", FINITE),
    ('{"ratings": {"1": 1e999}}', "ratings.1", FINITE),
    ('{"ratings": {"1": "5"}}', "ratings.1", "Input should be a valid number"),
    ('{"ratings": {"1": true}}', "ratings.1", "Input should be a valid number"),
    ('{"ratings": {}, "n": 1001}', "n", TOO_GREAT.format(1000)),
    ('{"ratings": {}, "user": 1}', "user", "Extra inputs are not permitted"),
    (
        json.dumps({"ratings": dict.fromkeys(range(10_001), 1)}),
        "ratings",
        "Dictionary should have at most 10000 items after validation, not more",
    ),
]


@pytest.mark.parametrize(("body", "field", "message"), BODIES, ids=range(len(BODIES)))
def test_invalid_bodies_name_the_field(http, body, field, message):
    response = http.post("/recommendations", content=body, headers={"Content-Type": JSON})
    problem = problem_of(response)
    assert problem["status"] == 422
    message = message.format("more than once")
    assert problem["errors"] == [{"field": field, "message": message}]


@pytest.mark.parametrize(
    ("ratings", "status", "detail"),
    [
        ({"4711": 4}, 404, "there is no movie 4711"),
        ({"1": 9}, 422, "rating 9.0 of movie 1 is outside the scale"),
    ],
)
def test_invalid_ratings(http, ratings, status, detail):
    problem = problem_of(http.post("/recommendations", json={"ratings": ratings}))
    assert (problem["status"], problem["detail"]) == (status, detail)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large(http, chunked):
    text = b'{"ratings": {"1": 4}}' + b" " * MAX_BODY
    content = iter([text[:1000], text[1000:]]) if chunked else text
    response = http.post("/recommendations", content=content, headers={"Content-Type": JSON})
    problem = problem_of(response)
    assert (problem["status"], problem["detail"]) == (413, "the body is larger than 512 KiB")
    assert http.post("/recommendations", json={"ratings": {}}).status_code == 200


def test_a_deeply_nested_body_returns_400(http):
    response = http.post("/recommendations", content="[" * 200_000, headers={"Content-Type": JSON})
    assert problem_of(response)["status"] == 400


METHODS = {
    "/movies/1": "GET, HEAD, OPTIONS",
    "/recommendations": "OPTIONS, POST",
    "/users/1/blocks/1": "DELETE, OPTIONS, PUT",
    "/openapi.json": "GET, HEAD, OPTIONS",
    "/person/1": "GET, HEAD, OPTIONS",
}


@pytest.mark.parametrize(("path", "methods"), METHODS.items())
def test_unsupported_methods_return_405(http, path, methods):
    response = http.patch(path)
    assert problem_of(response)["detail"] == "Method Not Allowed"
    assert (response.status_code, response.headers["allow"]) == (405, methods)
    options = http.options(path, headers={"Accept": "text/html"})
    assert (options.status_code, options.headers["allow"], options.content) == (204, methods, b"")
    assert http.options("/nothing").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        *("/users/1/recommendations", "/movies/1", "/", "/person/1", "/health/live", "/metrics"),
        *("/movies/4711", "/movies/x", "/nothing", "/static/site.css", "/openapi.json"),
    ],
)
def test_head_is_get_without_a_body(http, path):
    get, head = http.get(path), http.head(path)
    assert (head.status_code, head.content) == (get.status_code, b"")
    varying = ("date", "content-length") if path == "/metrics" else ("date",)
    assert [each for each in head.headers.items() if each[0] not in varying] == [
        each for each in get.headers.items() if each[0] not in varying
    ]
    assert int(head.headers["content-length"]) > 0


def test_an_encoded_slash_separates_nothing(http):
    for path in ("/users/1%2Frecommendations", "/users%2f1"):
        problem = problem_of(http.get(path))
        assert (problem["status"], problem["detail"][:20]) == (404, "there is nothing at ")


# --- errors of the server ---------------------------------------------------------------


def test_the_database_is_down(serving, server_url, caplog):
    url = sa.make_url(server_url).set(database="recsys_test_nonexistent")
    with serving(Database(url.render_as_string(hide_password=False))) as http:
        for path in ("/users/1/recommendations", "/movies/1", "/charts/popular", "/health/ready"):
            response = http.get(path)
            problem = problem_of(response)
            assert (problem["status"], response.headers["retry-after"]) == (503, "5")
            assert problem["detail"] == "the database cannot be reached"
            assert "recsys_test_nonexistent" not in response.text
        assert http.get("/health/live").json() == {"status": "alive"}
    assert "recsys_test_nonexistent" in caplog.text


@pytest.mark.parametrize(
    "path", ["/users/1/recommendations", "/movies/1/similar", "/charts/popular"]
)
def test_nothing_is_published(serving, filled_database, path):
    with serving(filled_database) as http:
        response = http.get(path)
        assert http.get("/movies/17").json()["title"] == "The Film 17"
    problem = problem_of(response)
    assert (problem["status"], response.headers["retry-after"]) == (503, "5")
    assert (problem["detail"], problem["hint"]) == (
        "nothing is published yet",
        "try again after the first refresh",
    )


def test_an_empty_database(serving, empty_database):
    with serving(empty_database) as http:
        responses = [http.get(path) for path in ("/users/1", "/movies/1", "/runs", "/health/ready")]
    for response in responses:
        problem = problem_of(response)
        assert (problem["status"], problem["detail"]) == (503, "the database is empty")
        assert problem["hint"] == "try again after the first refresh"


def test_a_server_whose_role_may_only_read(serving, given_database, as_role):
    with serving(as_role(given_database, "recsys_reader")) as http:
        assert len(http.get("/users/1/recommendations").json()) == 10
        response = http.put(
            "/users/1/ratings/1",
            json={"rating": 4},
            headers={"Authorization": "Bearer only-of-the-tests"},
        )
    assert problem_of(response)["detail"] == "the server lacks this privilege in its database"
    assert response.status_code == 403


def test_an_unexpected_exception_returns_500(serving, edition_database, monkeypatch, caplog):
    from recsys import AsyncRecommender

    async def fail(self, movie_id):
        raise ZeroDivisionError("SELECT secret")

    monkeypatch.setattr(AsyncRecommender, "movie", fail)
    with serving(edition_database) as http:
        response = http.get("/movies/1")
        assert http.get("/movies/1/similar").status_code == 200
    problem = problem_of(response)
    assert (problem["status"], problem["detail"]) == (500, "internal error")
    assert "secret" not in response.text
    assert "ZeroDivisionError: SELECT secret" in caplog.text
    assert has_security_headers(response)


# --- headers --------------------------------------------------------------------------------------


def has_security_headers(response: httpx.Response) -> bool:
    return all(response.headers[name] == value for name, value in SECURITY_HEADERS.items())


@pytest.mark.parametrize(
    "path", ["/movies/1", "/movies/4711", "/movies/x", "/nothing", "/health", "/openapi.json"]
)
def test_every_response_has_security_headers(http, path):
    response = http.get(path)
    assert has_security_headers(response)
    assert "server" not in response.headers or not re.search(r"\d", response.headers["server"])


def test_the_security_headers():
    policy = dict(
        part.strip().split(" ", 1)
        for part in SECURITY_HEADERS["Content-Security-Policy"].split(";")
    )
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' https://image.tmdb.org",
        "connect-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    assert SECURITY_HEADERS["X-Content-Type-Options"] == "nosniff"
    assert SECURITY_HEADERS["X-Frame-Options"] == "DENY"


def test_a_database_that_is_read_only_for_a_time(serving, given_database):
    """As a standby is."""
    name = given_database.parameters["dbname"]
    change(given_database, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    with serving(given_database) as http:
        assert len(http.get("/users/1/recommendations").json()) == 10
        response = http.put(
            "/users/1/ratings/1",
            json={"rating": 4},
            headers={"Authorization": "Bearer only-of-the-tests"},
        )
    problem = problem_of(response)
    assert (problem["status"], response.headers["retry-after"]) == (503, "5")
    assert (problem["detail"], problem["hint"]) == (
        "the database is read-only at present",
        "try again later; reads work",
    )


def test_a_role_without_a_free_connection(
    serving, given_database, as_role, monkeypatch, run_on_server
):
    monkeypatch.setattr(pool, "WAIT_S", 0.3)
    limit = sql.SQL("ALTER ROLE recsys_app CONNECTION LIMIT {}")
    with serving(as_role(given_database, "recsys_app")) as http:
        run_on_server(limit.format(0))
        try:
            response = http.get("/users/1")
        finally:
            run_on_server(limit.format(-1))
        problem = problem_of(response)
        assert (problem["status"], response.headers["retry-after"]) == (503, "5")
        assert (problem["detail"], problem["hint"]) == (
            "the database accepts no more connections",
            "try again in a moment",
        )
        assert http.get("/users/1").status_code == 200
