"""`recsys runs`: the contract's rows as JSON, and tables that fit a terminal of 80 columns."""

import re

import pytest
from psycopg import sql

from recsys.cli import output
from recsys.config.settings import RefreshSettings
from recsys.domain import Epoch, Metric, TrainingCurve
from recsys.jobs.plan import plan
from recsys.jobs.refresh import refresh
from recsys.models.registry import DEFAULT_SET
from recsys.storage.runs import lifecycle as stored
from recsys.storage.server.engine import Database, sqlalchemy_url

OTHER = {"als": {"factors": 2, "iterations": 1}, "mf": {"factors": 2, "iterations": 2}}
LIGHT = Metric("train", "rmse", 0.5, 9, "light", None, None)
TRAINING = TrainingCurve(
    "rmse", (Epoch(0.5, 0.9, 1.25), Epoch(0.25, 0.8, 1.5), Epoch(0.125, 0.8, 1.0))
)
LEFT_OUT = "Figures by segment are omitted (1); --json shows them."
NARROW = {"COLUMNS": "80", "TERMINAL_WIDTH": "80"}
LISTS = """
SELECT model, metric, value, n FROM recsys.compare_runs(1, 2, 5) WHERE part = 'lists'
"""


@pytest.fixture(scope="module")
def two_runs_url(server_url, refreshed_template, run_on_server):
    """Run 1 is published, 2 of some models, 3 and 5 (of users) failed, 4 is an evaluation."""
    name = f"{refreshed_template}_two"
    made, source = sql.Identifier(name), sql.Identifier(refreshed_template)
    run_on_server(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(made, source))
    parsed = sqlalchemy_url(server_url).set(drivername="postgresql", database=name)
    database = Database(parsed.render_as_string(hide_password=False))
    with database.transaction() as connection:
        connection.exec_driver_sql(
            "ALTER TABLE recsys_store.runs ALTER COLUMN run_id RESTART WITH 2"
        )
    settings = RefreshSettings(seed=5, threads=1, parameters=OTHER)
    refresh(database, plan(settings, ["als", "mf", "top_rated"]))
    facts = {"seed": 1, "parameters": {"models": {"als": {}}, "protocol": "x"}, "versions": {}}
    with database.transaction() as connection:
        als = connection.exec_driver_sql(
            "SELECT model_id FROM recsys_store.models WHERE name = 'als'"
        ).scalar_one()
        stored.record_epochs(connection, 1, [(als, TRAINING)])
        for run_id in (1, 2):
            stored.record_metrics(connection, run_id, [(als, LIGHT)])
        failed = stored.begin(connection, default_model_id=None, **facts)
        stored.fail(connection, failed, "the disk [is] full")
        stored.record_evaluation(connection, [], facts)
        of_users = {"scope": "users", "base_run_id": 1}
        failed = stored.begin(connection, default_model_id=None, **of_users, **facts)
        stored.fail(connection, failed, "no power")
    yield database.url
    run_on_server(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(made))


@pytest.fixture
def ask(recsys, two_runs_url):
    return lambda *arguments: recsys(*arguments, RECSYS_DATABASE_URL=two_runs_url, **NARROW)


@pytest.fixture
def told(contract_rows, two_runs_url):
    return lambda query: contract_rows(two_runs_url, query)


def tables_of(text):
    """Return the columns and cells of each table by its title."""
    lines = [line.strip() for line in text.splitlines()]
    found = {}
    for at in (at for at, line in enumerate(lines) if line.startswith("─")):
        title = next(line for line in lines[at - 2 :: -1] if line)
        rows = lines[at + 1 : lines.index("", at)]
        cells = [re.split(r"\s{2,}", row) for row in rows]
        found[title] = (re.split(r"\s{2,}", lines[at - 1]), cells)
    return found


def as_json(row):
    return {k: v.isoformat() if hasattr(v, "isoformat") else v for k, v in row.items()}


