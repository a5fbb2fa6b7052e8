"""The store: every table of schema `recsys_store`, from which alembic's migrations are made."""

from recsys.storage.schema.tables import catalogue, results, runs
from recsys.storage.schema.tables.base import STORE, metadata

__all__ = ["STORE", "catalogue", "metadata", "results", "runs"]
