"""Which indexes the contract's queries use, on a table large enough to want one."""

import re

import pytest
import sqlalchemy as sa

from recsys.jobs.refresh import refresh
from recsys.jobs.refresh_users import refresh_users

SIMILAR, NEAR_USERS, LISTS, USER, MOVIE, SEEN = (
    f"pk_{table}"
    for table in (
        "movie_similarities", "user_similarities", "user_recommendations", "user_factors",
        "movie_factors", "run_users",
    )
)  # fmt: skip
CHARTS, MOVIE_IN_CHART = "uq_movie_charts_run_id_model_id_genre_id_rank", "ix_movie_charts_movie_id"
OF_A_RUN = re.compile(r"_run_[0-9]+$")
CATALOGUE = re.compile(
    r"(^|_)(ratings|movies|users|blocks|rating_changes|search_terms|movie_\w+|tags)"
)


@pytest.fixture
def two_runs(two_runs):
    """Run 1 in partitions of its own beside the published one, planned as if tables were big."""
    two_runs.execute(sa.text("SET LOCAL enable_seqscan = off"))
    return two_runs


def nodes(plan):
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


READ_BY_KEY = {
    "SELECT * FROM recsys.similar_movies WHERE movie_id = 1 AND model = 'ease'": {SIMILAR},
    "SELECT * FROM recsys.recommendations WHERE user_id = 1 AND model = 'ease'": {LISTS},
    "SELECT * FROM recsys.similar(1, 10)": {SIMILAR},
    "SELECT * FROM recsys.similar(59, 10)": {SIMILAR},
    "SELECT * FROM recsys.similar(1, 10, 'als')": {SIMILAR},
    "SELECT * FROM recsys.similar_users(1, 10)": {NEAR_USERS},
    "SELECT recsys.predict_rating(1, 3, 'mf')": {USER, MOVIE},
    "SELECT recsys.predict_rating(1, 3, 'user_knn')": {NEAR_USERS, USER, MOVIE},
    "SELECT recsys.predict_rating(1, 3, 'item_knn')": {SIMILAR, MOVIE},
    "SELECT recsys.predict_rating(1, 3)": {USER, MOVIE},
    "SELECT * FROM recsys.recommend(1, 10)": {SEEN, LISTS},
    "SELECT * FROM recsys.recommend(1, 1000)": {SEEN, LISTS, SIMILAR, CHARTS},
    "SELECT * FROM recsys.recommend(4711, 10)": {SEEN, LISTS, CHARTS},
    "SELECT * FROM recsys.recommend(4711, 1000)": {SEEN, LISTS, CHARTS, MOVIE_IN_CHART},
    "SELECT * FROM recsys.recommend(1, 10, 'trending')": {SEEN, LISTS, CHARTS},
    "SELECT * FROM recsys.recommend(4711, 10, 'random')": {SEEN, LISTS, CHARTS},
    """SELECT * FROM recsys.recommend_for('{"1": 5}', 5)""": {SIMILAR},
    "SELECT * FROM recsys.explain(1, 3)": {SEEN, LISTS, SIMILAR},
    "SELECT * FROM recsys.user_status(1)": {SEEN, LISTS},
    "SELECT * FROM recsys.user_taste(1)": {CHARTS},
    "SELECT * FROM recsys.top_movies(5, 'Drama')": {CHARTS},
    "SELECT * FROM recsys.charts WHERE chart = 'popular' AND genre IS NULL": {CHARTS},
    "SELECT * FROM recsys.recommendations_as_of(1, now(), 10)": {LISTS},
    "SELECT * FROM recsys.verify_lists(NULL, 3)": {SEEN, LISTS, SIMILAR},
}
# By which keys the tables of the catalogue are read, none of them from end to end. Where a second
# index serves as well as the primary key, planners differ: EITHER may be read beside these.
EITHER = {"ix_ratings_movie_id_user_id", "ix_movie_genres_genre_id_movie_id"}
CATALOGUE_BY_KEY = {
    "SELECT * FROM recsys.recommend(1, 10)": {
        "ix_movies_withdrawn", "pk_blocks", "pk_movies", "pk_rating_changes"
    },
    "SELECT * FROM recsys.recommend('1', 10)": {
        "ix_movies_withdrawn", "pk_blocks", "pk_movies", "pk_rating_changes", "uq_users_key"
    },
    "SELECT * FROM recsys.similar('1')": {"pk_movies", "uq_movies_key"},
    "SELECT * FROM recsys.recommend(81, 10)": {
        "ix_movies_withdrawn", "pk_blocks", "pk_movies", "pk_rating_changes", "pk_ratings"
    },
    "SELECT * FROM recsys.explain(1, 3)": {
        "pk_movie_genres", "pk_movie_keywords", "pk_movies", "pk_rating_changes", "pk_ratings",
        "pk_tags"
    },
    "SELECT * FROM recsys.search_movies('film 17')": {"ix_movies_search_terms", "pk_movies"},
    "SELECT * FROM recsys.user_status(1)": {"pk_rating_changes", "pk_ratings", "pk_users"},
    "SELECT * FROM recsys.user_taste(1)": {"pk_movie_genres", "pk_movies", "pk_ratings"},
    "SELECT * FROM recsys.rating_histogram(1)": {"pk_movies"},
    "SELECT * FROM recsys.movies WHERE movie_id = 1": {
        "pk_movie_genres", "pk_movie_metadata", "pk_movies"
    },
    "SELECT * FROM recsys.movie_details WHERE movie_id = 1": {
        "pk_movie_credits", "pk_movie_keywords", "pk_movie_metadata", "pk_movies"
    },
    "SELECT * FROM recsys.ratings WHERE user_id = 1": {"pk_movies", "pk_ratings", "pk_users"},
}  # fmt: skip


