"""Networks are kept with a run: stored, started from, folded in with, dropped."""

from collections import defaultdict
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pytest
from store import change, rows_of

from recsys.config.settings import RefreshSettings
from recsys.domain import Epoch, Factors, NetworkFactors
from recsys.errors import RunError
from recsys.evaluation.protocols import protocol_named
from recsys.jobs import plan as plan_job
from recsys.jobs import results
from recsys.jobs.evaluate import evaluate
from recsys.jobs.forget import forget
from recsys.jobs.plan import plan
from recsys.jobs.publish import prune
from recsys.jobs.refresh import refresh
from recsys.jobs.refresh_users import refresh_users
from recsys.models.base import ModelSpec
from recsys.models.params import Params
from recsys.models.registry import MODELS
from recsys.storage.runs import measured

EPOCHS = (Epoch(0.5, 1.25, 0.1), Epoch(0.25, 1.0, 0.2), Epoch(0.125, 1.0, 0.3))
STORED = "SELECT run_id, model, movie_ids, network, bytes FROM recsys.networks"
TRAINED = """
SELECT run_id, model, epoch, loss, metric, validation, seconds, best FROM recsys.training_epochs
ORDER BY run_id, epoch
"""
NETWORK = np.arange(60, dtype=np.float32).tobytes() * 10_000
PARTITIONS = "SELECT relname FROM pg_class WHERE relname ~ '^networks_run_' AND relkind = 'r'"


@dataclass(frozen=True, slots=True)
class NetConfig(Params):
    warm_start: bool = False
    by_user: bool = False


@pytest.fixture
def seen(monkeypatch):
    """Register the model `net`, whose network is a number per movie; keep what it is given."""
    given = defaultdict(list)

    def fit(data, config, options):
        options.told(1, 3, "loss 0.5000, rmse 1.2500")
        given["fit"].append((data.user_items.nnz, data.previous.get("net")))
        users, items = data.user_items.shape
        both = np.ones((users, 2), np.float32), np.ones((items, 2), np.float32)
        biases = np.zeros(users), np.arange(items, dtype=float)
        return NetworkFactors(*both, *biases, NETWORK, "rmse", EPOCHS, by_user=config.by_user)

    def fold_in(trained, rows, config, options):
        given["fold_in"].append((trained.network, rows))
        ones = np.ones((len(rows), 2), np.float32)
        return Factors(ones, trained.items, np.zeros(len(rows)), trained.item_bias)

    spec = ModelSpec(
        name="net",
        display_name="Net",
        family="neural",
        kind="personal",
        config=NetConfig,
        fit=fit,
        fold_in=fold_in,
        needs=lambda config: frozenset({"times"}),
        score_meaning="none",
        description="a network without a library",
        scoring="factors",
        prediction="factors",
    )
    monkeypatch.setattr(plan_job, "MODELS", MappingProxyType({**MODELS, "net": spec}))
    return given


def chosen(**params):
    settings = RefreshSettings(
        models=("most_rated", "net"),
        default_model="net",
        list_length=10,
        threads=1,
        parameters={"net": params},
    )
    return plan(settings)


@pytest.mark.usefixtures("seen")
def test_a_refresh_keeps_the_network_and_its_epochs(filled_database):
    assert refresh(filled_database, chosen()).published
    [row] = rows_of(filled_database, STORED)
    assert row == (1, "net", list(range(1, 61)), NETWORK, 2_400_000)
    assert rows_of(filled_database, TRAINED) == [
        (1, "net", 1, 0.5, "rmse", 1.25, 0.1, False),
        (1, "net", 2, 0.25, "rmse", 1.0, 0.2, True),
        (1, "net", 3, 0.125, "rmse", 1.0, 0.3, False),
    ]
    assert rows_of(filled_database, "SELECT user_ids FROM recsys_store.networks") == [(None,)]
    [(size,)] = rows_of(filled_database, "SELECT recsys.run_size(1)")
    with filled_database.transaction() as connection:
        assert 0.9 * size < measured.last_full_run(connection).disk <= size
    assert size > 2_400_000
    # Dropped with the results of its run; the epochs stay.
    refresh(filled_database, chosen(by_user=True))
    assert prune(filled_database, 1) == [1]
    assert rows_of(filled_database, PARTITIONS) == [("networks_run_2",)]
    assert [row[0] for row in rows_of(filled_database, TRAINED)] == [1, 1, 1, 2, 2, 2]


