"""The configuration reference is complete and up to date."""

import re
from pathlib import Path

from recsys.config import settings
from recsys.config.reference import reference
from recsys.models.params import parameters
from recsys.models.registry import MODELS

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_committed_reference_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), (
        "run `python -m recsys.config.reference > docs/configuration.md`"
    )


def test_the_reference_documents_each_table_key_and_variable() -> None:
    sections = dict(re.findall(r"(?ms)^### \[(.+?)\]\n(.*?)(?=^##|\Z)", reference()))
    kinds = {
        "ingest": settings.IngestSettings,
        "source": settings.SourceSettings,
        "refresh": settings.RefreshSettings,
        "gate": settings.GateSettings,
        "schedule": settings.ScheduleSettings,
        "engine": settings.EngineSettings,
        **{f"models.{name}": spec.config for name, spec in MODELS.items()},
    }
    assert list(sections) == list(kinds)
    for name, kind in kinds.items():
        rows = re.findall(
            r"(?m)^\| `(\w+)` \| \w+ \| [^|]* \| ([^|]+) \| ([^|]+) \|$", sections[name]
        )
        assert [row[0] for row in rows] == [one.name for one in parameters(kind)]
        assert all(meaning.endswith(".") for _, _, meaning in rows), name


def test_the_reference_documents_each_environment_variable_that_is_read() -> None:
    source = Path(settings.__file__).read_text(encoding="utf-8")
    read = set(re.findall(r'env(?:\.get\(|\[)"(\w+)"', source))
    assert read == set(settings.ENVIRONMENT)
