"""The Python API over the SQL contract: read published results, write ratings and blocks."""

from recsys.service.async_recommender import AsyncRecommender
from recsys.service.recommender import Recommender

__all__ = ["AsyncRecommender", "Recommender"]
