import re
from collections import Counter

import pytest
from contract import recommended

from recsys.cli import output
from recsys.jobs.refresh_users import refresh_users
from recsys.models.registry import DEFAULT_SET, MODELS

QUESTIONS = [
    (("recommend", "1"), recommended("recsys.recommend(1)", label=False)),
    (("recommend", "2", "-n", "3"), recommended("recsys.recommend(2, 3)", label=False)),
    (
        ("recommend", "2", "--model", "als"),
        recommended("recsys.recommend(2, 10, 'als')", label=False),
    ),
    (
        ("recommend", "2", "--genre", "comedy", "--genre", "Drama"),
        recommended("recsys.recommend(2, 10, NULL, ARRAY['Comedy', 'Drama'])", label=False),
    ),
    (
        ("recommend", "2", "--year-from", "1960", "--year-to", "1970", "-n", "100"),
        recommended("recsys.recommend(2, 100, NULL, NULL, 1960, 1970)", label=False),
    ),
    (
        ("recommend", "2", "--model", "trending"),
        recommended("recsys.recommend(2, 10, 'trending')", label=False),
    ),
    (("recommend", "999999", "-n", "4"), recommended("recsys.recommend(999999, 4)", label=False)),
    (("recommend", "1", "-n", "0"), recommended("recsys.recommend(1, 0)", label=False)),
    (("similar", "7"), "SELECT * FROM recsys.similar(7)"),
    (("similar", "the film 7"), "SELECT * FROM recsys.similar(7)"),
    (
        ("similar", "7", "-n", "2", "--model", "content_genres"),
        "SELECT * FROM recsys.similar(7, 2, 'content_genres')",
    ),
    (("similar", "60"), "SELECT * FROM recsys.similar(60)"),
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
    "recommend": ("rank", "movie_id", "title", "year", "genres", "score"),
    "similar": ("rank", "movie_id", "title", "year", "genres", "score"),
    "top": ("rank", "movie_id", "title", "year", "score", "votes", "mean_rating"),
    "search": ("movie_id", "title", "year"),
}
NAMES = [" ".join(arguments) for arguments, _ in QUESTIONS]


@pytest.mark.parametrize(("arguments", "query"), QUESTIONS, ids=NAMES)
def test_json_equals_the_answer_of_the_contract(
    reading, contract_rows, published_url, arguments, query
):
    done = reading(*arguments, "--json")
    expected = contract_rows(published_url, query)
    assert (done.code, done.err, done.json) == (0, "", expected)
    assert [list(row) for row in done.json] == [list(row) for row in expected]
    empty = "0" in arguments[2:] or "nothing like it" in arguments
    assert bool(expected) is not empty


def shown(rows, columns):
    """Headings and cells of rows in a table."""
    cells = [output.column_cells([row[column] for row in rows]) for column in columns]
    return [output.heading(column) for column in columns], [
        list(row) for row in zip(*cells, strict=True)
    ]


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
    cards = contract_rows(published_url, "SELECT movie_id, year, genres FROM recsys.movies")
    by_id = {card["movie_id"]: card for card in cards}
    rows = [by_id[row["movie_id"]] | row for row in rows]
    assert cells_of(done.out) == shown(rows, columns)


def test_lines_around_a_table(reading):
    assert reading("search", "film 17").out.splitlines()[0].strip() == "Movies for 'film 17'"
    similar = [line.strip() for line in reading("similar", "7", "-n", "1").out.splitlines()]
    assert similar[0] == "Similar to The Film 7 (1957), movie 7"
    assert "model ease, run 1" in similar
    recommended = reading("recommend", "2", "-n", "1").out.splitlines()
    assert recommended[0].strip() == "Recommended to user 2"
    assert "run 1, ease" in [line.strip() for line in recommended]
    chart = reading("top", "--genre", "Drama", "-n", "1").out.splitlines()
    assert chart[0].strip() == "Top movies of Drama"
    named = reading("top", "--chart", "popular", "-n", "1").out.splitlines()
    assert named[0].strip() == "Chart popular"


def test_messages_go_to_stderr_only(reading):
    done = reading("recommend", "999999", "-n", "1")
    assert done.err == (
        "Too little is known for a personal list. The movies come from the chart (trending).\n"
    )
    assert "Too little" not in done.out
    assert reading("recommend", "1", "-n", "1").err == ""
    assert reading("recommend", "1", "-n", "1", "--model", "trending").err == ""


