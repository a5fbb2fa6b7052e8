"""A run with new lists of changed users: they equal those of a full recomputation."""

from collections import Counter, defaultdict
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import sqlalchemy as sa
from grades import counted

from recsys.config.settings import RefreshSettings
from recsys.errors import NotPublished, RefreshBusy, RunError
from recsys.jobs.plan import as_derived, plan
from recsys.jobs.refresh import refresh
from recsys.jobs.refresh_users import refresh_users
from recsys.storage.runs import lock, publication

VERIFIED = "SELECT model, users, stored, missing, extra FROM recsys.verify_lists(NULL, NULL)"
STORED = """
SELECT user_id, movie_ids, scores FROM recsys_store.user_recommendations
WHERE run_id = {} AND model_id = (SELECT model_id FROM recsys_store.models WHERE name = '{}')
    AND user_id IN (1, 2, 900) ORDER BY 1
"""
OF = """
SELECT u.user_id, d.name, count(*) FROM recsys_store.user_recommendations AS u
JOIN recsys_store.models AS d USING (model_id)
WHERE run_id = 2 AND user_id IN (1, 2, 3, 900) GROUP BY 1, 2 ORDER BY 1, 2
"""
RATED = "SELECT movie_id, rating FROM recsys_store.ratings WHERE user_id = {}"
OF_RUN_1 = """
run_id = 1 AND model_id = (SELECT model_id FROM recsys_store.models WHERE name = '{}')
ORDER BY movie_id
"""
SIMILARITIES = f"""
SELECT movie_id, similar_movie_ids, coalesce(scores, CAST(real_scores AS double precision[]))
FROM recsys_store.movie_similarities WHERE {OF_RUN_1}
"""
FACTORS = f"SELECT movie_id, factors, bias FROM recsys_store.movie_factors WHERE {OF_RUN_1}"
LEVELS = "SELECT user_id, bias FROM recsys_store.user_factors WHERE run_id = 2 ORDER BY user_id"
BIASES = "SELECT movie_id, bias FROM recsys_store.movie_factors WHERE run_id = 1"
LISTED = """
SELECT u.user_id, l.score, recsys.predict_rating(u.user_id, l.movie_id)
FROM recsys_store.user_recommendations AS u, unnest(u.movie_ids, u.scores) AS l (movie_id, score)
WHERE u.run_id = 2
"""
# A run from before this was recorded counts on the current ratings.
MEAN = """
SELECT coalesce(r.ratings_mean, (SELECT avg(g.rating) FROM recsys_store.ratings AS g))
FROM recsys_store.runs AS r WHERE r.run_id = 1
"""
CHANGES = (
    "SELECT recsys.rate(1, 59, 4)",
    "UPDATE recsys_store.ratings SET rating = 1 WHERE user_id = 2 AND movie_id = ("
    "SELECT min(movie_id) FROM recsys_store.ratings WHERE user_id = 2)",
    "DELETE FROM recsys_store.ratings WHERE user_id = 3",
    "SELECT recsys.rate(900, 1, 5)",
)


def rows_of(database, query):
    with database.transaction() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


def change(database, *statements):
    with database.transaction() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


@pytest.fixture
def changed(refreshed_database):
    """1 rates a movie, 2 rates one otherwise, 3 takes all back, 900 is new."""
    change(refreshed_database, *CHANGES)
    return refreshed_database


@pytest.fixture(scope="module")
def after_template(template_from_refreshed, plan_all):
    with template_from_refreshed("users") as database:
        change(database, *CHANGES)
        refresh_users(database, plan_all)
        yield database.engine.url.database


@pytest.fixture
def after(make_database, after_template):
    """A database of the test's own with the changes, and run 2 made of them."""
    return make_database(after_template)


def test_lists_are_those_of_a_whole_recomputation(changed, plan_all):
    report = refresh_users(changed, plan_all)
    assert (report.run_id, report.published, report.changed) == (2, True, True)
    verified = rows_of(changed, VERIFIED)
    assert [(row[0], row[1], *row[3:]) for row in verified] == [
        ("ease", 80, 0, 0), ("item_knn", 80, 0, 0),
    ]  # fmt: skip


