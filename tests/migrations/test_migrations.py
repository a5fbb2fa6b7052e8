import pytest
import sqlalchemy as sa
from alembic import command
from alembic.util.exc import CommandError

from recsys.config.settings import RefreshSettings
from recsys.jobs.plan import plan
from recsys.jobs.publish import drop_pruned
from recsys.jobs.refresh import refresh
from recsys.jobs.refresh_users import refresh_users
from recsys.storage.schema import versions
from recsys.storage.schema.tables import STORE, metadata

TABLES = sa.text("""
SELECT c.relname, obj_description(c.oid, 'pg_class') FROM pg_class AS c
WHERE c.relnamespace = 'recsys_store'::regnamespace AND c.relkind IN ('r', 'p')
  AND c.relname <> 'alembic_version' ORDER BY 1
""")
COLUMNS = sa.text("""
SELECT c.relname, a.attname, col_description(c.oid, a.attnum)
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
WHERE c.relnamespace = 'recsys_store'::regnamespace AND c.relkind IN ('r', 'p')
  AND c.relname <> 'alembic_version' AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1, 2
""")
INDEXES = sa.text("""
SELECT c.relname, obj_description(c.oid, 'pg_class')
FROM pg_class AS c
JOIN pg_index AS i ON i.indexrelid = c.oid
WHERE c.relnamespace = 'recsys_store'::regnamespace AND c.relname ~ '^ix_'
  AND NOT c.relispartition ORDER BY 1
""")
STRUCTURE = sa.text("""
SELECT table_name, column_name, data_type, is_nullable, column_default, is_identity
FROM information_schema.columns
WHERE table_schema = 'recsys_store' AND table_name !~ '_run_[0-9]+$' ORDER BY 1, 2
""")
KEYS = sa.text("""
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = 'recsys_store'::regnamespace AND contype <> 'n'
  AND conrelid::regclass::text !~ '_run_[0-9]+$' AND conparentid = 0 ORDER BY 1, 2
""")
RUN_KEYS = sa.text(r"""
SELECT tablename, indexname, indexdef FROM pg_indexes
WHERE schemaname = 'recsys_store'
  AND tablename ~ '^(movie_similarities|user_recommendations|movie_charts)_run_\d+$'
ORDER BY 1, 2
""")
MODEL_FACTS = sa.text("""
SELECT name, family, display_name, labels, label_bounds, personal_start, cold_start_order,
    content_order, similar_order, similar_users_order, popularity_order, top_order
FROM recsys_store.models ORDER BY name
""")
UNINDEXED = sa.text("""
SELECT k.conrelid::regclass::text, k.conname
FROM pg_constraint AS k
WHERE k.contype = 'f' AND k.connamespace = 'recsys_store'::regnamespace AND k.conparentid = 0
  AND NOT EXISTS (
      SELECT FROM pg_index AS i
      WHERE i.indrelid = k.conrelid AND i.indkey[0] = k.conkey[1]
  )
ORDER BY 1, 2
""")


