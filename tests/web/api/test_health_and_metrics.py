"""Health checks and metrics, as load balancers and Prometheus read them."""

from datetime import datetime
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from recsys import AsyncRecommender
from recsys.service.prometheus import GAUGES
from recsys.storage.server.pool import PoolOptions
from recsys.web.api import health


def samples(http):
    response = http.get("/metrics")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def requests(found):
    return {
        (labels["method"], labels["route"], labels["status"]): value
        for (name, pairs), value in found.items()
        if name == "recsys_http_requests_total" and (labels := dict(pairs))
    }


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
def test_ready(http, contract, path):
    [log] = contract("SELECT run_id, published_at FROM recsys.publications")
    found = http.get(path).json()
    assert 0 < found.pop("age_seconds") < 3600
    assert found == {"status": "ready", **log, "stale": False}
    assert datetime.fromisoformat(found["published_at"]).utcoffset() is not None


def test_alive(http):
    assert http.get("/health/live").json() == {"status": "alive"}


def test_alive_but_not_ready(serving, filled_database):
    with serving(filled_database) as http:
        assert http.get("/health/live").status_code == 200
        response = http.get("/health/ready")
        assert (response.status_code, response.headers["retry-after"]) == (503, "5")
        assert response.json()["detail"] == "nothing is published yet"
        found = samples(http)
    assert found["recsys_up", ()] == 1
    assert found["recsys_stale", (("artefact", "recommendations"),)] == 1


def test_stale_results_are_served(writable, refreshed_database):
    import sqlalchemy as sa

    with refreshed_database.transaction() as connection:
        connection.execute(
            sa.text("UPDATE recsys_store.runs SET snapshot_at = snapshot_at - interval '30 days'")
        )
    response = writable.get("/health/ready")
    assert (response.status_code, response.json()["stale"]) == (200, True)
    assert response.json()["age_seconds"] > 30 * 86_400


def test_requests_are_counted_by_their_route(serving, edition_database):
    with serving(edition_database) as http:
        for path in (
            "/movies/1",
            "/movies/2",
            "/movies/4711",
            "/movies/%00",
            "/a",
            "/b",
            "/health",
        ):
            http.get(path)
        http.delete("/movies/1")
        http.request("PURGE", "/movies/1")
        found = samples(http)
    assert requests(found) == {
        ("GET", "/movies/{movie_id}", "200"): 2,
        ("GET", "/movies/{movie_id}", "404"): 1,
        ("GET", "/movies/{movie_id}", "422"): 1,
        ("DELETE", "/movies/{movie_id}", "405"): 1,
        ("other", "/movies/{movie_id}", "405"): 1,
        ("GET", "none", "404"): 2,
        ("GET", "/health", "200"): 1,
    }
    labels = (("method", "GET"), ("route", "/movies/{movie_id}"))
    assert found["recsys_http_request_seconds_count", labels] == 4
    assert 0 < found["recsys_http_request_seconds_sum", labels] < 10
    assert found["recsys_http_request_seconds_bucket", (("le", "+Inf"), *labels)] == 4


def test_metrics_of_connections_and_the_published_run(serving, refreshed_database):
    with serving(refreshed_database, options=PoolOptions(3)) as http:
        http.get("/movies/1")
        found = samples(http)
    assert 1 <= found["recsys_pool_connections", ()] <= 3
    assert found["recsys_pool_waiting", ()] == 0
    assert found["recsys_up", ()] == 1
    of_lists = (("artefact", "recommendations"),)
    assert found["recsys_published_run", of_lists] == 1
    assert found["recsys_stale", of_lists] == 0
    assert 0 < found["recsys_age_seconds", of_lists] < 3600
    # Counting them would read every rating.
    assert ("recsys_ratings_since_run", of_lists) not in found
    assert set(GAUGES) - {"recsys_ratings_since_run"} <= {name for name, _ in found}
    assert found["process_resident_memory_bytes", ()] > 0


def test_up_is_0_with_an_empty_database(serving, empty_database):
    with serving(empty_database) as http:
        found = samples(http)
    assert found["recsys_up", ()] == 0
    assert not any(name == "recsys_stale" for name, _ in found)


def test_freshness_is_cached_for_two_seconds(serving, edition_database, monkeypatch):
    calls = []
    freshness = AsyncRecommender.freshness

    async def counted(self, *, count_ratings=True):
        calls.append(count_ratings)
        return await freshness(self, count_ratings=count_ratings)

    monkeypatch.setattr(AsyncRecommender, "freshness", counted)
    now = [1000.0]
    monkeypatch.setattr(health, "time", SimpleNamespace(monotonic=lambda: now[0]))
    with serving(edition_database) as http:
        for path in ("/metrics", "/health/ready", "/metrics", "/health"):
            assert http.get(path).status_code == 200
        assert calls == [False]
        now[0] += 1.9
        http.get("/metrics")
        assert calls == [False]
        now[0] += 0.2
        http.get("/metrics")
        assert calls == [False, False]
