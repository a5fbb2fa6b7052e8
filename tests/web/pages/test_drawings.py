"""Histograms, tastes and comparisons, which need no database."""

from datetime import UTC, datetime

from recsys.service.types import MeasuredMetric, RatingBin, Taste
from recsys.web.pages.comparison import comparisons, metric_name
from recsys.web.pages.histogram import HistogramBar, histogram
from recsys.web.pages.taste import profile, profiles


def test_a_histogram_is_scaled_to_its_highest_bar():
    drawn = histogram([RatingBin(1, 1, 4), RatingBin(2, 2, 0), RatingBin(3, 3, 2)])
    assert (drawn.height, drawn.floor) == (104.0, 88.0)
    assert drawn.bars == [
        HistogramBar(8.0, 0.0, 64.0, 88.0, 40.0, "1", "1", 4),
        HistogramBar(88.0, 88.0, 64.0, 0.0, 120.0, "2", "2", 0),
        HistogramBar(168.0, 44.0, 64.0, 44.0, 200.0, "3", "3", 2),
    ]


def test_one_rating_beside_thousands_is_visible():
    drawn = histogram([RatingBin(1, 1, 1), RatingBin(2, 2, 100_000)])
    assert [bar.length for bar in drawn.bars] == [1.5, 88.0]


def test_ranges_have_names_and_labels_keep_room():
    drawn = histogram([RatingBin(0, 10, 1), RatingBin(10, 20, 2)])
    assert [bar.name for bar in drawn.bars] == ["0 to 10", "10 to 20"]
    many = histogram([RatingBin(k, k, 1) for k in range(20)])
    assert [bar.label for bar in many.bars][:4] == ["0", "", "2", ""]


def test_without_ratings_there_is_no_histogram():
    assert histogram([]) is None
    assert histogram([RatingBin(1, 1, 0)]) is None


def taste(facet, name, ratings, mean, user=1):
    return Taste(user, facet, name, ratings, ratings / 20, mean, None, str(user))


def test_a_genre_is_liked_if_it_is_rated_higher_often_enough():
    found = profile([
        taste("all", None, 20, 3.5),
        taste("genre", "Drama", 12, 3.5),
        taste("genre", "Horror", 10, 2.5),
        taste("genre", "Crime", 8, 4.5),
        taste("genre", "War", 5, 3.9),
        taste("genre", "Musical", 1, 4.0),
        taste("decade", "1990s", 20, 3.5),
    ])  # fmt: skip
    # A single rating of a musical says little.
    assert (found.liked, found.prefers, found.disliked) == (["Crime", "War"], True, ["Horror"])
    assert [(facet.taste.name, facet.length) for facet in found.genres[:2]] == [
        ("Drama", 100.0), ("Horror", 83.3),
    ]  # fmt: skip
    assert [facet.taste.name for facet in found.decades] == ["1990s"]


def test_with_equal_means_the_most_rated_genres_stand_for_the_taste():
    found = profile([taste("all", None, 9, 1), *(taste("genre", g, 3, 1) for g in "ABCD")])
    assert (found.liked, found.prefers, found.disliked) == (["A", "B", "C"], False, [])


def test_profiles_of_several_people():
    rows = [taste("all", None, 3, 1, user) for user in (4, 7)]
    assert [each.overall.user_id for each in profiles(rows)] == [4, 7]
    assert profiles([]) == []
    assert profile([]) is None


def measured(model, metric, value, protocol="p", run_id=2, edition="e"):
    at = datetime(2026, 1, 2, tzinfo=UTC)
    return MeasuredMetric(
        protocol, run_id, "evaluation", at, edition, model, metric, value, None, None, 9
    )


def test_models_are_ordered_by_the_first_metric_and_the_best_is_marked():
    [found] = comparisons(
        [
            measured("a", "rmse", 0.9), measured("b", "rmse", 0.8), measured("a", "ndcg@5", 0.5),
            measured("b", "ndcg@5", 0.1), measured("c", "ndcg@5", 0.4),
            measured("a", "coverage@5", 0.4), measured("a", "train_seconds", 3.0),
        ],
        {"a": "A", "b": "B"}, "e",
    )  # fmt: skip
    assert [metric_name(metric) for metric in found.metrics] == ["nDCG@5", "Coverage@5", "RMSE"]
    values = [(name, [cell and cell.value for cell in cells]) for name, cells in found.rows]
    assert values == [
        ("A", [0.5, 0.4, 0.9]), ("c", [0.4, None, None]), ("B", [0.1, None, 0.8]),
    ]  # fmt: skip
    assert found.best == [0.5, None, 0.8]
    ndcg, rmse = found.axes
    assert [(row.model, row.x, row.low, row.high) for row in ndcg.rows] == [
        ("A", 97.0, 97.0, 97.0), ("c", 73.5, 73.5, 73.5), ("B", 3.0, 3.0, 3.0),
    ]  # fmt: skip
    assert (rmse.direction, [row.model for row in rmse.rows]) == ("less is better", ["B", "A"])


def test_only_models_on_one_data_set_are_compared():
    rows = [measured("a", "rmse", 1.0), measured("b", "rmse", 1.0)]
    assert len(comparisons(rows, {}, "e")) == 1
    assert comparisons(rows, {}, "other") == []
    assert comparisons(rows[:1], {}, "e") == []


def test_names_of_metrics():
    metrics = ("hit_rate@10", "ndcg_liked@10", "disliked_share@10", "rmse", "my_own@3")
    assert [metric_name(each) for each in metrics] == [
        "Hit rate@10", "nDCG liked@10", "Disliked share@10", "RMSE", "My own@3",
    ]  # fmt: skip


def test_the_least_disliked_are_the_best():
    rows = [measured("a", "disliked_share@10", 0.2), measured("b", "disliked_share@10", 0.1)]
    [found] = comparisons(rows, {}, "e")
    assert (found.best, [name for name, _ in found.rows]) == ([0.1], ["b", "a"])
