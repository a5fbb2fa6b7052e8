"""The pages on evaluation agree with the code."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
import typer.main
from scipy.sparse import csr_matrix

from recsys.cli.app import app
from recsys.config.settings import GateSettings
from recsys.domain import TopN
from recsys.evaluation.figures import measure_ranking, measure_ratings
from recsys.evaluation.intervals import DRAWS
from recsys.evaluation.protocols import DEFAULT_SEED, PROTOCOLS
from recsys.evaluation.segments import (
    LIGHT_AT_MOST,
    MOVIE_SEGMENTS,
    NEW_AT_MOST,
    USER_SEGMENTS,
)
from recsys.evaluation.splits import random_split
from recsys.jobs.evaluate import Evaluated, _figures
from recsys.models.registry import MODELS

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "evaluation"
CONCEPTS = (FOLDER / "concepts.md").read_text(encoding="utf-8")
RESULTS = (FOLDER / "results.md").read_text(encoding="utf-8")
PAGE = CONCEPTS + RESULTS
SECTIONS = dict(re.findall(r"(?ms)^## ([^\n]+)\n(.*?)(?=^## |\Z)", CONCEPTS))
BLOCKS = re.findall(r"(?ms)^```(\w*)\n(.*?)^```$", PAGE)


def first_cells(text: str) -> list[str]:
    """Return the names in the first cells of the tables in a text."""
    cells = re.findall(r"^\| ([^|]*`[^|]*) \|", text, re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def stored_names() -> list[str]:
    """Return the names of all figures, in the order in which an evaluation stores them."""
    random = np.random.default_rng(0)
    ratings = csr_matrix((random.random((9, 12)) < 0.7) * random.integers(1, 6, (9, 12)) * 1.0)
    protocol, split = PROTOCOLS["random-90-10"], random_split(ratings, 0.5, 0)
    rows = [np.flatnonzero(row == 0)[:10] for row in split.train.toarray()]
    items = np.concatenate(rows).astype(np.int32)
    lists = TopN(np.cumsum([0, *map(len, rows)]), items, -np.arange(len(items)) * 1.0)
    flat = np.full(split.test.nnz, 3.0)
    figures = measure_ranking(protocol, lists, split, csr_matrix(np.ones((12, 1))), 0)
    figures += measure_ratings(protocol, flat, flat, split, 0)
    whole = _figures(Evaluated("a model", figures, 1.0, 1.0, 1))
    return list(dict.fromkeys(metric.name for metric in whole))


def statements() -> Iterator[str]:
    for language, block in BLOCKS:
        if language == "sql":
            yield re.sub(r"--.*$", "", block, flags=re.MULTILINE).strip().removesuffix(";")


def commands() -> list[str]:
    lines = [line for language, block in BLOCKS if language == "sh" for line in block.splitlines()]
    lines += re.findall(r"`(recsys [^`\n]+)`", PAGE)
    return [re.sub(r"\s+#.*$", "", line) for line in lines]


def test_every_protocol_is_described_in_the_order_of_the_list() -> None:
    assert first_cells(SECTIONS["Protocols"]) == list(PROTOCOLS)
    assert f"`--seed` ({DEFAULT_SEED})" in PAGE


def test_every_figure_that_is_stored_is_described() -> None:
    described = first_cells(SECTIONS["Metrics"])
    assert sorted(described) == sorted(stored_names())
    assert f"{DRAWS:,}\nreplicates" in SECTIONS["Confidence intervals"]


def test_every_segment_is_described() -> None:
    assert first_cells(SECTIONS["Segments"]) == [*USER_SEGMENTS, *MOVIE_SEGMENTS]
    assert f"at most {NEW_AT_MOST} train ratings" in SECTIONS["Segments"]
    assert f"{NEW_AT_MOST + 1} to {LIGHT_AT_MOST}," in SECTIONS["Segments"]


def test_every_key_of_the_gate_is_described_with_its_default() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", SECTIONS["The publish gate"], re.MULTILINE)
    assert rows == [(f.name, str(f.default).lower()) for f in fields(GateSettings)]


def test_models_named_in_the_tables_exist() -> None:
    assert set(first_cells(RESULTS)) <= set(MODELS)


@pytest.mark.parametrize("line", commands())
def test_commands_parse(line: str) -> None:
    command = typer.main.get_command(app)
    words = shlex.split(re.sub(r"\b(RUN|A|B)\b", "1", line))[1:]
    while hasattr(command, "commands"):
        command, words = command.commands[words[0]], words[1:]
    if not words:
        return  # names the command
    given = command.make_context(line, words).params
    assert given.get("protocol") in (None, "list", *PROTOCOLS)
    assert set((given.get("models") or "ease").split(",")) <= set(MODELS)


@pytest.mark.parametrize("statement", list(statements()))
def test_sql(statement: str, published: sa.Connection) -> None:
    shown = re.findall(r"^-- +(.*\|.*)$", PAGE, re.MULTILINE)
    heads = [[name.strip() for name in line.split("|")] for line in shown]
    assert list(published.execute(sa.text(statement)).keys()) in heads
