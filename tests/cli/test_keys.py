"""Commands with users and movies named by keys."""

import pytest
from store import change, rows_of


@pytest.fixture
def run(recsys, keyed_database):
    return lambda *words: recsys(*words, RECSYS_DATABASE_URL=keyed_database.url)


@pytest.mark.parametrize(
    ("by_key", "by_id"),
    [
        (["recommend", "user 1"], ["recommend", "1"]),
        (["explain", "user 1", "B03"], ["explain", "1", "3"]),
        (["similar", "B03"], ["similar", "3"]),
        (["similar-users", "user 1"], ["similar-users", "1"]),
        (["predict", "user 1", "B03"], ["predict", "1", "The Film 3"]),
    ],
)
def test_reads_by_key_return_what_those_by_id_do(run, by_key, by_id):
    found = run(*by_key, "--json")
    assert (found.code, found.err) == (0, "")
    assert found.json == run(*by_id, "--json").json
    assert found.json


def test_tables_show_keys_where_they_differ_from_ids(run):
    shown = run("recommend", "user 1", "-n", "3")
    assert (shown.code, "Recommended to user user 1" in shown.out) == (0, True)
    rows = run("recommend", "user 1", "-n", "3", "--json").json
    assert all(row["movie_key"] in shown.out for row in rows)
    assert "user 1" in run("similar-users", "user 2", "-n", "80").out
    for words in (["similar", "B03"], ["top"], ["search", "film"]):
        assert "B0" in run(*words).out
    assert "movie B03" in run("similar", "3").out


def test_unknown_keys(run):
    assert "from the chart" in run("recommend", "nobody").err
    told = run("similar", "B0' OR true")
    assert (told.code, told.errors[0]) == (1, 'error: no title matches "B0\' OR true"')


def test_rating_and_forgetting_by_key(recsys, make_database, keyed_template):
    database = make_database(keyed_template)
    change(database, "SELECT recsys.rate('7', 'B03', 4)")

    def run(*words):
        return recsys(*words, RECSYS_DATABASE_URL=database.url)

    told = run("rate", "alice", "B03", "4.5")
    assert (told.code, told.err) == (0, "User alice gives 4.5 to The Film 3 (1953).\n")
    assert run("block", "alice", "The Film 5").code == 0
    # 7 is the key of one user and the id of another.
    done = run("forget", "7", "--json").json
    assert (done["removed"]["users.user_id"], done["user_key"]) == (1, "7")
    told = run("forget", "7")
    assert (told.code, told.errors) == (
        1,
        [
            "error: no user has the key 7",
            "hint: the user with this id has the key user 7, which names them here",
        ],
    )
    assert sum(run("forget", "alice", "--json").json["removed"].values()) > 2
    assert run("forget", "alice", "--check").code == 0
    assert run("forget", "alice").errors[0] == "error: no row is about user alice"
    left = "SELECT key FROM recsys_store.users WHERE user_id > 81 OR user_id = 7"
    assert rows_of(database, left) == [("user 7",)]
