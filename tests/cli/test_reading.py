import re

import pytest

from recsys.cli import show

QUESTIONS = [
    (("recommend", "1"), "SELECT * FROM recsys.recommend(1)"),
    (("recommend", "2", "-n", "3"), "SELECT * FROM recsys.recommend(2, 3)"),
    (("recommend", "2", "--model", "als"), "SELECT * FROM recsys.recommend(2, 10, 'als')"),
    (
        ("recommend", "2", "--genre", "comedy", "--genre", "Drama"),
        "SELECT * FROM recsys.recommend(2, 10, NULL, ARRAY['Comedy', 'Drama'])",
    ),
    (
        ("recommend", "2", "--year-from", "1960", "--year-to", "1970", "-n", "100"),
        "SELECT * FROM recsys.recommend(2, 100, NULL, NULL, 1960, 1970)",
    ),
    (("recommend", "999999", "-n", "4"), "SELECT * FROM recsys.recommend(999999, 4)"),
    (("recommend", "1", "-n", "0"), "SELECT * FROM recsys.recommend(1, 0)"),
    (("similar", "7"), "SELECT * FROM recsys.similar(7)"),
    (("similar", "the film 7"), "SELECT * FROM recsys.similar(7)"),
    (
        ("similar", "7", "-n", "2", "--model", "content_genres"),
        "SELECT * FROM recsys.similar(7, 2, 'content_genres')",
    ),
    (("similar", "7", "-n", "0"), "SELECT * FROM recsys.similar(7, 0)"),
    (("top",), "SELECT * FROM recsys.top_movies()"),
    (("top", "-n", "3", "--genre", "SCI-FI"), "SELECT * FROM recsys.top_movies(3, 'Sci-Fi')"),
    (
        ("top", "--chart", "trending", "-n", "2"),
        "SELECT * FROM recsys.top_movies(2, NULL, 'trending')",
    ),
    (("top", "--model", "most_rated"), "SELECT * FROM recsys.top_movies(10, NULL, 'most_rated')"),
    (("top", "-n", "0"), "SELECT * FROM recsys.top_movies(0)"),
    (("search", "film 1"), "SELECT * FROM recsys.search_movies('film 1')"),
    (("search", "film", "-n", "2"), "SELECT * FROM recsys.search_movies('film', 2)"),
    (("search", "film", "-n", "0"), "SELECT * FROM recsys.search_movies('film', 0)"),
    (("search", "nothing like it"), "SELECT * FROM recsys.search_movies('nothing like it')"),
]
SHOWN = {
    "recommend": ("rank", "movie_id", "title", "score", "source", "model"),
    "similar": ("rank", "movie_id", "title", "score"),
    "top": ("rank", "movie_id", "title", "score", "votes", "mean_rating"),
    "search": ("movie_id", "title", "year"),
}
NAMES = [" ".join(arguments) for arguments, _ in QUESTIONS]


@pytest.mark.parametrize(("arguments", "query"), QUESTIONS, ids=NAMES)
def test_json_is_what_the_contract_says(reading, contract_rows, published_url, arguments, query):
    done = reading(*arguments, "--json")
    expected = contract_rows(published_url, query)
    assert (done.code, done.err, done.json) == (0, "", expected)
    assert [list(row) for row in done.json] == [list(row) for row in expected]
    empty = "0" in arguments[2:] or "nothing like it" in arguments
    assert bool(expected) is not empty


def cells_of(table):
    """Cells of the lines below the rule, up to the empty line at the end of the table."""
    lines = [line.strip() for line in table.splitlines()]
    rule = next(at for at, line in enumerate(lines) if line.startswith("─"))
    rows = lines[rule + 1 : lines.index("", rule)]
    return re.split(r"\s{2,}", lines[rule - 1]), [re.split(r"\s{2,}", row) for row in rows]


@pytest.mark.parametrize(("arguments", "query"), QUESTIONS, ids=NAMES)
def test_the_table_shows_the_same(reading, contract_rows, published_url, arguments, query):
    done = reading(*arguments)
    assert done.code == 0
    columns = SHOWN[arguments[0]]
    rows = contract_rows(published_url, query)
    expected = [[show.cell(row[column]) for column in columns] for row in rows]
    assert cells_of(done.out) == (list(columns), expected)


def test_what_a_table_says_around_the_rows(reading):
    assert reading("search", "film 17").out.splitlines()[0].strip() == "Movies for 'film 17'"
    similar = [line.strip() for line in reading("similar", "7", "-n", "1").out.splitlines()]
    assert similar[0] == "Similar to The Film 7 (1957), movie 7"
    assert "model ease, run 1" in similar
    recommended = reading("recommend", "2", "-n", "1").out.splitlines()
    assert recommended[0].strip() == "Recommended to user 2"
    assert "run 1" in [line.strip() for line in recommended]
    chart = reading("top", "--genre", "Drama", "-n", "1").out.splitlines()
    assert chart[0].strip() == "Chart top_rated of Drama"


