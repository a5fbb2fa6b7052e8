"""Models of an installed package: served for every role they claim, with nothing else touched."""

from __future__ import annotations

import json
import sys

import pytest
import sqlalchemy as sa

MODULE = '''
"""Models of a shop."""

from dataclasses import replace

from recsys.models.charts import most_rated
from recsys.models.content import content_genres
from recsys.models.knn import item_knn, user_knn

LABELS = ((1.0, "great"), (float("-inf"), "fair"))


def _mine(spec, name, **claims):
    shown = name.replace("_", " ").capitalize()
    return replace(
        spec, name=name, display_name=shown, family="shop", default_set=True, **claims
    )


CHART = _mine(
    most_rated.SPEC, "shop_chart", roles={"cold_start": 1, "popularity": 1, "top": 1}
)
ITEMS = _mine(
    item_knn.SPEC,
    "shop_items",
    labels=LABELS,
    roles={"default": 1, "live": 1, "rating": 1, "similar": 1},
)
PEOPLE = _mine(user_knn.SPEC, "shop_people", roles={"similar_users": 1})
CONTENT = _mine(content_genres.SPEC, "shop_content", roles={"content": 1})
'''
ENTRY_POINTS = """
[recsys.models]
chart = shop_models:CHART
items = shop_models:ITEMS
people = shop_models:PEOPLE
content = shop_models:CONTENT
"""
CONFIG = """
[refresh]
threads = 1

[models.shop_items]
shrinkage = 7.0
"""


@pytest.fixture
def shop(tmp_path):
    """The environment of a process that has the package installed."""
    installed = tmp_path / "shop_models-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: shop-models\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(ENTRY_POINTS)
    (tmp_path / "shop_models.py").write_text(MODULE)
    config = tmp_path / "recsys.toml"
    config.write_text(CONFIG)
    path = ":".join([str(tmp_path), *(each for each in sys.path if each)])
    return {"PYTHONPATH": path, "RECSYS_CONFIG": str(config)}


def finished(process, code=0):
    out, err = process.communicate(timeout=300)
    assert process.returncode == code, err
    return out, err


@pytest.mark.slow
def test_models_of_a_package_are_served_for_every_role_they_claim(filled_database, spawn, shop):
    shop["RECSYS_DATABASE_URL"] = filled_database.url
    finished(spawn("refresh", **shop))

    def ask(query):
        with filled_database.snapshot() as connection:
            return [tuple(row) for row in connection.execute(sa.text(query))]

    assert ask(
        "SELECT model, display_name, labels FROM recsys.models WHERE family = 'shop' ORDER BY 1"
    ) == [
        ("shop_chart", "Shop chart", None),
        ("shop_content", "Shop content", None),
        ("shop_items", "Shop items", ["great", "fair"]),
        ("shop_people", "Shop people", None),
    ]
    assert ask("SELECT default_model, cold_start, rating_model FROM recsys.runs") == [
        ("shop_items", "shop_chart", "shop_items")
    ]
    assert ask("SELECT parameters #> '{models,shop_items,shrinkage}' FROM recsys.runs") == [(7,)]
    listed = "SELECT DISTINCT source, model FROM recsys.{} WHERE rank <= 3"
    assert ask(listed.format("recommend(1, 3)")) == [("stored", "shop_items")]
    assert ask(listed.format("recommend(4711, 3)")) == [("chart", "shop_chart")]
    assert ask(listed.format("recommend_for('{\"1\": 5}', 3)".replace(":", r"\:"))) == [
        ("live", "shop_items")
    ]
    assert ("content", "shop_content") in ask(
        "SELECT source, model FROM recsys.recommend_for('{\"1\"\\: 5}', 500)"
    )
    assert set(ask("SELECT model FROM recsys.similar(1)")) == {("shop_items",)}
    assert set(ask("SELECT model FROM recsys.similar_users(1)")) == {("shop_people",)}
    assert ask("SELECT movie_id FROM recsys.top_movies(5)") == ask(
        "SELECT movie_id FROM recsys.top_movies(5, NULL, 'most_rated')"
    )
    assert ask("SELECT recsys.predict_rating(1, 2) = recsys.predict_rating(1, 2, 'shop_items')")
    assert ask("SELECT recsys.label('shop_items', 2), recsys.label('shop_items', 0)") == [
        ("great", "fair")
    ]
    stored = ask("SELECT label FROM recsys.recommendations WHERE model = 'shop_items'")
    assert set(stored) <= {("great",), ("fair",)}
    assert stored
    assert ask("SELECT bool_and(missing = 0 AND extra = 0) FROM recsys.verify_lists()") == [(True,)]

    with filled_database.transaction() as connection:
        connection.execute(sa.text("SELECT recsys.rate(1, 3, 5)"))
    assert ask(listed.format("recommend(1, 3)")) == [("live", "shop_items")]

    out, _ = finished(spawn("evaluate", "--models", "shop_items,shop_chart", "--json", **shop))
    measured = {model["model"]: model for model in json.loads(out)["models"]}
    assert set(measured) == {"shop_items", "shop_chart"}
    assert all(model["metrics"] for model in measured.values())
    out, _ = finished(spawn("tune", "shop_items", "--trials", "2", "--json", **shop))
    assert len(json.loads(out)["trials"]) == 2


def test_a_broken_package_is_named(spawn, shop, tmp_path, filled_database):
    (tmp_path / "shop_models.py").write_text("raise OSError('no licence')")
    _, err = finished(spawn("refresh", RECSYS_DATABASE_URL=filled_database.url, **shop), 1)
    assert (
        "error: entry point chart = shop_models:CHART of shop-models cannot be loaded: "
        "OSError: no licence\nhint: mend the package, or uninstall it"
    ) in err
