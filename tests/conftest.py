"""A real PostgreSQL for every test that wants one: RECSYS_DATABASE_URL, else an embedded one.

Each test that commits gets a database of its own, cloned from a template that is migrated once.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# Before numpy: workers share the cores, and idle BLAS threads of one would spin on another's.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Compiling a network takes seconds: workers, and later runs, take over what one has compiled.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", f"{tempfile.gettempdir()}/recsys-tests-jax")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

import numpy as np
import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from recsys.config.settings import RefreshSettings
from recsys.jobs import ingest as ingest_job
from recsys.jobs import refresh as refresh_job
from recsys.jobs.plan import Plan, plan
from recsys.models.registry import MODELS
from recsys.storage.schema import roles, versions
from recsys.storage.server.embedded import EmbeddedServer
from recsys.storage.server.engine import Database, sqlalchemy_url

# Side by side the tests run in workers that are told a width of the terminal.
os.environ.pop("COLUMNS", None)
ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = f"recsys_test_template_{os.getpid()}"
numbers = itertools.count(1)
SHARED_MEMORY, ROOM = Path("/dev/shm"), 4 << 30

CHROMIUM = os.environ.get("RECSYS_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
BROWSER_TESTS = bool(CHROMIUM and find_spec("playwright") and find_spec("axe_playwright_python"))
collect_ignore_glob = [] if BROWSER_TESTS else ["web/pages/test_browser_*.py"]
if not find_spec("pyspark"):
    collect_ignore_glob += ["spark"]


# --- published data sets, which are not part of the checkout --------------------------------------

TEST_DATA = os.environ.get("RECSYS_TEST_DATA")
DATA_SETS = (
    "ml-100k",
    "ml-1m",
    "ml-latest-small",
    "the-movies-dataset",
    "tutorial-movies",
    "tutorial-products",
)
LEFT_OUT = pytest.StashKey[set[str]]()


def _data_set(name: str) -> pytest.FixtureDef[Path]:
    @pytest.fixture(scope="session", name=name.replace("-", "_"))
    def folder() -> Path:
        assert TEST_DATA is not None
        return Path(TEST_DATA).resolve() / name

    return folder


# A test that uses one of these fixtures is left out where the folder is not there.
for _name in DATA_SETS:
    globals()[_name.replace("-", "_")] = _data_set(_name)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[LEFT_OUT] = set()
    if TEST_DATA is not None and not Path(TEST_DATA).is_dir():
        raise pytest.UsageError(f"RECSYS_TEST_DATA: {TEST_DATA} is not a folder")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    absent = {
        name.replace("-", "_")
        for name in DATA_SETS
        if TEST_DATA is None or not (Path(TEST_DATA) / name).is_dir()
    }
    left_out = [item for item in items if not absent.isdisjoint(getattr(item, "fixturenames", ()))]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
        config.stash[LEFT_OUT] |= {item.nodeid for item in left_out}


def pytest_sessionfinish(session: pytest.Session) -> None:
    # Only workers of pytest-xdist have an output, which travels to the process that reports.
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = sorted(session.config.stash[LEFT_OUT])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    node.config.stash[LEFT_OUT] |= set(getattr(node, "workeroutput", {}).get("left_out", ()))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if not BROWSER_TESTS:
        wanted = "playwright, axe-playwright-python and a Chromium (RECSYS_CHROMIUM)"
        terminalreporter.write_line(f"pages were not driven in a browser: that wants {wanted}")
    if left_out := config.stash[LEFT_OUT]:
        modules = sorted({nodeid.partition("::")[0] for nodeid in left_out})
        terminalreporter.write_line(
            f"tests of published data sets left out: {len(left_out)}, in {', '.join(modules)}; "
            f"RECSYS_TEST_DATA=FOLDER runs them, with {', '.join(DATA_SETS)} in FOLDER"
        )


@pytest.fixture(scope="session")
def chromium() -> str:
    """The program that drives pages."""
    assert CHROMIUM is not None
    return CHROMIUM


def with_database(url: str, name: str) -> str:
    parsed = sqlalchemy_url(url).set(drivername="postgresql", database=name)
    return parsed.render_as_string(hide_password=False)


def _in_memory() -> Path | None:
    """Find a folder that is no disk: databases are made there in a tenth of the time."""
    with suppress(OSError):
        if os.access(SHARED_MEMORY, os.W_OK) and shutil.disk_usage(SHARED_MEMORY).free > ROOM:
            return SHARED_MEMORY
    return None


@pytest.fixture(scope="session")
def server_home() -> Iterator[Path]:
    # Not pytest's own folder: as root that one is closed to the server's user.
    home = Path(tempfile.mkdtemp(prefix="recsys-tests-", dir=_in_memory()))
    home.chmod(0o755)
    yield home
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def server_url(server_home: Path) -> Iterator[str]:
    """URL of the server, with a database that no test may write to."""
    external = os.environ.get("RECSYS_DATABASE_URL")
    if external:
        yield external
        return
    server = EmbeddedServer(server_home)
    with server.running() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            # What the tests write need not outlive a power cut.
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("ALTER SYSTEM SET max_wal_size = '256MB'")
            connection.execute("SELECT pg_reload_conf()")
        yield url


@pytest.fixture(scope="session")
def server_program(server_home: Path, server_url: str) -> Callable[[str], str]:
    """Find a program of PostgreSQL's, as pg_dump, that fits the server."""
    server = EmbeddedServer(server_home)

    def find(name: str) -> str:
        found = str(server.program(name)) if server.status().running else shutil.which(name)
        assert found is not None, f"{name} is not on PATH"
        return found

    return find