def test_messages_go_to_stderr_only(reading):
    done = reading("recommend", "999999", "-n", "1")
    assert done.err == "No stored row fits: shown is what most people rate.\n"
    assert "No stored row fits" not in done.out
    assert reading("recommend", "1", "-n", "1").err == ""


STATUS = """
SELECT
    i.edition, i.finished_at AS last_ingest_at,
    (SELECT count(*) FROM recsys.ratings) AS ratings,
    (SELECT count(DISTINCT user_id) FROM recsys.ratings) AS users,
    60 AS movies,
    r.run_id AS last_run_id, r.state AS last_run_state, r.error AS last_run_error
FROM recsys.ingests AS i CROSS JOIN recsys.runs AS r
"""
PUBLISHED = """
SELECT
    r.run_id, r.default_model, p.published_at, r.ratings_count, r.users_count, r.movies_count,
    r.seconds, r.peak_memory_mb
FROM recsys.runs AS r JOIN recsys.publications AS p USING (run_id)
"""


def test_status_as_json(reading, contract_rows, published_url):
    done = reading("status", "--json")
    [status], [run] = (contract_rows(published_url, query) for query in (STATUS, PUBLISHED))
    found = done.json
    published = found.pop("published")
    age = published.pop("age_seconds")
    models = ["als", "content_genres", "ease", "item_knn", "most_rated", "top_rated", "trending"]
    assert published.pop("models") == models
    assert found == status | {"last_ingest_at": status["last_ingest_at"].isoformat()}
    assert published == run | {"published_at": run["published_at"].isoformat()}
    assert 0 < age < 3600
    assert (done.code, done.err) == (0, "")


def test_status_as_text(reading, contract_rows, published_url):
    done = reading("status")
    lines = [re.split(r"\s{2,}", line.strip()) for line in done.out.splitlines()]
    facts = dict(line for line in lines if len(line) == 2)
    [run] = contract_rows(published_url, PUBLISHED)
    del facts["last ingest"]
    assert facts.pop("published").startswith("run 1, ")
    assert facts == {
        "edition": "ml-small-made-up",
        "ratings": f"{run['ratings_count']:,} by 80 people",
        "movies": "60",
        "last refresh": "run 1, complete",
        "default model": "ease",
        "models": "als, content_genres, ease, item_knn, most_rated, top_rated, trending",
        "computed from": f"{run['ratings_count']:,} ratings",
        "took": f"{run['seconds']:.1f} s, {run['peak_memory_mb']:,} MiB at most",
    }


FAILURES = [
    (
        "recommend 1 --model nope",
        "error: no personal lists of a model 'nope' are published",
        "hint: models: als, ease, item_knn",
    ),
    (
        "recommend 1 --model content_genres",
        "error: no personal lists of a model 'content_genres' are published",
        "hint: models: als, ease, item_knn",
    ),
    (
        "similar 1 --model top_rated",
        "error: no similar movies of a model 'top_rated' are published",
        "hint: models: als, content_genres, ease, item_knn",
    ),
    (
        "top --chart ease",
        "error: no chart 'ease' is published",
        "hint: charts: most_rated, top_rated, trending",
    ),
    (
        "similar 99999",
        "error: there is no movie 99999",
        "hint: find its id with `recsys search TITLE`",
    ),
    (
        "similar 99999999999999999999",
        "error: no title matches '99999999999999999999'",
        "hint: try fewer words: recsys search WORD",
    ),
    (
        "similar nonesuch",
        "error: no title matches 'nonesuch'",
        "hint: try fewer words: recsys search WORD",
    ),
]


@pytest.mark.parametrize(("line", "error", "hint"), FAILURES, ids=[f[0] for f in FAILURES])
def test_a_failure_is_told_in_two_lines(reading, line, error, hint):
    for form in ([], ["--json"]):
        done = reading(*line.split(), *form)
        assert (done.code, done.out, done.errors) == (1, "", [error, hint])


def test_verbose_adds_the_traceback(reading):
    done = reading("-v", "similar", "99999")
    assert (done.code, done.out) == (1, "")
    assert "Traceback (most recent call last)" in done.err
    assert "recsys.errors.UnknownMovie: there is no movie 99999" in done.err
    assert done.errors[-2:] == [
        "error: there is no movie 99999",
        "hint: find its id with `recsys search TITLE`",
    ]


