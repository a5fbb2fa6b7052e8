import hashlib

import pytest
import sqlalchemy as sa
from store import rows_of

from recsys.domain import RejectedRow
from recsys.errors import DataError, InvalidArgument, StorageError
from recsys.ingest.reading.rejects import KEPT
from recsys.jobs.ingest import RejectLimit, ingest
from recsys.jobs.refresh import refresh
from recsys.storage.load.catalogue import Counts

RATINGS = ["1,10,4.5,1000000000", "1,20,3.0,1000000001", "2,10,0.5,1000000002"]
MOVIES = [
    '10,"Good, the Bad and the Ugly, The (1966)",Western',
    "20,Heat (1995),Action|Crime",
    "30,Nobody (2000),(no genres listed)",
]
COUNTS = sa.text("""
SELECT (SELECT count(*) FROM recsys_store.ratings), (SELECT count(*) FROM recsys_store.users),
    (SELECT count(*) FROM recsys_store.movies), (SELECT count(*) FROM recsys_store.tags),
    (SELECT count(*) FROM recsys_store.ingests)
""")
HOLDING_STILL = """
import pathlib, sys, time
from recsys.jobs.ingest import ingest
from recsys.storage.server.engine import Database
class HoldStill:
    def begin(self, stage): self.stage = stage
    def end(self, note): pass
    def advance(self, done, total):
        if self.stage == "write ratings":
            print("here", flush=True)
            time.sleep(600)
ingest(Database(sys.argv[1]), pathlib.Path(sys.argv[2]), reporter=HoldStill())
"""


class During:
    """Do something in the middle of a stage."""

    def __init__(self, stage, action):
        self.stage, self.action = stage, action

    def begin(self, stage):
        if stage == self.stage:
            self.action()

    def advance(self, done, total): ...

    def end(self, note): ...


@pytest.fixture
def folder(tmp_path, write_edition):
    return write_edition(tmp_path / "ml-tiny", RATINGS, MOVIES, ["10,60196,429", "20,113277,949"])


def counts(database):
    with database.transaction() as connection:
        return tuple(connection.execute(COUNTS).one())


def test_an_edition_is_loaded(database, folder):
    report = ingest(database, folder)
    assert report.counts == Counts(inserted=3 + 2 + 3)
    assert (report.edition, report.dialect, report.rows_read) == ("ml-tiny", "ml-csv", 8)
    assert (report.duplicates, report.rejected, report.replaced) == (0, [], None)
    assert not report.no_change
    assert rows_of(
        database,
        "SELECT user_id, movie_id, rating, extract(epoch FROM rated_at)::int FROM recsys.ratings "
        "ORDER BY 1, 2",
    ) == [
        (1, 10, 4.5, 1_000_000_000),
        (1, 20, 3.0, 1_000_000_001),
        (2, 10, 0.5, 1_000_000_002),
    ]
    assert rows_of(
        database,
        "SELECT movie_id, title, year, genres, imdb_id, tmdb_id FROM recsys.movies ORDER BY 1",
    ) == [
        (10, "The Good, the Bad and the Ugly", 1966, ["Western"], "tt0060196", 429),
        (20, "Heat", 1995, ["Action", "Crime"], "tt0113277", 949),
        (30, "Nobody", 2000, [], None, None),
    ]


