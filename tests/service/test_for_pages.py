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
    columns = "chart, genre, rank, movie_id, votes, mean_rating, movie_key"
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
    nothing = MovieDetails(5, None, None, None, None, None, None, [], [], [], "5")
    assert service.movie_details(5) == nothing
    with pytest.raises(UnknownMovie, match="there is no movie 999"):
        service.movie_details(999)


def test_reasons_are_the_strongest_of_each_explanation(service, contract):
    movies = [row.movie_id for row in service.recommend(1, 3, model="als")][::-1]
    rows = []
    for movie in movies:
        rows += contract(
            f"SELECT {movie} AS movie_id, because_movie_id, because_title, rating, share, "
            "because_movie_key "
            f"FROM recsys.explain(1, {movie}, 'als') WHERE contribution > 0 "
            "AND rating >= (SELECT avg(rating) FROM recsys.ratings WHERE user_id = 1) "
            "ORDER BY contribution DESC, because_movie_id LIMIT 2"
        )
    assert dicts(service.reasons(1, movies, 2, model="als")) == rows
    assert len(rows) == 6
    assert service.reasons(1, []) == []
    # A movie from a chart has no reasons.
    assert service.reasons(999, movies) == []


def test_a_disliked_movie_is_no_reason(service, contract):
    """The als model ignores the rating of a movie in its contribution."""
    [mean] = contract("SELECT avg(rating) AS mean FROM recsys.ratings WHERE user_id = 1")
    movies = [row.movie_id for row in service.recommend(1, 12, model="als")]
    disliked = [
        row
        for movie in movies
        for row in service.explain(1, movie, model="als")
        if row.contribution > 0 and row.rating < mean["mean"]
    ]
    assert disliked
    reasons = service.reasons(1, movies, 50, model="als")
    assert {reason.movie_id for reason in reasons} == set(movies)
    assert min(reason.rating for reason in reasons) >= mean["mean"]


def test_reasons_from_equal_ratings(refreshed_database):
    with refreshed_database.transaction() as connection:
        # The mean of the 17 ratings is rounded up.
        connection.exec_driver_sql("UPDATE recsys_store.ratings SET rating = 4.1 WHERE user_id = 1")
    service = Recommender(refreshed_database)
    movies = [row.movie_id for row in service.recommend(1, 3)]
    assert {reason.movie_id for reason in service.reasons(1, movies)} == set(movies)


def test_the_latest_ratings_page_by_page(service, contract):
    rows = contract(
        "SELECT * FROM recsys.ratings WHERE user_id = 3 "
        "ORDER BY rated_at DESC NULLS LAST, rating DESC, movie_id"
    )
    found = [*service.ratings(3, 5, latest=True), *service.ratings(3, 99, latest=True, offset=5)]
    assert dicts(found) == rows
    assert service.ratings(3, 5, latest=True, offset=99) == []


def test_taste_and_histogram(service, contract):
    rows = contract("SELECT 1 AS user_id, *, '1' AS user_key FROM recsys.user_taste(1)")
    assert dicts(service.user_taste(1)) == rows
    assert dicts(service.rating_histogram(1)) == contract(
        "SELECT * FROM recsys.rating_histogram(1)"
    )
    with pytest.raises(UnknownMovie, match="there is no movie 999"):
        service.rating_histogram(999)


def test_example_users_have_about_a_hundred_ratings(service, contract):
    found = service.example_users(3)
    users = list(dict.fromkeys(row.user_id for row in found))
    assert len(users) == 3
    assert users == sorted(users)
    for user in users:
        assert [row for row in found if row.user_id == user] == service.user_taste(user)
    most = contract(
        "SELECT max(n) AS n FROM (SELECT count(*) AS n FROM recsys.ratings GROUP BY user_id)"
    )
    # Of a sample of 16; the edition has less than a hundred each.
    counts = [row.ratings for row in found if row.facet == "all"]
    assert min(counts) > most[0]["n"] / 2
    assert service.example_users(3) == found
    assert len({row.user_id for row in service.example_users(1000)}) == 16
    assert service.example_users(0) == []


def test_a_gap_between_ids_hides_nobody(refreshed_database):
    with refreshed_database.transaction() as connection:
        connection.exec_driver_sql("SELECT recsys.rate(2000000000, 1, 4)")
    service = Recommender(refreshed_database)
    assert len({row.user_id for row in service.example_users(6)}) == 6
    assert len({service.a_user(at_random=True) for _ in range(20)}) > 5


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
        "k.ci_high, r.edition FROM recsys.run_metrics AS k "
        "JOIN recsys.runs AS r ON r.run_id = k.run_id "
        "WHERE k.segment = 'all' ORDER BY k.protocol, k.metric, k.model"
    )
    assert {(figure.run_id, figure.edition) for figure in figures} == {(1, "ml-small-made-up")}
    assert service.figures(0) == []


def test_measured_are_the_latest_figures_of_each_protocol(service, contract):
    rows = contract(
        "SELECT k.protocol, k.run_id, r.kind, r.finished_at, r.edition, k.model, k.metric, "
        "k.value, k.ci_low, k.ci_high, k.n FROM recsys.run_metrics AS k "
        "JOIN recsys.runs AS r ON r.run_id = k.run_id "
        "WHERE k.segment = 'all' AND k.protocol <> 'train' ORDER BY k.protocol, k.model, k.metric"
    )
    assert dicts(service.measured()) == rows
    assert {row["protocol"] for row in rows} == {"gate", "holdout 0.1"}


def test_a_run_has_the_data_set_it_read(refreshed_database):
    service = Recommender(refreshed_database)
    assert service.run(1).edition == "ml-small-made-up"
    with refreshed_database.transaction() as connection:
        connection.exec_driver_sql(
            "INSERT INTO recsys_store.ingests "
            "(kind, edition, dialect, source, files, on_duplicate, replaced, started_at, "
            "finished_at, rows_read, inserted, updated, unchanged, duplicates, rejected) "
            "SELECT kind, 'another', dialect, source, files, on_duplicate, true, now(), now(), "
            "0, 0, 0, 0, 0, 0 FROM recsys_store.ingests"
        )
        connection.exec_driver_sql(
            "INSERT INTO recsys_store.runs OVERRIDING SYSTEM VALUE "
            "SELECT (jsonb_populate_record(r, jsonb_build_object("
            "'run_id', 2, 'snapshot_at', now()))).* FROM recsys_store.runs AS r"
        )
    assert [run.edition for run in service.runs()] == ["another", "ml-small-made-up"]


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
    assert service.measured() == []
