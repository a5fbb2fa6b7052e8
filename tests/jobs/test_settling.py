"""Parameters that models leave to the data: rules by size, and weights by a validation split."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from recsys.config.settings import RefreshSettings
from recsys.domain import Interactions
from recsys.jobs.plan import plan
from recsys.jobs.refresh import refresh
from recsys.jobs.refresh_users import refresh_users
from recsys.jobs.training import derived, first_as_good, settle, training_steps
from recsys.models.base import FitOptions
from recsys.models.registry import MODELS, make_config

OPTIONS = FitOptions(threads=1)


def rated(count):
    """Data with so many ratings."""
    user_items = csr_matrix((np.ones(count), np.arange(count) % 7, [0, count]), shape=(1, 7))
    return Interactions(user_items, csr_matrix((7, 0)), ())


def two_tastes(users=120, items=40):
    """Half of the users rate items of one half of the catalogue, at random."""
    random = np.random.default_rng(3)
    side = np.arange(items) < items // 2
    likes = np.where((np.arange(users) % 2 == 0)[:, None], side, ~side)
    found = csr_matrix(np.where(likes & (random.random(likes.shape) < 0.5), 4.0, 0.0))
    return Interactions(found, csr_matrix((items, 0)), ())


def settled(model, data, **params):
    spec = MODELS[model]
    parts = spec.parts(make_config(spec, params))
    specs = [each for each in MODELS.values() if each.name in (*parts, model)]
    configs = {each.name: make_config(each, params if each.name == model else {}) for each in specs}
    return settle(spec, specs, configs, data, OPTIONS)


@pytest.mark.parametrize(
    ("model", "ratings", "expected"),
    [
        ("als", 100_000, {"regularization": 20.0}),
        ("als", 1_000_000, {"regularization": 44.774}),
        ("als", 10_000_000, {"regularization": 100.237}),
        ("collective_als", 100_000, {"regularization": 40.0}),
        ("bayes_fm", 10_000, {"rank": 10, "chains": 8}),
        ("bayes_fm", 100_000, {"rank": 10, "chains": 8}),
        ("bayes_fm", 1_000_000, {"rank": 32, "chains": 3}),
        ("bayes_fm", 10_000_000, {"rank": 48, "chains": 2}),
        ("ease", 1_000_000, {}),
    ],
)
def test_rules_follow_the_number_of_ratings(model, ratings, expected):
    config = make_config(MODELS[model], {})
    assert derived(config, MODELS[model].settle(config, rated(ratings))) == expected


@pytest.mark.parametrize(
    ("model", "own"),
    [("als", {"regularization": 7.0}), ("bayes_fm", {"rank": 3, "chains": 5})],
)
def test_given_parameters_stay(model, own):
    config = make_config(MODELS[model], own)
    assert MODELS[model].settle(config, rated(1_000_000)) == config


def test_a_part_of_noise_loses_weight():
    found = settled("blend", two_tastes(), models=["ease", "random"])
    assert found.weights == (0.6, 0.4)


def test_weights_are_the_usual_ones_unless_others_are_shown_to_be_better():
    # Both parts are the same chart: no weights are better than others.
    data = two_tastes()
    assert settled("blend", data, models=["most_rated", "popular"]).weights == (0.5, 0.5)
    assert settled("blend", rated(0), models=["ease", "als"]).weights == (0.5, 0.5)
    assert settled("collective_blend", rated(0)).weights == (0.3333, 0.6667)
    assert settled("blend", data, weights=[3.0, 1.0]).weights == (3.0, 1.0)


def test_the_first_is_taken_that_is_as_good_as_the_best():
    best = np.array([0.4, 0.6, 0.5, 0.7])
    assert first_as_good([best - [0.1, 0.1, 0.1, 0.2], best - [0.1, 0, 0, -0.02], best]) == 1
    assert first_as_good([best, best]) == 0


def test_a_step_uses_the_settled_parameters():
    specs, data = [MODELS["als"]], two_tastes()
    [step] = training_steps(specs, {"als": make_config(MODELS["als"], {})}, data, OPTIONS)
    assert step.config.regularization == 0
    step.fit()
    assert step.config.regularization == round(20 * (data.user_items.nnz / 100_000) ** 0.35, 3)


def test_a_run_records_them_and_its_changed_users_get_the_same(refreshed_database):
    chosen = plan(RefreshSettings(models=("popular", "ease", "als", "blend"), threads=1))
    refresh(refreshed_database, chosen)
    with refreshed_database.transaction() as connection:
        query = "SELECT parameters->'derived' FROM recsys.runs WHERE published"
        [recorded] = connection.exec_driver_sql(query).scalars()
        assert recorded == {"als": {"regularization": 4.503}, "blend": {"weights": [0.6, 0.4]}}
    # They follow from the data: they are no other settings.
    assert not refresh(refreshed_database, chosen, if_changed=True).changed
    with refreshed_database.transaction() as connection:
        # As if the validation had chosen otherwise: the lists must tell.
        connection.exec_driver_sql(
            "UPDATE recsys_store.runs SET parameters = "
            "jsonb_set(parameters, '{derived,blend,weights}', '[1.0, 0.0]') WHERE run_id = 2"
        )
        connection.exec_driver_sql("SELECT recsys.rate(7, 3, 1.5)")
    assert refresh_users(refreshed_database, chosen).changed
    with refreshed_database.transaction() as connection:
        lists = "SELECT movie_id FROM recsys.recommendations WHERE user_id = 7 AND model = '{}'"
        blend, ease = (
            connection.exec_driver_sql(lists.format(name) + " ORDER BY rank").scalars().all()
            for name in ("blend", "ease")
        )
    assert blend == ease
