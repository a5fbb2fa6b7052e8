"""The generated parts of the site: nothing of the code is missing in them."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
import typer.main

from recsys.cli.app import app
from recsys.web.app import create_app

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docs" / "_ext" / "generated_pages.py"


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    found = importlib.util.spec_from_file_location("generated_pages", FILE)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_every_command_has_a_section_with_its_options(pages: ModuleType) -> None:
    text = pages.commands()
    root = typer.main.get_command(app)
    leaves = list(pages._leaves(root, ("recsys",)))
    assert re.findall(r"(?m)^## (.+)$", text) == [" ".join(words) for words, _ in leaves]
    sections = re.split(r"(?m)^## .+$", text)[1:]
    for section, (_, command) in zip(sections, leaves, strict=True):
        options = {name for p in command.params for name in p.opts if name.startswith("-")}
        assert set(re.findall(r"`(--?[a-z-]+)`", section)) >= options - {"--help", "-h"}


def test_every_endpoint_has_a_section_and_every_link_an_object(pages: ModuleType) -> None:
    paths = create_app().openapi()["paths"]
    endpoints, schemas = pages.endpoints(), pages.schemas()
    wanted = [f"{method.upper()} {path}" for path, how in paths.items() for method in how]
    assert sorted(re.findall(r"(?m)^## (.+)$", endpoints)) == sorted(wanted)
    objects = {name.lower() for name in re.findall(r"(?m)^### (.+)$", schemas)}
    assert set(re.findall(r"\]\(#(\w+)\)", endpoints + schemas)) <= objects


def test_every_question_of_the_cookbook_is_shown_with_its_query(pages: ModuleType) -> None:
    text = pages.cookbook()
    files = list((ROOT / "sql" / "cookbook").rglob("*.sql"))
    shown = re.findall(r"(?m)^`(sql/cookbook/\S+\.sql)`$", text)
    assert sorted(shown) == sorted(str(file.relative_to(ROOT)) for file in files)
    assert len(re.findall(r"(?m)^```sql$", text)) == len(files)


def test_links_out_of_the_site_become_names_of_files(pages: ModuleType) -> None:
    link = "[benchmarks](../../tests/benchmarks/README.md#measured)"
    replaced = pages.LINK.sub(lambda m: pages._within_site(m, ROOT / "docs" / "how-to"), link)
    assert replaced == "`tests/benchmarks/README.md`"
    inside = "[roles](roles.md)"
    kept = pages.LINK.sub(lambda m: pages._within_site(m, ROOT / "docs" / "how-to"), inside)
    assert kept == inside


def test_every_marker_of_a_page_has_a_generator(pages: ModuleType) -> None:
    markers = {
        name
        for file in (ROOT / "docs").rglob("*.md")
        for name in pages.MARKER.findall(file.read_text(encoding="utf-8"))
    }
    assert markers == set(pages.GENERATORS)
