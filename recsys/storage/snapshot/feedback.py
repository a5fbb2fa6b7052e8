"""Whether the database holds ratings, or interactions that were counted."""

from __future__ import annotations

import sqlalchemy as sa

FEEDBACK = """
SELECT feedback FROM recsys_store.ingests WHERE kind = 'ratings' ORDER BY ingest_id DESC LIMIT 1
"""


def is_implicit(connection: sa.Connection) -> bool:
    """Return whether what was loaded last are interactions."""
    feedback: str | None = connection.scalar(sa.text(FEEDBACK))
    return feedback == "implicit"
