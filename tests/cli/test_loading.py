import re
import zipfile

import pytest
import typer

from recsys.cli.ingest import reject_limit
from recsys.cli.stages import in_words
from recsys.jobs.ingest import RejectLimit
from recsys.models.registry import DEFAULT_SET, MODELS
from recsys.sample.files import write_sample

GOOD = [
    f"{user},{movie},{3 + (user + movie) % 3}.0,1000" for user in range(1, 9) for movie in (1, 2, 3)
]
BAD = ["x,1,3.0,1000", "1,1,99,1000", "1,2"]


def loaded(contract_rows, url):
    query = "SELECT count(*) AS ratings, count(DISTINCT movie_id) AS movies FROM recsys.ratings"
    return tuple(contract_rows(url, query)[0].values())


@pytest.fixture
def at(database):
    return {"RECSYS_DATABASE_URL": database.url}


def test_a_load_is_reported_and_a_repetition_changes_nothing(
    recsys, write_edition, at, tmp_path, contract_rows
):
    folder = write_edition(tmp_path / "ml-mine", GOOD)
    first = recsys("ingest", str(folder), "--json", **at)
    assert (first.code, first.json) == (
        0,
        {
            "ingest_id": 1,
            "edition": "ml-mine",
            "dialect": "ml-csv",
            "rows_read": 27,
            "feedback": "explicit",
            "counts": {
                "ratings": {"inserted": 24, "updated": 0, "unchanged": 0, "removed": 0},
                "movies": {"inserted": 3, "updated": 0, "unchanged": 0, "removed": 0},
                "users": {"inserted": 8, "updated": 0, "unchanged": 0, "removed": 0},
            },
            "inserted": 35,
            "updated": 0,
            "unchanged": 0,
            "duplicates": 0,
            "unrated": 0,
            "rejected": 0,
            "rejected_kept": 0,
        },
    )
    assert first.errors[-1].startswith(
        "Loaded: ml-mine (ml-csv): 24 ratings, 3 movies, 8 users added; 0 duplicates merged, "
        "0 rejected, "
    )
    again = recsys("ingest", str(folder), **at)
    assert (again.code, again.out) == (0, "")
    assert again.errors[-1].startswith(
        "No change: ml-mine (ml-csv): 24 ratings, 3 movies, 8 users unchanged; "
    )
    assert loaded(contract_rows, at["RECSYS_DATABASE_URL"]) == (24, 3)


def test_too_many_bad_rows_change_nothing(recsys, write_edition, at, tmp_path, contract_rows):
    folder = write_edition(tmp_path / "ml-bad", GOOD + BAD, ["1,One (1990),Drama"] * 1)
    done = recsys("ingest", str(folder), **at)
    assert (done.code, done.out) == (1, "")
    assert "rows are bad, 0 are allowed: ratings.csv line " in done.errors[-2]
    assert done.errors[-1] == (
        "hint: correct the files, name their format with --format, or allow more with --max-rejects"
    )
    assert loaded(contract_rows, at["RECSYS_DATABASE_URL"]) == (0, 0)


@pytest.mark.parametrize(
    ("limit", "code"), [("3", 0), ("2", 1), ("12%", 0), ("1%", 1), ("100%", 0)]
)
def test_bad_rows_may_be_allowed(recsys, write_edition, at, tmp_path, contract_rows, limit, code):
    movies = [f"{movie},Film {movie} (1990),Drama" for movie in (1, 2, 3)]
    folder = write_edition(tmp_path / "ml-bad", GOOD + BAD, movies)
    done = recsys("ingest", str(folder), "--max-rejects", limit, **at)
    assert done.code == code
    url = at["RECSYS_DATABASE_URL"]
    assert loaded(contract_rows, url) == ((24, 3) if code == 0 else (0, 0))
    if code == 0:
        kept = contract_rows(
            url, "SELECT file, line, reason FROM recsys.rejected_rows ORDER BY line"
        )
        assert [(row["file"], row["line"]) for row in kept] == [
            ("ratings.csv", n) for n in (26, 27, 28)
        ]
        told = [f"  rejected ratings.csv line {row['line']}: {row['reason']}" for row in kept]
        where = "  all of them: SELECT * FROM recsys.rejected_rows WHERE ingest_id = 1"
        assert done.errors[-4:] == [*told, where]


