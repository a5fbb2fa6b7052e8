import pytest
import sqlalchemy as sa

VIEWS = {
    "movies": "movie_id title year genres ratings_count ratings_mean imdb_id tmdb_id poster_url "
    "movie_key available",
    "movie_details": "movie_id tagline overview release_date runtime original_language collection "
    "directors actors keywords movie_key",
    "ratings": "user_id movie_id title rating rated_at user_key movie_key",
    "similar_movies": "model movie_id title rank similar_movie_id similar_title score run_id "
    "movie_key similar_movie_key",
    "recommendations": "model user_id rank movie_id title score run_id source_model label user_key "
    "movie_key",
    "charts": "chart genre rank movie_id title score votes mean_rating run_id movie_key",
    "models": "model kind score_meaning description prediction family display_name labels "
    "label_bounds cold_start_order popularity_order top_order",
    "runs": "run_id state published started_at finished_at seconds default_model seed parameters "
    "versions snapshot_at ratings_count users_count movies_count snapshot_checksum output_checksum "
    "peak_memory_mb pruned_at error cold_start rating_model rating_min rating_max "
    "kind refused scope base_run_id edition",
    "freshness": "artefact run_id published_at snapshot_at age ratings_since last_attempt_at "
    "last_attempt_run_id last_error consecutive_failures max_age stale",
    "run_metrics": "run_id model protocol metric segment value ci_low ci_high n",
    "networks": "run_id model movie_ids network bytes ratings_mean ratings_deviation",
    "movie_factors": "model movie_id factors bias run_id movie_key",
    "training_epochs": "run_id model epoch loss metric validation seconds best",
}
LISTED = "rank movie_id title score source model run_id movie_key"
FUNCTIONS = {
    "recommend(1)": LISTED,
    "recommend('1')": LISTED,
    "recommend_for('{}')": LISTED,
    "similar(1)": "rank movie_id title score model run_id movie_key",
    "similar('1')": "rank movie_id title score model run_id movie_key",
    "similar_users(1)": "rank user_id score common_ratings model run_id user_key",
    "similar_users('1')": "rank user_id score common_ratings model run_id user_key",
    "predict_rating(1, 1)": "predict_rating",
    "predict_rating('1', '1')": "predict_rating",
    "label('ease', 1)": "label",
    "rating_histogram(1)": "rating_from rating_to ratings",
    "rating_histogram('1')": "rating_from rating_to ratings",
    "sample_users(1)": "user_id user_key",
    "user_taste(1)": "facet name ratings share mean_rating against_others",
    "user_taste('1')": "facet name ratings share mean_rating against_others",
    "top_movies()": "rank movie_id title score votes mean_rating movie_key",
    "search_movies('x')": "movie_id title year movie_key",
    "recommendations_as_of(1, now())": "rank movie_id title score model run_id movie_key",
    "recommendations_as_of('1', now())": "rank movie_id title score model run_id movie_key",
    "user_id('1')": "user_id",
    "movie_id('1')": "movie_id",
}
OPTIONS = (
    "n integer DEFAULT 10, model text DEFAULT NULL::text, genres text[] DEFAULT NULL::text[], "
    "year_from integer DEFAULT NULL::integer, year_to integer DEFAULT NULL::integer"
)
ARGUMENTS = {
    "recommend": [f"user_id integer, {OPTIONS}", f"user_key text, {OPTIONS}"],
    "recommend_for": [f"ratings jsonb, {OPTIONS}, by_id boolean DEFAULT false"],
    "similar": [
        "movie_id integer, n integer DEFAULT 10, model text DEFAULT NULL::text",
        "movie_key text, n integer DEFAULT 10, model text DEFAULT NULL::text",
    ],
    "similar_users": [
        "user_id integer, n integer DEFAULT 10, model text DEFAULT NULL::text",
        "user_key text, n integer DEFAULT 10, model text DEFAULT NULL::text",
    ],
    "predict_rating": [
        "user_id integer, movie_id integer, model text DEFAULT NULL::text",
        "user_key text, movie_key text, model text DEFAULT NULL::text",
    ],
    "explain": [
        "user_id integer, movie_id integer, model text DEFAULT NULL::text",
        "user_key text, movie_key text, model text DEFAULT NULL::text",
    ],
    "rate": [
        "user_id integer, movie_id integer, rating double precision",
        "user_key text, movie_key text, rating double precision",
    ],
    "block": [
        "user_id integer, movie_id integer, until timestamp with time zone DEFAULT "
        "NULL::timestamp with time zone",
        "user_key text, movie_key text, until timestamp with time zone DEFAULT "
        "NULL::timestamp with time zone",
    ],
    "set_available": [
        "movie_id integer, available boolean",
        "movie_key text, available boolean",
    ],
    "label": ["model text, score double precision"],
    "rating_histogram": ["movie_id integer", "movie_key text"],
    "user_status": ["user_id integer", "user_key text"],
    "user_taste": ["user_id integer", "user_key text"],
    "user_id": ["key text"],
    "movie_id": ["key text"],
    "sample_users": ["n integer, seed double precision DEFAULT 0"],
    "top_movies": [
        "n integer DEFAULT 10, genre text DEFAULT NULL::text, chart text DEFAULT NULL::text"
    ],
    "search_movies": ["query text, n integer DEFAULT 10"],
    "recommendations_as_of": [
        "user_id integer, at timestamp with time zone, n integer DEFAULT 10",
        "user_key text, at timestamp with time zone, n integer DEFAULT 10",
    ],
}
WITHOUT_COMMENT = {
    "relations": """
        SELECT c.relname FROM pg_class AS c
        WHERE c.relnamespace = 'recsys'::regnamespace
          AND obj_description(c.oid, 'pg_class') IS NULL
    """,
    "columns": """
        SELECT c.relname || '.' || a.attname
        FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
        WHERE c.relnamespace = 'recsys'::regnamespace AND a.attnum > 0
          AND col_description(c.oid, a.attnum) IS NULL
    """,
    "functions": """
        SELECT p.oid::regprocedure::text FROM pg_proc AS p
        WHERE p.pronamespace = 'recsys'::regnamespace AND obj_description(p.oid, 'pg_proc') IS NULL
    """,
}


