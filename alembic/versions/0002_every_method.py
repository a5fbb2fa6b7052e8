"""what the whole repertoire of models stores"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STORE = "recsys_store"
DOUBLE = postgresql.DOUBLE_PRECISION
FORMS = "prediction IN ('factors', 'user_neighbours', 'movie_neighbours')"


def upgrade() -> None:
    op.add_column(
        "models",
        sa.Column(
            "prediction",
            sa.Text,
            comment="From what it predicts ratings: factors, user_neighbours, movie_neighbours",
        ),
        schema=STORE,
    )
    op.create_check_constraint(op.f("ck_models_prediction"), "models", FORMS, schema=STORE)
    for name, comment in (("rating_min", "Lowest"), ("rating_max", "Highest")):
        column = sa.Column(name, DOUBLE, comment=f"{comment} rating of the scale it read")
        op.add_column("runs", column, schema=STORE)
    for name, comment in (
        ("cold_start_model_id", "Chart for people of whom nothing is known"),
        ("rating_model_id", "Model that predicts ratings when none is named"),
    ):
        op.add_column("runs", sa.Column(name, sa.SmallInteger, comment=comment), schema=STORE)
        op.create_foreign_key(
            op.f(f"fk_runs_{name}_models"),
            "runs",
            "models",
            [name],
            ["model_id"],
            source_schema=STORE,
            referent_schema=STORE,
        )
        op.create_index(op.f(f"ix_runs_{name}"), "runs", [name], schema=STORE)
    # Runs of before were served from this chart.
    op.execute(
        f"UPDATE {STORE}.runs SET cold_start_model_id = "
        f"(SELECT model_id FROM {STORE}.models WHERE name = 'most_rated')"
    )
    op.add_column(
        "user_recommendations",
        sa.Column(
            "source_model_id",
            sa.SmallInteger,
            comment="For a hybrid the model the row came from, whose score it is; NULL: its own",
        ),
        schema=STORE,
    )
    op.alter_column("movie_charts", "mean_rating", nullable=True, schema=STORE)
    for table, comment in (
        ("user_factors", "What is added to any predicted rating of the user, the mean included"),
        ("movie_factors", "What is added to any predicted rating of the movie"),
    ):
        column = sa.Column("bias", DOUBLE, nullable=False, server_default="0", comment=comment)
        op.add_column(table, column, schema=STORE)
        op.create_check_constraint(
            op.f(f"ck_{table}_bias_finite"),
            table,
            "bias > '-Infinity' AND bias < 'Infinity'",
            schema=STORE,
        )


def downgrade() -> None:
    for table in ("movie_factors", "user_factors"):
        op.drop_column(table, "bias", schema=STORE)
    op.execute(f"DELETE FROM {STORE}.movie_charts WHERE mean_rating IS NULL")
    op.alter_column("movie_charts", "mean_rating", nullable=False, schema=STORE)
    op.drop_column("user_recommendations", "source_model_id", schema=STORE)
    for column in ("rating_model_id", "cold_start_model_id", "rating_max", "rating_min"):
        op.drop_column("runs", column, schema=STORE)
    op.drop_column("models", "prediction", schema=STORE)
