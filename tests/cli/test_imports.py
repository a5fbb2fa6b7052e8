"""Commands that only read start quickly: they import no package that computes."""

import re

import pytest

COMPUTING = {"numpy", "scipy", "pandas", "sklearn", "implicit", "sqlalchemy", "alembic"}
DATABASE = {"psycopg", "psycopg_pool"}


@pytest.fixture
def imported(run_recsys, published_url):
    """Run a command and return which of these packages it imported."""

    def imported(*arguments):
        # The variable makes Python write a line to stderr for each module that it imports.
        settings = {"RECSYS_DATABASE_URL": published_url, "PYTHONPROFILEIMPORTTIME": "1"}
        done = run_recsys(*arguments, **settings)
        assert done.code == 0, done.err
        names = set(re.findall(r"(?m)^import time:.*\| +(\w+)", done.err))
        assert "typer" in names
        return names & (COMPUTING | DATABASE)

    return imported


@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("recommend", "--help")])
def test_help_and_version_import_no_driver(imported, arguments):
    assert imported(*arguments) == set()


@pytest.mark.parametrize(
    "arguments",
    [
        ("recommend", "1"),
        ("similar", "Film 3"),
        ("explain", "1", "7"),
        ("predict", "1", "7"),
        ("top",),
        ("search", "film"),
        ("status",),
        ("runs", "list"),
    ],
    ids=" ".join,
)
def test_reading_imports_the_driver_alone(imported, arguments):
    assert imported(*arguments) == DATABASE
