"""The HTTP API with users and movies named by keys."""

from urllib.parse import quote

import pytest
from store import change

READS = [
    ("/users/{user}", "/users/1"),
    ("/users/{user}/recommendations?n=3", "/users/1/recommendations?n=3"),
    ("/users/{user}/recommendations/{movie}/explanation", "/users/1/recommendations/3/explanation"),
    ("/movies/{movie}", "/movies/3"),
    ("/movies/{movie}/similar", "/movies/3/similar"),
]


@pytest.fixture(scope="module")
def http(serving, keyed_database):
    with serving(keyed_database) as client:
        yield client


@pytest.mark.parametrize(("by_key", "by_id"), READS)
def test_reads_by_key_return_what_those_by_id_do(http, by_key, by_id):
    found = http.get(by_key.format(user="user%201", movie="B03"))
    expected = http.get(by_id).json()
    if by_id == "/users/1":
        expected = expected | {"run_age": found.json()["run_age"]}
    assert (found.status_code, found.json()) == (200, expected)
    assert expected


def test_ratings_are_given_by_key_or_id(http):
    by_key = http.post("/recommendations", json={"ratings": {"B01": 5, "B03": 4}}).json()
    assert http.post("/recommendations", json={"ratings": {"1": 5, "3": 4}}).json() == by_key
    assert {row["movie_key"] for row in by_key} == {f"B0{row['movie_id']}" for row in by_key}
    for key, status, detail in (
        ("x", 404, "there is no movie 'x'"),
        ("4711", 404, "there is no movie 4711"),
        ("1000000000", 404, "there is no movie 1000000000"),
    ):
        response = http.post("/recommendations", json={"ratings": {key: 5}})
        assert (response.status_code, response.json()["detail"]) == (status, detail)


def test_unknown_keys(http):
    response = http.get("/users/nobody/recommendations?n=1")
    assert [row["source"] for row in response.json()] == ["chart"]
    for path in ("/movies/x", "/movies/x/similar", "/users/user%201/recommendations/x/explanation"):
        response = http.get(path)
        assert (response.status_code, response.json()["detail"]) == (404, "there is no movie 'x'")
    assert http.get("/movies/B0%2F1").status_code == 404


@pytest.mark.parametrize("key", ["alice", "ü 100% #1?", "'; DROP TABLE users; --", "🎬", "+"])
def test_any_key_can_be_written_and_read(serving, make_database, keyed_template, key):
    database = make_database(keyed_template)
    change(database, "UPDATE recsys_store.movies SET key = 'a b' WHERE movie_id = 3")
    headers = {"Authorization": "Bearer only-of-the-tests"}
    with serving(database) as http:
        path = f"/users/{quote(key, safe='')}"
        for part in ("ratings/a%20b", "ratings/B04", "blocks/B05"):
            body = {"rating": 5} if part.startswith("ratings") else {}
            assert http.put(f"{path}/{part}", json=body, headers=headers).status_code == 204
        assert http.get(path).json()["ratings"] == 2
        rows = http.get(f"{path}/recommendations?n=60").json()
        assert {"a b", "B04", "B05"}.isdisjoint({row["movie_key"] for row in rows})
        assert http.delete(f"{path}/blocks/B05", headers=headers).status_code == 204
        response = http.put(f"{path}/ratings/3", json={"rating": 5}, headers=headers)
        assert response.json()["detail"] == "there is no movie with the key '3'"
