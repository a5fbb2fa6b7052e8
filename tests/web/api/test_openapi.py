"""The OpenAPI document: complete, with valid examples, and matched by the responses."""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema_rs
import pytest

from recsys.web.app import create_app

TOKEN = "only-of-the-tests"
ROUTES = {
    ("get", "/movies"),
    ("get", "/movies/{movie_id}"),
    ("get", "/movies/{movie_id}/similar"),
    ("get", "/charts/{chart}"),
    ("get", "/users/{user_id}"),
    ("get", "/users/{user_id}/recommendations"),
    ("get", "/users/{user_id}/recommendations/{movie_id}/explanation"),
    ("post", "/recommendations"),
    ("put", "/users/{user_id}/ratings/{movie_id}"),
    ("put", "/users/{user_id}/blocks/{movie_id}"),
    ("delete", "/users/{user_id}/blocks/{movie_id}"),
    ("get", "/runs"),
    ("get", "/runs/{run_id}"),
    ("get", "/health/live"),
    ("get", "/health/ready"),
    ("get", "/metrics"),
}


@pytest.fixture(scope="module")
def document():
    return json.loads(json.dumps(create_app().openapi()))


@pytest.fixture
def operations(document):
    return {
        (method, path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_every_route_is_documented(operations):
    assert set(operations) == ROUTES
    for operation in operations.values():
        assert operation["summary"]
        assert operation["description"]


def test_every_failure_is_a_problem(operations):
    for operation in operations.values():
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                assert list(response["content"]) == ["application/problem+json"]
                schema = response["content"]["application/problem+json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/Problem"}


def test_only_writing_needs_a_token(operations):
    guarded = {route for route, operation in operations.items() if "security" in operation}
    assert guarded == {route for route in ROUTES if route[0] in ("put", "delete")}
    for route in guarded:
        assert {"401", "403"} <= set(operations[route]["responses"])


def test_parameters_have_their_bounds(operations):
    [of_path, of_query, *_] = operations["get", "/users/{user_id}/recommendations"]["parameters"]
    assert of_path["schema"] == {
        "type": "string",
        "maxLength": 512,
        "pattern": r"^[^\x00-\x1f\x7f-\x9f]+$",
        "description": of_path["description"],
        "examples": ["1"],
        "title": "User Id",
    }
    assert "percent-encoded" in of_path["description"]
    assert (of_query["schema"]["minimum"], of_query["schema"]["maximum"]) == (0, 1000)


def test_examples_match_their_schema(document, operations):
    seen = 0
    for operation in operations.values():
        content = operation["responses"].get("200", {}).get("content", {}).get("application/json")
        if content and "example" in content:
            schema = {**content["schema"], "components": document["components"]}
            jsonschema_rs.validate(schema, content["example"])
            seen += 1
    # /metrics is not JSON, and the record of a run is too long for an example.
    assert seen == len([route for route in ROUTES if route[0] in ("get", "post")]) - 2


# --- requests generated from the document ---------------------------------------------------------


@pytest.mark.slow
def test_generated_requests_get_documented_responses(writable, tmp_path):
    """Valid and invalid requests get no server error and no undocumented response."""
    command = [Path(sys.executable).with_name("schemathesis"), "run"]
    command += [f"{writable.base_url}/openapi.json", "--header", f"Authorization: Bearer {TOKEN}"]
    command += ["--phases", "examples,coverage,fuzzing", "--max-examples", "5"]
    command += ["--generation-deterministic", "--no-color"]
    # Whether a valid model name is accepted depends on the published models.
    command += ["--exclude-checks", "positive_data_acceptance"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr
    assert f"Tested: {len(ROUTES)}" in done.stdout
    assert writable.get("/health/live").status_code == 200