def test_more_bad_rows_than_are_kept_are_counted(recsys, write_edition, at, tmp_path):
    folder = write_edition(tmp_path / "ml-bad", GOOD + ["x,1,4.0,5"] * 10_001)
    done = recsys("ingest", str(folder), "--max-rejects", "100%", "--json", **at)
    assert done.code == 0
    assert (done.json["rejected"], done.json["rejected_kept"]) == (10_001, 10_000)
    assert "10,001 rejected" in done.errors[-5]
    assert done.errors[-1] == (
        "  the first 10,000: SELECT * FROM recsys.rejected_rows WHERE ingest_id = 1"
    )


def test_the_limit_of_archives_comes_from_the_settings(recsys, at, tmp_path):
    path, config = tmp_path / "many.zip", tmp_path / "recsys.toml"
    with zipfile.ZipFile(path, "w") as archive:
        rows = "".join(f"{n},1,3\n" for n in range(200_000))
        archive.writestr("ratings.csv", f"user,film,stars\n{rows}")
    config.write_text("[ingest]\nmax_unpacked_mb = 1\n")
    done = recsys("ingest", str(path), RECSYS_CONFIG=str(config), **at)
    assert (done.code, done.errors[-2]) == (
        1,
        f"error: {path} would unpack to 2 MB, 1 times its size; 1 MB are allowed",
    )
    config.write_text("[ingest]\nmax_unpacked = 1\n")
    done = recsys("ingest", str(path), RECSYS_CONFIG=str(config), **at)
    assert (done.code, done.errors[-1]) == (1, "hint: allowed keys: max_unpacked_mb")


LIMITS = [
    ("1%", RejectLimit(share=0.01)),
    ("0%", RejectLimit(share=0.0)),
    (" 12.5 % ", RejectLimit(share=0.125)),
    ("100%", RejectLimit(share=1.0)),
    ("0", RejectLimit(rows=0)),
    ("200", RejectLimit(rows=200)),
]


@pytest.mark.parametrize(("text", "limit"), LIMITS)
def test_forms_of_max_rejects(text, limit):
    assert reject_limit(text) == limit


@pytest.mark.parametrize("text", ["", "%", "-1", "-1%", "101%", "nan%", "inf%", "x", "1.5", "1%%"])
def test_forms_that_max_rejects_has_not(text):
    with pytest.raises(typer.BadParameter) as caught:
        reject_limit(text)
    assert caught.value.message == (
        f"--max-rejects is a share such as 1% or a number, not {text!r}"
    )


def test_a_wrong_limit_is_reported_before_anything_is_read(recsys, at):
    done = recsys("ingest", "/nonexistent", "--max-rejects", "101%", **at)
    assert (done.code, done.out) == (2, "")
    assert "--max-rejects is a share such as 1% or a number, not '101%'" in done.err


@pytest.mark.parametrize("name", ["/nonexistent/ratings.csv", "ml-nosuch", ""])
def test_neither_a_path_nor_a_name(recsys, at, name):
    done = recsys("ingest", name, **at)
    assert (done.code, done.out) == (1, "")
    if name:
        assert done.errors[-2] == (
            f"error: {name} is neither a file or folder nor the name of a MovieLens edition"
        )
        assert done.errors[-1].startswith("hint: editions: ml-latest-small, ")