# --- list ---


def test_list_as_json(ask, told):
    done = ask("runs", "list", "--json")
    columns = ["run_id", "kind", "scope", "base_run_id", "state", "published", "refused"]
    columns += [
        "started_at",
        "seconds",
        "ratings_count",
        "models",
        "run_size",
        "pruned_at",
        "edition",
    ]
    rows = told("SELECT *, recsys.run_size(run_id) FROM recsys.runs ORDER BY run_id DESC")
    models = [["als"], ["als"], ["als"], ["als", "mf", "top_rated"], sorted(DEFAULT_SET)]
    expected = [row | {"models": of} for row, of in zip(rows, models, strict=True)]
    assert (done.code, done.err) == (0, "")
    assert done.json == [as_json({name: row[name] for name in columns}) for row in expected]
    assert [list(row) for row in done.json] == [columns] * 5
    assert ask("runs", "list", "-n", "1", "--json").json == done.json[:1]


def test_list_as_a_table(ask, told):
    done = ask("runs", "list")
    rows = told("SELECT *, recsys.run_size(run_id) AS size FROM recsys.runs ORDER BY run_id DESC")
    columns, cells = tables_of(done.out)["Runs"]
    assert columns == ["run", "state", "scope", "started", "took", "ratings", "size"]
    states = ["failed", "evaluation", "failed", "complete", "published"]
    scopes = ["users", "1 model", "full", "3 models", "full"]
    assert cells == [
        [
            str(row["run_id"]),
            state,
            scope,
            f"{row['started_at'].astimezone():%Y-%m-%d %H:%M}",
            output.duration(row["seconds"]),
            "-" if row["ratings_count"] is None else f"{row['ratings_count']:,}",
            f"{row['size'] / 2**20:,.1f} MiB" if row["size"] else "-",
        ]
        for row, state, scope in zip(rows, states, scopes, strict=True)
    ]
    assert (done.code, done.err, max(map(len, done.out.splitlines())) <= 80) == (0, "", True)


def test_list_of_no_runs(recsys, server_url, template):
    url = sqlalchemy_url(server_url).set(drivername="postgresql", database=template)
    url = url.render_as_string(hide_password=False)
    done = recsys("runs", "list", RECSYS_DATABASE_URL=url)
    assert (done.code, "there is no run yet" in done.out) == (0, True)
    assert recsys("runs", "list", "--json", RECSYS_DATABASE_URL=url).json == []


# --- show ---


def test_show_as_json(ask, told):
    done = ask("runs", "show", "1", "--json")
    [run] = told("SELECT * FROM recsys.runs WHERE run_id = 1")
    parts = {
        "stages": "run_stages WHERE run_id = 1 ORDER BY position",
        "metrics": "run_metrics WHERE run_id = 1 ORDER BY model, protocol, metric, segment",
        "publications": "publications WHERE run_id = 1",
        "epochs": "training_epochs WHERE run_id = 1 ORDER BY model, epoch",
    }
    expected = as_json(run | told("SELECT recsys.run_size(1)")[0])
    for name, query in parts.items():
        rows = told(f"SELECT * FROM recsys.{query}")
        expected[name] = [{k: v for k, v in as_json(r).items() if k != "run_id"} for r in rows]
        assert rows
    assert (done.code, done.err, done.json) == (0, "", expected)


def facts_of(text):
    lines = text.splitlines()
    pairs = [re.split(r"\s{2,}", line.strip(), maxsplit=1) for line in lines]
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def told_metric(row):
    known = row["ci_low"] is not None
    interval = f"{row['ci_low']:.4f} to {row['ci_high']:.4f}" if known else "-"
    return row["model"], row["metric"], f"{row['value']:.4f}", interval, f"{row['n']:,}"


