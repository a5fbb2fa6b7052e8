"""From a file of orders to lists: interactions are counted, and nothing predicts ratings."""

import numpy as np
import pytest
import sqlalchemy as sa
from store import rows_of

from recsys.config.settings import RefreshSettings
from recsys.errors import ConfigError, EvaluationError
from recsys.evaluation.protocols import PROTOCOLS
from recsys.jobs.evaluate import evaluate
from recsys.jobs.ingest import ingest
from recsys.jobs.plan import plan
from recsys.jobs.refresh import refresh
from recsys.jobs.refresh_users import refresh_users

SETTINGS = RefreshSettings()
LEFT_OUT = {"top_rated", "mf"}


@pytest.fixture
def shop(database, tmp_path):
    """Forty customers who buy what is near to each other, some of it several times."""
    random = np.random.default_rng(3)
    rows = []
    for customer in range(40):
        for _ in range(12):
            sku = (customer + int(random.integers(0, 12))) % 40
            rows.append(f"c{customer},sku-{sku}")
    path = tmp_path / "orders.csv"
    path.write_text("customer_id,sku\n" + "\n".join(rows) + "\n")
    ingest(database, path)
    return database


def refused(database, statement):
    with database.transaction() as connection, pytest.raises(sa.exc.DBAPIError) as caught:
        connection.execute(sa.text(statement))
    return caught.value.orig.diag.sqlstate, caught.value.orig.diag.message_primary


def test_models_of_ratings_are_left_out_and_lists_are_exact(shop):
    report = refresh(shop, plan(SETTINGS))
    assert report.published
    models = {name for (name,) in rows_of(shop, "SELECT model FROM recsys.models")}
    assert models == {spec.name for spec in plan(SETTINGS).specs} - LEFT_OUT
    run = "SELECT rating_model, default_model, cold_start, rating_min, rating_max FROM recsys.runs"
    assert rows_of(shop, run) == [(None, "ease", "popular", 1.0, 1.0)]
    assert rows_of(shop, "SELECT DISTINCT mean_rating FROM recsys.charts") == [(None,)]
    assert rows_of(shop, "SELECT recsys.predict_rating('c1', 'sku-3')") == [(None,)]
    assert rows_of(shop, "SELECT * FROM recsys.rating_scale()") == [(1.0, 1.0)]
    assert len(rows_of(shop, "SELECT * FROM recsys.top_movies(5)")) == 5
    wrong = "SELECT sum(missing + extra), sum(users) > 0 FROM recsys.verify_lists(NULL, NULL)"
    assert rows_of(shop, wrong) == [(0, True)]
    # A count weighs nothing: the list of two purchases is the list of two others.
    lists = [
        rows_of(shop, f"SELECT movie_key, score FROM recsys.recommend_for('{given}', 9)")
        for given in ('{"sku-1": 1, "sku-2": 1}', '{"sku-1": 7, "sku-2": 2.5}')
    ]
    assert lists[0] == lists[1]


def test_a_purchase_counts_at_once_and_is_a_count(shop):
    refresh(shop, plan(SETTINGS))
    with shop.transaction() as connection:
        connection.execute(sa.text("SELECT recsys.rate('c1', 'sku-14', 3)"))
    recommended = rows_of(shop, "SELECT movie_key, source FROM recsys.recommend('c1', 5)")
    assert "sku-14" not in {key for key, _ in recommended}
    assert {source for _, source in recommended} == {"live"}
    for value, shown in (("0", "0"), ("-2", "-2"), ("'NaN'", "NaN"), ("'Infinity'", "Infinity")):
        assert refused(shop, f"SELECT recsys.rate('c1', 'sku-14', {value})") == (
            "22003",
            f"rating {shown} is not a number of times",
        )
    assert refused(shop, """SELECT recsys.recommend_for('{"sku-1": 0}', 5)""")[0] == "22003"
    report = refresh_users(shop, plan(SETTINGS))
    assert report.published
    stored = rows_of(shop, "SELECT movie_key, source FROM recsys.recommend('c1', 5)")
    assert [key for key, _ in stored] == [key for key, _ in recommended]
    assert {source for _, source in stored} == {"stored"}


def test_what_needs_ratings_is_refused_by_name(shop):
    named = RefreshSettings(models=("most_rated", "ease", "mf"), default_model="mf")
    with pytest.raises(ConfigError, match="default_model = 'mf' is not refreshed"):
        refresh(shop, plan(named))
    with pytest.raises(ConfigError, match="mf need ratings, and the database holds interactions"):
        refresh(shop, plan(SETTINGS, ["mf"]))
    with pytest.raises(EvaluationError):
        evaluate(
            shop, plan(SETTINGS, ["item_knn"], publish=False), PROTOCOLS["surprise-5fold"], seed=1
        )


def test_rate_holds_to_the_steps_of_the_scale(database, write_edition, tmp_path):
    ingest(database, write_edition(tmp_path / "ml-x", ["1,1,0.5,1000", "2,2,5.0,1000"]))
    assert refused(database, "SELECT recsys.rate(1, 2, 3.7)") == (
        "22003",
        "rating 3.7 is not a step of 0.5",
    )
    with database.transaction() as connection:
        connection.execute(sa.text("SELECT recsys.rate(1, 2, 3.5), recsys.rate(1, 1, 5)"))
