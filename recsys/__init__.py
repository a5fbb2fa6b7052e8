"""A movie recommender whose whole state lives in PostgreSQL.

from recsys import Recommender

with Recommender.connect() as recommender:
    recommender.recommend(user_id=1)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recsys.service import AsyncRecommender, Recommender

__all__ = ["AsyncRecommender", "Recommender"]


def __getattr__(name: str) -> Any:
    # Late, so that what needs no database does not load one.
    if name in __all__:
        from recsys import service

        return getattr(service, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
