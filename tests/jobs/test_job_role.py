"""The jobs run as `recsys_job`, and with those that a superuser runs on the same database."""

import pytest
import sqlalchemy as sa
from alembic import command

from recsys.config.settings import RefreshSettings
from recsys.errors import StorageError
from recsys.evaluation.protocols import PROTOCOLS
from recsys.jobs.evaluate import evaluate
from recsys.jobs.ingest import ingest
from recsys.jobs.plan import plan
from recsys.jobs.publish import prune
from recsys.jobs.refresh import refresh
from recsys.storage.runs import results
from recsys.storage.schema import roles, versions

OF_OTHERS = """
SELECT c.oid::regclass::text FROM pg_class AS c
WHERE c.relnamespace IN ('recsys'::regnamespace, 'recsys_store'::regnamespace)
  AND c.relowner <> 'recsys_owner'::regrole
"""
PARTITIONS = """
SELECT DISTINCT substring(relname FROM 'run_([0-9]+)$')::integer AS run_id FROM pg_class
WHERE relispartition AND relkind = 'r' ORDER BY run_id
"""
FEW_MODELS = plan(RefreshSettings(models=("ease", "most_rated", "popular"), threads=1, keep_runs=9))


def set_up_roles(database):
    with database.transaction() as connection:
        versions.ensure(connection)
        roles.apply(connection)


def upgrade_schema(database):
    with database.transaction() as connection:
        versions.upgrade(connection)


def schema_state(database):
    with database.transaction() as connection:
        return versions.state(connection)


@pytest.fixture
def given(filled_database):
    """The made-up edition, given to the roles."""
    set_up_roles(filled_database)
    return filled_database


@pytest.fixture
def job(given, as_role):
    return as_role(given, "recsys_job")


def scalars(database, query):
    with database.transaction() as connection:
        return connection.scalars(sa.text(query)).all()


def test_the_job_loads_an_edition_into_an_empty_database(
    database, as_role, edition, tmp_path, write_edition
):
    set_up_roles(database)
    job = as_role(database, "recsys_job")
    assert ingest(job, edition).counts.inserted > 0
    assert ingest(job, edition).no_change
    other = write_edition(tmp_path / "ml-other", ["1,10,4.5,1000000000", "2,10,0.5,1000000002"])
    assert ingest(job, other, replace=True).replaced == "ml-small-made-up"
    assert scalars(job, "SELECT count(*) FROM recsys.ratings") == [2]
    assert scalars(database, OF_OTHERS) == []


def test_one_refreshes_and_the_other_prunes(given, job):
    assert [refresh(who, FEW_MODELS, force="x").run_id for who in (given, job, given, job)] == [
        1, 2, 3, 4,
    ]  # fmt: skip
    assert scalars(given, OF_OTHERS) == []
    assert prune(job, 3) == [1]
    assert prune(given, 2) == [2]
    assert prune(job, 1) == [3]
    assert scalars(given, PARTITIONS) == [4]
    by = "SELECT published_by FROM recsys.publications ORDER BY publication_id DESC LIMIT 1"
    assert scalars(given, by) == ["recsys_job"]


def test_the_job_evaluates_and_upgrades(given, job):
    evaluated = evaluate(job, FEW_MODELS, PROTOCOLS["random-90-10"], seed=1)
    assert scalars(given, "SELECT kind FROM recsys.runs") == ["evaluation"]
    assert evaluated is not None
    with given.transaction() as connection:
        connection.execute(sa.text("DROP VIEW recsys.models"))
    upgrade_schema(job)
    assert scalars(given, OF_OTHERS) == []
    assert schema_state(job) == "current"


def test_the_job_upgrades_an_older_database(given, job):
    """Tables belong to the owner, the contract follows, and new objects are the owner's again."""
    views = "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'recsys'::regnamespace"
    with given.transaction() as connection:
        for view in connection.scalars(sa.text(views)).all():
            connection.execute(sa.text(f"DROP VIEW IF EXISTS {view} CASCADE"))
        command.downgrade(versions.alembic_config(connection), "0003")
    assert schema_state(job) == "other"
    upgrade_schema(job)
    assert schema_state(job) == "current"
    assert scalars(given, OF_OTHERS) == []
    assert refresh(job, FEW_MODELS).run_id == 1


def test_a_partition_is_its_tables_owners(database):
    """The owner of a table also owns its partitions, with or without our roles."""
    owner = "SELECT relowner::regrole::text FROM pg_class WHERE relname = :name"
    with database.transaction() as connection:
        connection.execute(sa.text("CREATE ROLE recsys_test_somebody"))
        connection.execute(sa.text("GRANT CREATE ON SCHEMA recsys_store TO recsys_test_somebody"))
        connection.execute(
            sa.text("ALTER TABLE recsys_store.user_factors OWNER TO recsys_test_somebody")
        )
        for table in ("user_factors", "movie_factors"):
            results.create(connection, table, 7)
            found = [
                connection.scalar(sa.text(owner), {"name": name})
                for name in (table, f"{table}_run_7")
            ]
            assert found[0] == found[1]
        connection.rollback()


@pytest.mark.parametrize("role", ["recsys_app", "recsys_reader"])
def test_no_job_runs_as_another_role(given, as_role, edition, role):
    database = as_role(given, role)
    for job in (
        lambda: refresh(database, FEW_MODELS),
        lambda: ingest(database, edition),
        lambda: upgrade_schema(database),
        lambda: set_up_roles(database),
    ):
        with pytest.raises(StorageError) as caught:
            job()
        assert caught.value.sqlstate == "42501"


@pytest.mark.parametrize("role", ["recsys_job", "recsys_app", "recsys_reader"])
def test_every_role_can_see_how_old_the_schema_is(given, as_role, role):
    assert schema_state(as_role(given, role)) == "current"
    with given.transaction() as connection:
        connection.execute(sa.text("COMMENT ON SCHEMA recsys IS 'version abc'"))
    assert schema_state(as_role(given, role)) == "other"
