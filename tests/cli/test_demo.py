import re
import subprocess

import pytest
import sqlalchemy as sa

from recsys.sample.files import write_sample
from recsys.storage.server.embedded import EmbeddedServer
from recsys.storage.server.engine import Database

FAST = """
[refresh]
models = ["top_rated", "most_rated", "als"]
default_model = "als"
threads = 1

[models.als]
factors = 8
iterations = 2
"""


@pytest.fixture
def running(first_demo, demo_home):
    """The demo's database, and the run that is published in it."""
    with EmbeddedServer(demo_home).running() as url:
        yield Database(url)


def asked(database, query):
    with database.snapshot() as connection:
        return [dict(row) for row in connection.execute(sa.text(query)).mappings()]


def test_offline_the_demo_falls_back_to_the_sample(first_demo, running):
    assert first_demo.code == 0
    told = first_demo.err.splitlines()
    [failed] = [line for line in told if line.startswith("No MovieLens data: ")]
    assert "files.grouplens.org" in failed
    assert "cannot be downloaded" in failed
    assert "Using the built-in sample instead: fictional movies and people, real methods." in told
    [run] = asked(running, "SELECT run_id, published, state FROM recsys.runs ORDER BY 1 LIMIT 1")
    assert run == {"run_id": 1, "published": True, "state": "complete"}
    assert any(
        re.fullmatch(r"recsys-sample: run 1 is published in \d+\.\d s\.", line) for line in told
    )
    kinds = asked(running, "SELECT kind, edition, source FROM recsys.ingests ORDER BY ingest_id")
    assert kinds == [
        {"kind": kind, "edition": "recsys-sample", "source": "built-in sample"}
        for kind in ("ratings", "metadata")
    ]


def test_it_shows_what_came_out(first_demo, running):
    headings = re.findall(
        r"(?m)^(The top chart|Similar to|What user|Recommended to)", first_demo.out
    )
    assert headings[:3] == ["The top chart", "Similar to", "What user"]
    for row in asked(running, "SELECT * FROM recsys.top_movies(10)"):
        pattern = rf" {row['rank']} +{re.escape(row['title'])} +\d{{4}} .* {row['votes']} "
        assert re.search(pattern, first_demo.out)
    [known] = asked(running, "SELECT movie_id, title FROM recsys.top_movies(1, NULL, 'most_rated')")
    assert f"Similar to {known['title']}" in first_demo.out
    for row in asked(running, f"SELECT * FROM recsys.similar({known['movie_id']}, 8)"):
        assert f"{row['title']}  " in first_demo.out
    user = int(re.search(r"What user (\d+) liked +Recommended to user \1", first_demo.out)[1])
    query = (
        "SELECT r.*, m.year, m.genres FROM recsys.recommend({}, 10) AS r JOIN recsys.movies AS m"
    )
    stored = asked(running, query.format(user) + " USING (movie_id) ORDER BY r.rank")
    assert [row["source"] for row in stored] == ["stored"] * 10
    for row in stored:
        genres = re.escape(", ".join(row["genres"]))
        pattern = rf" {row['rank']} +{re.escape(row['title'])} +{row['year']} +{genres}"
        assert re.search(pattern, first_demo.out)
    liked = asked(running, f"SELECT max(rating) AS best FROM recsys.ratings WHERE user_id = {user}")
    assert f"{liked[0]['best']:.1f}  " in first_demo.out


