"""How many connections a job opens."""

import pytest
import sqlalchemy as sa

from recsys.jobs.forget import forget
from recsys.jobs.ingest import ingest
from recsys.jobs.publish import prune, publish
from recsys.jobs.refresh import refresh
from recsys.storage.server.engine import open_database


@pytest.fixture
def opened(make_database, filled_template, tmp_path):
    url = make_database(filled_template).url
    with open_database(tmp_path, url, reuse_connections=True) as database:
        database.engine.dispose()
        yield database


@pytest.fixture
def connections(opened):
    """Process ids of the server, one for each connection that was opened."""
    pids = []
    sa.event.listen(
        opened.engine, "connect", lambda driver, record: pids.append(driver.info.backend_pid)
    )
    return pids


def test_an_ingest_opens_one_connection(opened, connections, edition):
    assert ingest(opened, edition).no_change
    assert len(connections) == 1


def test_publishing_forgetting_and_pruning_open_one_connection_together(
    opened, connections, plan_all
):
    for _ in range(2):
        refresh(opened, plan_all)
    opened.engine.dispose()
    connections.clear()
    publish(opened, 1)
    forget(opened, 7)
    assert prune(opened, 1) == []
    assert len(connections) == 1