WRONG_USAGE = [
    "nosuch",
    "recommend",
    "recommend x",
    "recommend -1",
    "recommend 1 -n -1",
    "recommend 1 -n many",
    "recommend 1 --nosuch",
    "recommend 1 2",
    "similar",
    "search",
    "top --year-from 1990",
    "db nosuch",
    "ingest",
    "ingest x --format nosuch",
    "ingest x --on-duplicate nosuch",
    "refresh now",
]


@pytest.mark.parametrize("line", WRONG_USAGE)
def test_wrong_usage_exits_with_2(reading, line):
    done = reading(*line.split())
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("Usage: ")
    assert "Traceback" not in done.err


@pytest.mark.parametrize("line", ["recommend 99999999999", "recommend 1 --year-from 99999999999"])
def test_a_number_too_large_is_refused(reading, line):
    done = reading(*line.split())
    assert done.code in (1, 2)
    assert (done.out, "Traceback" in done.err) == ("", False)


@pytest.mark.parametrize("line", ["recommend 1", "similar 1", "similar Film", "top"])
def test_nothing_published(recsys, filled_database, line):
    done = recsys(*line.split(), RECSYS_DATABASE_URL=filled_database.url)
    hint = "hint: `recsys demo`, or `recsys ingest ml-latest-small` and then `recsys refresh`"
    assert (done.code, done.out) == (1, "")
    assert done.errors == ["error: nothing is published yet", hint]


@pytest.mark.parametrize("line", ["recommend 1", "similar 1", "top", "search x", "status"])
def test_an_empty_database(recsys, empty_database, line):
    done = recsys(*line.split(), RECSYS_DATABASE_URL=empty_database.url)
    hint = "hint: `recsys demo`, or `recsys ingest ml-latest-small` and then `recsys refresh`"
    assert (done.code, done.out, done.errors) == (1, "", ["error: the database is empty", hint])


def test_status_before_anything_is_published(recsys, filled_database):
    found = recsys("status", "--json", RECSYS_DATABASE_URL=filled_database.url).json
    assert (found["edition"], found["published"], found["last_run_id"]) == (
        "ml-small-made-up",
        None,
        None,
    )
    shown = recsys("status", RECSYS_DATABASE_URL=filled_database.url).out
    assert re.search(r"published +nothing yet", shown)
    assert re.search(r"last refresh +-", shown)


INJECTION = "x'; DROP SCHEMA recsys_store CASCADE; --"
PLACES = [
    ("recommend", "1", "--model", INJECTION),
    ("recommend", "1", "--genre", INJECTION),
    ("recommend", "1", "--genre", "{a,b}'); DELETE FROM recsys_store.ratings; --"),
    ("similar", INJECTION),
    ("similar", "1", "--model", INJECTION),
    ("top", "--genre", INJECTION),
    ("top", "--chart", INJECTION),
    ("search", INJECTION),
    ("search", "a' & !b | (c <-> d):*\\"),
    ("search", "%s %(n)s :n {} \\'"),
    ("refresh", "--models", INJECTION),
    ("ingest", INJECTION),
    ("ingest-metadata", INJECTION),
]


def census(contract_rows, url):
    """Rows and a digest of every table of the store."""
    tables = contract_rows(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'recsys_store'")
    digest = "md5(string_agg(CAST(t AS text), '' ORDER BY CAST(t AS text)))"
    query = f"SELECT count(*) AS rows, {digest} AS digest FROM recsys_store."
    names = [row["tablename"] for row in tables]
    return {name: contract_rows(url, f"{query}{name} AS t")[0] for name in names}


def test_sql_in_an_argument_is_only_text(recsys, refreshed_database, contract_rows):
    before = census(contract_rows, refreshed_database.url)
    for place in PLACES:
        done = recsys(*place, RECSYS_DATABASE_URL=refreshed_database.url)
        assert done.code in (0, 1), place
        assert "PostgreSQL refused" not in done.err, place
        assert "unexpected" not in done.err, place
    assert before["ratings"]["rows"] > 1000
    assert census(contract_rows, refreshed_database.url) == before


def test_titles_may_look_like_markup(recsys, database, write_edition, tmp_path, small_config):
    movies = ['1,"[bold]Amélie[/bold] (2001)",Drama', "2,七人の侍 (1954),Drama"]
    ratings = [f"{user},{movie},4.0,1000" for user in (1, 2, 3) for movie in (1, 2)]
    folder = write_edition(tmp_path / "titles", ratings, movies)
    settings = {"RECSYS_DATABASE_URL": database.url, "RECSYS_CONFIG": small_config()}
    assert recsys("ingest", str(folder), **settings).code == 0
    found = recsys("search", "amélie", **settings)
    assert cells_of(found.out)[1] == [["1", "[bold]Amélie[/bold]", "2001"]]
    done = recsys("search", "七人", "--json", **settings)
    assert done.json == [{"movie_id": 2, "title": "七人の侍", "year": 1954}]
    assert "七人の侍" in done.out
