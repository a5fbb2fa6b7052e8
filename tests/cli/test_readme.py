"""The README, executed: every block of SQL, Python, TOML and shell in it."""

import asyncio
import re
import shlex
import tomllib
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import typer.main

from recsys.cli.app import app
from recsys.config.file import ConfigFile
from recsys.config.settings import RefreshSettings, load, read_refresh
from recsys.ingest.movielens.download import EDITIONS
from recsys.jobs.plan import plan
from recsys.models.registry import MODELS, candidates, make_config
from recsys.storage.server.engine import Database

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(?ms)^```(\w*)\n(.*?)^```$", README)


def blocks(language):
    return [text for name, text in BLOCKS if name == language]


def without_comment(line):
    return re.sub(r"\s+#.*$", "", line).strip()


def statements():
    text = "\n".join(re.sub(r"--.*$", "", line) for line in "".join(blocks("sql")).splitlines())
    return [" ".join(statement.split()) for statement in text.split(";") if statement.strip()]


def shell_lines():
    """Commands of the sh blocks, of the crontab and of the text between backticks."""
    lines = [without_comment(line) for block in blocks("sh") for line in block.splitlines()]
    crontab = [
        re.sub(r"^(\S+ ){3}\S+ \S+ +", "", line)
        for b in blocks("")
        for line in b.splitlines()
        if re.match(r"\d+ \d+ \* \* \*", line)
    ]
    quoted = re.findall(r"`((?:recsys|make) [^`\n]+)`", README)
    parts = [part.strip() for line in lines + crontab for part in line.split("&&")]
    return [part for part in parts if part] + quoted


RECSYS_LINES = [line for line in shell_lines() if line.startswith("recsys ")]
MAKE_LINES = [line for line in shell_lines() if line.startswith("make ")]


def test_there_is_something_to_check():
    languages = {name for name, _ in BLOCKS}
    assert languages == {"", "sh", "sql", "python", "toml"}
    assert (len(statements()) > 8, len(RECSYS_LINES) > 12, len(MAKE_LINES) > 2) == (True,) * 3


@pytest.mark.parametrize("statement", statements())
def test_sql(statement, published_url):
    with Database(published_url).snapshot() as connection:
        result = connection.exec_driver_sql(statement)
        assert result.returns_rows
        result.fetchall()


def test_the_answer_shown_has_the_columns_of_the_function(published_url):
    [block] = blocks("sql")
    shown = re.search(r"^-- +(rank .*)$", block, re.MULTILINE)[1]
    with Database(published_url).snapshot() as connection:
        columns = connection.execute(sa.text("SELECT * FROM recsys.recommend(1, 5)")).keys()
    assert [name.strip() for name in shown.split("|")] == list(columns)


def test_the_contract_named_is_the_contract_there(published_url):
    sentence = re.search(r"views (`.*?) and the functions\s+above", README, re.DOTALL)[1]
    views = "SELECT viewname FROM pg_views WHERE schemaname = 'recsys'"
    functions = """
        SELECT proname FROM pg_proc AS p JOIN pg_description AS d ON d.objoid = p.oid
        WHERE pronamespace = 'recsys'::regnamespace
    """.replace("::", "\\:\\:")
    with Database(published_url).snapshot() as connection:
        there = set(connection.scalars(sa.text(views)))
        callable_ = set(connection.scalars(sa.text(functions)))
    assert set(re.findall(r"`(\w+)`", sentence)) == there
    called = set(re.findall(r"FROM recsys\.(\w+)\(", "".join(statements())))
    assert called <= callable_