@pytest.fixture(scope="session")
def run_on_server(server_url: str) -> Callable[[sql.Composable], None]:
    def run(statement: sql.Composable) -> None:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(statement)

    return run


@pytest.fixture(scope="session")
def template(server_url: str, run_on_server: Callable[[sql.Composable], None]) -> Iterator[str]:
    run_on_server(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
    database = Database(with_database(server_url, TEMPLATE))
    with database.transaction() as connection:
        versions.upgrade(connection)
    yield TEMPLATE
    run_on_server(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(TEMPLATE)))


@pytest.fixture
def make_database(
    server_url: str, run_on_server: Callable[[sql.Composable], None]
) -> Iterator[Callable[[str | None], Database]]:
    """Make a database of a test's own, empty or as a clone of a template."""
    made: list[str] = []

    def make(template: str | None = None) -> Database:
        name = f"recsys_test_{os.getpid()}_{next(numbers)}"
        source = sql.Identifier(template or "template1")
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        run_on_server(statement.format(sql.Identifier(name), source))
        made.append(name)
        return Database(with_database(server_url, name))

    yield make
    for name in made:
        run_on_server(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def empty_database(make_database: Callable[[str | None], Database]) -> Database:
    """A database without any schema of ours."""
    return make_database(None)


@pytest.fixture
def database(make_database: Callable[[str | None], Database], template: str) -> Database:
    """A migrated database without data, of the test's own."""
    return make_database(template)


@pytest.fixture(scope="session")
def scratch_url(
    server_url: str, run_on_server: Callable[[sql.Composable], None], template: str
) -> Iterator[str]:
    """URL of a migrated database for transactions that are rolled back."""
    # Not the template: a rollback returns no numbers to a sequence, and clones would go on from
    # there.
    name = f"{TEMPLATE}_scratch"
    with _template(server_url, run_on_server, name, template) as database:
        yield database.url


@pytest.fixture
def connection(scratch_url: str) -> Iterator[sa.Connection]:
    """A connection to a migrated database whose transaction is rolled back after the test."""
    engine = Database(scratch_url).engine
    with engine.connect() as open_connection:
        transaction = open_connection.begin()
        yield open_connection
        transaction.rollback()


# --- least-privilege roles ------------------------------------------------------------------------

ROLES = ("recsys_owner", "recsys_job", "recsys_app", "recsys_reader")
PASSWORD = "only-of-the-tests"


@pytest.fixture(scope="session")
def as_role(
    server_url: str, run_on_server: Callable[[sql.Composable], None]
) -> Iterator[Callable[[Database, str], Database]]:
    """Open a database that was given to the roles as one of them; those we made go at the end."""
    with psycopg.connect(server_url) as connection:
        found = connection.execute("SELECT rolname FROM pg_roles").fetchall()

    def open_as(database: Database, role: str) -> Database:
        set_password = sql.SQL("ALTER ROLE {} PASSWORD {}")
        run_on_server(set_password.format(sql.Identifier(role), sql.Literal(PASSWORD)))
        url = sqlalchemy_url(database.url).set(drivername="postgresql")
        url = url.set(username=role, password=PASSWORD)
        return Database(url.render_as_string(hide_password=False))

    yield open_as
    for role in ROLES:
        if (role,) not in found:
            # Other tests may use them in another database.
            with suppress(psycopg.errors.DependentObjectsStillExist):
                run_on_server(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))


# --- a small edition, made up, for tests that want data -------------------------------------------

