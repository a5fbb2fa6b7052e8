"""The README: short enough to read, and every block of it is executed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from recsys.storage.server.engine import Database

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(?ms)^```(\w*)\n(.*?)^```$", README)
WORDS_AT_MOST = 600


def block(language: str) -> str:
    [text] = [text for name, text in BLOCKS if name == language]
    return text


def test_it_is_short() -> None:
    assert len(README.split()) <= WORDS_AT_MOST


def test_it_shows_two_commands_a_query_a_call_and_two_pictures() -> None:
    assert [name for name, _ in BLOCKS] == ["sh", "sh", "sql", "python"]
    assert re.findall(r"(?m)^make \w+", README) == ["make demo", "make test"]
    assert re.findall(r"!\[[^]]+\]\(([^)]+)\)", README) == [
        "docs/images/home.png",
        "docs/images/architecture.svg",
    ]


def test_the_query_returns_the_columns_shown(published_url: str) -> None:
    text = block("sql")
    [head, *rows] = [line for line in text.splitlines() if re.match(r"-- .*\|", line)]
    with Database(published_url).snapshot() as connection:
        found = connection.exec_driver_sql(re.sub(r"(?m)^--.*$", "", text))
        assert [name.strip("- ") for name in head.split("|")] == list(found.keys())
        assert len(found.all()) == len(rows) == 3


def test_the_explanation_adds_up(published_url: str) -> None:
    [call] = re.findall(r"`(recsys\.explain\(1, )\d+\)`", README)
    query = f"SELECT sum(contribution), max(score) FROM {call}7)"
    with Database(published_url).snapshot() as connection:
        total, score = connection.execute(sa.text(query)).one()
    assert total == pytest.approx(score)


def test_the_call_runs(
    published_url: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("RECSYS_DATABASE_URL", published_url)
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    # The made-up edition has no movie 260.
    code = block("python").replace("260", "6")
    named: dict[str, Any] = {}
    exec(compile(code, "README.md", "exec"), named)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["1", "2", "3"]


def test_make_targets_exist() -> None:
    targets = re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert set(re.findall(r"\bmake ([a-z]+)\b", README)) <= set(targets)
