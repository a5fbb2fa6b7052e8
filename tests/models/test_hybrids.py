"""The hybrids against plain loops over the lists of their parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from computing import compute

from recsys.domain import Chart, Charts, FittedModel, Interactions, TopN
from recsys.errors import ConfigError
from recsys.jobs.training import fit_model
from recsys.models.base import rank
from recsys.models.registry import MODELS, FitOptions, make_config
from tests.models.helpers import interactions, model_of, row

USERS, ITEMS = 23, 30
Entry = tuple[int, float, int]
"""Movie, score, position of its model in the chain."""


def ratings(seed: int) -> np.ndarray:
    """Users of no, few and many ratings; the last has rated everything, the first nothing."""
    random = np.random.default_rng(seed)
    activity = random.permutation(np.linspace(0, 0.6, USERS))
    dense = (random.random((USERS, ITEMS)) < activity[:, None]) * 4.0
    dense[0], dense[-1] = 0, 4
    return dense


def personal(dense: np.ndarray, seed: int, least: int = 0) -> TopN:
    """Random lists of up to 9 movies not rated; empty for users of fewer than `least` ratings."""
    random = np.random.default_rng(seed)
    lists: list[np.ndarray] = []
    for given in dense:
        free = random.permutation(np.flatnonzero(given == 0))
        served = (given > 0).sum() >= least
        lists.append(free[: random.integers(0, 10)] if served else free[:0])
    indices = np.concatenate(lists).astype(np.int32)
    scores = np.concatenate([np.sort(random.normal(size=len(one)))[::-1] for one in lists])
    indptr = np.concatenate(([0], np.cumsum([len(one) for one in lists])))
    return TopN(indptr, indices, scores)


def chart(seed: int, length: int) -> Charts:
    """A chart of some movies, and one of a genre that is not to be used."""
    random = np.random.default_rng(seed)
    items = random.permutation(ITEMS)[:length].astype(np.int32)
    numbers = np.zeros(length, np.int64), np.zeros(length)
    scores = np.linspace(50, 40, length)
    genre = Chart("Drama", items[::-1], scores, *numbers)
    return Charts((genre, Chart(None, items, scores, *numbers)))


def learned(dense: np.ndarray) -> dict[str, TopN | Charts]:
    """Return the offers of the models of the chains: lists of all users, or charts."""
    return {
        "ease": personal(dense, 1, least=3),
        "als": personal(dense, 2),
        "popular": chart(3, 17),
        "trending": Charts(),
    }


def with_parts(ratings: np.ndarray, offers: Mapping[str, TopN | Charts]) -> Interactions:
    """Return ratings and the models that make these offers."""
    parts = {
        name: model_of(name, each) if isinstance(each, TopN) else FittedModel(name, each, rank)
        for name, each in offers.items()
    }
    return replace(interactions(ratings), parts=parts)


def fit(
    name: str, dense: np.ndarray, n: int, block_rows: int = 1024, **params: Any
) -> tuple[list[list[Entry]], TopN]:
    spec = MODELS[name]
    config = make_config(spec, params)
    assert spec.parts(config) == config.chain
    data, options = with_parts(dense, learned(dense)), FitOptions(block_rows=block_rows)
    lists = compute(spec, config, data, options, n).recommendations
    assert lists is not None
    assert lists.source_names == config.chain
    assert lists.sources is not None
    assert lists.sources.dtype == np.int16
    assert len(lists.sources) == len(lists.indices) == len(lists.scores) == lists.indptr[-1]
    entries = list(
        zip(lists.indices.tolist(), lists.scores.tolist(), lists.sources.tolist(), strict=True)
    )
    bounds = lists.indptr.tolist()
    return [entries[a:b] for a, b in pairwise(bounds)], lists


def offered(dense: np.ndarray, chain: tuple[str, ...], user: int, n: int) -> list[list[Entry]]:
    """Return the list of each model for the user, cut to n."""
    found = []
    for source, name in enumerate(chain):
        offer = learned(dense)[name]
        pairs: list[tuple[int, float]] = []
        if isinstance(offer, TopN):
            own = row(offer, user)
            pairs = list(zip(offer.indices[own].tolist(), offer.scores[own].tolist(), strict=True))
        elif offer.overall is not None:
            ranked = zip(offer.overall.items.tolist(), offer.overall.scores.tolist(), strict=True)
            pairs = [(item, score) for item, score in ranked if dense[user, item] == 0]
        found.append([(item, score, source) for item, score in pairs[:n]])
    return found


CHAINS = [
    (("ease", "als", "popular"), (5, 1, 0)),
    (("als", "ease", "popular"), (0, 8, 0)),
    (("ease", "trending", "als"), (0, 0, 7)),
    (("trending",), (0,)),
    (("als",), (7,)),
    (("popular", "als"), (4, 0)),
]


@pytest.mark.parametrize("n", [1, 4, 100])
@pytest.mark.parametrize(("chain", "least"), CHAINS)
def test_switching_takes_the_first_that_can_serve(
    chain: tuple[str, ...], least: tuple[int, ...], n: int
) -> None:
    dense = ratings(5)
    found, _ = fit("hybrid_switching", dense, n, chain=chain, min_ratings=least)
    sources = set()
    for user, entries in enumerate(found):
        count = int((dense[user] > 0).sum())
        offers = zip(offered(dense, chain, user, n), least, strict=True)
        expected = next((one for one, needed in offers if one and count >= needed), [])
        assert entries == expected
        sources.update(source for _, _, source in entries)
    if chain == CHAINS[0][0]:
        assert sources == {0, 1, 2}


@pytest.mark.parametrize("n", [1, 4, 100])
@pytest.mark.parametrize(
    "chain",
    [("ease", "als", "trending", "popular"), ("popular", "als", "ease"), ("als",), ("trending",)],
)
def test_mixed_takes_turns(chain: tuple[str, ...], n: int) -> None:
    dense = ratings(6)
    found, _ = fit("hybrid_mixed", dense, n, chain=chain)
    twice = 0
    for user, entries in enumerate(found):
        offers = offered(dense, chain, user, n)
        expected: list[Entry] = []
        for turn in range(n):
            for one in offers:
                if turn < len(one) and one[turn][0] not in [entry[0] for entry in expected]:
                    expected.append(one[turn])
        assert entries == expected[:n]
        twice += sum(map(len, offers)) - len(expected)
    if n == 100 and len(chain) > 1:
        assert twice > 10


def test_mixed_by_hand() -> None:
    """A movie that is listed already costs the turn; an exhausted model passes."""
    lists = {
        "ease": ([4, 1, 2], [0.9, 0.8, 0.7]),
        "als": ([1, 4, 3, 5], [3.0, 2.0, 1.0, 0.5]),
    }
    offers: dict[str, TopN | Charts] = {
        name: TopN(np.array([0, len(items)]), np.array(items, np.int32), np.array(scores))
        for name, (items, scores) in lists.items()
    }
    ranked = Chart(
        None,
        np.array([0, 6, 1, 7], np.int32),
        np.array([9.0, 8, 7, 6]),
        np.ones(4, np.int64),
        np.ones(4),
    )
    offers["popular"] = Charts((ranked,))
    data = with_parts(np.array([[5.0, 0, 0, 0, 0, 0, 0, 0]]), offers)
    spec = MODELS["hybrid_mixed"]
    config = make_config(spec, {"chain": ("ease", "als", "popular")})
    lists_ = compute(spec, config, data, FitOptions()).recommendations
    assert lists_ is not None
    assert lists_.indices.tolist() == [4, 1, 6, 2, 3, 7, 5]
    assert lists_.scores.tolist() == [0.9, 3.0, 8.0, 0.7, 1.0, 6.0, 0.5]
    assert lists_.sources is not None
    assert lists_.sources.tolist() == [0, 1, 2, 0, 1, 2, 1]


@pytest.mark.parametrize("name", ["hybrid_switching", "hybrid_mixed"])
def test_a_chart_serves_everybody(name: str) -> None:
    dense = ratings(7)
    params: dict[str, Any] = {"chain": ("ease", "popular")}
    if name == "hybrid_switching":
        params["min_ratings"] = (1, 0)
    found, _ = fit(name, dense, 5, **params)
    assert [item for item, _, _ in found[0]] == chart(3, 17).charts[1].items[:5].tolist()
    assert {len(entries) for entries in found[:-1]} >= {5}
    assert all(found[:-1])
    assert found[-1] == []  # has rated everything


@pytest.mark.parametrize("name", ["hybrid_switching", "hybrid_mixed"])
def test_blocks_do_not_matter(name: str) -> None:
    dense = ratings(8)
    params: dict[str, Any] = {"chain": ("ease", "als", "popular")}
    if name == "hybrid_switching":
        params["min_ratings"] = (5, 1, 0)
    whole = fit(name, dense, 6, **params)[0]
    assert fit(name, dense, 6, block_rows=4, **params)[0] == whole


def test_a_hybrid_can_be_part_of_a_hybrid() -> None:
    dense = ratings(9)
    data = with_parts(dense, learned(dense))
    inner = MODELS["hybrid_switching"]
    config = make_config(inner, {"chain": ("ease", "popular"), "min_ratings": (3, 0)})
    part = fit_model(inner, config, data, FitOptions(), data.parts)
    other = compute(inner, config, data, FitOptions(), 4).recommendations
    data = replace(data, parts={part.name: part})
    outer = MODELS["hybrid_mixed"]
    config = make_config(outer, {"chain": ("hybrid_switching",)})
    one = compute(outer, config, data, FitOptions(), 4).recommendations
    assert one is not None
    assert other is not None
    assert one.source_names == ("hybrid_switching",)
    assert one.indices.tolist() == other.indices.tolist()
    assert one.indptr.tolist() == other.indptr.tolist()
    assert one.sources is not None
    assert not one.sources.any()


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("hybrid_mixed", {"chain": ()}, "chain = () names no model"),
        ("hybrid_mixed", {"chain": ["als", "als"]}, "chain = ('als', 'als') names a model twice"),
        (
            "hybrid_mixed",
            {"chain": ["als", "hybrid_mixed"]},
            "chain = ('als', 'hybrid_mixed') names hybrid_mixed itself",
        ),
        (
            "hybrid_switching",
            {"chain": ["hybrid_switching"], "min_ratings": [0]},
            "chain = ('hybrid_switching',) names hybrid_switching itself",
        ),
    ],
)
def test_chains_refused(name: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_config(MODELS[name], params)
    assert str(caught.value) == f"model {name}: {message}"
    assert caught.value.hint == "chain must name one or more other models, each once"
    assert caught.value.key == ("chain",)


@pytest.mark.parametrize("least", [(), (1,), (1, 2, 3)])
def test_min_ratings_refused(least: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match=r"min_ratings = .* does not fit the chain") as caught:
        make_config(MODELS["hybrid_switching"], {"chain": ["als", "popular"], "min_ratings": least})
    assert caught.value.hint == ("min_ratings must be 2 numbers, one for each of: als, popular")
    assert caught.value.key == ("min_ratings",)