USERS, MOVIES, UNRATED_MOVIES = 80, 60, 2
GENRES = ("Action", "Comedy", "Drama", "Film-Noir", "Sci-Fi")
MODEL_PARAMETERS = {"als": {"factors": 8, "iterations": 3}, "mf": {"factors": 4, "iterations": 3}}
SMALL_PARAMETERS = {
    **MODEL_PARAMETERS,
    "svd": {"rank": 6},
    "bpr": {"factors": 4, "iterations": 20},
    "bayes_fm": {"rank": 2, "chains": 1, "iterations": 20, "burn_in": 5},
    "user_knn": {"min_neighbours": 1},
    "neural_dot": {"factors": 4, "epochs": 5, "batch_size": 256},
    "youtube_dnn": {
        **{"factors": 4, "embedding": 4, "hidden": (6,), "history": 8, "epochs": 3},
        "batch_size": 64,
    },
    "sasrec": {"factors": 4, "window": 4, "blocks": 1, "orders": 1, "epochs": 3, "batch_size": 64},
}


@pytest.fixture(scope="session")
def write_edition() -> Callable[..., Path]:
    """Write files in the ml-csv format; parts not given are left out, movies are made up."""

    def write(
        folder: Path,
        ratings: list[str],
        movies: list[str] | None = None,
        links: list[str] | None = None,
        tags: list[str] | None = None,
    ) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        ids = sorted({int(line.split(",")[1]) for line in ratings})
        files = {
            "ratings.csv": ("userId,movieId,rating,timestamp", ratings),
            "movies.csv": (
                "movieId,title,genres",
                [f"{i},Film {i} (1990),Drama" for i in ids] if movies is None else movies,
            ),
            "links.csv": ("movieId,imdbId,tmdbId", links),
            "tags.csv": ("userId,movieId,tag,timestamp", tags),
        }
        for name, (header, lines) in files.items():
            if lines is not None:
                (folder / name).write_text("\n".join([header, *lines, ""]), encoding="utf-8")
        return folder

    return write


@pytest.fixture(scope="session")
def edition(tmp_path_factory: pytest.TempPathFactory, write_edition: Callable[..., Path]) -> Path:
    """80 users who rate and one who only tags, 60 movies of which two are unrated.

    Users of an odd id like movies of an odd id.
    """
    generator = np.random.default_rng(7)
    ratings = [
        f"{user},{movie},{4.5 if (user - movie) % 2 == 0 else 2.0},{1_000_000_000 + 60 * user}"
        for user in range(1, USERS + 1)
        for movie in range(1, MOVIES + 1 - UNRATED_MOVIES)
        if generator.random() < (0.5 if (user - movie) % 2 == 0 else 0.1)
    ]
    movies = [
        f'{movie},"Film {movie}, The ({1950 + movie})",'
        + "|".join(sorted({GENRES[movie % 5], GENRES[movie % 3]}))
        for movie in range(1, MOVIES + 1)
    ]
    links = [f"{movie},{1000 + movie},{2000 + movie}" for movie in range(1, MOVIES + 1)]
    tags = [f"{USERS + 1},1,calm,1000000000", "1,2,loud,1000000000"]
    folder = tmp_path_factory.mktemp("editions") / "ml-small-made-up"
    return write_edition(folder, ratings, movies, links, tags)


@pytest.fixture(scope="session")
def plan_all() -> Plan:
    """All models, small enough for the made-up edition."""
    return plan(RefreshSettings(threads=1, parameters=MODEL_PARAMETERS))


@pytest.fixture(scope="session")
def filled_template(
    server_url: str,
    template: str,
    run_on_server: Callable[[sql.Composable], None],
    edition: Path,
) -> Iterator[str]:
    """A template that holds the made-up edition, not refreshed."""
    with _template(server_url, run_on_server, f"{TEMPLATE}_filled", template) as database:
        ingest_job.ingest(database, edition)
        yield f"{TEMPLATE}_filled"


@pytest.fixture(scope="session")
def refreshed_template(
    server_url: str,
    filled_template: str,
    run_on_server: Callable[[sql.Composable], None],
    plan_all: Plan,
) -> Iterator[str]:
    """A template that holds the made-up edition with run 1 published."""
    with _template(server_url, run_on_server, f"{TEMPLATE}_refreshed", filled_template) as database:
        refresh_job.refresh(database, plan_all)
        yield f"{TEMPLATE}_refreshed"


@pytest.fixture(scope="session")
def template_from_refreshed(
    server_url: str, refreshed_template: str, run_on_server: Callable[[sql.Composable], None]
) -> Callable[[str], AbstractContextManager[Database]]:
    """Make a template of a module's own from the edition with run 1 published; run 2 is next."""

    @contextmanager
    def make(suffix: str) -> Iterator[Database]:
        name = f"{TEMPLATE}_{suffix}"
        with _template(server_url, run_on_server, name, refreshed_template) as database:
            _restart_runs(database)
            yield database

    return make


