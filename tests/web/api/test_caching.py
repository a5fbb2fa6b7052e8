"""Cache headers: responses that depend on the run alone have an ETag, others are not cached."""

import pytest

from recsys.config.settings import RefreshSettings
from recsys.jobs.plan import plan
from recsys.jobs.publish import rollback
from recsys.jobs.refresh import refresh

WITH_ETAG = ["/movies/7/similar?n=5", "/charts/popular?n=5&genre=Drama"]
UNCACHED = [
    "/users/1/recommendations",
    "/users/1",
    "/movies/7",
    "/runs",
    "/movies?query=film",
]


def get(http, path, **headers):
    return http.get(path, headers={name.replace("_", "-"): text for name, text in headers.items()})


@pytest.mark.parametrize("path", WITH_ETAG)
def test_a_known_tag_returns_304(http, path):
    first = http.get(path)
    tag = first.headers["etag"]
    assert (first.status_code, first.headers["cache-control"]) == (200, "no-cache")
    for known in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        again = get(http, path, if_none_match=known)
        assert (again.status_code, again.content) == (304, b"")
        assert (again.headers["etag"], again.headers["cache-control"]) == (tag, "no-cache")
    for other in ('"other"', tag.strip('"'), ""):
        again = get(http, path, if_none_match=other)
        assert (again.status_code, again.content) == (200, first.content)


def test_other_parameters_give_other_tags(http):
    paths = [*WITH_ETAG, "/movies/7/similar?n=4", "/movies/8/similar?n=5", "/charts/popular?n=5"]
    assert len({http.get(path).headers["etag"] for path in paths}) == len(paths)


@pytest.mark.parametrize("path", UNCACHED)
def test_responses_that_depend_on_ratings_are_not_cached(http, path):
    response = http.get(path)
    assert response.headers["cache-control"] == "private, no-cache"
    assert "etag" not in response.headers
    assert get(http, path, if_none_match="*").status_code == 200


def test_the_tag_changes_with_the_run(writable, refreshed_database):
    settings = RefreshSettings(threads=1, seed=5, parameters={"als": {"factors": 4}})
    path = "/movies/7/similar?model=als"
    of_run_1 = writable.get(path)
    refresh(refreshed_database, plan(settings))
    of_run_2 = get(writable, path, if_none_match=of_run_1.headers["etag"])
    assert {row["run_id"] for row in of_run_1.json()} == {1}
    assert (of_run_2.status_code, {row["run_id"] for row in of_run_2.json()}) == (200, {2})
    rollback(refreshed_database)
    again = get(writable, path, if_none_match=of_run_2.headers["etag"])
    assert (again.status_code, again.content) == (200, of_run_1.content)
    assert get(writable, path, if_none_match=of_run_1.headers["etag"]).status_code == 304