def test_show_as_text(ask, told):
    done = ask("runs", "show", "1")
    [run] = told("SELECT *, recsys.run_size(1) AS size FROM recsys.runs WHERE run_id = 1")
    [entry] = told("SELECT * FROM recsys.publications")
    facts = facts_of(done.out.partition("Stages")[0])
    genres = run["parameters"]["models"]["content_genres"]
    wanted = {
        "state": "published",
        "scope": "full",
        "started": output.cell(run["started_at"]),
        "took": f"{run['seconds']:.1f} s",
        "memory": f"{run['peak_memory_mb']:,} MiB at most",
        "read": f"{run['ratings_count']:,} ratings from 0.5 to 5, 81 users, 60 movies",
        "snapshot": output.cell(run["snapshot_at"]),
        "input checksum": f"{run['snapshot_checksum'][:16]}...",
        "output checksum": f"{run['output_checksum'][:16]}...",
        "size on disk": f"{run['size'] / 2**20:,.1f} MiB",
        "publish 1": output.cell(entry["published_at"]),
        "seed": "42",
        "neighbours": "100",
        "list length": "100",
        "default model": "ease",
        "cold start": "trending",
        "rating model": "mf",
        "content_genres": ", ".join(f"{name} {value}" for name, value in genres.items()),
        "popular": "-",
    }
    assert {name: facts[name] for name in wanted} == wanted
    assert {"error", "refused", "pruned"}.isdisjoint(facts)
    versions = " ".join(done.out[done.out.index("versions") : done.out.index("Models")].split())
    assert versions == "versions " + ", ".join(f"{n} {v}" for n, v in run["versions"].items())
    tables = tables_of(done.out)
    stages = told("SELECT * FROM recsys.run_stages WHERE run_id = 1 ORDER BY position")
    assert tables["Stages"] == (
        ["stage", "seconds", "rows", "memory"],
        [
            [
                row["stage"],
                f"{row['seconds']:.1f}",
                f"{row['rows']:,}",
                f"{row['peak_memory_mb']:,} MiB",
            ]
            for row in stages
        ],
    )
    assert tables["Networks, with the best epoch"] == (
        ["model", "epochs", "best", "figure", "seconds"],
        [["als", "3", "2", "rmse 0.8000", "3.8"]],
    )
    metrics = told(
        "SELECT * FROM recsys.run_metrics WHERE run_id = 1 AND segment = 'all' "
        "ORDER BY model, protocol, metric"
    )
    names = ["model", "metric", "value", "interval", "n"]
    for protocol in {row["protocol"] for row in metrics}:
        rows = [row for row in metrics if row["protocol"] == protocol]
        cells = [[*told_metric(row)] for row in rows]
        assert tables[f"Metrics: {protocol}"] == (names, cells)
    assert (done.code, done.errors) == (0, [LEFT_OUT])
    assert max(map(len, done.out.splitlines())) <= 80


def test_show_a_failed_run_and_an_evaluation(ask):
    facts = facts_of(ask("runs", "show", "3").out)
    assert (facts["state"], facts["error"]) == ("failed", "the disk [is] full")
    facts = facts_of(ask("runs", "show", "4").out)
    assert (facts["state"], facts["protocol"], facts["size on disk"]) == ("evaluation", "x", "-")
    assert {"pruned", "scope"}.isdisjoint(facts)


def test_show_what_a_run_computed_and_what_it_took_over(ask):
    assert facts_of(ask("runs", "show", "2").out)["scope"] == "models: a trial of some models"
    shown = ask("runs", "show", "5")
    words = " ".join(shown.out.split())
    assert "scope users: lists of users with changed ratings; other results of run 1 " in words
    assert max(map(len, shown.out.splitlines())) <= 80
    run = ask("runs", "show", "5", "--json").json
    assert (run["scope"], run["base_run_id"]) == ("users", 1)


# --- compare ---