def test_only_published_partitions_are_read_by_their_keys(two_runs, scanned):
    found = {query: set(filter(OF_A_RUN.search, scanned(two_runs, query))) for query in READ_BY_KEY}
    assert found == {query: {f"{key}_run_2" for key in keys} for query, keys in READ_BY_KEY.items()}


@pytest.fixture(scope="module")
def sharing_database(template_from_refreshed, plan_everything):
    """Run 3 of changed user 1 shares the results of run 2, beside run 1."""
    with template_from_refreshed("sharing") as database:
        assert refresh(database, plan_everything, force="other models").run_id == 2
        with database.transaction() as connection:
            connection.execute(sa.text("SELECT recsys.rate(1, 59, 4)"))
        assert refresh_users(database, plan_everything).run_id == 3
        yield database


@pytest.fixture
def sharing(sharing_database):
    with sharing_database.engine.connect() as connection, connection.begin() as transaction:
        connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
        yield connection
        transaction.rollback()


# User 1 is in run 3, user 2 is not. Results by movie are in run 2.
READ_OF_A_SHARING_RUN = {
    "SELECT * FROM recsys.similar_movies WHERE movie_id = 1 AND model = 'ease'": {(SIMILAR, 2)},
    "SELECT * FROM recsys.recommendations WHERE user_id = 1 AND model = 'ease'": {
        (SEEN, 3), (LISTS, 2), (LISTS, 3)
    },
    "SELECT * FROM recsys.similar(1, 10)": {(SIMILAR, 2)},
    "SELECT * FROM recsys.similar_users(1, 10)": {(SEEN, 3), (NEAR_USERS, 3)},
    "SELECT * FROM recsys.similar_users(2, 10)": {(SEEN, 3), (NEAR_USERS, 2)},
    "SELECT recsys.predict_rating(1, 3, 'mf')": {(SEEN, 3), (USER, 3), (MOVIE, 2)},
    "SELECT recsys.predict_rating(2, 3, 'mf')": {(SEEN, 3), (USER, 2), (MOVIE, 2)},
    "SELECT * FROM recsys.recommend(1, 10)": {(SEEN, 3), (LISTS, 3)},
    "SELECT * FROM recsys.recommend(2, 10)": {(SEEN, 3), (SEEN, 2), (LISTS, 2)},
    "SELECT * FROM recsys.recommend(2, 1000)": {
        (SEEN, 3), (SEEN, 2), (LISTS, 2), (SIMILAR, 2), (CHARTS, 2)
    },
    "SELECT * FROM recsys.explain(1, 3)": {(SEEN, 3), (LISTS, 3), (SIMILAR, 2)},
    "SELECT * FROM recsys.user_status(2)": {(SEEN, 3), (SEEN, 2), (LISTS, 2)},
    "SELECT * FROM recsys.top_movies(5, 'Drama')": {(CHARTS, 2)},
    "SELECT * FROM recsys.charts WHERE chart = 'popular' AND genre IS NULL": {(CHARTS, 2)},
    "SELECT * FROM recsys.recommendations_as_of(2, now(), 10)": {(SEEN, 3), (LISTS, 2)},
}  # fmt: skip