# What a run left in a database of the first revision: ease by default, two movies for user 1.
OLD_RUN = """
INSERT INTO recsys_store.movies (movie_id, title, original_title)
    SELECT n, 'Film ' || n, 'Film ' || n FROM generate_series(1, 6) AS n;
INSERT INTO recsys_store.users (user_id) SELECT generate_series(1, 6);
INSERT INTO recsys_store.ratings (user_id, movie_id, rating)
    SELECT u, m, 3 + mod(u + m, 3) FROM generate_series(1, 5) AS u, generate_series(1, 5) AS m
    WHERE u >= m;
INSERT INTO recsys_store.models (name, kind, score_meaning, description) VALUES
    ('most_rated', 'chart', 'votes', 'counts'), ('ease', 'personal', 'weights', 'learns'),
    ('content_genres', 'similarity', 'cosine', 'compares');
INSERT INTO recsys_store.runs
    (state, finished_at, default_model_id, seed, parameters, versions, backend)
    SELECT 'complete', now(), model_id, 42,
        '{"models": {"most_rated": {}, "ease": {}, "content_genres": {}}}', '{}', 'here'
    FROM recsys_store.models WHERE name = 'ease';
CREATE TABLE recsys_store.movie_similarities_run_1
    PARTITION OF recsys_store.movie_similarities FOR VALUES IN (1);
CREATE TABLE recsys_store.user_recommendations_run_1
    PARTITION OF recsys_store.user_recommendations FOR VALUES IN (1);
CREATE TABLE recsys_store.movie_charts_run_1
    PARTITION OF recsys_store.movie_charts FOR VALUES IN (1);
CREATE TABLE recsys_store.user_factors_run_1
    PARTITION OF recsys_store.user_factors FOR VALUES IN (1);
INSERT INTO recsys_store.user_recommendations (run_id, model_id, rank, user_id, movie_id, score)
    SELECT 1, model_id, place, 1, 6 - place, 0.5 / place
    FROM recsys_store.models, generate_series(1, 2) AS place WHERE name = 'ease';
INSERT INTO recsys_store.movie_similarities
    (run_id, model_id, rank, movie_id, similar_movie_id, score)
    SELECT 1, model_id, 1, 1, 3, 0.25 FROM recsys_store.models WHERE name = 'ease';
INSERT INTO recsys_store.movie_charts
    (run_id, model_id, rank, movie_id, votes, score, mean_rating)
    SELECT 1, model_id, m, m, 6 - m, 6 - m, 4
    FROM recsys_store.models, generate_series(1, 5) AS m WHERE name = 'most_rated';
INSERT INTO recsys_store.user_factors (run_id, model_id, user_id, factors)
    SELECT 1, model_id, 1, '{1,2}' FROM recsys_store.models WHERE name = 'ease';
INSERT INTO recsys_store.publications (run_id, action) VALUES (1, 'publish');
INSERT INTO recsys_store.published (run_id) VALUES (1)
"""
RECOMMEND = "SELECT rank, movie_id, score, source, model, run_id FROM recsys.recommend({}, {})"


def structure(connection):
    return [connection.execute(query).all() for query in (STRUCTURE, KEYS, INDEXES)]


def config(connection):
    return versions.alembic_config(connection)


def test_up_from_empty_matches_the_models(empty_database):
    with empty_database.transaction() as connection:
        command.upgrade(config(connection), "head")
        command.check(config(connection))
        assert versions.revision(connection) == versions.head()


def test_keys_are_those_of_the_models(empty_database):
    """Compare what alembic leaves out: order of key columns, included columns, checks."""
    described = sa.text(str(KEYS).replace("recsys_store", "described"))
    with empty_database.transaction() as connection:
        command.upgrade(config(connection), "head")
        found = [key for key in connection.execute(KEYS) if "alembic_version" not in key[0]]
        connection.execute(sa.text("CREATE SCHEMA described"))
        renamed = connection.execution_options(schema_translate_map={STORE: "described"})
        metadata.create_all(renamed)
        assert [
            tuple(text.replace("described.", "recsys_store.") for text in key)
            for key in connection.execute(described)
        ] == [tuple(key) for key in found]


@pytest.mark.slow
def test_down_to_nothing_and_up_again_gives_the_same(database):
    with database.transaction() as connection:
        before = structure(connection)
        connection.execute(sa.text("DROP SCHEMA recsys CASCADE"))
        command.downgrade(config(connection), "base")
        assert connection.execute(TABLES).all() == []
        assert versions.revision(connection) is None
        versions.upgrade(connection)
        assert structure(connection) == before
        command.check(config(connection))


def test_the_models_match_a_filled_database_with_partitions(refreshed_database):
    with refreshed_database.transaction() as connection:
        command.check(config(connection))


def test_a_filled_database_goes_down_and_up(refreshed_database):
    with refreshed_database.transaction() as connection:
        before = structure(connection)
        connection.execute(sa.text("DROP SCHEMA recsys CASCADE"))
        command.downgrade(config(connection), "base")
        assert connection.execute(TABLES).all() == []
        versions.upgrade(connection)
        assert structure(connection) == before