def test_rows_from_several_sources_are_told_apart(recsys, refreshed_database, contract_rows):
    settings = {"RECSYS_DATABASE_URL": refreshed_database.url}
    assert recsys("rate", "1", "17", "4", **settings).code == 0
    done = recsys("recommend", "1", "-n", "5", **settings)
    assert done.err == "Computed from the current ratings, which have changed since the run.\n"
    rows = contract_rows(refreshed_database.url, "SELECT source FROM recsys.recommend(1, 60)")
    counts = Counter(row["source"] for row in rows)
    assert counts.keys() > {"live"}
    done = recsys("recommend", "1", "-n", "60", **settings)
    assert done.err.startswith("The movies come from several sources: ")
    assert f"{counts['live']} from the current ratings (ease)" in done.err
    assert "Too little is known" not in done.err


def test_another_model_than_the_named_one_is_told(recsys, refreshed_database, plan_all):
    settings = {"RECSYS_DATABASE_URL": refreshed_database.url}
    assert recsys("rate", "1", "17", "4", **settings).code == 0
    named = ("recommend", "1", "-n", "5", "--model", "als")
    assert recsys(*named, **settings).err == (
        "als has no list for the current ratings. The movies come from another model (ease).\n"
    )
    refresh_users(refreshed_database, plan_all)
    assert recsys(*named, **settings).err == ""


@pytest.mark.parametrize(
    "line",
    [
        *("recommend 1", "similar 7", "top", "search film", "explain 1 7", "predict 1 7"),
        *("status", "runs list", "runs show 1", "models", "models ease", "verify"),
    ],
)
def test_80_columns_suffice(recsys, published_url, line):
    narrow = {"COLUMNS": "80", "TERMINAL_WIDTH": "80", "RECSYS_DATABASE_URL": published_url}
    done = recsys(*line.split(), **narrow)
    assert (done.code, "…" in done.out) == (0, False)
    assert max(map(len, done.out.splitlines())) <= 80 or line == "models ease"  # has a formula


# --- what only some models give ---


@pytest.fixture
def reading_all(recsys, everything_database):
    """Run a reading command on the edition with every model."""
    return lambda *arguments: recsys(*arguments, RECSYS_DATABASE_URL=everything_database.url)


LABELLED = recommended("recsys.recommend(1, 60, 'pearson_average')")


def test_labels_are_shown_where_a_model_has_them(reading_all, contract_rows, everything_database):
    expected = contract_rows(everything_database.url, LABELLED)
    # Rows that fill up the list are of other models.
    labels = [row["label"] for row in expected]
    assert {(row["model"], row["label"] is None) for row in expected} == {
        ("pearson_average", False),
        ("content", True),
    }
    assert "recommended" in labels
    asked = ("recommend", "1", "-n", "60", "--model", "pearson_average")
    done = reading_all(*asked, "--json")
    assert (done.code, done.err, done.json) == (0, "", expected)
    assert [list(row) for row in done.json] == [list(row) for row in expected]
    columns = ["rank", "movie_id", "title", "year", "label", "score"]
    table = reading_all(*asked).out
    assert cells_of(table) == shown(expected, columns)
    told = "run 1, pearson_average, content, labels of pearson_average"
    assert table.rstrip().splitlines()[-1].strip() == told


@pytest.mark.parametrize("model", ["ease", "hybrid_mixed", "popular"])
def test_other_models_have_no_labels(reading_all, contract_rows, everything_database, model):
    expected = contract_rows(
        everything_database.url,
        recommended("recsys.recommend(1, 5, :model)", label=False),
        model=model,
    )
    asked = ("recommend", "1", "-n", "5", "--model", model)
    done = reading_all(*asked, "--json")
    assert (done.code, done.json, len(expected)) == (0, expected, 5)
    assert "label" not in reading_all(*asked).out


USERS = [
    (("1",), "SELECT * FROM recsys.similar_users(1)"),
    (("1", "-n", "3"), "SELECT * FROM recsys.similar_users(1, 3)"),
    (("7", "--model", "user_knn"), "SELECT * FROM recsys.similar_users(7, 10, 'user_knn')"),
    (("1", "-n", "0"), "SELECT * FROM recsys.similar_users(1, 0)"),
    (("81",), "SELECT * FROM recsys.similar_users(81)"),
    (("999999",), "SELECT * FROM recsys.similar_users(999999)"),
]