def test_changed_users_have_lists_of_every_model(after, plan_all):
    personal = {spec.name for spec in plan_all.specs if spec.kind == "personal"}
    found = {(user, model) for user, model, _ in rows_of(after, OF)}
    # No rating is left of user 3.
    assert found == {(user, model) for user in (1, 2, 900) for model in personal}
    for user in (1, 2, 900):
        for model in personal:
            [first] = rows_of(
                after,
                "SELECT DISTINCT source, model, run_id "
                f"FROM recsys.recommend({user}, 5, '{model}')",
            )
            assert first == ("stored", model, 2)


@pytest.mark.parametrize("model", ["ease", "item_knn", "content_genres", "als", "mf"])
def test_lists_are_those_of_the_model_that_the_full_run_stored(after, plan_all, model):
    """Compute them with what this run stored, by formulas of its own."""
    found = rows_of(after, STORED.format(2, model))
    assert [user for user, _, _ in found] == [1, 2, 900]
    [(recorded,)] = rows_of(after, "SELECT parameters FROM recsys.runs WHERE run_id = 1")
    wanted = BY_FORMULA[model](after, as_derived(plan_all, recorded).configs[model])
    for user, movies, scores in found:
        own, scored = wanted(user), dict(zip(movies, scores, strict=True))
        rated = {movie for movie, _ in rows_of(after, RATED.format(user))}
        assert not rated & set(movies)
        # The best are listed, with the scores of the formula.
        assert scored == pytest.approx({movie: own[movie] for movie in movies}, rel=1e-4)
        left = [score for movie, score in own.items() if movie not in rated and movie not in scored]
        assert max(left, default=-9) <= min(scores) + 1e-4


def counts_of(database, user):
    ratings = dict(rows_of(database, RATED.format(user) + " ORDER BY movie_id"))
    [(low, high, mean)] = rows_of(
        database,
        "SELECT rating_min, rating_max, coalesce(ratings_mean, ("
        "SELECT avg(g.rating) FROM recsys_store.ratings AS g)) "
        "FROM recsys_store.runs WHERE run_id = 1",
    )
    row = np.array([list(ratings.values())])
    [counts] = counted(row, scale=(low, high), mean_of_all=mean)
    return dict(zip(ratings, counts, strict=True))


def by_similarities(database, config, model):
    lists = {
        movie: dict(zip(similar, scores, strict=True))
        for movie, similar, scores in rows_of(database, SIMILARITIES.format(model))
    }

    def scored(user):
        sums = defaultdict(float)
        for movie, weight in counts_of(database, user).items():
            for other, score in lists.get(movie, {}).items():
                sums[other] += weight * score
        return {movie: score for movie, score in sums.items() if score > 0}

    return scored


def by_als(database, config):
    ids, items, _ = zip(*rows_of(database, FACTORS.format("als")), strict=True)
    matrix = np.array(items)

    def scored(user):
        counts = counts_of(database, user)
        weights = np.array([counts.get(movie, 0) for movie in ids])
        preferred = weights > 0
        confidence = np.diag(np.where(preferred, config.alpha * weights, 1))
        penalty = config.regularization * np.eye(matrix.shape[1])
        own = np.linalg.solve(
            matrix.T @ confidence @ matrix + penalty, matrix.T @ confidence @ preferred
        )
        return dict(zip(ids, matrix @ own, strict=True))

    return scored


def by_mf(database, config):
    stored = {movie: (own, b) for movie, own, b in rows_of(database, FACTORS.format("mf"))}
    nothing = [0.0] * config.factors, 0.0
    [(mean,)] = rows_of(database, MEAN)

    def scored(user):
        given = rows_of(database, RATED.format(user))
        # A movie that the run does not know has neither factors nor a bias.
        seen = np.array([[*stored.get(movie, nothing)[0], 1] for movie, _ in given])
        left = np.array([value - mean - stored.get(movie, nothing)[1] for movie, value in given])
        penalty = np.full(seen.shape[1], config.regularization * np.sqrt(len(given)))
        penalty[-1] = config.bias_regularization
        *own, bias = np.linalg.solve(seen.T @ seen + np.diag(penalty), seen.T @ left)
        return {movie: mean + bias + b + own @ np.array(q) for movie, (q, b) in stored.items()}

    return scored