def test_a_database_with_every_model_goes_down_to_the_first_revision_and_up(
    make_database, everything_template
):
    with make_database(everything_template).transaction() as connection:
        before = structure(connection)
        keys = connection.execute(RUN_KEYS).all()
        facts = connection.execute(MODEL_FACTS).all()
        lists = connection.execute(sa.text(RECOMMEND.format(1, 30))).all()
        connection.execute(sa.text("DROP SCHEMA recsys CASCADE"))
        command.downgrade(config(connection), "0001")
        assert versions.revision(connection) == "0001"
        versions.upgrade(connection)
        assert structure(connection) == before
        assert len(keys) == 4
        assert connection.execute(RUN_KEYS).all() == keys
        # Models and roles that came later are written by the next refresh.
        later = {"slist", "slist_newest", "next", "timely", "trending"}
        later |= {"neural_dot", "youtube_dnn", "sasrec"}
        assert [row for row in connection.execute(MODEL_FACTS) if row.name not in later] == [
            row for row in facts if row.name not in later
        ]
        assert len(facts) > 20
        command.check(config(connection))
        assert connection.execute(sa.text(RECOMMEND.format(1, 30))).all() == lists


def test_packing_lists_keeps_every_entry_and_the_views_of_others(
    make_database, everything_template
):
    views = ("recommendations", "similar_movies")
    with make_database(everything_template).transaction() as connection:
        for view in views:
            columns = "model, rank, score, run_id, title"
            connection.execute(
                sa.text(f"CREATE VIEW public.{view} AS SELECT {columns} FROM recsys.{view}")
            )

        def found():
            return [
                sorted(map(tuple, connection.execute(sa.text(f"SELECT * FROM public.{view}"))))
                for view in views
            ]

        before = found()
        assert min(map(len, before)) > 1000
        command.downgrade(config(connection), "0011")
        columns = sa.inspect(connection).get_columns("user_recommendations", STORE)
        assert {"rank", "movie_id", "score"} < {column["name"] for column in columns}
        assert found() == before
        command.upgrade(config(connection), "0012")
        assert found() == before


def test_down_from_a_run_that_shares_another_publishes_the_other(refreshed_database, plan_all):
    with refreshed_database.transaction() as connection:
        connection.execute(sa.text("SELECT recsys.rate(1, 59, 4)"))
    assert refresh_users(refreshed_database, plan_all).run_id == 2
    with refreshed_database.transaction() as connection:
        command.downgrade(config(connection), "0012")
    shown = "SELECT DISTINCT run_id FROM recsys_store.published"
    assert rows_of(refreshed_database, shown) == [(1,)]
    runs = "SELECT run_id, pruned_at IS NULL FROM recsys_store.runs ORDER BY run_id"
    assert rows_of(refreshed_database, runs) == [(1, True), (2, False)]
    log = "SELECT run_id, action FROM recsys_store.publications ORDER BY publication_id"
    assert rows_of(refreshed_database, log)[-2:] == [(2, "publish"), (1, "publish")]
    for view in ("charts", "recommendations", "similar_movies"):
        assert rows_of(refreshed_database, f"SELECT DISTINCT run_id FROM recsys.{view}") == [(1,)]
    with refreshed_database.transaction() as connection:
        versions.upgrade(connection)
    assert rows_of(refreshed_database, "SELECT DISTINCT run_id FROM recsys.recommend(1)") == [(1,)]
    drop_pruned(refreshed_database)
    left = r"SELECT count(*) FROM pg_class WHERE relname ~ '_run_2$'"
    assert rows_of(refreshed_database, left) == [(0,)]


@pytest.fixture
def old_database(empty_database):
    """A database of the first revision with run 1 published, brought to this version."""
    with empty_database.transaction() as connection:
        command.upgrade(config(connection), "0001")
        for statement in OLD_RUN.split(";\n"):
            connection.exec_driver_sql(statement)
    with empty_database.transaction() as connection:
        versions.upgrade(connection)
        command.check(config(connection))
    return empty_database