@pytest.mark.parametrize(("arguments", "query"), USERS, ids=[query for _, query in USERS])
def test_similar_users(reading_all, contract_rows, everything_database, arguments, query):
    expected = contract_rows(everything_database.url, query)
    done = reading_all("similar-users", *arguments, "--json")
    assert (done.code, done.err, done.json) == (0, "", expected)
    assert bool(expected) is (arguments[0] in ("1", "7") and "0" not in arguments)
    done = reading_all("similar-users", *arguments)
    columns = ["rank", "user_id", "score", "common_ratings"]
    assert (done.code, done.err, cells_of(done.out)) == (0, "", shown(expected, columns))
    lines = [line.strip() for line in done.out.splitlines()]
    assert lines[0] == f"Similar to user {arguments[0]}"
    assert ("model user_knn, run 1" if expected else "no similar user is known") in lines


PREDICTED = [
    (("1", "2"), 2, "recsys.predict_rating(1, 2)"),
    (("1", "the film 2,"), 2, "recsys.predict_rating(1, 2)"),
    (("1", "2", "--model", "user_knn"), 2, "recsys.predict_rating(1, 2, 'user_knn')"),
    (("1", "2", "--model", "svd"), 2, "recsys.predict_rating(1, 2, 'svd')"),
    (("81", "2"), 2, "recsys.predict_rating(81, 2)"),
    (("999999", "2"), 2, "recsys.predict_rating(999999, 2)"),
    (("1", "59"), 59, "recsys.predict_rating(1, 59)"),
]


@pytest.mark.parametrize(
    ("arguments", "movie", "call"), PREDICTED, ids=[" ".join(case[0]) for case in PREDICTED]
)
def test_predict(reading_all, contract_rows, everything_database, arguments, movie, call):
    [expected] = contract_rows(everything_database.url, f"SELECT {call} AS rating")
    rating = expected["rating"]
    assert (rating is None) == (arguments[0] != "1" or movie == 59)
    done = reading_all("predict", *arguments, "--json")
    wanted = {"user_id": int(arguments[0]), "movie_id": movie, "rating": rating}
    wanted |= {"given_rating": None, "user_key": arguments[0], "movie_key": str(movie)}
    assert (done.code, done.err, done.json) == (0, "", wanted)
    shown = reading_all("predict", *arguments)
    unknown = "unknown: too few ratings of the user or of the movie"
    assert (shown.code, shown.err) == (0, "")
    told = unknown if rating is None else f"{rating:.2f}"
    title = f"Predicted rating of user {arguments[0]}"
    assert " ".join(shown.out.split()) == f"{title} The Film {movie} ({1950 + movie}) {told}"


def test_predict_tells_a_rating_that_was_given(reading_all, contract_rows, everything_database):
    query = "SELECT movie_id, rating FROM recsys.ratings WHERE user_id = 1 ORDER BY 1 LIMIT 1"
    [rated] = contract_rows(everything_database.url, query)
    done = reading_all("predict", "1", str(rated["movie_id"]), "--json")
    assert done.json["given_rating"] == rated["rating"]
    assert done.json["rating"] is not None
    told = reading_all("predict", "1", str(rated["movie_id"])).err
    assert told == f"User 1 has already rated it: {rated['rating']:g}.\n"


def test_models_without_similar_users_or_predictions(reading_all):
    predicting = "models: bayes_fm, item_knn, mf, neural_dot, svd, user_knn"
    no_users = "no similar users of a model 'ease' are published"
    no_ratings = "no predicted ratings of a model 'ease' are published"
    no_model, all_models = "run 1 has no model 'no'", f"It has: {', '.join(sorted(MODELS))}."
    for line, error, hint in (
        ("similar-users 1 --model ease", no_users, "models: user_knn"),
        ("similar-users 1 --model no", no_model, all_models),
        ("predict 1 2 --model ease", no_ratings, predicting),
        ("predict 1 2 --model no", no_model, all_models),
    ):
        for form in ([], ["--json"]):
            done = reading_all(*line.split(), *form)
            told = [f"error: {error}", f"hint: {hint}"]
            assert (done.code, done.out, done.errors) == (1, "", told)


# --- status ---

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
    published, fresh = found.pop("published"), found.pop("freshness")
    assert [(row["artefact"], row["run_id"], row["stale"]) for row in fresh] == [
        (name, 1, False) for name in ("charts", "factors", "recommendations", "similar_movies")
    ]
    age = published.pop("age_seconds")
    assert published.pop("models") == sorted(DEFAULT_SET)
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
        "ratings": f"{run['ratings_count']:,} by 80 users",
        "movies": "60",
        "last refresh": "run 1, complete",
        "default model": "ease",
        "models": ", ".join(sorted(DEFAULT_SET)),
        "computed from": f"{run['ratings_count']:,} ratings",
        "took": f"{run['seconds']:.1f} s, {run['peak_memory_mb']:,} MiB at most",
    }


