"""How two runs differ, against figures computed place by place and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from store import entries

from recsys.domain import Metric
from recsys.storage.load.copy import Lists
from recsys.storage.runs import lifecycle, results

P = 0.9
PARAMETERS = {"models": {}}
SCANS = sa.text("""
SELECT c.relname, pg_stat_get_xact_numscans(c.oid), pg_stat_get_xact_tuples_fetched(c.oid)
FROM pg_class AS c
WHERE c.relnamespace = 'recsys_store'::regnamespace AND c.relname ~ '_run_[0-9]+$'
""")


@pytest.fixture
def connection(everything):
    """A connection whose transaction is rolled back."""
    # Not to the template: the numbers of runs drawn there would be missing in its clones.
    return everything


@pytest.fixture
def run_id(everything):
    """The run of every model."""
    return everything.scalar(sa.text("SELECT run_id FROM recsys.runs WHERE published"))


def begin(connection):
    return lifecycle.begin(
        connection, default_model_id=None, seed=1, parameters=PARAMETERS, versions={}
    )


def model_ids(connection, *names):
    rest = dict.fromkeys(("prediction", "score_meaning", "description"), "")
    described = [{**rest, "name": name, "kind": "personal", "prediction": None} for name in names]
    return lifecycle.register_models(connection, described)


def write(connection, run_id, table, names, rows):
    """Write (model, rank, columns of `names`) as a finished partition; none without rows.

    The rows of a list follow each other by rank.
    """
    if not rows:
        return
    owner, listed = names
    lists = {}
    for model, _, own, other in rows:
        lists.setdefault((model, own), []).append(other)
    ends = np.cumsum([0, *map(len, lists.values())])
    models, owners = np.array(list(lists), np.int32).T
    scores = np.ones(len(rows))
    columns = {
        "run_id": np.full(len(lists), run_id, np.int32),
        "model_id": models.astype(np.int16),
        owner: owners,
        listed: Lists(ends, np.concatenate(list(lists.values())).astype(np.int32)),
        "scores": Lists(ends, scores),
    }
    results.create(connection, table, run_id)
    results.append(connection, table, run_id, columns)
    results.finish(connection, table, run_id)


def make_run(connection, lists, similar=(), metrics=()):
    """Make a complete run of lists {model: {user: [movies]}}, neighbours {model: rows}, figures."""
    names = {*lists, *dict(similar), *(name for name, _ in metrics)}
    ids, run_id = model_ids(connection, *sorted(names)), begin(connection)
    rows = [
        (ids[model], rank, user, movie)
        for model, of_users in lists.items()
        for user, movies in of_users.items()
        for rank, movie in enumerate(movies, 1)
    ]
    near = [
        (ids[model], rank, 1, 1 + rank)
        for model, count in dict(similar).items()
        for rank in range(1, count + 1)
    ]
    write(connection, run_id, "user_recommendations", ("user_id", "movie_ids"), rows)
    write(connection, run_id, "movie_similarities", ("movie_id", "similar_movie_ids"), near)
    results.attach(connection, run_id)
    lifecycle.complete(connection, run_id, [], {})
    lifecycle.record_metrics(connection, run_id, [(ids[name], metric) for name, metric in metrics])
    return run_id


def compare(connection, a, b, k=10):
    query = sa.text("SELECT * FROM recsys.compare_runs(:a, :b, :k)")
    return [tuple(row) for row in connection.execute(query, {"a": a, "b": b, "k": k})]


def lists_of(rows):
    """Return the figures of lists by model and name."""
    figures = {}
    for part, model, _, metric, _, _, _, value, _ in rows:
        if part == "lists":
            figures.setdefault(model, {})[metric] = value
    return figures


def rank_biased_overlap(one, other):
    """RBO_EXT of two lists, equation 32 of Webber, Moffat and Zobel (2010), depth by depth."""
    short, long = sorted((one, other), key=len)
    s, n = len(short), len(long)
    if not s:
        return 0.0
    common = [len({*short[:d]} & {*long[:d]}) for d in range(n + 1)]
    total = sum(common[d] / d * P**d for d in range(1, n + 1))
    total += sum(common[s] * (d - s) / (s * d) * P**d for d in range(s + 1, n + 1))
    return (1 - P) / P * total + ((common[n] - common[s]) / n + common[s] / s) * P**n


def expected(lists_a, lists_b, k):
    users = sorted({*lists_a, *lists_b})
    pairs = [(lists_a.get(user, [])[:k], lists_b.get(user, [])[:k]) for user in users]
    overlap = [len({*x} & {*y}) / max(len(x), len(y)) for x, y in pairs]
    changed = sum(x != y for x, y in pairs)
    return {
        f"overlap@{k}": np.mean(overlap),
        f"rbo@{k}": np.mean([rank_biased_overlap(x, y) for x, y in pairs]),
        "users": len(lists_b) - len(lists_a),
        "users_changed": changed,
        "users_changed_share": changed / len(users),
        "users_gained": len({*lists_b} - {*lists_a}),
        "users_lost": len({*lists_a} - {*lists_b}),
    }


def some_lists(generator, users, movies):
    chosen = generator.choice(users, size=users - 5, replace=False)
    return {
        int(user): generator.permutation(movies)[: generator.integers(1, 15)].tolist()
        for user in np.sort(chosen)
    }


def test_figures_of_lists_are_those_of_the_definitions(connection):
    generator = np.random.default_rng(3)
    of_a = {model: some_lists(generator, 40, 20) for model in ("als", "ease")}
    of_b = {model: some_lists(generator, 40, 20) for model in ("als", "ease")}
    # Some that stay as they are, some that only change places, some that end earlier.
    for user in list(of_a["als"])[:12]:
        of_b["als"][user] = of_a["als"][user][: 15 if user % 2 else 3]
    for user in list(of_a["ease"])[:12]:
        of_b["ease"][user] = of_a["ease"][user][::-1]
    a, b = make_run(connection, of_a), make_run(connection, of_b)
    for k in (1, 4, 10, 1000):
        found = lists_of(compare(connection, a, b, k))
        wanted = {model: expected(of_a[model], of_b[model], k) for model in ("als", "ease")}
        assert list(found) == ["als", "ease"]
        for model, figures in wanted.items():
            assert list(found[model]) == list(figures)
            assert found[model] == pytest.approx(figures, abs=1e-11)
    # Of short lists and long ones, of people in both and in one.
    assert wanted["als"]["users_gained"] > 0
    assert wanted["als"]["users_changed"] < 40


def test_the_depth_is_ten_where_none_is_given(connection):
    of_b = {"ease": {1: [*range(2, 12), 30]}}
    a, b = make_run(connection, {"ease": {1: [*range(1, 11), 40]}}), make_run(connection, of_b)
    query = sa.text("SELECT metric, value FROM recsys.compare_runs(:a, :b) WHERE part = 'lists'")
    found = dict(map(tuple, connection.execute(query, {"a": a, "b": b})))
    assert list(found)[:2] == ["overlap@10", "rbo@10"]
    assert found["overlap@10"] == 0.9


BY_HAND = [
    # Agreement 1, 1/2, 1 at depths 1 to 3: (.9 + .81 / 2 + .729) / 9 + .729.
    ([1, 2, 3], [1, 3, 2], 1.0, 0.955),
    ([1, 2], [3, 4], 0.0, 0.0),
    # All that is seen of the shorter one agrees, and is taken to go on so.
    ([1], [1, 2], 0.5, 1.0),
    # (1 / 2 * .81 + 1 / 2 * .81) / 9 where depth 2 adds a movie of the shorter one.
    ([2], [1, 2], 0.5, 0.81 / 2 / 9 + 0.81 / 2),
]


@pytest.mark.parametrize(("one", "other", "overlap", "rbo"), BY_HAND)
def test_figures_by_hand_either_way_round(connection, one, other, overlap, rbo):
    a = make_run(connection, {"ease": {7: one}})
    b = make_run(connection, {"ease": {7: other}})
    for pair in ((a, b), (b, a)):
        found = lists_of(compare(connection, *pair))["ease"]
        assert [found["overlap@10"], found["rbo@10"]] == pytest.approx([overlap, rbo], abs=1e-12)
        assert found["users_changed"] == 1


def test_all_parts_of_two_runs(connection):
    rmse = [
        Metric("train", "rmse", value, n, "all", None, None) for value, n in ((0.5, 9), (0.75, 8))
    ]
    light = [Metric("train", "rmse", value, 4, "light", None, None) for value in (1.0, 0.5)]
    alone = Metric("train", "mae", 1.0, 9, "all", None, None)
    gate = Metric("gate", "rmse", 1.0, 9, "all", None, None)
    a = make_run(
        connection,
        {"ease": {1: [1, 2], 2: [3, 4], 3: [5]}, "als": {1: [1]}},
        {"ease": 4, "knn": 2},
        [("ease", rmse[0]), ("ease", light[0]), ("ease", alone), ("als", rmse[0]), ("als", gate)],
    )
    b = make_run(
        connection,
        {"ease": {1: [1, 2], 2: [4, 3], 4: [5]}, "mf": {1: [1]}},
        {"ease": 1},
        [("ease", rmse[1]), ("ease", light[1]), ("mf", rmse[1]), ("als", rmse[1])],
    )
    lists = [
        ("lists", "ease", None, *figures, 4)
        for figures in (
            ("overlap@2", "all", None, None, 0.5),
            ("rbo@2", "all", None, None, (1 + (0.81 / 9 + 0.81)) / 4),
            ("users", "all", 3.0, 3.0, 0.0),
            ("users_changed", "all", None, None, 3.0),
            ("users_changed_share", "all", None, None, 0.75),
            ("users_gained", "all", None, None, 1.0),
            ("users_lost", "all", None, None, 1.0),
        )
    ]
    rows = [
        ("rows", model, None, table, None, before, after, after - before, None)
        for model, table, before, after in (
            ("als", "user_recommendations", 1, 0),
            ("ease", "movie_similarities", 4, 1),
            ("ease", "user_recommendations", 5, 5),
            ("knn", "movie_similarities", 2, 0),
            ("mf", "user_recommendations", 0, 1),
        )
    ]
    metrics = [
        ("metrics", "als", "train", "rmse", "all", 0.5, 0.75, 0.25, 8),
        ("metrics", "ease", "train", "rmse", "all", 0.5, 0.75, 0.25, 8),
        ("metrics", "ease", "train", "rmse", "light", 1.0, 0.5, -0.5, 4),
    ]
    assert compare(connection, a, b, 2) == [*lists, *rows, *metrics]


def test_every_result_table_is_counted(everything, run_id):
    counted = {
        (row[1], row[3]): row[5] for row in compare(everything, run_id, run_id) if row[0] == "rows"
    }
    wanted = {}
    for table in results.TABLES:
        if table.name == "run_users":  # of no model
            continue
        query = f"""
            SELECT d.name, count(*) FROM {entries(table.name)} AS t
            JOIN recsys_store.models AS d USING (model_id) WHERE run_id = :run_id GROUP BY 1
        """
        found = everything.execute(sa.text(query), {"run_id": run_id}).all()
        assert found
        wanted |= {(name, table.name): count for name, count in found}
    assert counted == wanted


def test_a_run_is_the_same_as_itself(everything, run_id):
    rows = compare(everything, run_id, run_id)
    lists = lists_of(rows)
    query = "SELECT DISTINCT model FROM recsys.recommendations"
    assert set(lists) == set(everything.scalars(sa.text(query)))
    same = {"overlap@10": 1, "rbo@10": 1, "users": 0, "users_changed": 0}
    same |= {"users_changed_share": 0, "users_gained": 0, "users_lost": 0}
    assert all(figures == same for figures in lists.values())
    others = [row for row in rows if row[0] != "lists"]
    assert {row[0] for row in others} == {"rows", "metrics"}
    assert all(row[5] == row[6] and row[7] == 0 for row in others)


def test_runs_without_results_compare_as_empty(connection):
    assert compare(connection, make_run(connection, {}), make_run(connection, {})) == []


def failed(connection):
    run_id = begin(connection)
    lifecycle.fail(connection, run_id, "no disk")
    return run_id


def pruned(connection):
    run_id = make_run(connection, {"ease": {1: [1]}})
    results.drop(connection, run_id)
    return run_id


def evaluation(connection):
    facts = {"seed": 1, "parameters": PARAMETERS, "versions": {}}
    return lifecycle.record_evaluation(connection, [], facts)


IN_METRICS = "its figures are in recsys.run_metrics"
COMPLETE = "compare runs whose state in recsys.runs is complete"
REFUSED = {
    "unknown": (lambda connection: 4711, "RS001", "there is no run 4711"),
    "none": (lambda connection: None, "22004", "run_id must not be NULL"),
    "running": (begin, "RS004", "run {} has no results to compare: it is running"),
    "failed": (failed, "RS004", "run {} has no results to compare: it is failed"),
    "evaluation": (evaluation, "RS004", "run {} is an evaluation, which has no results to compare"),
    "pruned": (pruned, "RS004", "the results of run {} were pruned"),
}
HINTS = {
    "unknown": "recsys.runs holds every run",
    "none": None,
    "running": COMPLETE,
    "failed": COMPLETE,
    "evaluation": IN_METRICS,
    "pruned": "its figures are still in recsys.run_metrics",
}


@pytest.mark.parametrize("side", ["a", "b"])
@pytest.mark.parametrize("case", REFUSED)
def test_a_run_that_cannot_be_compared_is_named(connection, case, side):
    make, sqlstate, message = REFUSED[case]
    wrong, right = make(connection), make_run(connection, {"ease": {1: [1]}})
    with pytest.raises(DBAPIError) as caught:
        compare(connection, *((wrong, right) if side == "a" else (right, wrong)))
    error = caught.value.orig
    told = (error.sqlstate, error.diag.message_primary, error.diag.message_hint)
    assert told == (sqlstate, message.format(wrong), HINTS[case])


@pytest.mark.parametrize("k", [None, -1, 0, 1001])
def test_a_depth_that_makes_no_sense_is_refused(connection, k):
    run_id = make_run(connection, {"ease": {1: [1]}})
    with pytest.raises(DBAPIError) as caught:
        compare(connection, run_id, run_id, k)
    error = caught.value.orig
    told = (error.sqlstate, error.diag.message_primary, error.diag.message_hint)
    depth = "NULL" if k is None else k
    message = f"lists cannot be compared to a depth of {depth}"
    sqlstate = "22004" if k is None else "22023"
    assert told == (sqlstate, message, "k is a number from 1 to 1000")


def test_only_the_partitions_of_the_two_are_read_and_lists_by_their_index_alone(connection):
    lists = {"ease": {user: [1, 2, 3] for user in range(1, 200)}}
    a, other, b = (make_run(connection, lists, {"ease": 5}) for _ in range(3))
    connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
    connection.execute(sa.text("SET LOCAL enable_bitmapscan = off"))
    before = {name: (scans, heap) for name, scans, heap in connection.execute(SCANS)}
    assert len(compare(connection, a, b)) == 9
    after = {name: (scans, heap) for name, scans, heap in connection.execute(SCANS)}
    read = {name for name in after if after[name][0] > before[name][0]}
    tables = ("movie_similarities", "user_recommendations")
    assert read == {f"pk_{table}_run_{run}" for table in tables for run in (a, b)}
    assert f"pk_{tables[0]}_run_{other}" in after
    fetched = {name: after[name][1] - before[name][1] for name in after}
    assert {fetched[f"user_recommendations_run_{run}"] for run in (a, b)} == {0}


def test_the_size_of_a_run_is_that_of_its_partitions(connection):
    run_id = make_run(connection, {"ease": {1: [1]}}, {"ease": 3})
    other = make_run(connection, {"ease": {1: [1]}})
    size = sa.text("SELECT recsys.run_size(:run_id)")
    of_table = sa.text("SELECT pg_total_relation_size(CAST(:name AS regclass))")
    parts = [
        connection.scalar(of_table, {"name": f"recsys_store.{table}_run_{run_id}"})
        for table in ("user_recommendations", "movie_similarities")
    ]
    assert connection.scalar(size, {"run_id": run_id}) == sum(parts) > 0
    assert connection.scalar(size, {"run_id": other}) == parts[0]
    results.drop(connection, run_id)
    assert connection.scalar(size, {"run_id": run_id}) == 0


@pytest.mark.parametrize(("run_id", "sqlstate"), [(4711, "RS001"), (None, "22004")])
def test_an_unknown_run_has_no_size(connection, run_id, sqlstate):
    with pytest.raises(DBAPIError) as caught:
        connection.scalar(sa.text("SELECT recsys.run_size(:run_id)"), {"run_id": run_id})
    assert caught.value.orig.sqlstate == sqlstate
