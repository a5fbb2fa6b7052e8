"""A short form of tests/torture/fuzz_http.py."""

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "torture" / "fuzz_http.py"


@pytest.fixture
def fuzzer(monkeypatch):
    spec = importlib.util.spec_from_file_location("fuzz_http", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up.
    monkeypatch.setitem(sys.modules, "fuzz_http", module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_random_requests_do_no_harm(fuzzer, refreshed_database):
    found = fuzzer.fuzz(refreshed_database, seed=5, seconds=1.5)
    assert found.violations == []
    assert found.requests > 20
    assert {200, 400, 422} <= set(found.statuses)


@pytest.mark.parametrize(
    ("response", "violation"),
    [
        (b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n", "status 500"),
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 1\r\n\r\nx", "an error of the type ''"),
        (
            b"HTTP/1.1 404 Not Found\r\ncontent-type: application/problem+json\r\n"
            b"content-length: 14\r\n\r\nrecsys_store.x",
            "internals in a response",
        ),
    ],
)
def test_violations_are_noticed(fuzzer, response, violation):
    fine = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
    assert list(fuzzer.check(fine * 2, one=False, heads=False)) == [200, 200]
    with pytest.raises(fuzzer.Violation) as raised:
        list(fuzzer.check(fine + response, one=False, heads=False))
    assert str(raised.value) == violation
