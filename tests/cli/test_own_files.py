"""Files of one's own: through standard input, with names of columns, with counts that say what."""

import io
import re
import sys

import pytest
from store import rows_of

from recsys.errors import DataError
from recsys.ingest.reading.standard_input import spooled

RATINGS = """SELECT u.key, m.key, r.rating FROM recsys_store.ratings AS r
JOIN recsys_store.users AS u USING (user_id) JOIN recsys_store.movies AS m USING (movie_id)
ORDER BY 1, 2"""


@pytest.fixture
def ingest(recsys, database):
    return lambda *arguments: recsys("ingest", *arguments, RECSYS_DATABASE_URL=database.url)


def test_standard_input_is_read_and_bounded(ingest, database, monkeypatch, tmp_path):
    class Stdin:
        buffer = io.BytesIO(b"alice;B1;4;-\nbob;B2;2;-\n")

    monkeypatch.setattr(sys, "stdin", Stdin)
    done = ingest("-", "--columns", "user,movie,rating,-")
    assert (done.code, done.errors[-1].rpartition(", ")[0]) == (
        0,
        "Loaded: csv:stdin (csv): 2 ratings, 2 movies, 2 users added; 0 duplicates merged, "
        "0 rejected",
    )
    assert rows_of(database, RATINGS) == [("alice", "B1", 4.0), ("bob", "B2", 2.0)]
    assert rows_of(database, "SELECT source, files->0->>'name' FROM recsys.ingests") == [
        ("standard input", "stdin")
    ]
    with (
        pytest.raises(DataError, match="more than 1 MB come through standard input"),
        open("/dev/zero", "rb") as endless,
        spooled(endless, 1),
    ):
        pass


def test_a_nightly_file_of_interactions_needs_no_edition(ingest, database, tmp_path):
    first = tmp_path / "orders-2026-11-01.csv"
    first.write_text("customer_id,sku\nzoe,A\nzoe,A\nzoe,B\n")
    done = ingest(str(first))
    assert done.errors[-1].startswith(
        "Loaded: csv:orders (csv): 2 interactions, 2 movies, 1 user added; 1 duplicates merged, "
    )
    second = tmp_path / "orders-2026-11-02.csv"
    second.write_text("customer_id,sku\nbob,C\nzoe,B\nzoe,B\n")
    assert (
        ingest(str(second))
        .errors[-1]
        .startswith(
            "Loaded: csv:orders (csv): 1 interaction, 1 movie, 1 user added; "
            "1 interaction updated; 1 movie, 1 user unchanged; "
        )
    )
    assert rows_of(database, RATINGS) == [
        ("bob", "C", 1.0),
        ("zoe", "A", 2.0),
        ("zoe", "B", 2.0),
    ]
    facts = "SELECT DISTINCT edition, feedback, on_duplicate, rating_max FROM recsys.ingests"
    assert rows_of(database, facts) == [("csv:orders", "implicit", "count", None)]


def test_ratings_and_interactions_are_not_mixed(ingest, database, tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("user,movie,rating\n1,2,3\n")
    assert ingest(str(path)).code == 0
    path.write_text("user,movie\n1,2\n")
    mixed = ingest(str(path))
    assert mixed.code == 1
    assert "the database holds ratings of csv:r, and these files hold interactions" in mixed.err
    assert ingest(str(path), "--replace").code == 0
    path.write_text("user,movie,rating\n1,2,3\n1,3,3\n")
    assert "and these files hold ratings" in ingest(str(path)).err
    assert ingest(str(path), "--implicit").code == 0
    assert rows_of(database, RATINGS) == [("1", "2", 1.0), ("1", "3", 1.0)]


def test_options_that_contradict_each_other_are_refused(ingest, tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("user,movie,rating\n1,2,3\n")
    for arguments, message in (
        (("--columns", "user,movie", "--user-column", "x"), "whose columns have no names"),
        (("--scale", "5..1"), "'5..1' is not a scale of ratings"),
        (("--columns", "user"), "do not name user and movie once each"),
        (("--implicit", "--scale", "1..5"), "interactions have no scale"),
        (("--on-duplicate", "count"), "rows are counted only where they are interactions"),
    ):
        done = ingest(str(path), *arguments)
        assert done.code != 0
        assert message in " ".join(done.errors)


def test_scale_of_an_ingest_is_recorded(ingest, database, tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("user,movie,rating\n1,2,3\n1,3,4.5\n1,4,99\n")
    done = ingest(str(path), "--scale", "0.5..5:0.5", "--max-rejects", "1")
    assert done.code == 0
    scale = "SELECT rating_min, rating_max, rating_step FROM recsys.ingests"
    assert rows_of(database, scale) == [(0.5, 5.0, 0.5)]


def test_the_demo_of_interactions_shows_no_stars(recsys, database, tmp_path):
    rows = [f"c{c},sku-{(c + 7 * k) % 40}" for c in range(40) for k in range(12 + c % 3)]
    for night in (1, 2):
        name = tmp_path / f"orders-2026-11-0{night}.csv"
        name.write_text("customer_id,sku\n" + "\n".join(rows[night - 1 :: 2]) + "\n")
    done = recsys(
        "demo", "--data", str(tmp_path / "orders-*.csv"), RECSYS_DATABASE_URL=database.url
    )
    assert done.code == 0, done.err
    shown = done.out + done.err
    assert "csv:orders: run 1 is published" in shown
    assert "The top chart\n" in shown
    assert re.search(r"What user \S+ watched", shown)
    assert not re.search("weighted rating|liked|mean|rating ", shown)
