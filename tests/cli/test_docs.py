"""Every page of documentation: commands parse, queries and code run, links lead somewhere."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import typer.main

from recsys.cli.app import app
from recsys.config.file import ConfigFile
from recsys.config.settings import load, read_refresh
from recsys.ingest.movielens.download import EDITIONS
from recsys.jobs.plan import plan
from recsys.storage.server.engine import Database

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
    if path.name != "CHANGELOG.md" and "_build" not in path.parts
}
BLOCK = re.compile(r"(?ms)^ *```([^`\n]*)\n(.*?)^ *```$")
GENERATED = ("docs/dictionary.md", "docs/configuration.md")
TUTORIAL = "docs/tutorial.md"
COMMAND = re.compile(r"(?:\w+=\S+ |docker run .* |ExecStart=)?(?:/\S+/)?recsys ((?:--|[a-z]).*)")
INLINE = re.compile(r"`recsys ([^`>\n]+)[`>]")
PLACEHOLDER = re.compile(r"\b(A|B|N|RUN|USER)\b")


def blocks(*languages: str) -> list[tuple[str, str]]:
    return [
        (page, code)
        for page, text in PAGES.items()
        for language, code in BLOCK.findall(text)
        if language in languages and page not in GENERATED
    ]


def statements() -> Iterator[Any]:
    for page, code in blocks("sql"):
        bare = "\n".join(re.sub(r"--.*$", "", line) for line in code.splitlines())
        for statement in filter(str.strip, bare.split(";")):
            yield pytest.param(" ".join(statement.split()), id=f"{page}: {statement.split()[1]}")


def command_lines() -> Iterator[Any]:
    """Commands of shell blocks, crontabs, units, manifests, and of the text between backticks."""
    for page, code in blocks("sh", "", "ini"):
        for line in code.replace("\\\n", " ").splitlines():
            bare = re.sub(r"\s+#.*$|^(\S+ +){5}(?=recsys )", "", line)
            for part in re.split(r" && | \|\| | 2>+ ", bare):
                if found := COMMAND.match(part.removeprefix("$ ").strip()):
                    yield pytest.param(found[1], id=f"{page}: {found[1]}")
    quoted = [(p, w) for p, t in PAGES.items() for w in INLINE.findall(BLOCK.sub("", t))]
    for page, words in [*quoted, *_manifest_commands()]:
        if "COMMAND" not in words:
            yield pytest.param(words, id=f"{page}: {words}")


def _manifest_commands() -> Iterator[tuple[str, str]]:
    for page, code in blocks("yaml"):
        for arguments in re.findall(r"args: (\[.*\])", code):
            yield page, shlex.join(json.loads(arguments))


def parse(words: list[str]) -> tuple[Any, list[str]]:
    """Follow the words down to a command; return it and its arguments."""
    command = typer.main.get_command(app)
    if words[0] == "--log-format":
        words = words[2:]
    while hasattr(command, "commands"):
        command, words = command.commands[words[0]], words[1:]
    return command, words


def all_commands(command: Any) -> Iterator[Any]:
    for child in getattr(command, "commands", {}).values():
        yield from all_commands(child)
    yield command


def with_known_keys(code: str) -> str:
    """Replace the made-up keys of the pages by keys of the made-up edition."""
    for made_up, known in {"alice": "1", "B00X": "2", "B00Y": "3", "LAMP-7": "4"}.items():
        code = code.replace(made_up, known)
    return code


def test_there_is_something_to_check() -> None:
    assert len(PAGES) > 15
    assert len(list(statements())) > 20
    assert len(list(command_lines())) > 60


@pytest.mark.parametrize("statement", list(statements()))
def test_queries_run(statement: str, published_url: str) -> None:
    with Database(published_url).transaction() as connection:
        query = with_known_keys(statement).replace("%", "%%")
        assert connection.exec_driver_sql(query).returns_rows
        # Some of them write.
        connection.rollback()


@pytest.mark.parametrize("words", list(command_lines()))
def test_commands_parse(words: str) -> None:
    command, arguments = parse(shlex.split(PLACEHOLDER.sub("1", words)))
    if not arguments:
        return  # names the command; its arguments are not the point
    context = command.make_context("recsys", arguments)
    assert context.args == [] or command.context_settings.get("ignore_unknown_options")


def test_options_named_in_the_text_exist() -> None:
    known = {
        option
        for command in all_commands(typer.main.get_command(app))
        for parameter in command.params
        for option in parameter.opts
    }
    text = "".join(BLOCK.sub("", page) for page in PAGES.values())
    named = set(re.findall(r"`(--[a-z-]+)", text)) - {"--exclude-table-data"}
    assert {"--max-rejects", "--on-duplicate", "--replace"} <= named <= known


def test_python_runs(
    published_url: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("RECSYS_DATABASE_URL", published_url)
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    code, by_key, by_network = BLOCK_OF["docs/how-to/use-from-python.md"]
    # The Matrix and Star Wars are in MovieLens, not in the made-up edition.
    code = code.replace("2571", "7").replace("260", "6")
    named: dict[str, Any] = {}
    exec(compile(code, "use-from-python.md", "exec"), named)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["1", "2", "3", "4", "5"]
    assert {line.split()[-1] for line in lines} == {"stored"}
    assert len(asyncio.run(named["titles"](1))) == 10
    # The edition is shared by many tests.
    reading = [line for line in by_key.splitlines() if ".rate(" not in line]
    exec(with_known_keys("\n".join(reading)), named)
    # No network is published there.
    exec(by_network.replace("sasrec", "als"), named)


def test_the_tutorial_works(
    recsys: Any,
    empty_database: Database,
    small_config: Any,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    write_files, call = BLOCK_OF[TUTORIAL]
    exec(compile(write_files, TUTORIAL, "exec"), {})
    settings = {"RECSYS_DATABASE_URL": empty_database.url, "RECSYS_CONFIG": small_config()}
    text = "".join(code for page, code in blocks("sh") if page == TUTORIAL)
    lines = [shlex.split(line, comments=True) for line in text.splitlines()]
    wanted = [words[1:] for words in lines if words[0] == "recsys"]
    shown = [
        (words[0], recsys(*words, **settings))
        for words in wanted
        if words not in (["db", "psql"], ["serve"])
    ]
    assert {outcome.code for _, outcome in shown} == {0}
    lists = [outcome for name, outcome in shown if name == "recommend"]
    current = "Computed from the current ratings, which have changed since the run."
    assert [current in outcome.err for outcome in lists] == [False, True]
    assert "Drama" in lists[0].out
    monkeypatch.setenv("RECSYS_DATABASE_URL", empty_database.url)
    capfd.readouterr()
    exec(compile(call, TUTORIAL, "exec"), {})
    assert len(capfd.readouterr().out.splitlines()) == 5


BLOCK_OF = {
    page: [code for other, code in blocks("python") if other == page]
    for page in ("docs/how-to/use-from-python.md", TUTORIAL)
}


@pytest.mark.parametrize("code", [code for _, code in blocks("toml")])
def test_configuration_is_accepted(code: str, tmp_path: Path) -> None:
    path = tmp_path / "recsys.toml"
    path.write_text(code, encoding="utf-8")
    plan(read_refresh(ConfigFile.read(path)))


def test_views_and_functions_named_exist(published_url: str) -> None:
    query = """
        SELECT viewname AS name FROM pg_views WHERE schemaname = 'recsys'
        UNION SELECT proname FROM pg_proc WHERE pronamespace = to_regnamespace('recsys')
    """
    with Database(published_url).snapshot() as connection:
        there = set(connection.scalars(sa.text(query)))
    text = "".join(BLOCK.sub("", page) for page in PAGES.values())
    packages = {path.stem for path in (ROOT / "recsys").iterdir()} | {"toml", "service"}
    assert set(re.findall(r"`recsys\.(\w+)", text)) - packages <= there


def test_the_folder_of_root_is_the_one_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("sys.platform", "linux")
    assert f"`{load({}).home}/clusters`" in PAGES["docs/how-to/upgrade-and-backup.md"]


def test_editions_named_exist() -> None:
    named = set(re.findall(r"\bml-[\w-]+", " ".join(PAGES.values())))
    known = {*EDITIONS, "ml-latest", "ml-100k", "ml-1m", "ml-10m", "ml-20m", "ml-32m", "ml-csv"}
    assert named <= known


@pytest.mark.parametrize("page", list(PAGES))
def test_files_and_folders_named_exist(page: str) -> None:
    text = BLOCK.sub("", PAGES[page])
    linked = [path for path in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if "://" not in path]
    folder = (ROOT / page).parent
    assert [path for path in linked if not (folder / path).exists()] == []
    named = re.findall(r"`((?:recsys|alembic|sql|tests|docs)/[\w/.-]+)`", text)
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", list(PAGES))
def test_nothing_is_left_to_fill_in(page: str) -> None:
    assert re.findall(r"TODO|XXX|FIXME", PAGES[page]) == []
