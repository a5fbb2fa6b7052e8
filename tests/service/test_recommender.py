"""Every method of the Recommender, compared with the SQL contract."""

from dataclasses import asdict, fields
from datetime import timedelta

import pytest
import sqlalchemy as sa
from contract import recommended

from recsys import Recommender
from recsys.errors import InvalidArgument, NotPublished, StorageError, UnknownMovie
from recsys.models.registry import DEFAULT_SET
from recsys.service.queries import users
from recsys.service.types import Filters, Movie, PublishedRun, Status
from recsys.storage.server.embedded import EmbeddedServer
from recsys.storage.server.engine import Database

BASELINES = """
SELECT r.ratings_mean, one.bias, near.bias,
    power(s.scores[array_position(s.similar_movie_ids, :near)], 3)
FROM recsys_store.runs AS r
JOIN recsys_store.models AS m ON m.name = 'item_knn'
JOIN recsys_store.movie_factors AS one ON one.model_id = m.model_id AND one.movie_id = 1
JOIN recsys_store.movie_factors AS near ON near.model_id = m.model_id AND near.movie_id = :near
JOIN recsys_store.movie_similarities AS s ON s.model_id = m.model_id AND s.movie_id = 1
"""
FIRST_STEPS = "load ratings, and publish a refresh of them"
READERS = {
    "recommend": lambda service: service.recommend(1),
    "similar": lambda service: service.similar(1),
    "similar_users": lambda service: service.similar_users(1),
    "predict_rating": lambda service: service.predict_rating(1, 2),
    "top_movies": lambda service: service.top_movies(),
}


@pytest.fixture
def service(edition_database):
    return Recommender(edition_database)


@pytest.fixture
def contract(edition_database):
    def select(query, **values):
        with edition_database.snapshot() as connection:
            return [dict(row) for row in connection.execute(sa.text(query), values).mappings()]

    return select


def dicts(rows):
    return [asdict(row) for row in rows]


RECOMMENDED = [
    (((1,), {}), "recsys.recommend(1)"),
    (((2, 3), {}), "recsys.recommend(2, 3)"),
    (((2, 0), {}), "recsys.recommend(2, 0)"),
    (((2,), {"model": "als"}), "recsys.recommend(2, 10, 'als')"),
    (((2, 60), {"genres": ["sci-fi"]}), "recsys.recommend(2, 60, NULL, ARRAY['Sci-Fi'])"),
    (((2, 60), {"genres": ("Drama", "Comedy")}), "recsys.recommend(2, 60, NULL, '{Drama,Comedy}')"),
    (((2, 60), {"genres": []}), "recsys.recommend(2, 60)"),
    (((2, 60), {"year_from": 1970}), "recsys.recommend(2, 60, NULL, NULL, 1970)"),
    (((2, 60), {"year_to": 1960}), "recsys.recommend(2, 60, NULL, NULL, NULL, 1960)"),
    (
        ((2, 60), {"year_from": 1960, "year_to": 1964}),
        "recsys.recommend(2, 60, NULL, NULL, 1960, 1964)",
    ),
    (((2,), {"model": "trending"}), "recsys.recommend(2, 10, 'trending')"),
    (((2,), {"model": "content_genres"}), "recsys.recommend(2, 10, 'content_genres')"),
    (((999_999, 4), {}), "recsys.recommend(999999, 4)"),
]


@pytest.mark.parametrize(("call", "source"), RECOMMENDED, ids=[case[1] for case in RECOMMENDED])
def test_recommend(service, contract, call, source):
    arguments, options = call
    found = service.recommend(*arguments, **options)
    expected = contract(recommended(source))
    assert dicts(found) == expected
    assert bool(expected) is not (arguments[1:] == (0,))


def test_recommend_keeps_to_its_filters(service, contract):
    rated = {row["movie_id"] for row in contract("SELECT * FROM recsys.ratings WHERE user_id = 2")}
    wanted = contract(
        "SELECT movie_id FROM recsys.movies "
        "WHERE 'Drama' = ANY (genres) AND year BETWEEN 1960 AND 1990"
    )
    found = service.recommend(2, 60, genres=["drama"], year_from=1960, year_to=1990)
    assert {row.movie_id for row in found} == {row["movie_id"] for row in wanted} - rated
    assert [row.rank for row in found] == list(range(1, len(found) + 1))