@pytest.mark.usefixtures("seen")
def test_a_network_that_no_dump_could_hold_fails_the_run(filled_database, monkeypatch):
    monkeypatch.setattr(results, "LARGEST_ROW_TEXT", 1000)
    with pytest.raises(
        RunError, match=r"^the network of net has 2 MiB, and a dump of the database"
    ):
        refresh(filled_database, chosen())
    assert rows_of(filled_database, "SELECT state FROM recsys.runs") == [("failed",)]
    assert rows_of(filled_database, PARTITIONS) + rows_of(filled_database, TRAINED) == []


def test_a_warm_start_is_given_the_network_of_the_published_run(filled_database, seen):
    refresh(filled_database, chosen(by_user=True))
    change(
        filled_database,
        "INSERT INTO recsys_store.movies (movie_id, key, title, original_title) "
        "VALUES (0, 'new', 'New', 'New')",
        "SELECT recsys.rate(900, 0, 5)",
    )
    seen.clear()
    refresh(filled_database, chosen(by_user=True, warm_start=True))
    # The second is the fit of the gate, which must not know its test ratings.
    [(_, network), (fewer, other)] = seen["fit"]
    assert network.network == NETWORK
    assert network.items.tolist() == [-1, *range(60)]
    assert network.users.tolist() == [*range(81), -1]
    assert other is None
    assert fewer > 0
    # An unchanged input is unchanged, although a fit would now start from another network.
    report = refresh(filled_database, chosen(by_user=True, warm_start=True), if_changed=True)
    assert not report.changed


def test_an_evaluation_starts_cold_and_records_the_epochs(filled_database, seen, caplog):
    refresh(filled_database, chosen(warm_start=True))
    seen.clear()
    caplog.set_level("INFO")
    evaluate(filled_database, chosen(warm_start=True), protocol_named("random-90-10"), seed=1)
    assert [network for _, network in seen["fit"]] == [None] * len(seen["fit"])
    assert [row[2] for row in rows_of(filled_database, TRAINED) if row[0] == 2] == [1, 2, 3]
    [told] = [record for record in caplog.records if "epoch" in record.msg]
    assert told.getMessage() == "net: epoch 1 of 3, loss 0.5000, rmse 1.2500"
    assert told.facts == {"stage": "net", "epoch": 1, "epochs": 3, "loss": 0.5, "rmse": 1.25}


def test_changed_users_are_folded_in_with_the_network_of_the_run(filled_database, seen):
    refresh(filled_database, chosen())
    change(filled_database, "SELECT recsys.rate(900, 3, 5)", "SELECT recsys.rate(1, 59, 4)")
    refresh_users(filled_database, chosen())
    [(network, rows)] = seen["fold_in"]
    assert network.network == NETWORK
    assert (network.items.tolist(), network.users.tolist()) == ([*range(60)], [-1, -1])
    assert np.isfinite(rows.rated_at).all()
    lists = "SELECT user_id, movie_ids FROM recsys_store.user_recommendations WHERE run_id = 2"
    assert [user for user, _ in rows_of(filled_database, f"{lists} ORDER BY 1")] == [1, 900]
    # The network is in the full run, which this one shares.
    assert [row[:2] for row in rows_of(filled_database, STORED)] == [(1, "net")]
    # A warm start after it takes that network.
    refresh(filled_database, chosen(warm_start=True))
    assert seen["fit"][-2][1].network == network.network


@pytest.mark.usefixtures("seen")
@pytest.mark.parametrize("by_user", [True, False])
def test_a_network_that_knows_a_forgotten_user_goes(filled_database, by_user):
    refresh(filled_database, chosen(by_user=by_user))
    assert forget(filled_database, 3)["networks.user_ids"] == by_user
    assert len(rows_of(filled_database, STORED)) == (not by_user)
