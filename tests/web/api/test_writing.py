"""Ratings and blocks: authorization, stored rows, and later recommendations."""

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

RATING = "/users/1/ratings/60"
BLOCK = "/users/1/blocks/60"
COUNTS = """
SELECT
    (SELECT count(*) FROM recsys.ratings), (SELECT count(*) FROM recsys_store.blocks),
    (SELECT count(*) FROM recsys_store.users)
"""
OFF = "writing is turned off: the server was started without RECSYS_API_TOKEN"
WRONG = "writing needs the header `Authorization: Bearer TOKEN` with the token of this server"


def rows(database, query):
    with database.snapshot() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


def recommended(http):
    return [row["movie_id"] for row in http.get("/users/1/recommendations?n=60").json()]


def test_a_rating_is_stored_and_counts_at_once(writable, refreshed_database):
    before = recommended(writable)
    [first, *_] = before
    response = writable.put(f"/users/1/ratings/{first}", json={"rating": 4.5})
    assert (response.status_code, response.content) == (204, b"")
    assert first not in recommended(writable)
    query = f"SELECT rating FROM recsys.ratings WHERE (user_id, movie_id) = (1, {first})"
    assert rows(refreshed_database, query) == [(4.5,)]
    assert writable.put(f"/users/1/ratings/{first}", json={"rating": 1}).status_code == 204
    assert rows(refreshed_database, query) == [(1.0,)]


def test_a_rating_adds_a_user(writable):
    assert writable.get("/users/4711").json()["status"] == "unknown_user"
    assert writable.put("/users/4711/ratings/1", json={"rating": 5}).status_code == 204
    assert writable.get("/users/4711").json()["status"] == "live"
    assert writable.get("/users/4711/recommendations/3/explanation").status_code == 200


def test_a_block_for_good(writable, refreshed_database):
    first = recommended(writable)[:3]
    for movie, body in zip(first, (None, {}, {"until": None}), strict=True):
        response = writable.put(f"/users/1/blocks/{movie}", json=body)
        assert (response.status_code, response.content) == (204, b"")
    assert not set(first) & set(recommended(writable))
    query = "SELECT user_id, movie_id, until FROM recsys_store.blocks ORDER BY movie_id"
    assert rows(refreshed_database, query) == [(1, movie, None) for movie in sorted(first)]


def test_a_block_until_a_given_time(writable, refreshed_database):
    [first, *_] = before = recommended(writable)
    until = datetime(2100, 1, 2, 3, 4, 5, tzinfo=UTC)
    path = f"/users/1/blocks/{first}"
    assert writable.put(path, json={"until": "2100-01-02T08:34:05+05:30"}).status_code == 204
    assert rows(refreshed_database, "SELECT until FROM recsys_store.blocks") == [(until,)]
    assert first not in recommended(writable)
    assert writable.delete(path).status_code == 204
    assert recommended(writable) == before
    assert writable.delete(path).status_code == 204


def test_only_blocks_of_known_users_and_movies_are_lifted(writable, refreshed_database):
    before = rows(refreshed_database, COUNTS)
    for path, detail in (
        ("/users/4711/blocks/1", "there is no user 4711"),
        ("/users/1/blocks/4711", "there is no movie 4711"),
    ):
        response = writable.delete(path)
        assert (response.status_code, response.json()["detail"]) == (404, detail)
    assert rows(refreshed_database, COUNTS) == before


NO_TIME = "until: write the time with its offset, such as 2030-01-02T03:04:05Z"
REFUSED = [
    (RATING, {"rating": 9}, 422, "rating 9 is outside the scale"),
    (RATING, {"rating": "4"}, 422, "rating: Input should be a valid number"),
    (RATING, {"rating": None}, 422, "rating: Input should be a valid number"),
    (RATING, {}, 422, "rating: Field required"),
    (RATING, {"rating": 4, "note": 1}, 422, "note: Extra inputs are not permitted"),
    ("/users/1/ratings/4711", {"rating": 4}, 404, "there is no movie 4711"),
    ("/users/1/blocks/4711", {}, 404, "there is no movie 4711"),
    ("/users/%0A/ratings/1", {"rating": 4}, 422, None),
    (BLOCK, {"until": "2100-01-02T03:04:05"}, 422, NO_TIME),
    (BLOCK, {"until": "soon"}, 422, NO_TIME),
    (BLOCK, {"until": "1"}, 422, NO_TIME),
    (BLOCK, {"until": "99999999999"}, 422, NO_TIME),
    (BLOCK, {"until": "2100-01-02"}, 422, NO_TIME),
    (BLOCK, {"until": ""}, 422, NO_TIME),
    (BLOCK, {"until": 0}, 422, NO_TIME),
    (BLOCK, {"until": True}, 422, NO_TIME),
    (BLOCK, {"until": "2100-13-02T03:04:05Z"}, 422, None),
    (BLOCK, {"until": "2020-01-02T03:04:05Z"}, 422, "until: the time is in the past"),
]


def test_invalid_writes_store_nothing(writable, refreshed_database):
    before = rows(refreshed_database, COUNTS)
    for path, body, status, detail in REFUSED:
        response = writable.put(path, json=body)
        assert response.status_code == status, body
        assert detail in (None, response.json()["detail"])
    assert rows(refreshed_database, COUNTS) == before


def test_non_finite_numbers_are_rejected(writable, refreshed_database):
    before = rows(refreshed_database, COUNTS)
    for number in ("NaN", "Infinity", "-Infinity", "1e400"):
        content = f'{{"rating": {number}}}'
        response = writable.put(
            RATING, content=content, headers={"Content-Type": "application/json"}
        )
        assert response.status_code == 422
        message = "Input should be a finite number"
        assert response.json()["errors"] == [{"field": "rating", "message": message}]
    assert rows(refreshed_database, COUNTS) == before


# --- the token ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer only-of-the-test",
        "Bearer only-of-the-tests-",
        "Bearer ONLY-OF-THE-TESTS",
        "Basic only-of-the-tests",
        "only-of-the-tests",
        "Bearer \xe9",
    ],
)
@pytest.mark.parametrize("path", [RATING, BLOCK])
def test_writing_needs_the_token(http, contract, path, header):
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    for response in (
        http.put(path, json={"rating": 4}, headers=headers),
        http.delete(BLOCK, headers=headers),
    ):
        assert (response.status_code, response.json()["detail"]) == (401, WRONG)
        assert response.headers["www-authenticate"] == "Bearer"
    assert contract("SELECT FROM recsys.ratings WHERE (user_id, movie_id) = (1, 60)") == []


@pytest.mark.parametrize("shown", ["only-of-the-tests", "None"])
def test_writing_is_off_without_a_token_on_the_server(serving, edition_database, shown):
    with serving(edition_database, token=None) as http:
        response = http.put(
            RATING, json={"rating": 4}, headers={"Authorization": f"Bearer {shown}"}
        )
    assert (response.status_code, response.json()["detail"]) == (403, OFF)
