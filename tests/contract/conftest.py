"""Fixtures of the contract tests: a second run."""

import pytest
import sqlalchemy as sa

from recsys.jobs.refresh import refresh


@pytest.fixture(scope="session")
def two_runs_database(template_from_refreshed, plan_everything):
    """Run 2, with every model, is published beside run 1; tests must not write to it."""
    with template_from_refreshed("two_runs") as database:
        assert refresh(database, plan_everything, force="other models").run_id == 2
        yield database


@pytest.fixture
def two_runs(two_runs_database):
    """A connection to two runs, whose transaction is rolled back."""
    with two_runs_database.engine.connect() as connection:
        transaction = connection.begin()
        yield connection
        transaction.rollback()


@pytest.fixture(scope="session")
def scanned():
    """Find the tables and indexes that a query scans, inside functions too.

    A sequential scan counts for the table, one of an index for the index.
    """
    counts = sa.text(
        "SELECT relname, pg_stat_get_xact_numscans(oid) FROM pg_class "
        "WHERE relnamespace = 'recsys_store'::regnamespace"
    )

    def find(connection, query, **values):
        before = dict(map(tuple, connection.execute(counts)))
        assert connection.execute(sa.text(query), values).first()[0] is not None
        return {name for name, count in connection.execute(counts) if count > before[name]}

    return find
