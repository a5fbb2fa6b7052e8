"""what readers need to know of each model: family, names, labels, scoring, roles"""

import math
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, DOUBLE_PRECISION

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

STORE = "recsys_store"
OLD_SCORINGS = "scoring IN ('sum', 'mean_product')"
SCORINGS = "scoring IN ('sum', 'mean_product', 'factors', 'profile', 'neighbour_ratings', 'parts')"
OLD_SCORING = "How its lists follow from its similarities: sum, mean_product; NULL: they do not"
SCORING = "How its lists are scored: sum, mean_product, factors, profile, neighbour_ratings, parts"
ROLES = {
    "cold_start": "not a chart for users without ratings",
    "content": "lists do not follow what movies are",
    "similar": "similar movies only after all others",
    "similar_users": "compares no users",
    "popularity": "does not order search results",
    "top": "top_movies shows it only after all others",
}
FACTS: dict[str, tuple[str, str, str | None, dict[str, int]]] = {
    "top_rated": ("charts", "Top rated", None, {"cold_start": 30, "top": 10}),
    "most_rated": ("charts", "Most rated", None, {"cold_start": 20, "popularity": 10}),
    "popular": ("charts", "Popular", None, {"cold_start": 10}),
    "trending": ("charts", "Trending", None, {"cold_start": 40, "top": 20}),
    "exploratory": ("charts", "Off the beaten track", None, {"cold_start": 50}),
    "random": ("charts", "Picked at random", None, {"cold_start": 60}),
    "pearson_average": ("knn", "Pearson average", None, {}),
    "item_knn": ("knn", "Item kNN", None, {"similar": 30}),
    "user_knn": ("knn", "User kNN", "neighbour_ratings", {"similar_users": 10}),
    "content_genres": ("content", "Content: genres", "profile", {"content": 20, "similar": 90}),
    "content_text": ("content", "Content: text", "profile", {"content": 30, "similar": 80}),
    "content": ("content", "Content", "profile", {"content": 10, "similar": 70}),
    "svd": ("factors", "SVD", "factors", {}),
    "mf": ("factors", "Matrix factorization", "factors", {}),
    "bayes_fm": ("factors", "Bayesian factorization machine", "factors", {}),
    "als": ("factors", "ALS", "factors", {"similar": 40}),
    "bpr": ("factors", "BPR", "factors", {"similar": 60}),
    "collective_als": ("factors", "Collective ALS", "factors", {"similar": 50}),
    "ease": ("linear", "EASE", None, {"similar": 10}),
    "collective_ease": ("linear", "Collective EASE", None, {"similar": 20}),
    "blend": ("ensembles", "Blend", "parts", {}),
    "collective_blend": ("ensembles", "Collective blend", "parts", {}),
    "hybrid_switching": ("ensembles", "Switching hybrid", "parts", {}),
    "hybrid_mixed": ("ensembles", "Mixed hybrid", "parts", {}),
}
"""Of the models there were before: the published run is served by these until the next refresh.

sum and mean_product are not set: where they are missing, the run has no record of the ratings it
read, and its lists must not pass for outdated.
"""
LABELS = ["strongly recommended", "recommended", "not recommended"]
LABEL_BOUNDS = [3.0, 0.0, -math.inf]


def upgrade() -> None:
    op.alter_column("models", "scoring", comment=SCORING, schema=STORE)
    for column in _columns():
        op.add_column("models", column, schema=STORE)
    op.drop_constraint(op.f("ck_models_scoring"), "models", schema=STORE)
    op.create_check_constraint(op.f("ck_models_scoring"), "models", SCORINGS, schema=STORE)
    op.create_check_constraint(
        op.f("ck_models_labels"),
        "models",
        "cardinality(labels) IS NOT DISTINCT FROM cardinality(label_bounds)",
        schema=STORE,
    )
    models = sa.table("models", sa.column("name"), sa.column("scoring"), *_columns(), schema=STORE)
    for name, values in _values():
        op.execute(sa.update(models).where(models.c.name == name).values(values))


def downgrade() -> None:
    op.alter_column("models", "scoring", comment=OLD_SCORING, schema=STORE)
    op.drop_constraint(op.f("ck_models_labels"), "models", schema=STORE)
    op.drop_constraint(op.f("ck_models_scoring"), "models", schema=STORE)
    op.execute(f"UPDATE {STORE}.models SET scoring = NULL WHERE NOT ({OLD_SCORINGS})")
    op.create_check_constraint(op.f("ck_models_scoring"), "models", OLD_SCORINGS, schema=STORE)
    for column in reversed(_columns()):
        op.drop_column("models", column.name, schema=STORE)


def _columns() -> list[sa.Column[Any]]:
    return [
        sa.Column(
            "family", sa.Text, nullable=False, server_default="", comment="Group it is listed with"
        ),
        sa.Column(
            "display_name",
            sa.Text,
            nullable=False,
            server_default="",
            comment="Name that pages show",
        ),
        sa.Column("labels", ARRAY(sa.Text), comment="Words for scores, highest first; NULL: none"),
        sa.Column(
            "label_bounds",
            ARRAY(DOUBLE_PRECISION),
            comment="The bound that a score exceeds to have the label of the same position",
        ),
        sa.Column(
            "personal_start",
            sa.Boolean,
            nullable=False,
            server_default=sa.false(),
            comment="Whether each user enters the chart at a place of their own",
        ),
        *(
            sa.Column(f"{role}_order", sa.SmallInteger, comment=f"Lowest first; NULL: {otherwise}")
            for role, otherwise in ROLES.items()
        ),
    ]


def _values() -> list[tuple[str, dict[str, Any]]]:
    rows: list[tuple[str, dict[str, Any]]] = []
    for name, (family, display_name, scoring, roles) in FACTS.items():
        row: dict[str, Any] = {"family": family, "display_name": display_name}
        row |= {f"{role}_order": order for role, order in roles.items()}
        if scoring is not None:
            row["scoring"] = scoring
        rows.append((name, row))
    rows.append(("pearson_average", {"labels": LABELS, "label_bounds": LABEL_BOUNDS}))
    rows.append(("random", {"personal_start": True}))
    return rows