def test_a_run_that_shares_another_reads_both_by_their_keys(sharing, scanned):
    found = {
        query: set(filter(OF_A_RUN.search, scanned(sharing, query)))
        for query in READ_OF_A_SHARING_RUN
    }
    assert found == {
        query: {f"{key}_run_{run}" for key, run in keys}
        for query, keys in READ_OF_A_SHARING_RUN.items()
    }


def test_a_join_with_the_lists_of_a_run_that_shares_another_reads_them_by_key(sharing, scanned):
    sharing.execute(sa.text("RESET enable_seqscan"))
    joined = """
        SELECT r.title FROM recsys.sample_users(2) AS u
        JOIN recsys.recommendations AS r ON r.user_id = u.user_id AND r.model = 'ease'
    """
    assert {f"{LISTS}_run_2", f"{LISTS}_run_3"} <= scanned(sharing, joined)


def test_a_join_with_a_view_of_lists_reads_them_by_key(two_runs, scanned):
    two_runs.execute(sa.text("RESET enable_seqscan"))
    joined = """
        SELECT s.similar_title FROM recsys.top_movies(1) AS m
        JOIN recsys.similar_movies AS s ON s.movie_id = m.movie_id AND s.rank <= 5
    """
    assert f"{SIMILAR}_run_2" in scanned(two_runs, joined)


def test_the_catalogue_is_read_by_its_keys(two_runs, scanned):
    found = {
        query: {
            name
            for name in scanned(two_runs, query) - EITHER
            if CATALOGUE.search(name) and not OF_A_RUN.search(name)
        }
        for query in CATALOGUE_BY_KEY
    }
    assert found == CATALOGUE_BY_KEY


def test_the_head_of_a_chart_is_read_in_the_order_of_its_index(two_runs):
    fetched = sa.text("SELECT pg_stat_get_xact_tuples_fetched(CAST(:name AS regclass))")
    name = {"name": f"recsys_store.{CHARTS}_run_2"}
    for query in (
        "SELECT * FROM recsys.top_movies(3)",
        "SELECT * FROM recsys.top_movies(3, 'Drama')",
    ):
        before = two_runs.scalar(fetched, name)
        assert len(two_runs.execute(sa.text(query)).all()) == 3
        assert two_runs.scalar(fetched, name) - before == 3


def test_the_count_of_a_movies_ratings_reads_the_index_only(filled_database):
    query = "SELECT ratings_count, ratings_mean FROM recsys.movies WHERE movie_id = 1"
    with filled_database.transaction() as connection:
        connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
        connection.execute(sa.text("SET LOCAL enable_bitmapscan = off"))
        answer = connection.scalar(sa.text(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}"))
    found = {
        (node["Node Type"], node["Heap Fetches"])
        for node in nodes(answer[0]["Plan"])
        if node.get("Index Name") == "ix_ratings_movie_id_user_id"
    }
    assert found == {("Index Only Scan", 0)}
