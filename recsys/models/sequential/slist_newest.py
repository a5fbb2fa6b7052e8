"""What people rate right after a movie: `slist` over the newest few ratings.

Beside `slist`, which looks further back, it tells apart what was rated last. Formula, source and
fit are those of `slist`, with a shorter window.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from recsys.models.base import Choice, Range
from recsys.models.params import Bounds
from recsys.models.sequential import slist


@dataclass(frozen=True, slots=True)
class SlistNewestConfig(slist.SlistConfig):
    regularization: Annotated[float, Bounds(0, above=True)] = 100.0
    """Value added to the diagonal of the Gram matrix: lambda of the paper."""
    recency: Annotated[float, Bounds(0, 1, above=True)] = 0.5
    """Factor from each rating to the next older one. 1: age does not count."""
    window: Annotated[int, Bounds(1, 1000)] = 6
    """Number of newest ratings that count."""


SPEC = replace(
    slist.SPEC,
    name="slist_newest",
    display_name="SLIST, newest",
    config=SlistNewestConfig,
    description="What people rate right after the movies you rated last",
    search_space={
        **slist.SPEC.search_space,
        "regularization": Range(20, 1000, log=True),
        "recency": Range(0.2, 0.9),
        "window": Choice((1, 3, 6, 10)),
    },
    roles={"live": 50},
)
