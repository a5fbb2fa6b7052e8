"""`ingest --replace` and refresh keep out of each other's way; readers of an old contract."""

import pytest
import sqlalchemy as sa
from store import rows_of

from recsys.errors import RefreshBusy, StorageError
from recsys.jobs.ingest import ingest
from recsys.jobs.refresh import refresh
from recsys.service.recommender import Recommender
from recsys.storage.load import ingests
from recsys.storage.runs import lock

RUNS = "SELECT run_id, state, pruned_at IS NULL FROM recsys_store.runs ORDER BY run_id"


@pytest.fixture
def other_edition(tmp_path, write_edition):
    return write_edition(tmp_path / "ml-other", ["1,10,4.5,1000000000", "2,10,0.5,1000000002"])


class During:
    """Do something in the middle of a stage."""

    def __init__(self, stage, action):
        self.stage, self.action = stage, action

    def begin(self, stage):
        if stage == self.stage:
            self.action()

    def advance(self, done, total): ...

    def end(self, note): ...


def test_a_replace_is_refused_during_a_refresh(refreshed_database, other_edition, contents):
    before = contents(refreshed_database)
    with refreshed_database.session() as session, lock.single_flight(session):
        with pytest.raises(RefreshBusy) as caught:
            ingest(refreshed_database, other_edition, replace=True)
        assert str(caught.value).startswith("another refresh is running: ")
        assert (caught.value.hint, caught.value.exit_code) == ("wait for it to end", 4)
        assert contents(refreshed_database) == before
    report = ingest(refreshed_database, other_edition, replace=True)
    assert report.replaced == "ml-small-made-up"
    assert rows_of(refreshed_database, "SELECT count(*) FROM recsys.ratings") == [(2,)]
    assert rows_of(refreshed_database, "SELECT count(*) FROM recsys_store.published") == [(0,)]
    assert rows_of(refreshed_database, RUNS) == [(1, "complete", False)]


@pytest.mark.parametrize("stage", ["read", "ease", "gate", "write"])
def test_a_replace_in_the_middle_of_a_refresh_is_refused(
    refreshed_database, plan_all, other_edition, stage
):
    refused = []

    def replace_all():
        with pytest.raises(RefreshBusy) as caught:
            ingest(refreshed_database, other_edition, replace=True)
        refused.append(str(caught.value))

    report = refresh(refreshed_database, plan_all, reporter=During(stage, replace_all))
    assert len(refused) == 1
    assert rows_of(refreshed_database, "SELECT run_id FROM recsys_store.published") == [(2,)]
    assert report.run_id == 2
    loaded = rows_of(refreshed_database, "SELECT edition FROM recsys.ingests")
    assert loaded == [("ml-small-made-up",)]


def test_an_ingest_without_replace_minds_no_refresh(refreshed_database, edition):
    with refreshed_database.session() as session, lock.single_flight(session):
        assert ingest(refreshed_database, edition).no_change


def test_a_refresh_is_refused_while_a_replace_is_under_way(refreshed_database, plan_all):
    with refreshed_database.transaction() as connection:
        ingests.clear(connection)
        with pytest.raises(RefreshBusy):
            refresh(refreshed_database, plan_all)
        connection.rollback()
    # Rolled back, all is as it was, and the lock went with the transaction.
    assert rows_of(refreshed_database, RUNS) == [(1, "complete", True)]
    assert refresh(refreshed_database, plan_all).run_id == 2


def test_the_lock_of_a_replace_ends_with_its_transaction(refreshed_database, other_edition):
    ingest(refreshed_database, other_edition, replace=True)
    with refreshed_database.session() as session, lock.single_flight(session):
        pass


# --- a contract that is not whole ---


@pytest.mark.parametrize(
    ("drop", "sqlstate", "part"),
    [
        ("VIEW recsys.freshness", "42P01", "schema"),
        ("FUNCTION recsys.search_movies CASCADE", "42883", "SQL contract"),
    ],
)
def test_an_old_contract_is_not_an_empty_database(refreshed_database, drop, sqlstate, part):
    with refreshed_database.transaction() as connection:
        connection.execute(sa.text(f"DROP {drop}"))
    service = Recommender(refreshed_database)
    with pytest.raises(StorageError) as caught:
        service.freshness() if sqlstate == "42P01" else service.search("film")
    assert caught.value.sqlstate == sqlstate
    assert caught.value.hint == f"the {part} is missing or outdated: upgrade it"
