"""Methods that the pages use, compared with the SQL contract."""

from dataclasses import asdict

import pytest

from recsys import Recommender
from recsys.errors import NotPublished, UnknownMovie
from recsys.models.registry import DEFAULT_SET
from recsys.service.types import MovieDetails, RatingRange


@pytest.fixture
def service(edition_database):
    return Recommender(edition_database)


def dicts(rows):
    return [asdict(row) for row in rows]


@pytest.fixture
def contract(edition_database):
    def select(query):
        with edition_database.snapshot() as connection:
            return [dict(row) for row in connection.exec_driver_sql(query).mappings()]

    return select


def test_similar_movies_by_each_model(service, contract):
    found = service.similar_by_model(1, 3)
    models = list(dict.fromkeys(row.model for row in found))
    assert models == ["ease", "als", "content_genres", "item_knn", "mf"]
    for model in models:
        rows = contract(f"SELECT * FROM recsys.similar(1, 3, '{model}')")
        assert dicts(row for row in found if row.model == model) == rows
    with pytest.raises(UnknownMovie, match="there is no movie 999"):
        service.similar_by_model(999)


def test_charts_with_and_without_genres(service, contract):
    columns = "chart, genre, rank, movie_id, votes, mean_rating"
    order = "ORDER BY chart, genre NULLS FIRST, rank"
    rows = contract(
        f"SELECT {columns} FROM recsys.charts WHERE genre IS NULL AND rank <= 3 {order}"
    )
    assert dicts(service.charts(3)) == rows
    assert len(rows) == 4 * 3
    rows = contract(
        f"SELECT {columns} FROM recsys.charts "
        f"WHERE (genre IS NULL OR chart = 'popular') AND rank <= 2 {order}"
    )
    assert dicts(service.charts(2, by_genre="popular")) == rows
    assert len(rows) == 4 * 2 + 5 * 2


def test_details_of_a_movie_without_metadata(service):
    nothing = MovieDetails(5, None, None, None, None, None, None, [], [], [])
    assert service.movie_details(5) == nothing
    with pytest.raises(UnknownMovie, match="there is no movie 999"):
        service.movie_details(999)


def test_reasons_are_the_strongest_of_each_explanation(service, contract):
    movies = [row.movie_id for row in service.recommend(1, 3, model="als")][::-1]
    rows = []
    for movie in movies:
        rows += contract(
            f"SELECT {movie} AS movie_id, because_movie_id, because_title, rating, share "
            f"FROM recsys.explain(1, {movie}, 'als') WHERE contribution > 0 "
            "ORDER BY contribution DESC, because_movie_id LIMIT 2"
        )
    assert dicts(service.reasons(1, movies, 2, model="als")) == rows
    assert len(rows) == 6
    assert service.reasons(1, []) == []
    # A movie from a chart has no reasons.
    assert service.reasons(999, movies) == []


def test_a_random_user_has_rated(service, contract):
    users = {row["user_id"] for row in contract("SELECT DISTINCT user_id FROM recsys.ratings")}
    found = {service.a_user(at_random=True) for _ in range(30)}
    assert found <= users
    assert len(found) > 5


def test_the_scale_of_ratings(service, database):
    assert service.rating_scale() == RatingRange(0.5, 5.0)
    assert Recommender(database).rating_scale() == RatingRange(None, None)


def test_published(service):
    published, whole = service.published(), service.status().published
    assert published.age_seconds == pytest.approx(whole.age_seconds, abs=60)
    assert {**asdict(published), "age_seconds": 0} == {**asdict(whole), "age_seconds": 0}


def test_models_the_default_one_first(service, contract):
    models = service.models()
    assert [model.model for model in models] == ["ease", *sorted(set(DEFAULT_SET) - {"ease"})]
    assert [model.is_default for model in models] == [True] + [False] * 8
    rows = contract(
        "SELECT model, kind, score_meaning, description, prediction, family, display_name, "
        "top_order, popularity_order, cold_start_order FROM recsys.models"
    )
    found = [{k: v for k, v in row.items() if k != "is_default"} for row in dicts(models)]
    assert sorted(found, key=str) == sorted(rows, key=str)


def test_publications_and_figures(service, contract):
    assert dicts(service.publications()) == contract(
        "SELECT publication_id, run_id, action, published_at, reason, published_by "
        "FROM recsys.publications"
    )
    figures = service.figures()
    assert dicts(figures) == contract(
        "SELECT k.run_id, r.started_at, k.model, k.protocol, k.metric, k.value, k.ci_low, "
        "k.ci_high FROM recsys.run_metrics AS k JOIN recsys.runs AS r ON r.run_id = k.run_id "
        "WHERE k.segment = 'all' ORDER BY k.protocol, k.metric, k.model"
    )
    assert {figure.run_id for figure in figures} == {1}
    assert service.figures(0) == []


@pytest.mark.parametrize("method", ["published", "models"])
def test_nothing_is_published(filled_database, empty_database, method):
    with pytest.raises(NotPublished, match="nothing is published yet"):
        getattr(Recommender(filled_database), method)()
    with pytest.raises(NotPublished, match="the database is empty"):
        getattr(Recommender(empty_database), method)()


def test_empty_results_before_anything_is_published(filled_database):
    service = Recommender(filled_database)
    assert service.similar_by_model(1) == []
    assert service.charts() == service.publications() == service.figures() == []