def test_recommended_movies_have_posters(refreshed_database):
    metadata = sa.text(
        "INSERT INTO recsys_store.movie_metadata (movie_id, poster_path) "
        "SELECT movie_id, '/' || movie_id || '.jpg' FROM recsys.movies WHERE movie_id % 2 = 0"
    )
    with refreshed_database.transaction() as connection:
        connection.execute(metadata)
    service = Recommender(refreshed_database)
    for found in (service.recommend(2, 60), service.recommend_for({1: 5.0}, 60)):
        posters = {row.movie_id: row.poster_url for row in found}
        assert posters == {
            movie: f"https://image.tmdb.org/t/p/w342/{movie}.jpg" if movie % 2 == 0 else None
            for movie in posters
        }
        assert {movie % 2 for movie in posters} == {0, 1}


@pytest.mark.parametrize(
    "query", [users.recommend(1, Filters()), users.recommend_for({}, Filters())]
)
def test_recommended_movies_are_looked_up_by_key(edition_database, query):
    [statement] = query.statements
    with edition_database.snapshot() as connection:
        cursor = connection.connection.cursor()
        cursor.execute("SET LOCAL enable_seqscan = off")  # the table is small
        cursor.execute(f"EXPLAIN {statement.query}", query.params)
        plan = [line.strip() for (line,) in cursor]
    at = plan.index(next(line for line in plan if "on movies" in line))
    assert plan[at + 1] == "Index Cond: (movie_id = r.movie_id)"


@pytest.mark.parametrize("model", [None, "ease", "als", "item_knn", "content_genres", "mf"])
@pytest.mark.parametrize("n", [0, 1, 10])
def test_similar(service, contract, model, n):
    found = service.similar(7, n, model=model)
    assert dicts(found) == contract("SELECT * FROM recsys.similar(7, :n, :model)", n=n, model=model)
    assert bool(found) is (n > 0)


def test_a_movie_without_ratings_has_neighbours_by_its_genres_only(service):
    found = service.similar(60, 5)
    assert found == service.similar(60, 5, model="content_genres")
    assert [row.model for row in found] == ["content_genres"] * 5
    assert service.similar(60, model="ease") == []


# --- similar users, predicted ratings, labels: of the edition with every model ---


@pytest.fixture
def full_service(everything_database):
    return Recommender(everything_database)


@pytest.fixture
def full_contract(everything):
    def select(query, **values):
        return [dict(row) for row in everything.execute(sa.text(query), values).mappings()]

    return select


@pytest.mark.parametrize("model", [None, "user_knn"])
@pytest.mark.parametrize("user", [1, 2, 80])
@pytest.mark.parametrize("n", [0, 1, 10])
def test_similar_users(full_service, full_contract, model, user, n):
    found = full_service.similar_users(user, n, model=model)
    query = "SELECT * FROM recsys.similar_users(:user, :n, :model)"
    assert dicts(found) == full_contract(query, user=user, n=n, model=model)
    assert len(found) == n


@pytest.mark.parametrize("user", [81, 999_999], ids=["only tags", "unknown"])
def test_users_without_ratings_have_no_neighbours(full_service, user):
    assert full_service.similar_users(user) == []


@pytest.mark.parametrize("model", [None, "bayes_fm", "mf", "svd", "user_knn", "item_knn"])
@pytest.mark.parametrize("movie", [1, 2, 58])
def test_predict_rating(full_service, full_contract, model, movie):
    found = full_service.predict_rating(2, movie, model=model)
    query = "SELECT recsys.predict_rating(2, :movie, :model) AS rating"
    assert [{"rating": found}] == full_contract(query, movie=movie, model=model)
    assert 0.5 <= found <= 5


@pytest.mark.parametrize("model", [None, "bayes_fm", "mf", "svd", "user_knn", "item_knn"])
def test_a_rating_that_cannot_be_predicted_is_none(full_service, model):
    for user, movie in ((81, 1), (999_999, 1), (1, 60)):
        assert full_service.predict_rating(user, movie, model=model) is None


def test_without_a_name_the_rating_model_predicts(service, full_service):
    for each, model in ((service, "mf"), (full_service, "bayes_fm")):
        assert each.predict_rating(1, 2) == each.predict_rating(1, 2, model=model)


