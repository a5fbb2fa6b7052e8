"""A database in SQL_ASCII is refused at the connection: the driver would return bytes for texts."""

import asyncio

import pytest
from psycopg import sql

from recsys import AsyncRecommender, Recommender
from recsys.errors import StorageError
from recsys.storage.server.address import open_address
from recsys.storage.server.engine import Database, open_database


@pytest.fixture(scope="module")
def ascii_url(server_url, run_on_server):
    name = "recsys_test_sql_ascii"
    statement = "CREATE DATABASE {} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'"
    run_on_server(sql.SQL(statement).format(sql.Identifier(name)))
    yield (
        Database(server_url)
        .engine.url.set(drivername="postgresql", database=name)
        .render_as_string(hide_password=False)
    )
    run_on_server(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def refused(url, caught):
    label = Database(url).label
    assert (
        str(caught.value) == f"the database {label} has the encoding SQL_ASCII; recsys needs UTF8"
    )
    assert caught.value.hint == "create a database with createdb -E UTF8 -T template0 NAME"


@pytest.mark.parametrize("open_", [open_database, open_address])
def test_it_is_not_opened(tmp_path, ascii_url, open_):
    with pytest.raises(StorageError) as caught, open_(tmp_path, ascii_url):
        pytest.fail("it was opened")
    refused(ascii_url, caught)


def test_it_gets_no_transaction(ascii_url):
    with pytest.raises(StorageError) as caught, Database(ascii_url).transaction():
        pytest.fail("it was opened")
    refused(ascii_url, caught)


def test_it_serves_no_recommender(ascii_url):
    with pytest.raises(StorageError) as caught, Recommender.connect(ascii_url):
        pytest.fail("it was opened")
    refused(ascii_url, caught)

    async def connect():
        async with AsyncRecommender.connect(ascii_url):
            pytest.fail("it was opened")

    with pytest.raises(StorageError) as caught:
        asyncio.run(connect())
    refused(ascii_url, caught)
