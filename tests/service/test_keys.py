"""The Python API with users and movies named by keys."""

from dataclasses import asdict
from itertools import product

import pytest

from recsys import Recommender
from recsys.errors import InvalidArgument, UnknownMovie

# A read by keys, the same by ids, and by one of each where there are two.
READS = {
    "recommend": [("user 1", 5), (1, 5)],
    "explain": [("user 1", "B03"), (1, 3), ("user 1", 3), (1, "B03")],
    "predict_rating": [("user 1", "B03"), (1, 3), ("user 1", 3), (1, "B03")],
    "similar_users": [("user 1",), (1,)],
    "ratings": [("user 1", 3), (1, 3)],
    "user_taste": [("user 1",), (1,)],
    "rating": [("user 1", "B05"), (1, 5), ("user 1", 5), (1, "B05")],
    "user_status": [("user 1",), (1,)],
    "reasons": [("user 1", [3]), (1, [3])],
    "movie": [("B03",), (3,)],
    "movie_details": [("B03",), (3,)],
    "rating_histogram": [("B03",), (3,)],
    "similar": [("B03",), (3,)],
    "similar_by_model": [("B03",), (3,)],
    "recommend_for": [({"B01": 5, "B03": 4},), ({1: 5, 3: 4},)],
}


@pytest.fixture(scope="module")
def service(keyed_database):
    with Recommender(keyed_database) as service:
        yield service


@pytest.mark.parametrize("method", READS)
def test_reads_by_key_return_what_those_by_id_do(service, method):
    found = [getattr(service, method)(*arguments) for arguments in READS[method]]
    if method == "user_status":
        found = [asdict(status) | {"run_age": None} for status in found]
    assert all(each == found[0] for each in found)
    assert found[0] not in (None, [])


def test_rows_have_the_keys_beside_the_ids(service):
    rows = [
        *service.recommend("user 1", 60), *service.ratings(1), *service.similar_users(1),
        *service.user_taste(1), *service.example_users(2), service.movie("B03"),
        service.movie_details(3), *service.movie_cards([1, 2]), *service.search("film"),
        *service.similar(3), *service.top_movies(), *service.charts(3),
    ]  # fmt: skip
    for row in rows:
        for kind, prefix in (("user", "user "), ("movie", "B0")):
            if hasattr(row, f"{kind}_id"):
                assert getattr(row, f"{kind}_key") == f"{prefix}{getattr(row, f'{kind}_id')}"
    for row in [*service.explain(1, 3), *service.reasons(1, [3])]:
        assert row.because_movie_key == f"B0{row.because_movie_id}"


def test_movies_are_named_in_one_way(service):
    with pytest.raises(InvalidArgument, match="movies are named by ids and by keys"):
        service.recommend_for({1: 5, "B03": 4})
    with pytest.raises(UnknownMovie, match="there is no movie 3"):
        # The number is taken as an id, although no movie has it as its key.
        service.recommend_for({3000: 4})
    assert service.recommend_for({"3": 4}) == service.recommend_for({3: 4})


def test_unknown_keys(service):
    assert service.ratings("nobody") == service.user_taste("nobody") == []
    assert service.rating("nobody", "B01") is None
    assert service.user_status("nobody").status == "unknown_user"
    assert {row.source for row in service.recommend("nobody")} == {"chart"}
    for method in ("movie", "movie_details", "similar", "rating_histogram", "similar_by_model"):
        with pytest.raises(UnknownMovie, match="there is no movie 'B0'' OR true'"):
            getattr(service, method)("B0' OR true")
    with pytest.raises(UnknownMovie, match="there is no movie 'x'"):
        service.predict_rating("user 1", "x")


@pytest.mark.parametrize("key", ["\ud800", "a\0b"])
def test_texts_that_no_database_can_hold(service, key):
    for method in ("recommend", "ratings", "movie", "search"):
        with pytest.raises(InvalidArgument):
            getattr(service, method)(key)


def test_writes_take_ids_and_keys(make_database, keyed_template):
    with Recommender(make_database(keyed_template)) as service:
        for user, movie in product([1, "2", "alice"], [3, "B03"]):
            service.block(user, movie)
            service.rate(user, movie, 2.5)
            [row] = [row for row in service.ratings(user, 100) if row.movie_id == 3]
            assert (row.user_key, row.rating) == ("user 1" if user == 1 else user, 2.5)
            with pytest.raises(UnknownMovie, match="there is no movie"):
                service.rate(user, 4711 if movie == 3 else "none", 2.5)
        # A rating must not fall on the movie that has the key of another one as its id.
        with pytest.raises(UnknownMovie, match="there is no movie with the key '3'"):
            service.rate("alice", "3", 2.5)
        # 2 is the id of user 2, so that the key 2 got another one.
        assert [row.user_key for row in service.ratings(2)[:1]] == ["user 2"]
