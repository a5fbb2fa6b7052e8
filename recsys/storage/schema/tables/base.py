"""The schema, the naming convention and the column helpers of all tables."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

STORE = "recsys_store"

metadata = sa.MetaData(
    schema=STORE,
    # Without names of our own, migrations could not refer to constraints.
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    },
)


def reference(
    name: str, target: str, comment: str, *, ondelete: str | None = None, nullable: bool = False
) -> sa.Column[int]:
    """Return a foreign-key column; `target` is `table.column` of the store."""
    key = sa.ForeignKey(f"{STORE}.{target}", ondelete=ondelete)
    return sa.Column(name, key, nullable=nullable, comment=comment)


def timestamp(
    name: str, comment: str, *, nullable: bool = False, now: bool = False
) -> sa.Column[datetime]:
    default = sa.text("now()") if now else None
    kind = sa.TIMESTAMP(timezone=True)
    return sa.Column(name, kind, nullable=nullable, server_default=default, comment=comment)


def text_column(name: str, comment: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=nullable, comment=comment)


def finite(column: str) -> sa.CheckConstraint:
    """Return a check that excludes infinities and NaN."""
    # NaN sorts above Infinity in PostgreSQL, so the upper bound excludes it as well.
    condition = f"{column} > '-Infinity' AND {column} < 'Infinity'"
    return sa.CheckConstraint(condition, name=f"{column}_finite")


def key_column(comment: str) -> sa.Column[str]:
    """Return the column with the key of a row outside; see `recsys.domain.fault_of_key`."""
    # Compared byte by byte: its order does not depend on the locale of the server.
    return sa.Column("key", sa.Text(collation="C"), nullable=False, comment=comment)


def valid_key() -> sa.CheckConstraint:
    """Return a check of what `recsys.domain.fault_of_key` refuses."""
    controls = r"[\u0001-\u001f\u007f-\u009f]"
    condition = f"key <> '' AND octet_length(key) <= 512 AND key !~ '{controls}'"
    return sa.CheckConstraint(condition, name="key")
