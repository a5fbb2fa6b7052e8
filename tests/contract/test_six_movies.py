"""The six-movie example, through the database: correlations, scores and labels to the digits."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from recsys.config.settings import RefreshSettings
from recsys.jobs.ingest import ingest
from recsys.jobs.plan import plan
from recsys.jobs.refresh import refresh
from recsys.storage.runs import lifecycle

RATINGS = {
    "Terminator": {"Tom": 4, "Jack": 1.5, "Lisa": 3, "Sally": 2},
    "Terminator 2": {"Tom": 5, "Jack": 1, "Lisa": 3.5, "Sally": 2},
    "It happened one night": {
        "Tom": 3.5, "Jack": 3.5, "Tiger": 4, "Lisa": 5, "Michele": 3, "Sally": 4,
    },
    "27 Dresses": {"Tom": 3, "Jack": 3.5, "Tiger": 3, "Lisa": 5, "Michele": 4, "Sally": 4},
    "Poirot": {"Tom": 4, "Jack": 3, "Tiger": 5, "Lisa": 4, "Michele": 3.5, "Sally": 3},
    "Sherlock Holmes": {"Tom": 4, "Jack": 3, "Tiger": 3.5, "Lisa": 3.5, "Sally": 2},
}  # fmt: skip
PEARSON = {
    ("27 Dresses", "Poirot"): -0.30434782608695654,
    ("27 Dresses", "It happened one night"): 0.5791405068790082,
    ("27 Dresses", "Sherlock Holmes"): -0.27583864218368526,
    ("27 Dresses", "Terminator 2"): -0.12547286652195427,
    ("27 Dresses", "Terminator"): -0.15404159684748153,
    ("It happened one night", "Sherlock Holmes"): 0,
    ("It happened one night", "Poirot"): 0.2895702534395041,
    ("Terminator 2", "Sherlock Holmes"): 0.7388957695181752,
    ("Terminator", "Sherlock Holmes"): 0.7702079842374076,
    ("Poirot", "Sherlock Holmes"): 0.6698938453032357,
}
RATERS = ["Tom", "Jack", "Lisa", "Sally", "Tiger", "Michele"]
ASKER = len(RATERS) + 1
ASKED = {"Terminator": 5.0, "Sherlock Holmes": 4.0, "Poirot": 4.5}
SCORES = [
    ("Terminator 2", 4.0104504845, "strongly recommended"),
    ("It happened one night", 0.6115200480, "recommended"),
    ("27 Dresses", -1.0810425901, "not recommended"),
]
MODELS = ("most_rated", "pearson_average", "item_knn", "user_knn")
SETTINGS = RefreshSettings(
    models=MODELS,
    default_model="pearson_average",
    cold_start="most_rated",
    threads=1,
    # The example knows neither shrinkage nor baselines.
    parameters={
        "pearson_average": {"shrinkage": 0},
        "item_knn": {"similarity": "pearson", "shrinkage": 0, "baselines": False},
        "user_knn": {"similarity": "pearson", "shrinkage": 0, "baselines": False},
    },
)
SIMILAR = """
SELECT title, similar_title, score FROM recsys.similar_movies WHERE model = :model
"""
RECOMMENDED = """
SELECT title, score, label FROM recsys.recommendations
WHERE model = 'pearson_average' AND user_id = :user ORDER BY rank
"""
CALLED = """
SELECT title, score, recsys.label(model, score) FROM recsys.recommend(:user, 3) ORDER BY rank
"""


@pytest.fixture
def publish(database, tmp_path, write_edition):
    """Load the example, with the ratings of a seventh person or without, and publish it."""

    def do(asker: bool) -> sa.Connection:
        movies = list(RATINGS)
        lines = [
            f"{RATERS.index(name) + 1},{movies.index(title) + 1},{rating},1"
            for title, given in RATINGS.items()
            for name, rating in given.items()
        ]
        if asker:
            lines += [f"{ASKER},{movies.index(title) + 1},{r},1" for title, r in ASKED.items()]
        titles = [f'{number},"{title} (1990)",Drama' for number, title in enumerate(movies, 1)]
        ingest(database, write_edition(tmp_path / "six", lines, titles))
        refresh(database, plan(SETTINGS))
        return database.engine.connect()

    return do


@pytest.mark.parametrize("model", ["item_knn", "pearson_average"])
def test_correlations(publish, model):
    with publish(False) as connection:
        found = {
            (title, other): score
            for title, other, score in connection.execute(sa.text(SIMILAR), {"model": model})
        }
    for (title, other), correlation in PEARSON.items():
        assert found[title, other] == pytest.approx(correlation, rel=1e-14, abs=1e-14)
        assert found[other, title] == pytest.approx(correlation, rel=1e-14, abs=1e-14)


def test_scores_and_labels_of_a_new_user(publish):
    """The figures take the correlations of the six raters alone."""
    with publish(False) as connection:
        pairs = {
            (title, other): score
            for title, other, score in connection.execute(
                sa.text(SIMILAR), {"model": "pearson_average"}
            )
        }
        for title, wanted, label in SCORES:
            score = sum(pairs[rated, title] * r for rated, r in ASKED.items()) / len(ASKED)
            assert score == pytest.approx(wanted, abs=5e-11)
            text = sa.text("SELECT recsys.label('pearson_average', :score)")
            assert connection.scalar(text, {"score": score}) == label


def test_labels_come_with_stored_rows(publish):
    with publish(True) as connection:
        stored = connection.execute(sa.text(RECOMMENDED), {"user": ASKER}).all()
        called = connection.execute(sa.text(CALLED), {"user": ASKER}).all()
    assert [(title, label) for title, _, label in stored] == [(t, label) for t, _, label in SCORES]
    assert called == stored


@pytest.mark.parametrize(
    ("model", "score", "label"),
    [
        ("pearson_average", 3.0000001, "strongly recommended"),
        ("pearson_average", 3.0, "recommended"),
        ("pearson_average", 1e-9, "recommended"),
        ("pearson_average", 0.0, "not recommended"),
        ("pearson_average", -4.0, "not recommended"),
        ("pearson_average", None, None),
        ("ease", 3.5, None),
        (None, 3.5, None),
    ],
)
def test_label(connection, model, score, label):
    described = plan(RefreshSettings(), ["pearson_average", "ease"]).descriptions
    lifecycle.register_models(connection, described)
    text = sa.text("SELECT recsys.label(CAST(:model AS text), CAST(:score AS float8))")
    assert connection.scalar(text, {"model": model, "score": score}) == label


def test_item_based_prediction_by_hand(publish):
    """Michele and Sherlock Holmes, from the three movies she rated."""
    near = {one: score for (one, other), score in PEARSON.items() if other == "Sherlock Holmes"}
    own = {title: given["Michele"] for title, given in RATINGS.items() if "Michele" in given}
    with publish(False) as connection:
        query = sa.text("SELECT recsys.predict_rating(:user, 6, 'item_knn')")
        predicted = connection.scalar(query, {"user": RATERS.index("Michele") + 1})
    wanted = sum(near[title] * rating for title, rating in own.items())
    weights = sum(abs(near[title]) for title in own)
    assert predicted == pytest.approx(wanted / weights, rel=1e-12)


def test_user_based_prediction_by_hand(publish):
    """Michele and Sherlock Holmes: correlations over the movies both have rated."""
    query = """
        SELECT user_id, score, common_ratings FROM recsys.similar_users(:user, 10) ORDER BY user_id
    """
    with publish(False) as connection:
        user = RATERS.index("Michele") + 1
        near = connection.execute(sa.text(query), {"user": user}).all()
        predicted = connection.scalar(
            sa.text("SELECT recsys.predict_rating(:user, 6, 'user_knn')"), {"user": user}
        )
    by_name = {
        name: {title: given[name] for title, given in RATINGS.items() if name in given}
        for name in RATERS
    }
    wanted, sums, weights = [], 0.0, 0.0
    own = by_name["Michele"]
    for number, name in enumerate(RATERS, 1):
        common = sorted(set(own) & set(by_name[name])) if name != "Michele" else []
        score = _pearson([own[t] for t in common], [by_name[name][t] for t in common])
        if score is None:
            continue
        wanted.append((number, pytest.approx(score, abs=1e-12), len(common)))
        if "Sherlock Holmes" in by_name[name]:
            mean = sum(by_name[name].values()) / len(by_name[name])
            sums += score * (by_name[name]["Sherlock Holmes"] - mean)
            weights += abs(score)
    assert [tuple(row) for row in near] == wanted
    mean = sum(own.values()) / len(own)
    assert predicted == pytest.approx(min(5, max(0.5, mean + sums / weights)), abs=1e-12)


def _pearson(left: list[float], right: list[float]) -> float | None:
    if len(left) < 2:
        return None
    mean_left, mean_right = sum(left) / len(left), sum(right) / len(right)
    a, b = [x - mean_left for x in left], [y - mean_right for y in right]
    spread = (sum(x * x for x in a) * sum(y * y for y in b)) ** 0.5
    return sum(x * y for x, y in zip(a, b, strict=True)) / spread if spread else None
