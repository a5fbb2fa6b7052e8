"""Of several ratings of one movie by one user exactly one is left, and it is the right one."""

import numpy as np
import pytest

from recsys.domain import NO_TIME, Ratings
from recsys.errors import DataError
from recsys.ingest.duplicates import OnDuplicate, Origins, resolve

# user, movie, value, time; lines 2, 3, ... in this order
ROWS = [
    (2, 1, 3.0, 50),
    (1, 7, 1.0, 100),
    (1, 5, 2.0, 10),
    (1, 7, 5.0, 90),
    (1, 7, 4.0, 100),
    (1, 5, 2.0, 30),
]


def ratings(rows: list[tuple[int, int, float, int]]) -> Ratings:
    users, movies, values, times = zip(*rows, strict=True)
    return Ratings(
        np.array(users, np.int32),
        np.array(movies, np.int32),
        np.array(values, np.float64),
        np.array(times, np.int64),
    )


def resolved(
    rows: list[tuple[int, int, float, int]], policy: OnDuplicate
) -> tuple[list[tuple[int, int, float, int]], int]:
    lines = np.arange(2, 2 + len(rows), dtype=np.int32)
    kept, merged = resolve(ratings(rows), Origins(["ratings.csv"], [lines]), policy)
    columns = (kept.user_ids, kept.movie_ids, kept.values, kept.rated_at)
    assert [column.dtype for column in columns] == [np.int32, np.int32, np.float64, np.int64]
    return list(zip(*(column.tolist() for column in columns), strict=True)), merged


def test_latest_takes_the_latest_time_and_of_equal_times_the_later_line() -> None:
    assert resolved(ROWS, "latest") == ([(1, 5, 2.0, 30), (1, 7, 4.0, 100), (2, 1, 3.0, 50)], 3)


def test_max_takes_the_highest_value_with_its_time() -> None:
    assert resolved(ROWS, "max") == ([(1, 5, 2.0, 30), (1, 7, 5.0, 90), (2, 1, 3.0, 50)], 3)


def test_mean_averages_and_takes_the_latest_time() -> None:
    kept = [(1, 5, 2.0, 30), (1, 7, 10 / 3, 100), (2, 1, 3.0, 50)]
    assert resolved(ROWS, "mean") == (kept, 3)


def test_error_names_both_lines_and_the_count() -> None:
    with pytest.raises(DataError) as caught:
        resolved(ROWS, "error")
    assert str(caught.value) == (
        "ratings.csv: user 1 rates movie 5 on line 4 and again on line 7; "
        "3 ratings of this kind in all"
    )


@pytest.mark.parametrize("policy", ["latest", "max", "mean", "error"])
def test_without_duplicates_rows_are_only_ordered(policy: OnDuplicate) -> None:
    rows = [(2, 1, 3.0, 5), (1, 9, 4.0, 6), (1, 2, 5.0, 7)]
    assert resolved(rows, policy) == (sorted(rows), 0)


def test_without_times_the_later_line_wins_and_a_known_time_beats_an_unknown_one() -> None:
    rows = [(1, 1, 1.0, NO_TIME), (1, 1, 2.0, NO_TIME), (1, 2, 3.0, 4), (1, 2, 5.0, NO_TIME)]
    assert resolved(rows, "latest") == ([(1, 1, 2.0, NO_TIME), (1, 2, 3.0, 4)], 2)


def test_random_rows_agree_with_a_dictionary() -> None:
    random = np.random.default_rng(5)
    rows = [
        (int(u), int(m), float(v), int(t))
        for u, m, v, t in random.integers(0, [6, 6, 5, 4], size=(400, 4))
    ]
    latest: dict[tuple[int, int], tuple[float, int]] = {}
    highest: dict[tuple[int, int], tuple[float, int]] = {}
    for user, movie, value, time in rows:
        pair = (user, movie)
        if pair not in latest or time >= latest[pair][1]:
            latest[pair] = (value, time)
        if pair not in highest or (value, time) >= highest[pair]:
            highest[pair] = (value, time)
    for policy, expected in (("latest", latest), ("max", highest)):
        rows_kept = [(*pair, *expected[pair]) for pair in sorted(expected)]
        assert resolved(rows, policy) == (rows_kept, len(rows) - len(expected))