def test_ratings_since_the_run_predict_through_movie_neighbours(
    make_database, everything_template, full_service
):
    """Factors know nothing of user 81, the neighbours of movies do."""
    database = make_database(everything_template)
    service = Recommender(database)
    [near, *_] = [row.movie_id for row in service.similar(1, 20, model="item_knn")]
    with database.transaction() as connection:
        rating = sa.text("INSERT INTO recsys_store.ratings VALUES (81, :movie, 3.5, now())")
        connection.execute(rating, {"movie": near})
        mean, bias, bias_near, weight = connection.execute(sa.text(BASELINES), {"near": near}).one()
    level = mean + (3.5 - mean - bias_near) / (1 + 5)
    wanted = level + bias + weight * (3.5 - level - bias_near) / (weight + 0.1)
    assert service.predict_rating(81, 1) == pytest.approx(wanted, rel=1e-12)
    assert service.predict_rating(81, 1, model="bayes_fm") is None
    assert full_service.predict_rating(81, 1) is None


def test_scores_of_pearson_average_have_labels(full_service, full_contract):
    found = full_service.recommend(1, 60, model="pearson_average")
    assert dicts(found) == full_contract(recommended("recsys.recommend(1, 60, 'pearson_average')"))
    assert {row.model: row.label is None for row in found} == {
        "pearson_average": False,
        "content": True,
    }


def test_a_chart_may_contain_movies_without_ratings(full_service, full_contract):
    found = full_service.top_movies(60, chart="random")
    assert dicts(found) == full_contract("SELECT * FROM recsys.top_movies(60, NULL, 'random')")
    assert {row.movie_id for row in found if row.mean_rating is None} == {59, 60}


@pytest.mark.parametrize("chart", ["top_rated", "most_rated", "popular", "trending"])
@pytest.mark.parametrize("genre", [None, "Drama", "FILM-NOIR"])
def test_top_movies(service, contract, chart, genre):
    found = service.top_movies(5, genre=genre, chart=chart)
    query = "SELECT * FROM recsys.top_movies(5, :genre, :chart)"
    assert dicts(found) == contract(query, genre=genre, chart=chart)
    assert found


def test_an_unknown_genre_raises_with_the_known_ones(service):
    for call in (
        lambda: service.top_movies(5, genre="Western"),
        lambda: service.recommend(2, 5, genres=["Drama", "Western"]),
    ):
        with pytest.raises(InvalidArgument, match="there is no genre 'Western'") as caught:
            call()
        assert "Drama" in caught.value.hint


@pytest.mark.parametrize("text", ["film", "FILM 17", "the film 1", "17 film", "'", "", "(%s) :n"])
def test_search(service, contract, text):
    found = service.search(text, 4)
    assert dicts(found) == contract("SELECT * FROM recsys.search_movies(:text, 4)", text=text)
    assert bool(found) is any(letter.isalnum() for letter in text.replace("(%s) :n", ""))


def test_movie(service, contract):
    [row] = contract("SELECT * FROM recsys.movies WHERE movie_id = 17")
    assert service.movie(17) == Movie(**row)
    assert (row["title"], row["year"], row["genres"]) == ("The Film 17", 1967, ["Drama"])


def test_ratings_are_the_highest_first(service, contract):
    query = """
        SELECT * FROM recsys.ratings WHERE user_id = 3
        ORDER BY rating DESC, rated_at DESC, movie_id LIMIT 12
    """
    assert dicts(service.ratings(3, 12)) == contract(query)
    assert service.ratings(3, 1)[0].rating == 4.5
    assert service.ratings(999_999) == []


def test_a_user_has_rated_about_a_hundred(service, contract):
    query = """
        SELECT user_id FROM recsys.ratings GROUP BY user_id
        ORDER BY count(*) DESC, user_id LIMIT 1
    """
    assert [{"user_id": service.a_user()}] == contract(query)


