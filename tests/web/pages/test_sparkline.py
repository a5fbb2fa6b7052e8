"""Parts of pages that need no database: stars, sparklines, filters."""

from datetime import UTC, date, datetime

import pytest

from recsys.service.types import RatingRange
from recsys.web.pages.sparkline import Dot, bars, sparkline
from recsys.web.pages.templating import (
    ago,
    code,
    day,
    figure,
    language,
    moment,
    month,
    seconds,
    series,
    signed,
    size,
)
from recsys.web.pages.try_it import MAX_RATINGS, ratings_in, star_values

STARS = {
    (0.5, 5.0): [1, 2, 3, 4, 5],
    (1.0, 5.0): [1, 2, 3, 4, 5],
    (1.0, 10.0): [2, 4, 6, 8, 10],
    (0.0, 100.0): [20, 40, 60, 80, 100],
    (-10.0, 10.0): [-6, -2, 2, 6, 10],
    (1.0, 1.0): [1],
    (1.0, 3.0): [1, 1.2, 1.8, 2.4, 3],
    (None, None): [1, 2, 3, 4, 5],
}


@pytest.mark.parametrize(("scale", "values"), STARS.items())
def test_stars_are_on_the_scale_of_the_data(scale, values):
    assert star_values(RatingRange(*scale)) == values


def test_ratings_are_read_from_an_address():
    parameters = [("m1", "5"), ("m2", "x"), ("m3", "inf"), ("x4", "5"), ("m5", "0.5"), ("m6", "1")]
    assert ratings_in([*parameters, ("drop", "6"), ("m1", "4")]) == {1: 4, 5: 0.5}
    many = [(f"m{n}", "3") for n in range(MAX_RATINGS + 2)]
    assert list(ratings_in(many)) == list(range(2, MAX_RATINGS + 2))


def test_a_sparkline_spans_its_values_and_intervals():
    drawn = sparkline([3, 4, 9], [(0.2, 0.1, 0.3), (0.5, None, None), (0.4, 0.35, 0.45)])
    assert drawn.dots == [
        Dot(8.0, 44.0, 56.0, 32.0, "run 3: 0.2000"),
        Dot(120.0, 8.0, 8.0, 8.0, "run 4: 0.5000"),
        Dot(232.0, 20.0, 26.0, 14.0, "run 9: 0.4000"),
    ]
    assert drawn.line == "8.0,44.0 120.0,8.0 232.0,20.0"
    assert drawn.change == pytest.approx(-0.1)


def test_equal_values_lie_in_the_middle():
    drawn = sparkline([1, 2], [(0.7, None, None), (0.7, None, None)])
    assert [dot.y for dot in drawn.dots] == [32.0, 32.0]
    assert drawn.change == 0


def test_bars_are_in_proportion_to_the_largest():
    assert bars([1.0, 4.0, 0.0]) == [25.0, 100.0, 0.0]
    assert bars([0.0]) == [0.0]
    assert bars([]) == []


def test_formatted_times_sizes_and_names():
    assert [ago(s) for s in (0, 1.9, 60, 7199, 86_400, 2_000_000)] == [
        "0 seconds", "1 second", "1 minute", "1 hour", "1 day", "23 days",
    ]  # fmt: skip
    assert [seconds(s) for s in (None, 0.04, 59.94, 61)] == [
        "running",
        "0.0 s",
        "59.9 s",
        "1 min 1 s",
    ]
    assert [size(b) for b in (0, 999, 1000, 5e6, 2.34e9, 5e12)] == [
        "–", "999 B", "1 kB", "5 MB", "2.3 GB", "5.0 TB",
    ]  # fmt: skip
    assert [figure(v) for v in (0.28812, -1.5, -1e-6, 848.0, 12_345)] == [
        "0.2881", "-1.5000", "0.0000", "848", "12,345",
    ]  # fmt: skip
    assert [signed(v) for v in (0.5, -0.25, -0.00001, 0.0)] == [
        "+0.5000", "−0.2500", "0.0000", "0.0000",
    ]  # fmt: skip
    assert signed(-0.04, 1) == "0.0"
    assert [series(names) for names in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "", "a", "a and b", "a, b and c",
    ]  # fmt: skip
    assert month(datetime(2024, 3, 2, tzinfo=UTC)) == "Mar 2024"
    assert [language(c) for c in ("fr", "xx")] == ["French", "xx"]
    assert day(date(1995, 3, 2)) == "2 March 1995"
    assert moment(datetime(2024, 3, 2, 7, 5, tzinfo=UTC)) == (
        '<time datetime="2024-03-02T07:05:00+00:00">2024-03-02 07:05 UTC</time>'
    )
    assert moment(None) == "never"
    assert code("run `a <b>` & c") == "run <code>a &lt;b&gt;</code> &amp; c"