def by_genres(database, config):
    genres = defaultdict(set)
    for movie, genre in rows_of(
        database, "SELECT movie_id, genre_id FROM recsys_store.movie_genres"
    ):
        genres[movie].add(genre)
    frequency = Counter(genre for own in genres.values() for genre in own)
    names = sorted(frequency)
    weights = np.array([np.log((1 + len(genres)) / (1 + frequency[g])) + 1 for g in names])
    vectors = {
        movie: np.array([g in own for g in names]) * weights for movie, own in genres.items()
    }
    vectors = {movie: vector / np.linalg.norm(vector) for movie, vector in vectors.items()}

    def scored(user):
        profile = sum(
            weight * vectors[movie] for movie, weight in counts_of(database, user).items()
        )
        cosines = {m: v @ profile / np.linalg.norm(profile) for m, v in vectors.items()}
        return {movie: cosine for movie, cosine in cosines.items() if cosine > 0}

    return scored


BY_FORMULA = {
    "ease": partial(by_similarities, model="ease"),
    "item_knn": partial(by_similarities, model="item_knn"),
    "content_genres": by_genres,
    "als": by_als,
    "mf": by_mf,
}


def test_a_full_run_records_the_scale_that_users_are_folded_in_on(refreshed_database):
    [recorded] = rows_of(
        refreshed_database, "SELECT ratings_mean, ratings_deviation FROM recsys_store.runs"
    )
    wanted = "SELECT avg(rating), stddev_pop(rating) FROM recsys_store.ratings"
    assert recorded == pytest.approx(rows_of(refreshed_database, wanted)[0], rel=1e-12)


def test_predicted_ratings_follow_the_new_factors(after, plan_all):
    predicted = by_mf(after, plan_all.configs["mf"])
    for user in (1, 2, 900):
        for movie in (4, 9, 16):
            [(found,)] = rows_of(after, f"SELECT recsys.predict_rating({user}, {movie}, 'mf')")
            assert found == pytest.approx(min(max(predicted(user)[movie], 0.5), 5), rel=1e-4)


def test_user_knn_lists_what_it_predicts_with_the_biases_of_the_full_run(filled_database):
    chosen = plan(
        RefreshSettings(
            models=("most_rated", "user_knn"), default_model="user_knn", cold_start="most_rated",
            threads=1,
        )
    )  # fmt: skip
    refresh(filled_database, chosen)
    change(filled_database, *CHANGES)
    assert refresh_users(filled_database, chosen).run_id == 2
    levels = dict(rows_of(filled_database, LEVELS))
    assert list(levels) == [1, 2, 900]
    [(mean,)] = rows_of(filled_database, MEAN)
    biases = dict(rows_of(filled_database, BIASES))
    for user, level in levels.items():
        given = rows_of(filled_database, RATED.format(user))
        # The full run does not know movie 59, which counts as average.
        beyond = [rating - mean - biases.get(movie, 0) for movie, rating in given]
        assert level == pytest.approx(mean + sum(beyond) / (len(beyond) + 5), rel=1e-12)
    listed = rows_of(filled_database, LISTED)
    # One rating in common with others is too few for neighbours.
    assert {user for user, _, _ in listed} == {1, 2}
    for _, score, predicted in listed:
        assert predicted == pytest.approx(min(max(score, 0.5), 5), rel=1e-12)


def test_ratings_that_passed_the_triggers_by_are_found(refreshed_database, plan_all):
    change(
        refreshed_database,
        "ALTER TABLE recsys_store.ratings DISABLE TRIGGER USER",
        "DELETE FROM recsys_store.ratings WHERE user_id = 1 AND movie_id < 30",
        "ALTER TABLE recsys_store.ratings ENABLE TRIGGER USER",
    )
    report = refresh_users(refreshed_database, plan_all)
    assert (report.run_id, report.changed) == (2, True)
    found = [(row[0], *row[3:]) for row in rows_of(refreshed_database, VERIFIED)]
    assert found == [("ease", 0, 0), ("item_knn", 0, 0)]


def test_the_run_records_its_base_and_its_data(after, plan_all):
    facts = """
        SELECT kind, scope, base_run_id, state, default_model_id = live_model_id,
            ratings_count = (SELECT count(*) FROM recsys_store.ratings), snapshot_checksum,
            output_checksum <> (SELECT output_checksum FROM recsys_store.runs WHERE run_id = 1)
        FROM recsys_store.runs WHERE run_id = 2
    """
    assert rows_of(after, facts) == [("refresh", "users", 1, "complete", True, True, None, True)]
    stages = "SELECT stage FROM recsys.run_stages WHERE run_id = 2 ORDER BY position"
    assert rows_of(after, stages) == [("read",), ("models",), ("lists",), ("write",), ("index",)]


