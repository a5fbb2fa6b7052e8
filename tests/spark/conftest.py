"""Tests on a Spark cluster of real processes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from spark_cluster import Cluster, spark_cluster


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.spark)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with spark_cluster() as running:
        yield running


@pytest.fixture
def settings_of(cluster: Cluster) -> Callable[..., str]:
    """Make the text of a recsys.toml for the cluster."""

    def text(
        models: list[str], *, python: str = sys.executable, archive: str = "", **properties: str
    ) -> str:
        extra = "".join(f'"{key}" = "{value}"\n' for key, value in properties.items())
        return (
            f'[refresh]\nmodels = {models}\ndefault_model = "ease"\nmemory_mb = 256\n'
            f'[engine]\nkind = "spark"\nmaster = "{cluster.master}"\ndriver_memory = "1g"\n'
            f'python = "{python}"\narchive = "{archive}"\nshard_ratings = 300\n'
            f"[engine.properties]\n{extra}"
        )

    return text