def test_a_name_without_a_network(recsys, at):
    done = recsys("ingest", "ml-latest-small", **at)
    assert (done.code, done.out) == (1, "")
    assert "ml-latest-small.zip: cannot be downloaded: " in done.errors[-2]
    assert done.errors[-1].startswith("hint: ")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("empty.csv", ""),
        ("noise.csv", "a,b\n1,2\n"),
        ("broken.zip", "PK\x03\x04 no"),
        ("r.csv", "\0\0"),
    ],
)
def test_files_that_hold_no_ratings(recsys, at, tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    done = recsys("ingest", str(path), **at)
    assert (done.code, done.out) == (1, "")
    assert name in done.errors[-2]
    assert "unexpected" not in done.err


def test_another_data_set_is_refused_unless_it_replaces(
    recsys, write_edition, refreshed_database, tmp_path, contract_rows
):
    at = {"RECSYS_DATABASE_URL": refreshed_database.url}
    folder = write_edition(tmp_path / "ml-mine", GOOD)
    refused = recsys("ingest", str(folder), **at)
    assert (refused.code, refused.out, refused.errors[-2:]) == (
        1,
        "",
        [
            "error: the database holds ml-small-made-up; loading ml-mine over it would mix two "
            "data sets",
            "hint: --replace drops the loaded data, --edition NAME declares both to be the same",
        ],
    )
    assert recsys("top", "--json", **at).json != []
    replaced = recsys("ingest", str(folder), "--replace", **at)
    assert replaced.code == 0
    assert replaced.errors[-2] == "ml-small-made-up was dropped."
    assert loaded(contract_rows, refreshed_database.url) == (24, 3)
    assert recsys("top", **at).errors[0] == "error: nothing is published yet"


def test_the_same_data_set_by_another_name(
    recsys, write_edition, filled_database, tmp_path, contract_rows
):
    folder = write_edition(tmp_path / "ml-mine", ["1,1,1.5,1700000000"])
    at = {"RECSYS_DATABASE_URL": filled_database.url}
    done = recsys("ingest", str(folder), "--edition", "ml-small-made-up", **at)
    assert done.code == 0
    query = "SELECT rating FROM recsys.ratings WHERE user_id = 1 AND movie_id = 1"
    assert contract_rows(filled_database.url, query) == [{"rating": 1.5}]


@pytest.mark.parametrize(("rule", "rating"), [("latest", 2.0), ("max", 5.0), ("mean", 3.5)])
def test_duplicates(recsys, at, tmp_path, contract_rows, rule, rating):
    path = tmp_path / "mine.csv"
    path.write_text("user_id,movie_id,rating,timestamp\n1,1,5,1000\n1,1,2,2000\n", encoding="utf-8")
    done = recsys("ingest", str(path), "--on-duplicate", rule, "--json", **at)
    assert (done.code, done.json["duplicates"], done.json["edition"]) == (0, 1, "csv:mine")
    query = "SELECT rating FROM recsys.ratings"
    assert contract_rows(at["RECSYS_DATABASE_URL"], query) == [{"rating": rating}]


def test_duplicates_as_an_error(recsys, at, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("user_id,movie_id,rating,timestamp\n1,1,5,1000\n1,1,2,2000\n", encoding="utf-8")
    done = recsys("ingest", str(path), "--on-duplicate", "error", **at)
    assert (done.code, done.out) == (1, "")
    assert done.errors[-2].startswith("error: ")
    assert done.errors[-1].startswith("hint: ")


def test_metadata(recsys, at, tmp_path, contract_rows):
    early = recsys("ingest-metadata", str(tmp_path), **at)
    assert (early.code, early.errors[-2:]) == (
        1,
        [
            f"error: {tmp_path} holds no file of The Movies Dataset",
            "hint: give a folder or a zip with movies_metadata.csv, keywords.csv, credits.csv, "
            "or one of these files",
        ],
    )
    sample = str(write_sample(tmp_path / "made-up"))
    assert recsys("ingest", sample, **at).code == 0
    done = recsys("ingest-metadata", sample, **at)
    assert (done.code, done.out) == (0, "")
    assert done.errors[-1] == "1,200 movies matched, 0 not in the catalogue."
    assert recsys("ingest-metadata", sample, **at).errors[-2].startswith("No change: ")
    kinds = contract_rows(
        at["RECSYS_DATABASE_URL"], "SELECT kind FROM recsys.ingests ORDER BY ingest_id"
    )
    assert [row["kind"] for row in kinds] == ["ratings", "metadata", "metadata"]
    nothing = tmp_path / "nothing"
    missing = recsys("ingest-metadata", str(nothing), **at)
    assert (missing.code, missing.errors[0]) == (1, f"error: {nothing} does not exist")


# --- refresh ---


@pytest.fixture
def refresh(recsys, filled_database, small_config):
    settings = {"RECSYS_DATABASE_URL": filled_database.url, "RECSYS_CONFIG": small_config()}
    return lambda *arguments: recsys("refresh", *arguments, **settings)


def runs(contract_rows, database):
    query = "SELECT run_id, published, parameters FROM recsys.runs ORDER BY run_id"
    return [
        (row["run_id"], row["published"], sorted(row["parameters"]["models"]))
        for row in contract_rows(database.url, query)
    ]


ALL = sorted(DEFAULT_SET)


def test_refresh_publishes_and_only_if_changed(
    refresh, contract_rows, filled_database, recsys, write_edition, tmp_path
):
    first = refresh("--if-changed")
    assert (first.code, first.out) == (0, "")
    assert first.errors[-1].startswith("Run 1 is published: ")
    stages = ("read", *(name for name in MODELS if name in ALL), "gate", "write")
    assert [re.split(r"\s{2,}", line)[0] for line in first.errors[:-5]] == [
        in_words(stage) for stage in stages
    ]
    again = refresh("--if-changed")
    assert (again.code, again.errors[-1]) == (
        0,
        "No change: run 1 is published and up to date.",
    )
    assert runs(contract_rows, filled_database) == [(1, True, ALL)]
    folder = write_edition(tmp_path / "ml-small-made-up", ["1,1,1.5,1700000000"])
    assert recsys("ingest", str(folder), RECSYS_DATABASE_URL=filled_database.url).code == 0
    assert refresh("--if-changed").errors[-1].startswith("Run 2 is published: ")
    assert runs(contract_rows, filled_database) == [(1, False, ALL), (2, True, ALL)]


def test_metrics_of_a_fit_are_reported(refresh, contract_rows, filled_database):
    done = refresh("--models", "mf,ease")
    query = "SELECT model, protocol, metric, value, n FROM recsys.run_metrics ORDER BY n DESC"
    measured = [tuple(row.values()) for row in contract_rows(filled_database.url, query)]
    assert [row[:3] + row[4:] for row in measured] == [
        ("mf", "train", "rmse", 1412),
        ("mf", "holdout 0.1", "rmse", 141),
    ]
    assert [0.1 < row[3] < 2 for row in measured] == [True, True]
    assert (done.out, done.errors[-3:-1]) == (
        "",
        [
            f"{'mf':<24}rmse {measured[0][3]:.4f} (train, 1,412)",
            f"{'mf':<24}rmse {measured[1][3]:.4f} (holdout 0.1, 141)",
        ],
    )


def test_a_choice_of_models_is_not_published(refresh, contract_rows, filled_database):
    done = refresh("--models", "ease, top_rated,")
    assert done.code == 0
    assert done.errors[-1].startswith("Run 1 is stored, not published: ")
    assert refresh("--no-publish").errors[-1].startswith("Run 2 is stored, not published: ")
    assert runs(contract_rows, filled_database) == [
        (1, False, ["ease", "top_rated"]),
        (2, False, ALL),
    ]


def test_models_that_are_not_there(refresh, contract_rows, filled_database):
    done = refresh("--models", "ease,nosuch")
    assert (done.code, done.out, done.errors[0]) == (1, "", "error: unknown model 'nosuch'")
    assert done.errors[1] == f"hint: models: {', '.join(MODELS)}"
    assert runs(contract_rows, filled_database) == []


@pytest.mark.parametrize("text", ["", ",", " , "])
def test_no_model_chosen_does_not_publish_all(refresh, contract_rows, filled_database, text):
    done = refresh("--models", text)
    assert (done.code, done.out) == (2, "")
    assert "--models needs a name, for example --models ease,als" in done.err
    assert runs(contract_rows, filled_database) == []


def test_refresh_without_ratings(recsys, database, contract_rows):
    done = recsys("refresh", RECSYS_DATABASE_URL=database.url)
    assert (done.code, done.out) == (1, "")
    assert done.errors[-2].startswith("error: ")
    assert done.errors[-1].startswith("hint: ")
    assert contract_rows(database.url, "SELECT 1 FROM recsys.runs") == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "[refresh]\nneighbors = 3\n",
            " line 2: [refresh]: unknown key 'neighbors'\n"
            "hint: allowed keys: models, default_model, cold_start, rating_model, neighbours, "
            "list_length, keep_runs, max_age_hours, seed, memory_mb, threads",
        ),
        (
            "[models.ease]\nlambda = 3\n",
            " line 2: model ease: unknown key 'lambda'\n"
            "hint: allowed keys: grades, grade_effect, recency, weights, max_items, "
            "regularization, min_raters",
        ),
        (
            "\n[refresh]\nkeep_runs = 0\n",
            " line 3: [refresh]: keep_runs = 0 is out of range\n"
            "hint: keep_runs must be a whole number from 1 to 10000",
        ),
        (
            '[refresh]\nrating_model = "als"\n',
            " line 2: rating_model = 'als' does not predict ratings\n"
            "hint: refreshed models that fit: item_knn, mf",
        ),
        (
            "[refresh]\nseed = true\n",
            " line 2: [refresh]: seed = True has the wrong type\n"
            "hint: seed must be a whole number from 0 to 2147483647",
        ),
    ],
)
def test_a_wrong_configuration_is_reported(recsys, filled_database, tmp_path, text, told):
    path = tmp_path / "recsys.toml"
    path.write_text(text, encoding="utf-8")
    done = recsys("refresh", RECSYS_DATABASE_URL=filled_database.url, RECSYS_CONFIG=str(path))
    assert (done.code, done.out, done.err) == (1, "", f"error: {path}{told}\n")


def test_a_configuration_that_is_no_toml(recsys, filled_database, tmp_path):
    path = tmp_path / "recsys.toml"
    path.write_text("[refresh", encoding="utf-8")
    done = recsys("refresh", RECSYS_DATABASE_URL=filled_database.url, RECSYS_CONFIG=str(path))
    assert (done.code, done.out) == (1, "")
    assert done.errors[0].startswith(f"error: {path}: ")