def rows_of(database, query):
    with database.snapshot() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


def test_a_run_of_the_first_revision_stays_served(old_database):
    def ask(query):
        return rows_of(old_database, query)

    assert ask(RECOMMEND.format(1, 5)) == [
        (1, 5, 0.5, "stored", "ease", 1),
        (2, 4, 0.25, "stored", "ease", 1),
        (3, 2, 4.0, "chart", "most_rated", 1),
        (4, 3, 3.0, "chart", "most_rated", 1),
        (5, 6, 0.0, "chart", "most_rated", 1),
    ]
    # User 6 has not rated.
    assert ask(RECOMMEND.format(6, 2)) == [
        (1, 1, 5.0, "chart", "most_rated", 1),
        (2, 2, 4.0, "chart", "most_rated", 1),
    ]
    assert ask("SELECT * FROM recsys.similar(1)") == [(1, 3, "Film 3", 0.25, "ease", 1, "3")]
    assert ask("SELECT * FROM recsys.top_movies(1, NULL, 'most_rated')") == [
        (1, 1, "Film 1", 5.0, 5, 4.0, "1")
    ]
    assert ask("SELECT source_model, label FROM recsys.recommendations") == [("ease", None)] * 2
    assert ask("SELECT recsys.predict_rating(1, 2)") == [(None,)]
    assert ask("SELECT * FROM recsys.similar_users(1, 10, 'ease')") == []
    assert ask("SELECT bias FROM recsys_store.user_factors") == [(0.0,)]
    assert ask(
        "SELECT published, default_model, cold_start, rating_model, rating_min FROM recsys.runs"
    ) == [(True, "ease", "most_rated", None, None)]


def test_the_first_refresh_after_an_upgrade_is_published_beside_the_old_run(old_database):
    models = ("most_rated", "popular", "content_genres", "ease", "item_knn")
    report = refresh(old_database, plan(RefreshSettings(models=models, threads=1)))
    assert (report.run_id, report.published) == (2, True)
    assert rows_of(old_database, RECOMMEND.format(6, 1)) == [
        (1, 1, pytest.approx(0.6), "chart", "popular", 2)
    ]
    assert rows_of(
        old_database, "SELECT run_id, cold_start, rating_model FROM recsys.runs ORDER BY run_id"
    ) == [(1, "most_rated", None), (2, "popular", "item_knn")]
    assert rows_of(
        old_database, "SELECT kind, prediction FROM recsys.models WHERE model = 'content_genres'"
    ) == [("personal", None)]
    assert rows_of(
        old_database,
        "SELECT cardinality(movie_ids) FROM recsys_store.user_recommendations WHERE run_id = 1",
    ) == [(2,)]


def test_the_check_sees_a_difference(database):
    with database.transaction() as connection:
        connection.execute(sa.text("ALTER TABLE recsys_store.movies ADD COLUMN odd integer"))
    with database.transaction() as connection, pytest.raises(CommandError, match="odd"):
        command.check(config(connection))


def test_every_table_and_column_has_a_comment(connection):
    tables, columns = connection.execute(TABLES).all(), connection.execute(COLUMNS).all()
    assert (len(tables), len(columns)) > (25, 100)
    assert [table for table, comment in tables if not comment] == []
    assert [(table, column) for table, column, comment in columns if not comment] == []


def test_every_index_that_is_no_key_names_its_query(connection):
    indexes = connection.execute(INDEXES).all()
    assert len(indexes) >= 12
    # The indexes of small tables serve foreign keys only.
    bare = {name for name, comment in indexes if not comment}
    assert bare <= {
        "ix_publications_run_id", "ix_published_run_id", "ix_run_metrics_model_id",
        "ix_runs_default_model_id", "ix_runs_cold_start_model_id", "ix_runs_rating_model_id",
        "ix_runs_live_model_id", "ix_runs_base_run_id", "ix_runs_shared_run_id",
        "ix_training_epochs_model_id",
    }  # fmt: skip


def test_every_foreign_key_leads_an_index(connection):
    assert connection.execute(UNINDEXED).all() == []