@pytest.mark.parametrize(
    ("arguments", "call"), [(("1", "2"), "1, 2"), (("2", "1", "-k", "3"), "2, 1, 3")]
)
def test_compare_as_json(ask, told, arguments, call):
    done = ask("runs", "compare", *arguments, "--json")
    expected = told(f"SELECT * FROM recsys.compare_runs({call})")
    assert (done.code, done.err, done.json) == (0, "", expected)
    assert [list(row) for row in done.json] == [list(row) for row in expected]
    assert {row["part"] for row in expected} == {"lists", "rows", "metrics"}


def test_compare_as_tables(ask, told):
    done = ask("runs", "compare", "1", "2", "-k", "5")
    assert (done.code, done.errors) == (0, [LEFT_OUT])
    tables = tables_of(done.out)
    runs = "a: run 1, b: run 2"
    found = {(r["model"], r["metric"]): r for r in told(LISTS)}
    lists = []
    for model in ("als", "mf"):
        of = {metric: row["value"] for (m, metric), row in found.items() if m == model}
        changed = f"{of['users_changed']:,.0f} ({of['users_changed_share']:.0%})"
        figures = [f"{of['overlap@5']:.4f}", f"{of['rbo@5']:.4f}"]
        lists.append([model, "80", *figures, changed, "0", "0"])
    columns = ["model", "users", "overlap", "rbo", "changed", "gained", "lost"]
    assert tables.pop(f"First 5 of the lists, {runs}") == (columns, lists)
    query = "SELECT * FROM recsys.compare_runs(1, 2) WHERE part = '{}'"
    rows = [
        [
            row["model"],
            row["metric"],
            *(f"{row[name]:,.0f}" for name in ("value_a", "value_b")),
            f"{row['value']:+,.0f}",
        ]
        for row in told(query.format("rows"))
    ]
    assert tables.pop(f"Rows, {runs}") == (["model", "table", "a", "b", "change"], rows)
    metrics = {}
    for row in told(query.format("metrics") + " AND segment = 'all'"):
        figures = [f"{row[name]:,.4f}" for name in ("value_a", "value_b")]
        cells = [row["model"], row["metric"], *figures, f"{row['value']:+,.4f}"]
        metrics.setdefault(f"Metrics: {row['protocol']}, {runs}", []).append(cells)
    columns = ["model", "metric", "a", "b", "change"]
    assert tables == {title: (columns, cells) for title, cells in metrics.items()}
    assert metrics
    assert max(map(len, done.out.splitlines())) <= 80


def test_a_run_compared_with_itself(ask):
    _, lists = tables_of(ask("runs", "compare", "1", "1").out)[
        "First 10 of the lists, a: run 1, b: run 1"
    ]
    assert {tuple(row[1:]) for row in lists} == {("80", "1.0000", "1.0000", "0 (0%)", "0", "0")}


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        (("show", "9"), "there is no run 9", "recsys.runs holds every run; `recsys runs list`"),
        (
            ("compare", "1", "9"),
            "there is no run 9",
            "recsys.runs holds every run; `recsys runs list`",
        ),
        (
            ("compare", "3", "1"),
            "run 3 has no results to compare: it is failed",
            "compare runs whose state in recsys.runs is complete",
        ),
        (
            ("compare", "1", "4"),
            "run 4 is an evaluation, which has no results to compare",
            "its figures are in recsys.run_metrics",
        ),
    ],
)
def test_runs_that_cannot_be_shown(ask, arguments, error, hint):
    for form in ([], ["--json"]):
        done = ask("runs", *arguments, *form)
        told = [f"error: {error}", f"hint: {hint}"]
        assert (done.code, done.out, done.errors) == (1, "", told)


@pytest.mark.parametrize(
    "line", ["compare 1", "compare 1 2 -k 0", "compare 1 2 -k 1001", "show x", "show -1", "show"]
)
def test_wrong_usage(ask, line):
    done = ask("runs", *line.split())
    assert (done.code, done.out) == (2, "")