@pytest.fixture(scope="session")
def plan_everything() -> Plan:
    """Every model there is, small enough for the made-up edition; 20 neighbours, lists of 30."""
    settings = RefreshSettings(
        models=tuple(MODELS), neighbours=20, list_length=30, threads=1, parameters=SMALL_PARAMETERS
    )
    return plan(settings)


@pytest.fixture(scope="session")
def everything_template(
    server_url: str,
    filled_template: str,
    run_on_server: Callable[[sql.Composable], None],
    plan_everything: Plan,
) -> Iterator[str]:
    """A template that holds the made-up edition with every model published as run 1."""
    name = f"{TEMPLATE}_everything"
    with _template(server_url, run_on_server, name, filled_template) as database:
        refresh_job.refresh(database, plan_everything)
        yield name


@pytest.fixture(scope="session")
def everything_database(server_url: str, everything_template: str) -> Database:
    """The edition with every model; tests must not write to it."""
    return Database(with_database(server_url, everything_template))


RENAMED = (
    "UPDATE recsys_store.users SET key = 'user ' || user_id",
    "UPDATE recsys_store.movies SET key = 'B0' || movie_id",
)


@pytest.fixture(scope="session")
def keyed_template(
    server_url: str, everything_template: str, run_on_server: Callable[[sql.Composable], None]
) -> Iterator[str]:
    """A template like `everything_template`, with keys `user 1` and `B01` instead of the ids."""
    name = f"{TEMPLATE}_keyed"
    with _template(server_url, run_on_server, name, everything_template) as database:
        with database.transaction() as connection:
            for statement in RENAMED:
                connection.execute(sa.text(statement))
        yield name


@pytest.fixture(scope="session")
def keyed_database(server_url: str, keyed_template: str) -> Database:
    """The edition with keys; tests must not write to it."""
    return Database(with_database(server_url, keyed_template))


@pytest.fixture
def everything(everything_database: Database) -> Iterator[sa.Connection]:
    """A connection to the edition with every model, whose transaction is rolled back."""
    with everything_database.engine.connect() as open_connection:
        transaction = open_connection.begin()
        yield open_connection
        transaction.rollback()


@pytest.fixture
def filled_database(
    make_database: Callable[[str | None], Database], filled_template: str
) -> Database:
    """A database of the test's own with the made-up edition, not refreshed."""
    return make_database(filled_template)


@pytest.fixture
def refreshed_database(
    make_database: Callable[[str | None], Database], refreshed_template: str
) -> Database:
    """A database of the test's own with the made-up edition and run 1 published."""
    database = make_database(refreshed_template)
    _restart_runs(database)
    return database


@pytest.fixture
def given_database(
    refreshed_database: Database, as_role: Callable[[Database, str], Database]
) -> Database:
    """A database of the test's own with run 1 published, given to the roles."""
    with refreshed_database.transaction() as connection:
        roles.apply(connection)
    return refreshed_database


@pytest.fixture
def published(server_url: str, refreshed_template: str) -> Iterator[sa.Connection]:
    """A connection to the refreshed edition whose transaction is rolled back after the test."""
    engine = Database(with_database(server_url, refreshed_template)).engine
    with engine.connect() as open_connection:
        transaction = open_connection.begin()
        yield open_connection
        transaction.rollback()


def _restart_runs(database: Database) -> None:
    with database.transaction() as connection:
        # Numbers drawn by tests that were rolled back in the template are gone all the same.
        connection.execute(
            sa.text("ALTER TABLE recsys_store.runs ALTER COLUMN run_id RESTART WITH 2")
        )


@contextmanager
def _template(
    server_url: str, run_on_server: Callable[[sql.Composable], None], name: str, source: str
) -> Iterator[Database]:
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
    run_on_server(statement.format(sql.Identifier(name), sql.Identifier(source)))
    yield Database(with_database(server_url, name))
    run_on_server(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def edition_database(server_url: str, refreshed_template: str) -> Database:
    """The made-up edition with run 1 published; tests must not write to it."""
    url = sa.make_url(server_url).set(database=refreshed_template)
    return Database(url.render_as_string(hide_password=False))


@pytest.fixture
def unused_home() -> Iterator[Path]:
    """An unused RECSYS_HOME."""
    # Not pytest's own folder: as root that one is closed to the server's user.
    home = Path(tempfile.mkdtemp(prefix="recsys-service-"))
    home.chmod(0o755)
    yield home
    EmbeddedServer(home).stop(force=True)
    shutil.rmtree(home, ignore_errors=True)