@pytest.mark.parametrize(("view", "columns"), VIEWS.items())
def test_views_have_the_columns_that_were_promised(connection, view, columns):
    found = connection.execute(sa.text(f"SELECT * FROM recsys.{view} LIMIT 0"))
    assert " ".join(found.keys()) == columns


@pytest.mark.parametrize(("call", "columns"), FUNCTIONS.items())
def test_functions_return_the_columns_that_were_promised(connection, call, columns):
    found = connection.execute(sa.text(f"SELECT * FROM recsys.{call} LIMIT 0"))
    assert " ".join(found.keys()) == columns


@pytest.mark.parametrize(("name", "arguments"), ARGUMENTS.items())
def test_functions_take_the_arguments_that_were_promised(connection, name, arguments):
    query = sa.text(
        "SELECT pg_get_function_arguments(oid) FROM pg_proc "
        "WHERE pronamespace = 'recsys'::regnamespace AND proname = :name ORDER BY 1"
    )
    assert connection.scalars(query, {"name": name}).all() == arguments


@pytest.mark.parametrize(
    "view",
    [
        *(view for view in VIEWS if view != "freshness"),
        "run_stages",
        "publications",
        "ingests",
        "rejected_rows",
    ],
)
def test_every_view_can_be_read_when_nothing_is_there(connection, view):
    assert connection.execute(sa.text(f"SELECT * FROM recsys.{view}")).all() == []


@pytest.mark.parametrize("kind", WITHOUT_COMMENT)
def test_everything_has_a_comment(connection, kind):
    assert connection.scalars(sa.text(WITHOUT_COMMENT[kind])).all() == []


def test_functions_are_stable_and_run_in_parallel(connection):
    query = """
        SELECT proname FROM pg_proc WHERE pronamespace = 'recsys'::regnamespace
        AND (provolatile = 'v' OR proparallel <> 's')
        ORDER BY proname
    """
    assert connection.scalars(sa.text(query)).all() == [
        "block", "block", "ensure_user", "ensure_user", "new_user_id", "rate", "rate",
        "set_available", "set_available",
    ]  # fmt: skip


def test_functions_without_tables_are_immutable(connection):
    query = """
        SELECT proname FROM pg_proc
        WHERE pronamespace = 'recsys'::regnamespace AND provolatile = 'i'
    """
    found = set(connection.scalars(sa.text(query)))
    assert found == {
        "check_recommend_arguments", "label_of", "rating_hash", "require_id", "require_n",
        "spelling_variants",
    }  # fmt: skip


def test_the_schema_says_its_version(connection):
    comment = connection.scalar(
        sa.text("SELECT obj_description('recsys'::regnamespace, 'pg_namespace')")
    )
    assert comment.startswith("Recommendations, and all that is known of them; version ")