def test_python(published_url, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("RECSYS_DATABASE_URL", published_url)
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    # The Matrix and Star Wars are in MovieLens, not in the made-up edition.
    block = blocks("python")[0].replace("2571", "7").replace("260", "6")
    named: dict[str, Any] = {}
    exec(compile(block, "README.md", "exec"), named)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["1", "2", "3", "4", "5"]
    assert {line.split()[-1] for line in lines} == {"stored"}
    assert len(asyncio.run(named["titles"](1))) == 10
    assert len(blocks("python")) == 1


def test_toml_says_what_the_defaults_are(tmp_path):
    [block] = blocks("toml")
    path = tmp_path / "recsys.toml"
    path.write_text(block, encoding="utf-8")
    given, defaults = read_refresh(ConfigFile.read(path)), RefreshSettings()
    names = [field.name for field in fields(RefreshSettings) if field.compare]
    names.remove("parameters")
    assert {n: getattr(given, n) for n in names} == {n: getattr(defaults, n) for n in names}
    chosen = plan(given)
    assert {name: asdict(config) for name, config in chosen.configs.items()} == {
        name: asdict(make_config(MODELS[name], {})) for name in defaults.models
    }
    assert set(tomllib.loads(block)) == {"refresh", "models", "gate", "schedule"}


def command_of(words):
    """Follow the words down to a command; return it, its path and what is left."""
    command, path = typer.main.get_command(app), []
    while hasattr(command, "commands"):
        path.append(words[0])
        command, words = command.commands[words[0]], words[1:]
    return command, path, words


@pytest.mark.parametrize("line", RECSYS_LINES)
def test_recsys_commands_parse(line):
    if "|" in line.split(" --")[0] or line.endswith("..."):
        group, alternatives = line.removeprefix("recsys ").split(" ", 1)
        for name in alternatives.split("|"):
            assert command_of([group, name])[1] == [group, name]
        return
    # A placeholder stands for a number or a word.
    words = shlex.split(re.sub(r"\bUSER\b", "1", line))[1:]
    command, _, rest = command_of(words)
    context = command.make_context(line, rest)
    assert context.args == []


def test_options_named_in_the_text_exist():
    known = {
        option
        for command in all_commands(typer.main.get_command(app))
        for parameter in command.params
        for option in parameter.opts
    }
    named = set(re.findall(r"`(--[a-z-]+)", README))
    assert {"--max-rejects", "--on-duplicate", "--replace", "--json"} <= named <= known


def all_commands(command):
    for child in getattr(command, "commands", {}).values():
        yield from all_commands(child)
    yield command


@pytest.mark.parametrize("line", MAKE_LINES)
def test_make_targets_exist(line):
    targets = re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"))
    words = [word for word in line.split()[1:] if "=" not in word]
    assert [word for word in words if word not in targets] == []


def test_the_models_are_all_named():
    table = re.search(r"(?ms)^\| family \| models \|\n.*?\n\n", README)[0]
    assert sorted(re.findall(r"`(\w+)`", table)) == sorted(MODELS)
    assert re.findall(r"`(\w+)` \(the default\)", table) == [candidates("default")[0]]


def test_the_variables_are_the_ones_that_are_read():
    table = re.search(r"(?ms)^\| variable \| meaning \|\n.*?\n\n", README)[0]
    code = (ROOT / "recsys" / "config" / "settings.py").read_text(encoding="utf-8")
    assert set(re.findall(r"`(RECSYS_\w+)`", table)) == set(re.findall(r'"(RECSYS_\w+)"', code))


def test_the_folder_of_root_is_the_one_named(monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("sys.platform", "linux")
    assert str(load({}).home) == "/var/lib/recsys"
    assert "`/var/lib/recsys`" in README


def test_editions_named_exist():
    named = set(re.findall(r"\bml-[\w-]+", README))
    assert named <= {*EDITIONS, "ml-latest", "ml-100k", "ml-1m", "ml-10m", "ml-20m", "ml-32m"}


def test_files_and_folders_named_exist():
    linked = [path for path in re.findall(r"\]\(([^)]+)\)", README) if "://" not in path]
    named = re.findall(r"`((?:recsys|alembic|sql|tests)/[\w/.]+)`", README)
    house = re.findall(r"\b((?:recsys|sql)/\w+|alembic/|tests/)(?=  )", README)
    assert len(house) > 6
    missing = [path for path in linked + named + house if not (ROOT / path).exists()]
    assert missing == []


def test_nothing_is_left_to_fill_in():
    assert re.findall(r"(?m)^[A-Z]+_[A-Z]+$|TODO|XXX", README) == []