def test_status(service, contract):
    found = service.status()
    [run] = contract("SELECT * FROM recsys.runs")
    [publication] = contract("SELECT * FROM recsys.publications")
    [ingest] = contract("SELECT * FROM recsys.ingests")
    [counted] = contract(
        "SELECT count(*) AS ratings, count(DISTINCT user_id) AS users FROM recsys.ratings"
    )
    assert found.published is not None
    age = timedelta(seconds=found.published.age_seconds)
    assert timedelta(0) < age < timedelta(hours=1)
    columns = {field.name for field in fields(PublishedRun)} & set(run)
    assert found == Status(
        edition="ml-small-made-up",
        last_ingest_at=ingest["finished_at"],
        **counted,
        movies=60,
        published=PublishedRun(
            **{name: run[name] for name in columns},
            models=sorted(DEFAULT_SET),
            published_at=publication["published_at"],
            age_seconds=found.published.age_seconds,
        ),
        last_run_id=1,
        last_run_state="complete",
        last_run_error=None,
    )
    assert found.published.age_seconds < service.status().published.age_seconds


# --- errors ---


@pytest.mark.parametrize("reader", READERS)
def test_nothing_is_published(filled_database, reader):
    with pytest.raises(NotPublished, match=r"^nothing is published yet$") as caught:
        READERS[reader](Recommender(filled_database))
    assert caught.value.hint == FIRST_STEPS


def test_reads_that_need_no_published_run(filled_database):
    service = Recommender(filled_database)
    assert service.movie(17).title == "The Film 17"
    assert [row.movie_id for row in service.search("film 17")] == [17]
    assert service.status().published is None
    assert len(service.ratings(3, 2)) == 2


@pytest.mark.parametrize(
    "call",
    [
        *READERS.values(),
        lambda service: service.search("x"),
        lambda service: service.movie(1),
        lambda service: service.ratings(1),
        lambda service: service.a_user(),
        lambda service: service.status(),
    ],
)
def test_an_empty_database(empty_database, call):
    with pytest.raises(NotPublished, match=r"^the database is empty$") as caught:
        call(Recommender(empty_database))
    assert caught.value.hint == FIRST_STEPS


def test_a_user_without_any_ratings(database):
    with pytest.raises(NotPublished, match=r"^there are no ratings yet$"):
        Recommender(database).a_user()


def test_unknown_movies(service):
    for call in (service.movie, service.similar, lambda movie: service.predict_rating(1, movie)):
        with pytest.raises(UnknownMovie, match=r"^there is no movie 4711$") as caught:
            call(4711)
        assert caught.value.hint == "search for its title to find its id"


ALL = f"It has: {', '.join(sorted(DEFAULT_SET))}."
NEAR = "models: als, content_genres, ease, item_knn, mf"
CHARTS = "It has: most_rated, popular, top_rated, trending."
REFUSED = [
    (lambda s: s.recommend(1, model="no"), "run 1 has no model 'no'", ALL),
    (lambda s: s.recommend(1, model=""), "run 1 has no model ''", ALL),
    (lambda s: s.recommend(1, model="bpr"), "run 1 has no model 'bpr'", ALL),
    (lambda s: s.similar(1, model="content"), "run 1 has no model 'content'", ALL),
    (
        lambda s: s.similar(1, model="trending"),
        "no similar movies of a model 'trending' are published",
        NEAR,
    ),
    (lambda s: s.top_movies(chart="als"), "run 1 has no chart 'als'", CHARTS),
    (lambda s: s.top_movies(chart="random"), "run 1 has no chart 'random'", CHARTS),
    (lambda s: s.predict_rating(1, 2, model="svd"), "run 1 has no model 'svd'", ALL),
    (
        lambda s: s.predict_rating(1, 2, model="als"),
        "no predicted ratings of a model 'als' are published",
        "models: item_knn, mf",
    ),
    (
        lambda s: s.similar_users(1),
        "run 1 has compared no users",
        "Refresh a model that compares users.",
    ),
    (lambda s: s.similar_users(1, model="no"), "run 1 has no model 'no'", ALL),
    (
        lambda s: s.similar_users(1, model="ease"),
        "no similar users of a model 'ease' are published",
        "no published model has any",
    ),
    (lambda s: s.recommend(1, -1), "n must be 0 or more, not -1", None),
    (lambda s: s.similar(1, -1), "n must be 0 or more, not -1", None),
    (lambda s: s.similar_users(1, -1), "n must be 0 or more, not -1", None),
    (lambda s: s.top_movies(-1), "n must be 0 or more, not -1", None),
    (lambda s: s.recommend(1, year_from=2, year_to=1), "year_from 2 is after year_to 1", None),
    (lambda s: s.recommend(2**31), "integer out of range", None),
]


