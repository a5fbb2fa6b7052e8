"""The declaration of a model for the registry, and default functions that use a fitted model."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import partial, singledispatch
from typing import Annotated, Any, Literal, get_args

from recsys.domain import (
    Charts,
    ComputeLimits,
    Factors,
    Fitted,
    Int64,
    Interactions,
    ItemVectors,
    Metric,
    Neighbours,
    RatingWeights,
    Term,
    Told,
    TopN,
    TrainedItems,
    UserNeighbours,
    UserRows,
)
from recsys.errors import ConfigError
from recsys.models import params
from recsys.models.cost import CostOf
from recsys.models.params import NOT_A_KEY, Bounds, Params
from recsys.models.shards import Shards
from recsys.numerics import scoring

Kind = Literal["chart", "similarity", "personal"]
Need = Literal["times", "texts", "votes", "attributes"]
Prediction = Literal["factors", "user_neighbours", "movie_neighbours"]
Scoring = Literal["sum", "mean_product", "factors", "profile", "neighbour_ratings", "parts"]
Role = Literal[
    "default", "cold_start", "rating", "live", "content", "similar", "similar_users",
    "popularity", "top",
]  # fmt: skip
LIVE_SCORINGS: tuple[Scoring, ...] = ("sum", "mean_product")
"""Scorings that SQL repeats for ratings a run never saw, from the stored similarities alone."""


def tell_nobody(done: int, total: int, note: str) -> None:
    """Hear of epochs and do nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitOptions(ComputeLimits, Params):
    """Options of all fits of a run; the parameters of a model are in its config."""

    k: Annotated[int, Bounds(1)] = 100
    """Number of neighbours kept for each item or user."""
    seed: Annotated[int, Bounds(0, 2**32 - 1)] = 42
    """Seed of every random number."""
    memory_mb: Annotated[int, Bounds(1)] = 1024
    """Bound of the working blocks, all threads together, in MiB."""
    threads: Annotated[int, Bounds(0)] = 0
    """Number of threads. 0: one per processor."""
    block_rows: Annotated[int, Bounds(1)] = 1024
    """Rows of a block at most."""
    told: Told = field(default=tell_nobody, metadata=NOT_A_KEY, compare=False)
    """Called after each epoch of a training; not sent to executors."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Listeners such as progress bars stay here: executors may lack their packages.
        sent = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "told"}
        return partial(type(self), **sent), ()


@dataclass(frozen=True, slots=True)
class Choice:
    """Values of a parameter worth trying, each as likely as the others."""

    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers worth trying for a parameter, from `low` to `high`."""

    low: float
    high: float
    log: bool = False
    """Draw uniformly on a logarithmic scale."""
    whole: bool = False
    each: str = ""
    """Name of a parameter; one number is drawn for each of its elements."""


Ranker = Callable[[Any, UserRows, int, ComputeLimits], TopN]


@singledispatch
def rank(fitted: Fitted, users: UserRows, n: int, limits: ComputeLimits) -> TopN:
    """Return the best n items for each user of a block, as the type of `fitted` implies."""
    raise TypeError(f"a model that learns {type(fitted).__name__} needs a rank of its own")


rank.register(Neighbours, scoring.rank_by_sum)
rank.register(UserNeighbours, scoring.rank_by_user_neighbours)
rank.register(Factors, scoring.rank_by_factors)
rank.register(ItemVectors, scoring.rank_by_profile)
rank.register(Charts, scoring.rank_by_chart)


def similar_items(fitted: Fitted, options: FitOptions) -> Neighbours | None:
    """Return the similar items of each item, as the type of `fitted` implies; None without any."""
    if isinstance(fitted, Neighbours):
        return fitted
    if isinstance(fitted, Factors):
        return scoring.neighbours_by_factors(fitted.items, options.k, options)
    if isinstance(fitted, ItemVectors):
        one_space = len(fitted.parts) == 1  # its vectors have length 1 already
        vectors = fitted.parts[0]
        if not one_space:
            vectors = scoring.weighted_vectors(fitted.parts, fitted.weights)
        return scoring.neighbours_by_vectors(vectors, options.k, options)
    return None


