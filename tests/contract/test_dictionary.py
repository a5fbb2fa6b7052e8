"""The data dictionary in the docs equals the one generated from the database."""

import re
from pathlib import Path

import pytest
import sqlalchemy as sa

from recsys.storage.schema.dictionary import EXAMPLES, markdown

PAGE = Path(__file__).resolve().parents[2] / "docs" / "dictionary.md"


def test_the_page_is_up_to_date(connection):
    """`recsys db dictionary > docs/dictionary.md` brings it there."""
    assert PAGE.read_text() == markdown(connection).rstrip("\n") + "\n"


def test_every_view_column_and_public_function_is_on_it(connection):
    page = PAGE.read_text()
    columns = connection.execute(
        sa.text(
            "SELECT c.relname, a.attname FROM pg_class AS c JOIN pg_attribute AS a "
            "ON a.attrelid = c.oid WHERE c.relnamespace = CAST('recsys' AS regnamespace) "
            "AND c.relkind = 'v' AND a.attnum > 0"
        )
    )
    for view, column in columns:
        section = page.split(f"\n### {view}\n", 1)[1].split("\n### ", 1)[0]
        assert re.search(rf"^\| `{column}` \| \S.* \| \S.* \|$", section, re.MULTILINE), column
    public = connection.scalars(
        sa.text(
            "SELECT proname FROM pg_proc WHERE pronamespace = CAST('recsys' AS regnamespace) "
            "AND obj_description(oid, 'pg_proc') !~ '^Internal: '"
        )
    )
    assert set(public) == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_its_examples_run(everything, name):
    try:
        everything.execute(sa.text(EXAMPLES[name].replace(":", r"\:"))).all()
    except sa.exc.DBAPIError as exc:
        # There is one run only to compare.
        if (name, exc.orig.sqlstate) != ("compare_runs", "RS001"):
            raise
