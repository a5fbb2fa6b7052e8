"""Reading what is published: the Python API over the SQL contract."""

from recsys.service.async_recommender import AsyncRecommender
from recsys.service.recommender import Recommender

__all__ = ["AsyncRecommender", "Recommender"]