def no_measures(
    fitted: Any, data: Interactions, config: Any, options: FitOptions
) -> tuple[Metric, ...]:
    """Measure nothing: most models have no figures of their own."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """A model: its functions, and as data all that the rest of the code needs to know about it.

    Raises ConfigError for a claim that the model cannot fulfil.
    """

    name: str
    """Identifies the model everywhere: command line, SQL, Python, `recsys.toml`."""
    display_name: str
    """Name that pages and reports show."""
    family: str
    """Group of models it is listed with: charts, knn, content, factors, linear, sequential,
    neural or ensembles."""
    kind: Kind
    config: type[Any]
    """A frozen dataclass whose defaults are the model's, checked on construction."""
    fit: Callable[[Interactions, Any, FitOptions], Fitted]
    """Learn from interactions, without mutating them; the same input gives the same output."""
    score_meaning: str
    description: str
    learn: Callable[[Shards, Any, FitOptions], Fitted] | None = None
    """What `fit` does, from interactions in shards; None: the model needs all in one place, so an
    engine on several machines refuses it. Sums must not depend on the order of shards."""
    rank: Ranker = rank
    """Make lists for any block of users from what `fit` returned."""
    fold_in: Callable[[TrainedItems, UserRows, Any, FitOptions], Factors] | None = None
    """Find the factors of users from their ratings and from trained items or a network."""
    fit_users: Callable[[Interactions, Int64, TrainedItems, Any, FitOptions], Fitted] | None = None
    """Learn about some users, given by position, what `fit` learns about all; the biases of items
    are those it learned."""
    similar: Callable[[Any, FitOptions], Neighbours | None] = similar_items
    """Find the similar items of each item from what `fit` returned."""
    measure: Callable[[Any, Interactions, Any, FitOptions], tuple[Metric, ...]] = no_measures
    """Figures of the model on its training data, recorded with a run."""
    measure_shards: Callable[[Any, Shards, Any, FitOptions], tuple[Metric, ...]] | None = None
    """What `measure` does, over shards; None: the model has no figures of its own."""
    cost: CostOf | None = None
    """What it costs by the size of the data and its config; None: unknown until it has run."""
    labels: tuple[tuple[float, str], ...] = ()
    """Bounds and words for scores, highest bound first: a score has the first label whose bound
    it exceeds. The last bound is minus infinity."""
    needs: Callable[[Any], frozenset[Need]] = lambda config: frozenset()
    """Data that `fit` reads beside ratings, genres and years, by the config. It costs reading
    time, and a change of it makes a published run stale."""
    settle: Callable[[Any, Interactions], Any] = lambda config, data: config
    """Replace parameters that the config leaves to the data; every fit is preceded by it."""
    rivals: Callable[[Any], tuple[Any, ...]] = lambda config: ()
    """Configs of which a validation split of the training data chooses one, by `ndcg@10`, if the
    config leaves a parameter to it. The first is taken that is as good as the best."""
    terms: Callable[[Any, Mapping[str, RatingWeights]], tuple[Term, ...]] | None = None
    """The sums that make up its scores, by the config and by what ratings count in its parts, if
    it adds up weights of its parts instead of its own."""
    parts: Callable[[Any], tuple[str, ...]] = lambda config: ()
    """Names of the models that `fit` finds in `Interactions.parts`, by the config. They come before
    this one in the registry."""
    part_scorings: frozenset[Scoring | Literal["chart"]] | None = None
    """Scorings that its parts may have, `chart` for charts; None: any model with lists, and
    charts."""
    prediction: Prediction | None = None
    """How ratings are predicted from what it learned; see `recsys.numerics.prediction`. If it
    learns baselines, SQL takes `bias_damping`, `damping` and `amplification` from its recorded
    parameters, where `baselines` must be true."""
    scoring: Scoring | None = None
    """How its lists are scored: `sum` of the weights of the rated movies; `mean_product` of
    weight and rating; products of `factors`; similarity to the content `profile` of the user;
    `neighbour_ratings`, those of similar users; composed of `parts`. None: otherwise, or no
    lists."""
    requires: tuple[str, str] | None = None
    """Package that it needs and the extra of ours that installs it."""
    search_space: Mapping[str, Choice | Range] = field(default_factory=dict, hash=False)
    """Search space of `recsys tune`: parameters and the values worth trying."""
    default_set: bool = False
    """Whether it is refreshed unless `[refresh] models` says otherwise."""
    needs_ratings: bool = False
    """Whether it learns from how ratings differ, so that it is left out where there are only
    interactions, and with it every model composed of it."""
    personal_start: bool = False
    """Whether each user enters the chart at a place of their own, instead of the top."""
    roles: Mapping[Role, int] = field(default_factory=dict, hash=False)
    """Roles it is a candidate for, with its order of preference: the lowest of those refreshed
    serves. Built-in models are ten apart, so that others fit before and between them.

    `default`: lists when no model is named. `cold_start`: the chart for users without ratings.
    `rating`: predicted ratings. `live`: lists from ratings newer than the run. `content`: lists
    that follow those. `similar`: similar movies where the default model knows none.
    `similar_users`. `popularity`: orders search results and is the baseline of the publish gate.
    `top`: the chart when none is named.
    """

    def __post_init__(self) -> None:
        for wrong in _contradictions(self):
            raise ConfigError(f"model {self.name!r}: {wrong}")


def _contradictions(spec: ModelSpec) -> Iterator[str]:
    """Tell which claims of a model it cannot fulfil."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", spec.name):
        yield "its name must be made of small letters, digits and _, a letter first"
    if spec.scoring is not None and spec.kind != "personal":
        yield "only a personal model has a scoring"
    if spec.scoring not in (None, *get_args(Scoring)):
        yield f"unknown scoring {spec.scoring!r}, known: {', '.join(get_args(Scoring))}"
    bounds = [bound for bound, _ in spec.labels]
    if bounds and (bounds != sorted(set(bounds), reverse=True) or bounds[-1] != -math.inf):
        yield "bounds of labels must descend and end with minus infinity"
    if spec.personal_start and spec.kind != "chart":
        yield "only a chart has a personal start"
    able: dict[str, tuple[bool, str]] = {
        "default": (spec.kind == "personal", "a personal model"),
        "cold_start": (spec.kind == "chart", "a chart"),
        "rating": (spec.prediction is not None, "a model with a prediction"),
        "live": (spec.scoring in LIVE_SCORINGS, f"scoring {' or '.join(LIVE_SCORINGS)}"),
        "content": (spec.scoring == "profile", "scoring profile"),
        "similar": (spec.kind != "chart", "a model with similar movies"),
        "similar_users": (spec.kind == "personal", "a personal model"),
        "popularity": (spec.kind == "chart", "a chart"),
        "top": (spec.kind == "chart", "a chart"),
    }
    for role, order in spec.roles.items():
        if role not in able:
            yield f"unknown role {role!r}, known: {', '.join(able)}"
        elif not able[role][0]:
            yield f"role {role} takes {able[role][1]}"
        elif not -(2**15) <= order < 2**15:
            yield f"role {role} has order {order}, which does not fit into 16 bits"


def make_config(spec: ModelSpec, values: Mapping[str, Any]) -> Any:
    """Build a model's parameters from named values, as `params.read` does."""
    return params.read(spec.config, values, f"model {spec.name}")