def test_it_names_next_commands_that_work(first_demo, demo_home, tmp_path, running):
    lines = [line.strip() for line in first_demo.err.splitlines()]
    export, *commands = [line for line in lines[lines.index("Next:") + 1 :] if line]
    assert export == f"export RECSYS_HOME={demo_home}"
    assert len(commands) == 3
    # In a shell without recsys on PATH, as after `make demo`.
    done = subprocess.run(
        ["sh", "-e", "-c", "\n".join([export, *commands])],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "COLUMNS": "150"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    recommended, found, queried = re.split(r"(?m)^Movies for .*$|^ rank \|", done.stdout)
    user = int(re.match(r"Recommended to user (\d+)", recommended)[1])
    for row in asked(running, f"SELECT * FROM recsys.recommend({user}, 10, NULL, ARRAY['Comedy'])"):
        assert row["title"] in recommended
    [known] = asked(running, "SELECT title FROM recsys.top_movies(1, NULL, 'most_rated')")
    assert known["title"] in found
    assert "(10 rows)" in queried


def test_the_second_demo_computes_nothing_and_shows_the_same(first_demo, demo_home, run_recsys):
    second = run_recsys("demo", RECSYS_HOME=str(demo_home))
    assert (second.code, second.out) == (0, first_demo.out)
    assert "The built-in sample stays." in second.err
    assert "recsys-sample: run 1 is published and up to date." in second.err
    assert "(ease)" not in second.err


def test_given_data_is_loaded_once(database, recsys, tmp_path):
    sample = write_sample(tmp_path / "made-up")
    config = tmp_path / "recsys.toml"
    config.write_text(FAST, encoding="utf-8")
    settings = {"RECSYS_DATABASE_URL": database.url, "RECSYS_CONFIG": str(config)}
    first = recsys("demo", "--data", str(sample), **settings)
    again = recsys("demo", **settings, RECSYS_MOVIELENS=str(sample))
    assert (first.code, again.code) == (0, 0)
    assert f"Loading {sample}" in first.err
    assert re.search(r"run 1 is published in \d", first.err)
    assert re.search(r" is loaded already: \d+,\d+ rows unchanged\.", again.err)
    assert "run 1 is published and up to date." in again.err
    assert again.out == first.out


def test_another_data_set_needs_replace(filled_database, recsys, small_config, tmp_path):
    sample = write_sample(tmp_path / "made-up")
    config = tmp_path / "recsys.toml"
    config.write_text(FAST, encoding="utf-8")
    settings = {"RECSYS_DATABASE_URL": filled_database.url, "RECSYS_CONFIG": str(config)}
    refused = recsys("demo", "--data", str(sample), **settings)
    assert (refused.code, refused.out) == (1, "")
    assert refused.errors[-2].startswith("error: the database holds ml-small-made-up; loading ")
    assert refused.errors[-1].startswith("hint: --replace drops the loaded data")
    assert recsys("demo", "--data", str(sample), "--replace", **settings).code == 0
    assert len(asked(filled_database, "SELECT movie_id FROM recsys.movies")) == 1200


def test_real_data_replaces_the_sample(database, edition, write_edition, recsys, tmp_path):
    config = tmp_path / "recsys.toml"
    config.write_text(FAST, encoding="utf-8")
    settings = {"RECSYS_DATABASE_URL": database.url, "RECSYS_CONFIG": str(config)}
    first = write_edition(tmp_path / "first", ["1,1,4.0,1000"])
    assert recsys("ingest", str(first), "--edition", "recsys-sample", **settings).code == 0
    done = recsys("demo", "--data", str(edition), **settings)
    assert done.code == 0
    assert re.search(r"(?m)^ml-small-made-up: run 1 is published in ", done.err)
    assert asked(database, "SELECT edition, replaced FROM recsys.ingests ORDER BY ingest_id") == [
        {"edition": "recsys-sample", "replaced": False},
        {"edition": "ml-small-made-up", "replaced": True},
    ]


def test_missing_data(recsys, tmp_path, published_url):
    for way in ("--data", "RECSYS_MOVIELENS"):
        arguments = ["--data", "/nonexistent/x"] if way == "--data" else []
        extra = {} if arguments else {way: "/nonexistent/x"}
        done = recsys("demo", *arguments, RECSYS_DATABASE_URL=published_url, **extra)
        assert (done.code, done.out, done.errors) == (
            1,
            "",
            [
                "error: /nonexistent/x does not exist",
                "hint: give a folder, a .zip or a CSV file",
            ],
        )
