"""A database with metadata for the pages, and a client for them."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from recsys.jobs.ingest import ingest_metadata
from recsys.service import AsyncRecommender
from recsys.storage.server.engine import Database
from recsys.web.app import create_app

FILM = {
    "id": "2001",
    "imdb_id": "tt0001001",
    "title": "Film 1",
    "original_language": "fr",
    "overview": "A film is shot <on film>.",
    "tagline": "Take one.",
    "release_date": "1951-03-02",
    "runtime": "81.0",
    "belongs_to_collection": "{'name': 'The Films'}",
    "poster_path": "/first.jpg",
}
COLUMNS = [
    "adult", "belongs_to_collection", "budget", "genres", "homepage", "id", "imdb_id",
    "original_language", "original_title", "overview", "popularity", "poster_path",
    "production_companies", "production_countries", "release_date", "revenue", "runtime",
    "spoken_languages", "status", "tagline", "title", "video", "vote_average", "vote_count",
]  # fmt: skip
KEYWORDS = ["2001", "[{'id': 7, 'name': 'film'}, {'id': 8, 'name': 'camera'}]"]
CAST = [{"cast_id": n, "id": 10 + n, "name": f"Player {n}", "order": n} for n in range(12)]
CREW = [{"id": 30, "name": "The Director", "job": "Director"}]


def _write(path: Path, *rows: list[str]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


@pytest.fixture(scope="session")
def metadata(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Complete metadata of movie 1, and a poster of movie 2."""
    folder = tmp_path_factory.mktemp("metadata")
    films = [FILM, {"id": "2002", "title": "Film 2", "poster_path": "/second.jpg"}]
    rows = [[film.get(column, "") for column in COLUMNS] for film in films]
    _write(folder / "movies_metadata.csv", COLUMNS, *rows)
    _write(folder / "keywords.csv", ["id", "keywords"], KEYWORDS)
    _write(folder / "credits.csv", ["cast", "crew", "id"], [str(CAST), str(CREW), "2001"])
    return folder


@pytest.fixture(scope="session")
def pages_database(
    server_url: str,
    refreshed_template: str,
    run_on_server: Callable[[sql.Composable], None],
    metadata: Path,
) -> Iterator[Database]:
    """The made-up edition with metadata and run 1 published, for reading only."""
    name = f"{refreshed_template}_pages"
    copy = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
    run_on_server(copy.format(sql.Identifier(name), sql.Identifier(refreshed_template)))
    url = sa.make_url(server_url).set(database=name).render_as_string(hide_password=False)
    ingest_metadata(Database(url), metadata)
    yield Database(url)
    run_on_server(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


async def _request(database: Database, path: str, accept: str) -> httpx.Response:
    async with AsyncRecommender(database) as recommender:
        app = create_app(recommender)
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://pages") as client,
        ):
            return await client.get(path, headers={"Accept": accept})


@pytest.fixture
def request_page() -> Callable[..., httpx.Response]:
    """Request a page from an app over a database, as a browser does."""

    def request(database: Database, path: str, accept: str = "text/html") -> httpx.Response:
        return asyncio.run(_request(database, path, accept))

    return request


@pytest.fixture
def get(
    request_page: Callable[..., httpx.Response], pages_database: Database
) -> Callable[..., str]:
    """Request a page that exists and return its HTML."""

    def get(path: str) -> str:
        response = request_page(pages_database, path)
        assert (response.status_code, response.headers["content-type"]) == (
            200,
            "text/html; charset=utf-8",
        )
        return response.text

    return get


@pytest.fixture
def contract(pages_database: Database) -> Callable[..., list[tuple[object, ...]]]:
    """Select rows of the contract."""

    def rows(query: str) -> list[tuple[object, ...]]:
        with psycopg.connect(pages_database.url) as connection:
            return connection.execute(query).fetchall()

    return rows
