"""Where `alembic/` and `sql/` lie: inside an installed package, or in the checkout."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2]


def folder(name: str) -> Path:
    """Return the folder `alembic` or `sql`."""
    installed = PACKAGE / "_share" / name
    return installed if installed.is_dir() else PACKAGE.parent / name
