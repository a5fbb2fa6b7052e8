"""`recsys ingest --new`: what has come into a folder since the last time."""

import pytest
from store import rows_of

INGESTS = "SELECT source, inserted, updated FROM recsys_store.ingests ORDER BY ingest_id"


@pytest.fixture
def inbox(tmp_path):
    folder = tmp_path / "incoming"
    folder.mkdir()
    return folder


@pytest.fixture
def new(recsys, database, inbox):
    return lambda *more: recsys(
        "ingest", "--new", str(inbox), *more, RECSYS_DATABASE_URL=database.url
    )


def write(path, *rows):
    path.write_text("\n".join(["user,movie,rating", *rows, ""]))


def test_each_file_is_loaded_once(new, inbox, database, write_edition):
    write_edition(inbox / "a-base", ["1,1,4,1000000000", "2,2,3,1000000000"])
    write(inbox / "monday.csv", "1,2,5", "3,1,2")
    write(inbox / "tuesday.csv.part", "1,1,1")
    (inbox / "notes.md").write_text("no ratings")
    assert new().code == 0
    loaded = [(str(inbox / "a-base"), 6, 0), (str(inbox / "monday.csv"), 3, 0)]
    assert rows_of(database, INGESTS) == loaded
    again = new()
    assert (again.code, again.errors) == (
        0, [f"No change: nothing new in {inbox}, 2 loaded before."],
    )  # fmt: skip
    (inbox / "tuesday.csv.part").rename(inbox / "tuesday.csv")
    assert new("--json").json == [
        {
            "ingest_id": 3, "edition": "ml-csv", "dialect": "csv", "rows_read": 1,
            "feedback": "explicit",
            "counts": {
                "ratings": {"inserted": 0, "updated": 1, "unchanged": 0, "removed": 0},
                "movies": {"inserted": 0, "updated": 0, "unchanged": 0, "removed": 0},
                "users": {"inserted": 0, "updated": 0, "unchanged": 1, "removed": 0},
            },
            "inserted": 0, "updated": 1, "unchanged": 1, "duplicates": 0, "unrated": 0,
            "rejected": 0, "rejected_kept": 0,
        },
    ]  # fmt: skip
    assert rows_of(database, INGESTS) == [*loaded, (str(inbox / "tuesday.csv"), 0, 1)]


def test_a_file_that_changes_is_loaded_again(new, inbox, database):
    write(inbox / "ratings.csv", "1,1,4")
    new()
    write(inbox / "ratings.csv", "1,1,4", "2,1,5")
    assert new().code == 0
    assert rows_of(database, INGESTS)[1:] == [(str(inbox / "ratings.csv"), 2, 0)]


def test_what_was_replaced_is_new_again(new, recsys, inbox, database, tmp_path):
    write(inbox / "ratings.csv", "1,1,4")
    new()
    write(tmp_path / "other.csv", "7,7,2")
    url = {"RECSYS_DATABASE_URL": database.url}
    assert recsys("ingest", str(tmp_path / "other.csv"), "--replace", **url).code == 0
    assert new().code == 0
    assert rows_of(database, "SELECT user_id FROM recsys.ratings ORDER BY 1") == [(1,), (7,)]


def test_a_bad_file_is_reported_and_keeps_no_other_out(new, inbox, database):
    write(inbox / "a.csv")
    write(inbox / "b.csv", "1,1,4")
    done = new()
    assert (done.code, done.errors[-2:]) == (
        1,
        [
            f"error: 1 of the files in {inbox} cannot be loaded; a.csv: a.csv holds no ratings",
            "hint: Check that the file is complete.",
        ],
    )
    assert rows_of(database, INGESTS) == [(str(inbox / "b.csv"), 3, 0)]


def test_a_missing_folder_and_a_contradiction_are_refused(new, inbox):
    assert new("--replace").code == 2
    inbox.rmdir()
    done = new()
    assert (done.code, done.errors) == (
        1,
        [
            f"error: {inbox} is not a folder",
            "hint: name the folder that files come into",
        ],
    )
