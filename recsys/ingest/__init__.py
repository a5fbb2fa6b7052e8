"""Read files into typed, validated batches; no database is involved."""

from recsys.ingest.dataset import read_dataset as read_dataset

__all__ = ["read_dataset"]
