"""The page of the models agrees with their code."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest

from recsys.models import registry
from recsys.models.registry import ModelSpec

BUILT_IN = [module.SPEC for module in registry.BUILT_IN]
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
SECTION = re.compile(r"^### `(\w+)`\n(.*?)(?=^##)", re.DOTALL | re.MULTILINE)
SECTIONS = dict(SECTION.findall(PAGE + "\n##"))
PARAMETER = re.compile(r"^ +\| `(\w+)` \| `([^`]*)` \| (.+) \|$", re.MULTILINE)


@pytest.fixture(params=BUILT_IN, ids=[spec.name for spec in BUILT_IN])
def spec(request: pytest.FixtureRequest) -> ModelSpec:
    return request.param


def as_toml(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    return str(value)


def test_every_model_has_a_row_and_a_section_in_its_family() -> None:
    listed = re.findall(r"^\| \[`(\w+)`\]\(#(\w+)\)", PAGE, re.MULTILINE)
    families = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
    sections = (re.findall(r"^### `(\w+)`", text, re.MULTILINE) for text in families)
    # Chapters about parameters have no models of their own.
    described = [found for found in sections if found]
    names = list(dict.fromkeys(spec.family for spec in BUILT_IN))
    wanted = [[spec.name for spec in BUILT_IN if spec.family == name] for name in names]
    assert sorted(described) == sorted(wanted)
    assert listed == [(name, name) for family in described for name in family]


def test_each_section_has_the_expected_items(spec: ModelSpec) -> None:
    words = ["For", "Formula", "Parameters", "Not for", "Score", "Reference"]
    words += ["Cost"] if spec.kind != "chart" else []
    found = re.findall(r"^- \*\*([^*]+)\*\*", SECTIONS[spec.name], re.MULTILINE)
    assert sorted(found) == sorted(words)


def test_parameters_and_defaults_are_those_of_the_config(spec: ModelSpec) -> None:
    described = [(name, default) for name, default, _ in PARAMETER.findall(SECTIONS[spec.name])]
    assert all(field.default is not MISSING for field in fields(spec.config))
    assert described == [(f.name, as_toml(f.default)) for f in fields(spec.config)]
    none = "- **Parameters** none." in SECTIONS[spec.name]
    assert none == (not described)


def test_documented_outputs_are_those_of_the_model(spec: ModelSpec) -> None:
    row = re.search(rf"^\| \[`{spec.name}`\][^|]*\| ([^|]+) \|", PAGE, re.MULTILINE)
    assert row is not None
    assert ("charts" in row[1]) == (spec.kind == "chart")
    assert ("predicted ratings" in row[1]) == (spec.prediction is not None)
    assert ("lists" in row[1]) == (spec.kind == "personal")