def test_an_ingest_is_recorded(database, folder):
    report = ingest(database, folder, on_duplicate="mean")
    with database.transaction() as connection:
        found = connection.execute(sa.text("SELECT * FROM recsys.ingests")).mappings().one()
    files = {file["name"]: file for file in found["files"]}
    assert sorted(files) == ["links.csv", "movies.csv", "ratings.csv"]
    for name, file in files.items():
        raw = (folder / name).read_bytes()
        assert file == {"name": name, "bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
    expected = {
        "ingest_id": report.ingest_id, "kind": "ratings", "edition": "ml-tiny",
        "dialect": "ml-csv", "source": str(folder), "on_duplicate": "mean", "replaced": False,
        "rating_min": 0.5, "rating_max": 5.0, "rating_step": 0.5, "rows_read": 8, "inserted": 8,
        "updated": 0, "unchanged": 0, "duplicates": 0, "rejected": 0,
    }  # fmt: skip
    assert {key: found[key] for key in expected} == expected
    assert found["started_at"] < found["finished_at"]


def test_the_caller_names_the_source(database, folder):
    ingest(database, folder, source="ml-latest-small")
    assert rows_of(database, "SELECT source FROM recsys.ingests") == [("ml-latest-small",)]


def test_the_same_again_changes_nothing(database, folder, contents):
    ingest(database, folder)
    before = contents(database)
    report = ingest(database, folder)
    assert report.no_change
    assert report.counts == Counts(unchanged=8)
    after = contents(database)
    assert len(after.pop("recsys_store.ingests")) == 2
    assert len(before.pop("recsys_store.ingests")) == 1
    assert after == before


def test_a_second_batch_is_merged(database, folder, write_edition):
    ingest(database, folder)
    more = ["1,10,2.0,1000000009", "1,20,1.0,999999999", "3,20,5.0,1000000009"]
    write_edition(folder, more, [*MOVIES, "40,New (2001),Drama"], [], ["4,40,odd,1000000000"])
    report = ingest(database, folder)
    # a rating and a movie and two users and a tag are new; 10 and 20 lose their links
    assert report.counts == Counts(inserted=5, updated=3, unchanged=2 + 1 + 1 - 1)
    assert rows_of(
        database, "SELECT user_id, movie_id, rating FROM recsys.ratings ORDER BY 1, 2"
    ) == [(1, 10, 2.0), (1, 20, 3.0), (2, 10, 0.5), (3, 20, 5.0)]


def test_tags_are_loaded_with_users_who_only_tag(database, folder, write_edition):
    write_edition(folder, RATINGS, MOVIES, None, ["9,10,desert,1000000000", "1,10,desert,5"])
    report = ingest(database, folder)
    assert report.counts == Counts(inserted=3 + 3 + 3 + 2)
    assert rows_of(database, "SELECT user_id, movie_id, tag FROM recsys_store.tags ORDER BY 1") == [
        (1, 10, "desert"),
        (9, 10, "desert"),
    ]


@pytest.mark.parametrize(("on_duplicate", "rating"), [("latest", 1.0), ("max", 5.0), ("mean", 3.0)])
def test_duplicates_are_resolved_as_asked(database, tmp_path, write_edition, on_duplicate, rating):
    twice = ["1,10,5.0,1000000000", "1,10,1.0,1000000001"]
    report = ingest(database, write_edition(tmp_path / "ml-x", twice), on_duplicate=on_duplicate)
    assert report.duplicates == 1
    assert rows_of(database, "SELECT rating FROM recsys.ratings") == [(rating,)]
    assert rows_of(database, "SELECT duplicates, on_duplicate FROM recsys.ingests") == [
        (1, on_duplicate)
    ]


# --- rejected rows ---

BAD = ["1,99,4.0,1000000000", "2,20,7.0,1000000000", "x,20,4.0,1000000000"]


def test_rejected_rows_are_kept_with_file_line_and_reason(database, tmp_path, write_edition):
    folder = write_edition(tmp_path / "ml-x", RATINGS + BAD, MOVIES)
    report = ingest(database, folder, max_rejects=RejectLimit(rows=3))
    assert report.counts == Counts(inserted=8)
    found = rows_of(
        database,
        "SELECT file, line, content, reason, ingest_id FROM recsys.rejected_rows ORDER BY line",
    )
    assert [row[:3] for row in found] == [
        ("ratings.csv", 5, "1,99,4.0,1000000000"),
        ("ratings.csv", 6, "2,20,7.0,1000000000"),
        ("ratings.csv", 7, "x,20,4.0,1000000000"),
    ]
    assert [RejectedRow(*row[:4]) for row in found] == report.rejected
    assert [word in row[3] for word, row in zip(("99", "7", "x"), found, strict=True)] == [True] * 3
    assert {row[4] for row in found} == {report.ingest_id}
    assert rows_of(database, "SELECT rejected, rows_read FROM recsys.ingests") == [(3, 9)]


@pytest.mark.parametrize("limit", [None, RejectLimit(rows=2), RejectLimit(share=0.3)])
def test_too_many_rejected_rows_change_nothing(
    filled_database, tmp_path, write_edition, contents, limit
):
    before = contents(filled_database)
    folder = write_edition(tmp_path / "ml-small-made-up", RATINGS + BAD, MOVIES)
    with pytest.raises(DataError, match=r"^3 of 9 rows are bad, [02] are allowed") as caught:
        ingest(filled_database, folder, max_rejects=limit)
    assert "ratings.csv line 5" in str(caught.value)
    assert "--max-rejects" in str(caught.value.hint)
    assert contents(filled_database) == before


def test_the_limit_is_a_share_of_all_rows():
    assert [RejectLimit().of(rows) for rows in (0, 99, 100, 100_836)] == [0, 0, 1, 1008]
    assert RejectLimit(share=0.5, rows=7).of(1000) == 7


def test_only_bad_rows_are_a_data_error_and_change_nothing(
    database, tmp_path, write_edition, contents
):
    folder = write_edition(tmp_path / "ml-x", BAD, MOVIES)
    before = contents(database)
    with pytest.raises(DataError, match=r"none of 3 rows can be loaded; line 2"):
        ingest(database, folder, max_rejects=RejectLimit(rows=100))
    assert contents(database) == before


def test_all_rejected_rows_are_counted_and_the_first_are_kept(database, tmp_path, write_edition):
    bad = ["x,20,4.0,1000000000"] * (KEPT + 7)
    folder = write_edition(tmp_path / "ml-x", RATINGS + bad, MOVIES)
    report = ingest(database, folder, max_rejects=RejectLimit(share=1.0))
    assert (len(report.rejected), report.rejected_count) == (KEPT, KEPT + 7)
    assert rows_of(
        database,
        "SELECT i.rejected, count(*), min(r.line), max(r.line) FROM recsys.ingests AS i "
        "JOIN recsys.rejected_rows AS r USING (ingest_id) GROUP BY i.rejected",
    ) == [(KEPT + 7, KEPT, 5, KEPT + 4)]


# --- editions ---


@pytest.mark.parametrize("edition", ["", " ", "a\x1b[31m", "a\nb", "a\x9b", "a\udc80", "a" * 201])
def test_an_edition_without_a_printable_name_is_refused(database, folder, contents, edition):
    before = contents(database)
    with pytest.raises(InvalidArgument, match=r"^the edition .* is not a name$") as caught:
        ingest(database, folder, edition=edition)
    assert caught.value.hint == "1 to 200 characters, without control characters"
    assert str(caught.value).isprintable()
    assert contents(database) == before


def test_names_and_contents_in_the_store_cannot_steer_a_terminal(database, tmp_path):
    path = tmp_path / "a\x1b[31m\udc80.csv"
    path.write_text("user,film,stars\n1,1,3\n2,1\x9b,3\n3,1,3\n")
    ingest(database, path, max_rejects=RejectLimit(rows=1))
    name = "a\\x1b[31m\\udc80"
    assert rows_of(
        database,
        "SELECT i.edition, i.source, files->0->>'name', r.file, r.content, r.reason "
        "FROM recsys.ingests AS i JOIN recsys.rejected_rows AS r USING (ingest_id)",
    ) == [
        (
            f"csv:{name}",
            f"{tmp_path}/{name}.csv",
            f"{name}.csv",
            f"{name}.csv",
            "2,1\\x9b,3",
            'movie id "1\\x9b" has the character U+009B',
        )
    ]


def test_another_edition_is_refused_naming_both(filled_database, folder, contents):
    before = contents(filled_database)
    with pytest.raises(DataError) as caught:
        ingest(filled_database, folder)
    assert str(caught.value) == (
        "the database holds ml-small-made-up; loading ml-tiny over it would mix two data sets"
    )
    assert caught.value.hint == (
        "--replace drops the loaded data, --edition NAME declares both to be the same"
    )
    assert contents(filled_database) == before


def test_an_edition_may_be_declared_to_be_the_same(filled_database, folder):
    report = ingest(filled_database, folder, edition="ml-small-made-up")
    assert (report.edition, report.replaced) == ("ml-small-made-up", None)
    assert counts(filled_database)[2] == 60  # movies 10, 20 and 30 were there


def test_replacing_leaves_only_the_new_edition_and_the_history(refreshed_database, folder):
    assert counts(refreshed_database)[:3] == (1412, 81, 60)
    report = ingest(refreshed_database, folder, replace=True)
    assert report.replaced == "ml-small-made-up"
    assert not report.no_change
    assert counts(refreshed_database) == (3, 2, 3, 0, 2)
    assert rows_of(
        refreshed_database, "SELECT edition, replaced FROM recsys.ingests ORDER BY ingest_id"
    ) == [
        ("ml-small-made-up", False),
        ("ml-tiny", True),
    ]
    assert rows_of(
        refreshed_database, "SELECT action, run_id FROM recsys.publications ORDER BY publication_id"
    ) == [
        ("publish", 1),
        ("withdraw", None),
    ]
    assert rows_of(
        refreshed_database, "SELECT state, published, pruned_at IS NOT NULL FROM recsys.runs"
    ) == [("complete", False, True)]
    assert (
        rows_of(refreshed_database, "SELECT relname FROM pg_class WHERE relname ~ '_run_[0-9]'")
        == []
    )
    assert rows_of(refreshed_database, "SELECT * FROM recsys.recommendations") == []


def test_after_replacing_a_refresh_publishes_again(refreshed_database, edition, plan_all, folder):
    ingest(refreshed_database, folder, replace=True)
    ingest(refreshed_database, edition, replace=True)
    report = refresh(refreshed_database, plan_all)
    assert rows_of(refreshed_database, "SELECT run_id FROM recsys_store.published") == [
        (report.run_id,)
    ]


def test_a_replacement_that_fails_leaves_everything(refreshed_database, folder, contents):
    before = contents(refreshed_database)

    def fail():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ingest(refreshed_database, folder, replace=True, reporter=During("write ratings", fail))
    assert contents(refreshed_database) == before


def test_replacing_an_empty_database_is_a_plain_ingest(database, folder):
    assert ingest(database, folder, replace=True).replaced is None


def test_an_empty_database_gets_its_schema(empty_database, folder):
    ingest(empty_database, folder)
    assert counts(empty_database) == (3, 2, 3, 0, 1)


def test_nothing_to_read_makes_no_movies(database, tmp_path, contents):
    before = contents(database)
    with pytest.raises(DataError):
        ingest(database, tmp_path / "is-not-there")
    assert contents(database) == before


def test_a_bare_csv_is_loaded_and_a_second_one_adds_movies(database, tmp_path):
    file = tmp_path / "mine.csv"
    file.write_text("user,item,rating\n1,10,5\n2,11,3.5\n")
    assert ingest(database, file).edition == "csv:mine"
    file.write_text("user,item,rating\n1,10,5\n2,12,1\n")
    report = ingest(database, file)
    assert report.rejected == []
    assert rows_of(
        database,
        "SELECT user_id, movie_id, title, rating, rated_at FROM recsys.ratings ORDER BY 1, 2",
    ) == [
        (1, 10, "Movie 10", 5, None),
        (2, 11, "Movie 11", 3.5, None),
        (2, 12, "Movie 12", 1, None),
    ]


# --- two at once, killed half-way ---


def test_of_two_ingests_at_once_one_wins(database, folder, edition):
    refused: list[StorageError] = []

    def another():
        with pytest.raises(StorageError, match="another ingest is running") as caught:
            ingest(database, edition)
        refused.append(caught.value)

    report = ingest(database, folder, reporter=During("write ratings", another))
    assert len(refused) == 1
    assert report.counts == Counts(inserted=8)
    assert counts(database) == (3, 2, 3, 0, 1)


def test_readers_see_all_or_nothing(filled_database, folder):
    seen: list[tuple[int, ...]] = []
    during = During("write ratings", lambda: seen.append(counts(filled_database)))
    ingest(filled_database, folder, edition="ml-small-made-up", reporter=during)
    assert seen == [(1412, 81, 60, 2, 1)]
    assert counts(filled_database)[4] == 2


@pytest.mark.parametrize("name", ["database", "filled_database"], ids=["empty", "filled"])
def test_killed_in_the_middle_leaves_nothing(
    request, name, folder, write_edition, contents, start_other, wait_until_alone
):
    ours = request.getfixturevalue(name)
    before = contents(ours)
    same = write_edition(folder.with_name("ml-small-made-up"), RATINGS, MOVIES)
    start_other(HOLDING_STILL, ours.url, str(same)).kill()
    wait_until_alone(ours)
    assert contents(ours) == before
    assert ingest(ours, same).edition == "ml-small-made-up"


# --- the real data ---


def test_ml_latest_small(database, ml_latest_small):
    check_edition(database, ml_latest_small, (100_836, 610, 9_742))


def test_ml_100k(database, ml_100k):
    check_edition(database, ml_100k, (100_000, 943, 1_682))


def check_edition(database, folder, expected):
    report = ingest(database, folder)
    assert counts(database)[:3] == expected
    assert report.edition == folder.name
    assert report.rejected == []
    assert report.counts.updated == report.counts.unchanged == 0
    again = ingest(database, folder)
    assert again.no_change
    assert again.counts.unchanged == report.counts.inserted


def test_keys_of_any_form_are_loaded_and_keep_their_ids(database, tmp_path):
    """A ratings file with text keys, its movies file, and a later file without one."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "products.csv").write_text("id,title\nB00X,Anvil\nB00Y,Rope\n")
    (folder / "ratings.csv").write_text(
        "customer_id,product_id,rating\nzoe,B00Y,4\nalice,B00X,5\n3000000000,B00Y,2\n"
    )
    ingest(database, folder, edition="shop")
    kept = rows_of(
        database,
        "SELECT u.key, m.key, m.title, r.rating FROM recsys_store.ratings AS r "
        "JOIN recsys_store.users AS u USING (user_id) "
        'JOIN recsys_store.movies AS m USING (movie_id) ORDER BY u.key COLLATE "C"',
    )
    assert kept == [
        ("3000000000", "B00Y", "Rope", 2.0),
        ("alice", "B00X", "Anvil", 5.0),
        ("zoe", "B00Y", "Rope", 4.0),
    ]
    ids = "SELECT user_id, key FROM recsys_store.users WHERE key <> 'bob' ORDER BY key"
    before = rows_of(database, ids)
    later = tmp_path / "later.csv"
    later.write_text("customer_id,product_id,rating\nbob,B00X,4\nzoe,B00Y,4\nbob,B00Z,1\n")
    report = ingest(database, later, edition="shop", max_rejects=RejectLimit(rows=1))
    assert [row.reason for row in report.rejected] == ['movie "B00Z" is unknown']
    assert rows_of(database, ids) == before
    assert report.counts == Counts(inserted=2, unchanged=2)