FAILURES = [
    (
        "recommend 1 --model nope",
        "error: run 1 has no model 'nope'",
        f"hint: It has: {', '.join(sorted(DEFAULT_SET))}.",
    ),
    (
        "recommend 1 --model pearson_average",
        "error: run 1 has no model 'pearson_average'",
        f"hint: It has: {', '.join(sorted(DEFAULT_SET))}.",
    ),
    (
        "similar 1 --model top_rated",
        "error: no similar movies of a model 'top_rated' are published",
        "hint: models: als, content_genres, ease, item_knn, mf",
    ),
    (
        "top --chart ease",
        "error: run 1 has no chart 'ease'",
        "hint: It has: most_rated, popular, top_rated, trending.",
    ),
    (
        "similar-users 1",
        "error: run 1 has compared no users",
        "hint: Refresh a model that compares users.",
    ),
    (
        "predict 1 2 --model als",
        "error: no predicted ratings of a model 'als' are published",
        "hint: models: item_knn, mf",
    ),
    (
        "predict 1 99999",
        "error: there is no movie 99999",
        "hint: search for its title to find its id; `recsys search TITLE`",
    ),
    (
        "predict 1 nonesuch",
        "error: no title matches 'nonesuch'",
        "hint: try fewer words; `recsys search TITLE`",
    ),
    (
        "similar 99999",
        "error: there is no movie 99999",
        "hint: search for its title to find its id; `recsys search TITLE`",
    ),
    (
        "similar 99999999999999999999",
        "error: no title matches '99999999999999999999'",
        "hint: try fewer words; `recsys search TITLE`",
    ),
    (
        "similar nonesuch",
        "error: no title matches 'nonesuch'",
        "hint: try fewer words; `recsys search TITLE`",
    ),
]


@pytest.mark.parametrize(("line", "error", "hint"), FAILURES, ids=[f[0] for f in FAILURES])
def test_a_failure_is_reported_in_two_lines(reading, line, error, hint):
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
        "hint: search for its title to find its id; `recsys search TITLE`",
    ]


WRONG_USAGE = [
    "nosuch",
    "recommend",
    "recommend -1",
    "recommend 1 -n -1",
    "recommend 1 -n many",
    "recommend 1 --nosuch",
    "recommend 1 2",
    "similar",
    "similar-users",
    "similar-users 1 -n -1",
    "predict",
    "predict 1",
    "predict 1 2 -n 3",
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


@pytest.mark.parametrize("line", ["runs show 99999999999", "recommend 1 --year-from 99999999999"])
def test_a_number_too_large_is_refused(reading, line):
    done = reading(*line.split())
    assert done.code in (1, 2)
    assert (done.out, "Traceback" in done.err) == ("", False)


@pytest.mark.parametrize(
    "line",
    ["recommend 1", "similar 1", "similar Film", "similar-users 1", "predict 1 Film", "top"],
)
def test_nothing_published(recsys, filled_database, line):
    done = recsys(*line.split(), RECSYS_DATABASE_URL=filled_database.url)
    hint = (
        "hint: load ratings, and publish a refresh of them; `recsys demo`, "
        "or `recsys ingest ml-latest-small` and then `recsys refresh`"
    )
    assert (done.code, done.out) == (1, "")
    assert done.errors == ["error: nothing is published yet", hint]


@pytest.mark.parametrize(
    "line",
    ["recommend 1", "similar 1", "similar-users 1", "predict 1 1", "top", "search x", "status"],
)
def test_an_empty_database(recsys, empty_database, line):
    done = recsys(*line.split(), RECSYS_DATABASE_URL=empty_database.url)
    hint = (
        "hint: load ratings, and publish a refresh of them; `recsys demo`, "
        "or `recsys ingest ml-latest-small` and then `recsys refresh`"
    )
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
    ("similar-users", "1", "--model", INJECTION),
    ("predict", "1", INJECTION),
    ("predict", "1", "1", "--model", INJECTION),
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
    assert done.json == [{"movie_id": 2, "title": "七人の侍", "year": 1954, "movie_key": "2"}]
    assert "七人の侍" in done.out