def test_the_same_changes_give_the_same_checksum(after, plan_all):
    checksum = "SELECT output_checksum FROM recsys.runs WHERE run_id IN (2, 3)"
    change(after, "UPDATE recsys_store.published SET run_id = 1")
    refresh_users(after, plan_all)
    [one, other] = rows_of(after, checksum)
    assert one == other


def test_a_second_one_builds_on_the_first_and_names_the_whole_run(after, plan_all):
    change(after, "SELECT recsys.rate(4, 59, 5)")
    assert refresh_users(after, plan_all).run_id == 3
    scopes = "SELECT run_id, scope, base_run_id FROM recsys_store.runs ORDER BY run_id"
    assert rows_of(after, scopes) == [(1, "full", None), (2, "users", 1), (3, "users", 1)]
    assert all(row[3:] == (0, 0) for row in rows_of(after, VERIFIED))
    # The gate compares the next whole refresh with the whole run before.
    with after.transaction() as connection:
        figures = publication.published_figures(connection)
    assert (figures.run_id, bool(figures.rows), bool(figures.metrics)) == (3, True, True)
    assert refresh(after, plan_all, if_changed=True).changed


def test_nothing_changed_is_no_run(refreshed_database, plan_all):
    report = refresh_users(refreshed_database, plan_all)
    assert (report.run_id, report.changed) == (1, False)
    assert rows_of(refreshed_database, "SELECT count(*) FROM recsys.runs") == [(1,)]


def test_unsuitable_base_runs_are_refused(filled_database, refreshed_database, plan_all):
    with pytest.raises(NotPublished):
        refresh_users(filled_database, plan_all)
    with pytest.raises(RunError, match=r"^run 1 has other settings than recsys"):
        refresh_users(refreshed_database, plan(RefreshSettings(models=("ease", "most_rated"))))
    with pytest.raises(RunError, match=r"^run 1 has other settings than recsys"):
        refresh_users(
            refreshed_database, replace(plan_all, settings=replace(plan_all.settings, seed=5))
        )
    with (
        refreshed_database.session() as session,
        lock.single_flight(session),
        pytest.raises(RefreshBusy),
    ):
        refresh_users(refreshed_database, plan_all)


def test_it_may_be_held_back(changed, plan_all):
    assert not refresh_users(changed, replace(plan_all, publish=False)).published
    assert rows_of(changed, "SELECT run_id FROM recsys.runs WHERE published") == [(1,)]


def test_one_that_fails_leaves_nothing(changed, plan_all, monkeypatch):
    from recsys.storage.runs import changed_users

    def broken(*arguments):
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(changed_users, "finish", broken)
    with pytest.raises(RuntimeError):
        refresh_users(changed, plan_all)
    assert rows_of(changed, "SELECT state, error FROM recsys.runs WHERE run_id = 2") == [
        ("failed", "the disk is full")
    ]
    left = r"SELECT count(*) FROM pg_class WHERE relname ~ '_run_2$'"
    assert rows_of(changed, left) == [(0,)]


# --- the proof itself ---


@pytest.mark.parametrize(
    ("wrong", "missing", "extra"),
    [
        ("movie_ids = trim_array(movie_ids, 1), scores = trim_array(scores, 1)", 1, 0),
        ("scores[1] = scores[1] + 1e-9", 1, 1),
        ("movie_ids = movie_ids || movie_ids[1], scores = scores || scores[1]", 0, 1),
    ],
    ids=["a row lacks", "a score is off", "a row is there twice"],
)  # fmt: skip
def test_one_wrong_row_is_seen(refreshed_database, wrong, missing, extra):
    [(model_id,)] = rows_of(
        refreshed_database, "SELECT model_id FROM recsys_store.models WHERE name = 'ease'"
    )
    change(
        refreshed_database,
        f"UPDATE recsys_store.user_recommendations_run_1 SET {wrong} "
        f"WHERE user_id = 1 AND model_id = {model_id}",
    )
    found = {row[0]: row[3:] for row in rows_of(refreshed_database, VERIFIED)}
    assert found == {"ease": (missing, extra), "item_knn": (0, 0)}


def test_changed_users_are_left_out_and_a_sample_suffices(changed):
    assert {row[:2] for row in rows_of(changed, VERIFIED)} == {("ease", 77), ("item_knn", 77)}
    sample = rows_of(changed, "SELECT users, missing + extra FROM recsys.verify_lists(1, 5)")
    assert sample == [(5, 0), (5, 0)]
