"""A training that starts from the network of an earlier run."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from recsys.domain import Interactions, StoredNetwork
from recsys.models.base import FitOptions, make_config
from recsys.models.registry import MODELS

SMALL = {
    "neural_dot": {"factors": 8, "epochs": 30, "batch_size": 128},
    "youtube_dnn": {
        **{"factors": 8, "embedding": 8, "hidden": (16,), "history": 16, "dropout": 0.0},
        **{"epochs": 60, "patience": 60, "batch_size": 32},
    },
    "sasrec": {
        **{"factors": 8, "window": 5, "blocks": 1, "dropout": 0.0},
        **{"epochs": 60, "patience": 60, "batch_size": 32},
    },
}


def clubs(users: int, items: int) -> Interactions:
    """Return ratings of two groups, each of which rates movies of its own in a fixed order."""
    generator = np.random.default_rng(3)
    ratings = np.zeros((users, items))
    for user in range(users):
        own = np.arange(user % 2, items, 2)
        ratings[user, generator.choice(own, len(own) * 2 // 3, replace=False)] = 4 + user % 2
    matrix = csr_matrix(ratings)
    return Interactions(
        matrix,
        csr_matrix(np.ones((items, 1))),
        ("Drama",),
        rated_at=matrix.indices.astype(float),
        item_years=np.full(items, 1990, np.int32),
        rating_range=(1.0, 5.0),
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_it_begins_where_the_earlier_one_ended(name):
    """One movie and one user are new."""
    spec, options = MODELS[name], FitOptions(threads=1)
    config = make_config(spec, SMALL[name])
    before, now = clubs(40, 30), clubs(41, 31)
    first = spec.fit(before, config, options)
    assert first.epochs[-1].loss < first.epochs[0].loss
    # The new movie and user are in the middle of the others.
    places = [np.insert(np.arange(n), n // 2, -1) for n in (30, 40)]
    stored = StoredNetwork(first.network, *places)
    order = [np.delete(np.arange(n + 1), n // 2) for n in (30, 40)]
    moved = np.zeros((41, 31))
    moved[np.ix_(order[1], order[0])] = before.user_items.toarray()
    moved[20] = moved[19]
    moved[20, 15] = 5.0
    ratings = csr_matrix(moved)
    now = replace(now, user_items=ratings, rated_at=ratings.indices.astype(float))
    cold = spec.fit(now, config, options)
    warm = spec.fit(replace(now, previous={name: stored}), config, options)
    assert warm.epochs[0].loss < cold.epochs[0].loss
    assert warm.epochs[0].loss < (first.epochs[0].loss + first.epochs[-1].loss) / 2
