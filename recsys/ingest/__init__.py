"""Files to typed, checked batches, with no database in sight."""

from recsys.ingest.dataset import read_dataset as read_dataset

__all__ = ["read_dataset"]