@pytest.mark.parametrize(("call", "words", "hint"), REFUSED)
def test_errors_of_the_contract_keep_their_words(service, call, words, hint):
    with pytest.raises(InvalidArgument) as caught:
        call(service)
    assert (str(caught.value), caught.value.hint) == (words, hint)


def test_a_database_failure_is_never_an_empty_list(server_url):
    url = sa.make_url(server_url).set(database="recsys_test_nonexistent")
    service = Recommender(Database(url.render_as_string(hide_password=False)))
    for call in (*READERS.values(), lambda s: s.search("x"), lambda s: s.status()):
        with pytest.raises(StorageError, match="recsys_test_nonexistent"):
            call(service)


def test_text_is_never_sql(service, contract):
    evil = "'; DROP SCHEMA recsys CASCADE; --"
    assert service.search(evil) == []
    for call in (
        lambda: service.recommend(1, genres=[evil, '"},{"']),
        lambda: service.top_movies(genre=evil),
        lambda: service.top_movies(chart=evil),
        lambda: service.recommend(1, model=evil),
        lambda: service.similar(1, model=evil),
        lambda: service.similar_users(1, model=evil),
        lambda: service.predict_rating(1, 2, model=evil),
    ):
        with pytest.raises(InvalidArgument):
            call()
    assert contract("SELECT count(*) AS n FROM recsys.movies") == [{"n": 60}]


# --- connect ---


@pytest.fixture
def no_settings(monkeypatch, tmp_path):
    for name in ("RECSYS_DATABASE_URL", "RECSYS_CONFIG", "RECSYS_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path / "untouched"))
    monkeypatch.chdir(tmp_path)
    return monkeypatch


def test_connect_by_url(no_settings, edition_database, tmp_path):
    with Recommender.connect(edition_database.url) as service:
        assert service.movie(17).title == "The Film 17"
    assert not (tmp_path / "untouched").exists()


def test_connect_by_the_environment(no_settings, edition_database):
    no_settings.setenv("RECSYS_DATABASE_URL", edition_database.url)
    with Recommender.connect() as service:
        assert len(service.recommend(1)) == 10


def test_the_url_given_comes_before_the_environment(no_settings, edition_database):
    no_settings.setenv("RECSYS_DATABASE_URL", "postgresql://127.0.0.1:9/nowhere")
    with Recommender.connect(edition_database.url) as service:
        assert service.status().movies == 60
    with pytest.raises(StorageError, match=r"127\.0\.0\.1:9/nowhere"):
        Recommender.connect()


def test_connect_to_the_embedded_server(no_settings, unused_home):
    no_settings.setenv("RECSYS_HOME", str(unused_home))
    server = EmbeddedServer(unused_home)
    with Recommender.connect() as service:
        assert server.status().running
        other = Recommender.connect()
        with pytest.raises(NotPublished, match=r"^the database is empty$"):
            service.top_movies()
        service.close()
        assert server.status().running
        other.close()
        assert not server.status().running
        other.close()
    assert not server.status().running


def test_titles_in_any_script(database, write_edition, tmp_path, plan_all):
    from recsys.jobs.ingest import ingest
    from recsys.jobs.refresh import refresh

    movies = ["1,七人の侍 (1954),Drama", '2,"Fabuleux destin d\'Amélie, Le (2001)",Comedy']
    movies += ["3,Ёлки — «2» 🎬 (2010),Comedy"]
    ratings = [f"{user},{movie},4.0,1000" for user in range(1, 6) for movie in (1, 2, 3)][1:]
    ingest(database, write_edition(tmp_path / "ml-titles", ratings, movies))
    refresh(database, plan_all)
    service = Recommender(database)
    assert (service.movie(1).title, service.movie(1).year) == ("七人の侍", 1954)
    assert [row.title for row in service.search("AMÉLIE")] == ["Le Fabuleux destin d'Amélie"]
    assert [row.title for row in service.search("ёлки")] == ["Ёлки — «2» 🎬"]
    assert [row.title for row in service.recommend(1)] == ["七人の侍"]
