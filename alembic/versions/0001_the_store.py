"""the store"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


TABLES_IN_REVERSE = (
    "run_stages",
    "run_metrics",
    "published",
    "publications",
    "tags",
    "runs",
    "rejected_rows",
    "ratings",
    "movie_metadata",
    "movie_keywords",
    "movie_genres",
    "movie_credits",
    "genome_scores",
    "blocks",
    "users",
    "user_similarities",
    "user_recommendations",
    "user_factors",
    "people",
    "movies",
    "movie_similarities",
    "movie_factors",
    "movie_charts",
    "models",
    "keywords",
    "ingests",
    "genres",
    "genome_tags",
)

INDEX_COMMENTS = {
    "ix_movies_imdb_id": "Metadata: movie of an IMDb id",
    "ix_movies_tmdb_id": "Metadata: movie of a TMDB id",
    "ix_movie_genres_genre_id_movie_id": "recommend, top_movies: movies of a genre",
    "ix_ratings_movie_id_user_id": "recsys.movies: count and mean of a movie's ratings, index only",
    "ix_movie_keywords_keyword_id": "Movies of a keyword",
    "ix_movie_credits_person_id": "Movies of a person",
    "ix_tags_user_id": "Tags of a user",
    "ix_rejected_rows_ingest_id": "recsys.rejected_rows: rows of one ingest",
    "ix_blocks_movie_id": "Foreign key: who blocks a movie",
    "ix_genome_scores_tag_id": "Movies of a tag of the genome",
    "ix_movie_charts_movie_id": "Charts a movie is in",
    "ix_movies_title_words": "search_movies: words and beginnings of words",
}


def upgrade() -> None:
    op.create_table(
        "genome_tags",
        sa.Column(
            "tag_id",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="Id in the tag genome",
        ),
        sa.Column("tag", sa.Text(), nullable=False, comment="The tag"),
        sa.PrimaryKeyConstraint("tag_id", name=op.f("pk_genome_tags")),
        schema="recsys_store",
        comment="Tags of the MovieLens tag genome",
    )
    op.create_table(
        "genres",
        sa.Column(
            "genre_id",
            sa.SmallInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="Number of the genre",
        ),
        sa.Column("name", sa.Text(), nullable=False, comment="Name as in the file"),
        sa.CheckConstraint("name <> ''", name=op.f("ck_genres_name_not_empty")),
        sa.PrimaryKeyConstraint("genre_id", name=op.f("pk_genres")),
        sa.UniqueConstraint("name", name=op.f("uq_genres_name")),
        schema="recsys_store",
        comment="Genres that occur",
    )
    op.create_table(
        "ingests",
        sa.Column(
            "ingest_id",
            sa.Integer(),
            sa.Identity(always=True),
            nullable=False,
            comment="Number of the ingest, ascending",
        ),
        sa.Column(
            "kind",
            sa.Text(),
            nullable=False,
            comment="ratings: movies, users, ratings, tags; metadata: what describes movies",
        ),
        sa.Column(
            "edition",
            sa.Text(),
            nullable=False,
            comment="The data set, as ml-latest-small; only one edition lives here",
        ),
        sa.Column(
            "dialect",
            sa.Text(),
            nullable=False,
            comment="File format: ml-100k, ml-1m, ml-10m, ml-csv, csv, the-movies-dataset",
        ),
        sa.Column(
            "source", sa.Text(), nullable=False, comment="Folder, archive or name that was ingested"
        ),
        sa.Column(
            "files",
            postgresql.JSONB(),
            nullable=False,
            comment="Name, bytes and sha256 of each file read",
        ),
        sa.Column(
            "on_duplicate",
            sa.Text(),
            nullable=True,
            comment="How ratings of one (user, movie) pair were resolved",
        ),
        sa.Column(
            "replaced", sa.Boolean(), nullable=False, comment="Whether what was here was dropped"
        ),
        sa.Column(
            "rating_min",
            sa.DOUBLE_PRECISION(),
            nullable=True,
            comment="Lowest rating of the format, if it has one",
        ),
        sa.Column(
            "rating_max",
            sa.DOUBLE_PRECISION(),
            nullable=True,
            comment="Highest rating of the format, if any",
        ),
        sa.Column(
            "rating_step",
            sa.DOUBLE_PRECISION(),
            nullable=True,
            comment="Distance of two ratings, if fixed",
        ),
        sa.Column(
            "started_at", sa.TIMESTAMP(timezone=True), nullable=False, comment="When reading began"
        ),
        sa.Column(
            "finished_at",
            sa.TIMESTAMP(timezone=True),
            nullable=False,
            comment="When everything was written",
        ),
        sa.Column("rows_read", sa.BigInteger(), nullable=False, comment="Data rows of all files"),
        sa.Column("inserted", sa.BigInteger(), nullable=False, comment="Rows new to the database"),
        sa.Column("updated", sa.BigInteger(), nullable=False, comment="Rows that changed"),
        sa.Column(
            "unchanged", sa.BigInteger(), nullable=False, comment="Rows already here as they are"
        ),
        sa.Column(
            "duplicates", sa.BigInteger(), nullable=False, comment="Rows merged into another one"
        ),
        sa.Column("rejected", sa.BigInteger(), nullable=False, comment="Rows in rejected_rows"),
        sa.CheckConstraint("kind IN ('ratings', 'metadata')", name=op.f("ck_ingests_kind")),
        sa.PrimaryKeyConstraint("ingest_id", name=op.f("pk_ingests")),
        schema="recsys_store",
        comment="Every finished ingest; a failed one leaves nothing behind",
    )
    op.create_table(
        "keywords",
        sa.Column(
            "keyword_id",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="Id at The Movie Database",
        ),
        sa.Column("name", sa.Text(), nullable=False, comment="The keyword"),
        sa.PrimaryKeyConstraint("keyword_id", name=op.f("pk_keywords")),
        schema="recsys_store",
        comment="Keywords that describe movies",
    )
    op.create_table(
        "models",
        sa.Column(
            "model_id",
            sa.SmallInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="Number of the model in result tables",
        ),
        sa.Column(
            "name",
            sa.Text(),
            nullable=False,
            comment="Name of the model everywhere: command line, SQL, Python",
        ),
        sa.Column(
            "kind",
            sa.Text(),
            nullable=False,
            comment="chart: the same for all; similarity: movie to movie; personal: lists",
        ),
        sa.Column("score_meaning", sa.Text(), nullable=False, comment="What its score says"),
        sa.Column("description", sa.Text(), nullable=False, comment="What it does, in short"),
        sa.CheckConstraint(
            "kind IN ('chart', 'similarity', 'personal')", name=op.f("ck_models_kind")
        ),
        sa.PrimaryKeyConstraint("model_id", name=op.f("pk_models")),
        sa.UniqueConstraint("name", name=op.f("uq_models_name")),
        schema="recsys_store",
        comment="The models that have been refreshed here",
    )
    op.create_table(
        "movie_charts",
        sa.Column("run_id", sa.Integer(), nullable=False, comment="The run that wrote it"),
        sa.Column("model_id", sa.SmallInteger(), nullable=False, comment="The model that gave it"),
        sa.Column("rank", sa.Integer(), nullable=False, comment="Place in the chart, from 1"),
        sa.Column(
            "genre_id",
            sa.SmallInteger(),
            nullable=True,
            comment="Chart of this genre; NULL: of all",
        ),
        sa.Column("movie_id", sa.Integer(), nullable=False, comment="The movie"),
        sa.Column("votes", sa.BigInteger(), nullable=False, comment="Ratings counted"),
        sa.Column(
            "score",
            sa.DOUBLE_PRECISION(),
            nullable=False,
            comment="The chart's score, higher is better",
        ),
        sa.Column(
            "mean_rating", sa.DOUBLE_PRECISION(), nullable=False, comment="Mean of those ratings"
        ),
        sa.CheckConstraint(
            "mean_rating > '-Infinity' AND mean_rating < 'Infinity'",
            name=op.f("ck_movie_charts_mean_rating_finite"),
        ),
        sa.CheckConstraint(
            "score > '-Infinity' AND score < 'Infinity'", name=op.f("ck_movie_charts_score_finite")
        ),
        sa.CheckConstraint("rank > 0", name=op.f("ck_movie_charts_rank_positive")),
        sa.UniqueConstraint(
            "model_id",
            "genre_id",
            "rank",
            "run_id",
            name=op.f("uq_movie_charts_model_id_genre_id_rank_run_id"),
            postgresql_nulls_not_distinct=True,
        ),
        schema="recsys_store",
        comment="Charts: ranked movies without personalisation",
        postgresql_partition_by="LIST (run_id)",
    )
    op.create_index(
        op.f("ix_movie_charts_movie_id"),
        "movie_charts",
        ["movie_id"],
        unique=False,
        schema="recsys_store",
    )
    op.create_table(
        "movie_factors",
        sa.Column("run_id", sa.Integer(), nullable=False, comment="The run that wrote it"),
        sa.Column("model_id", sa.SmallInteger(), nullable=False, comment="The model that gave it"),
        sa.Column("movie_id", sa.Integer(), nullable=False, comment="The movie"),
        sa.Column(
            "factors",
            postgresql.ARRAY(sa.REAL(), dimensions=1),
            nullable=False,
            comment="Latent factors",
        ),
        sa.PrimaryKeyConstraint("movie_id", "model_id", "run_id", name=op.f("pk_movie_factors")),
        schema="recsys_store",
        comment="Latent factors of movies that have been rated",
        postgresql_partition_by="LIST (run_id)",
    )
    op.create_table(
        "movie_similarities",
        sa.Column("run_id", sa.Integer(), nullable=False, comment="The run that wrote it"),
        sa.Column("model_id", sa.SmallInteger(), nullable=False, comment="The model that gave it"),
        sa.Column("rank", sa.SmallInteger(), nullable=False, comment="Place in the list, from 1"),
        sa.Column("movie_id", sa.Integer(), nullable=False, comment="Whose neighbours these are"),
        sa.Column("similar_movie_id", sa.Integer(), nullable=False, comment="The neighbour"),
        sa.Column(
            "score",
            sa.DOUBLE_PRECISION(),
            nullable=False,
            comment="Similarity, or the weight with which the movie speaks for it",
        ),
        sa.CheckConstraint(
            "score > '-Infinity' AND score < 'Infinity'",
            name=op.f("ck_movie_similarities_score_finite"),
        ),
        sa.CheckConstraint(
            "movie_id <> similar_movie_id", name=op.f("ck_movie_similarities_not_itself")
        ),
        sa.CheckConstraint("rank > 0", name=op.f("ck_movie_similarities_rank_positive")),
        sa.PrimaryKeyConstraint(
            "movie_id",
            "model_id",
            "rank",
            "run_id",
            name=op.f("pk_movie_similarities"),
            postgresql_include=["similar_movie_id", "score"],
        ),
        schema="recsys_store",
        comment="Nearest movies of each movie",
        postgresql_partition_by="LIST (run_id)",
    )
    op.create_table(
        "movies",
        sa.Column(
            "movie_id",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="Id in the ingested edition",
        ),
        sa.Column(
            "title",
            sa.Text(),
            nullable=False,
            comment="Title without the year, its article in front",
        ),
        sa.Column("original_title", sa.Text(), nullable=False, comment="Title as in the file"),
        sa.Column(
            "year",
            sa.SmallInteger(),
            nullable=True,
            comment="Year of release, where the title names it",
        ),
        sa.Column("imdb_id", sa.Integer(), nullable=True, comment="The number behind tt at IMDb"),
        sa.Column("tmdb_id", sa.Integer(), nullable=True, comment="Id at The Movie Database"),
        sa.CheckConstraint("title <> ''", name=op.f("ck_movies_title_not_empty")),
        sa.CheckConstraint("movie_id >= 0", name=op.f("ck_movies_movie_id_not_negative")),
        sa.CheckConstraint("year BETWEEN 1800 AND 2200", name=op.f("ck_movies_year_plausible")),
        sa.PrimaryKeyConstraint("movie_id", name=op.f("pk_movies")),
        schema="recsys_store",
        comment="The movies of the catalogue",
    )
    op.create_index(
        op.f("ix_movies_imdb_id"), "movies", ["imdb_id"], unique=False, schema="recsys_store"
    )
    op.create_index(
        "ix_movies_title_words",
        "movies",
        [
            sa.literal_column(
                "to_tsvector('simple'::regconfig, "
                "regexp_replace(title, '[^[:alnum:]]+'::text, ' '::text, 'g'::text))"
            )
        ],
        unique=False,
        schema="recsys_store",
        postgresql_using="gin",
    )
    op.create_index(
        op.f("ix_movies_tmdb_id"), "movies", ["tmdb_id"], unique=False, schema="recsys_store"
    )
    op.create_table(
        "people",
        sa.Column(
            "person_id",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="Id at The Movie Database",
        ),
        sa.Column("name", sa.Text(), nullable=False, comment="Name of the actor or director"),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_people")),
        schema="recsys_store",
        comment="Actors and directors",
    )
    op.create_table(
        "user_factors",
        sa.Column("run_id", sa.Integer(), nullable=False, comment="The run that wrote it"),
        sa.Column("model_id", sa.SmallInteger(), nullable=False, comment="The model that gave it"),
        sa.Column("user_id", sa.Integer(), nullable=False, comment="The user"),
        sa.Column(
            "factors",
            postgresql.ARRAY(sa.REAL(), dimensions=1),
            nullable=False,
            comment="Latent factors",
        ),
        sa.PrimaryKeyConstraint("user_id", "model_id", "run_id", name=op.f("pk_user_factors")),
        schema="recsys_store",
        comment="Latent factors of users who have rated",
        postgresql_partition_by="LIST (run_id)",
    )
    op.create_table(
        "user_recommendations",
        sa.Column("run_id", sa.Integer(), nullable=False, comment="The run that wrote it"),
        sa.Column("model_id", sa.SmallInteger(), nullable=False, comment="The model that gave it"),
        sa.Column("rank", sa.SmallInteger(), nullable=False, comment="Place in the list, from 1"),
        sa.Column("user_id", sa.Integer(), nullable=False, comment="Whose list this is"),
        sa.Column("movie_id", sa.Integer(), nullable=False, comment="The movie recommended"),
        sa.Column(
            "score",
            sa.DOUBLE_PRECISION(),
            nullable=False,
            comment="The model's score, higher is better",
        ),
        sa.CheckConstraint(
            "score > '-Infinity' AND score < 'Infinity'",
            name=op.f("ck_user_recommendations_score_finite"),
        ),
        sa.CheckConstraint("rank > 0", name=op.f("ck_user_recommendations_rank_positive")),
        sa.PrimaryKeyConstraint(
            "user_id",
            "model_id",
            "rank",
            "run_id",
            name=op.f("pk_user_recommendations"),
            postgresql_include=["movie_id", "score"],
        ),
        schema="recsys_store",
        comment="Stored recommendations; movies rated when the run read are not in it",
        postgresql_partition_by="LIST (run_id)",
    )
    op.create_table(
        "user_similarities",
        sa.Column("run_id", sa.Integer(), nullable=False, comment="The run that wrote it"),
        sa.Column("model_id", sa.SmallInteger(), nullable=False, comment="The model that gave it"),
        sa.Column("rank", sa.SmallInteger(), nullable=False, comment="Place in the list, from 1"),
        sa.Column("user_id", sa.Integer(), nullable=False, comment="Whose neighbours these are"),
        sa.Column("similar_user_id", sa.Integer(), nullable=False, comment="The neighbour"),
        sa.Column("common_ratings", sa.Integer(), nullable=False, comment="Movies both have rated"),
        sa.Column("score", sa.DOUBLE_PRECISION(), nullable=False, comment="Similarity of taste"),
        sa.CheckConstraint(
            "score > '-Infinity' AND score < 'Infinity'",
            name=op.f("ck_user_similarities_score_finite"),
        ),
        sa.CheckConstraint("rank > 0", name=op.f("ck_user_similarities_rank_positive")),
        sa.CheckConstraint(
            "user_id <> similar_user_id", name=op.f("ck_user_similarities_not_itself")
        ),
        sa.PrimaryKeyConstraint(
            "user_id",
            "model_id",
            "rank",
            "run_id",
            name=op.f("pk_user_similarities"),
            postgresql_include=["similar_user_id", "score"],
        ),
        schema="recsys_store",
        comment="Nearest users of each user",
        postgresql_partition_by="LIST (run_id)",
    )
    op.create_table(
        "users",
        sa.Column(
            "user_id",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="Id in the ingested edition",
        ),
        sa.Column(
            "age",
            sa.SmallInteger(),
            nullable=True,
            comment="Years; in ml-1m the lower bound of the age group",
        ),
        sa.Column("gender", sa.Text(), nullable=True, comment="As in the file: M or F"),
        sa.Column("occupation", sa.Text(), nullable=True, comment="As in the file"),
        sa.Column("zip_code", sa.Text(), nullable=True, comment="As in the file"),
        sa.CheckConstraint("age BETWEEN 0 AND 150", name=op.f("ck_users_age_plausible")),
        sa.CheckConstraint("user_id >= 0", name=op.f("ck_users_user_id_not_negative")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_users")),
        schema="recsys_store",
        comment="People who rate or tag, with what the edition tells of them",
    )
    op.create_table(
        "blocks",
        sa.Column("user_id", sa.Integer(), nullable=False, comment="Who does not want it"),
        sa.Column("movie_id", sa.Integer(), nullable=False, comment="What not to recommend"),
        sa.Column(
            "until",
            sa.TIMESTAMP(timezone=True),
            nullable=True,
            comment="End of the block; NULL: for good",
        ),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the block was set",
        ),
        sa.ForeignKeyConstraint(
            ["movie_id"], ["recsys_store.movies.movie_id"], name=op.f("fk_blocks_movie_id_movies")
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["recsys_store.users.user_id"], name=op.f("fk_blocks_user_id_users")
        ),
        sa.PrimaryKeyConstraint("user_id", "movie_id", name=op.f("pk_blocks")),
        schema="recsys_store",
        comment="Movies a person does not want recommended",
    )
    op.create_index(
        op.f("ix_blocks_movie_id"), "blocks", ["movie_id"], unique=False, schema="recsys_store"
    )
    op.create_table(
        "genome_scores",
        sa.Column("movie_id", sa.Integer(), nullable=False, comment="The movie"),
        sa.Column("tag_id", sa.Integer(), nullable=False, comment="A tag of the genome"),
        sa.Column("relevance", sa.REAL(), nullable=False, comment="How much it applies, 0 to 1"),
        sa.CheckConstraint(
            "relevance BETWEEN 0 AND 1", name=op.f("ck_genome_scores_relevance_range")
        ),
        sa.ForeignKeyConstraint(
            ["movie_id"],
            ["recsys_store.movies.movie_id"],
            name=op.f("fk_genome_scores_movie_id_movies"),
        ),
        sa.ForeignKeyConstraint(
            ["tag_id"],
            ["recsys_store.genome_tags.tag_id"],
            name=op.f("fk_genome_scores_tag_id_genome_tags"),
        ),
        sa.PrimaryKeyConstraint("movie_id", "tag_id", name=op.f("pk_genome_scores")),
        schema="recsys_store",
        comment="How much each tag of the genome applies to each movie",
    )
    op.create_index(
        op.f("ix_genome_scores_tag_id"),
        "genome_scores",
        ["tag_id"],
        unique=False,
        schema="recsys_store",
    )
    op.create_table(
        "movie_credits",
        sa.Column("movie_id", sa.Integer(), nullable=False, comment="The movie"),
        sa.Column("person_id", sa.Integer(), nullable=False, comment="Who took part"),
        sa.Column("role", sa.Text(), nullable=False, comment="cast or director"),
        sa.Column(
            "position", sa.SmallInteger(), nullable=False, comment="Order of billing, from 0"
        ),
        sa.Column("character", sa.Text(), nullable=True, comment="Part played"),
        sa.CheckConstraint("role IN ('cast', 'director')", name=op.f("ck_movie_credits_role")),
        sa.ForeignKeyConstraint(
            ["movie_id"],
            ["recsys_store.movies.movie_id"],
            name=op.f("fk_movie_credits_movie_id_movies"),
        ),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["recsys_store.people.person_id"],
            name=op.f("fk_movie_credits_person_id_people"),
        ),
        sa.PrimaryKeyConstraint(
            "movie_id", "role", "position", "person_id", name=op.f("pk_movie_credits")
        ),
        schema="recsys_store",
        comment="Leading cast and directors of movies",
    )
    op.create_index(
        op.f("ix_movie_credits_person_id"),
        "movie_credits",
        ["person_id"],
        unique=False,
        schema="recsys_store",
    )
    op.create_table(
        "movie_genres",
        sa.Column("movie_id", sa.Integer(), nullable=False, comment="The movie"),
        sa.Column("genre_id", sa.SmallInteger(), nullable=False, comment="One of its genres"),
        sa.ForeignKeyConstraint(
            ["genre_id"],
            ["recsys_store.genres.genre_id"],
            name=op.f("fk_movie_genres_genre_id_genres"),
        ),
        sa.ForeignKeyConstraint(
            ["movie_id"],
            ["recsys_store.movies.movie_id"],
            name=op.f("fk_movie_genres_movie_id_movies"),
        ),
        sa.PrimaryKeyConstraint("movie_id", "genre_id", name=op.f("pk_movie_genres")),
        schema="recsys_store",
        comment="Which movie is of which genres",
    )
    op.create_index(
        op.f("ix_movie_genres_genre_id_movie_id"),
        "movie_genres",
        ["genre_id", "movie_id"],
        unique=False,
        schema="recsys_store",
    )
    op.create_table(
        "movie_keywords",
        sa.Column("movie_id", sa.Integer(), nullable=False, comment="The movie"),
        sa.Column("keyword_id", sa.Integer(), nullable=False, comment="One of its keywords"),
        sa.ForeignKeyConstraint(
            ["keyword_id"],
            ["recsys_store.keywords.keyword_id"],
            name=op.f("fk_movie_keywords_keyword_id_keywords"),
        ),
        sa.ForeignKeyConstraint(
            ["movie_id"],
            ["recsys_store.movies.movie_id"],
            name=op.f("fk_movie_keywords_movie_id_movies"),
        ),
        sa.PrimaryKeyConstraint("movie_id", "keyword_id", name=op.f("pk_movie_keywords")),
        schema="recsys_store",
        comment="Which movie has which keywords",
    )
    op.create_index(
        op.f("ix_movie_keywords_keyword_id"),
        "movie_keywords",
        ["keyword_id"],
        unique=False,
        schema="recsys_store",
    )
    op.create_table(
        "movie_metadata",
        sa.Column(
            "movie_id", sa.Integer(), autoincrement=False, nullable=False, comment="The movie"
        ),
        sa.Column("overview", sa.Text(), nullable=True, comment="Plot in a few sentences"),
        sa.Column("tagline", sa.Text(), nullable=True, comment="Advertising line"),
        sa.Column("release_date", sa.Date(), nullable=True, comment="Day of first release"),
        sa.Column("runtime", sa.DOUBLE_PRECISION(), nullable=True, comment="Minutes"),
        sa.Column("original_language", sa.Text(), nullable=True, comment="ISO 639-1 code"),
        sa.Column(
            "vote_average",
            sa.DOUBLE_PRECISION(),
            nullable=True,
            comment="Mean vote at TMDB, 0 to 10",
        ),
        sa.Column("vote_count", sa.Integer(), nullable=True, comment="Votes at TMDB"),
        sa.Column("popularity", sa.DOUBLE_PRECISION(), nullable=True, comment="TMDB's own measure"),
        sa.Column("budget", sa.BigInteger(), nullable=True, comment="US dollars"),
        sa.Column("revenue", sa.BigInteger(), nullable=True, comment="US dollars"),
        sa.Column(
            "poster_path",
            sa.Text(),
            nullable=True,
            comment="Path of the poster at TMDB's image server",
        ),
        sa.Column("collection", sa.Text(), nullable=True, comment="Series of films it belongs to"),
        sa.CheckConstraint(
            "popularity > '-Infinity' AND popularity < 'Infinity'",
            name=op.f("ck_movie_metadata_popularity_finite"),
        ),
        sa.CheckConstraint(
            "vote_average > '-Infinity' AND vote_average < 'Infinity'",
            name=op.f("ck_movie_metadata_vote_average_finite"),
        ),
        sa.CheckConstraint(
            "vote_count >= 0", name=op.f("ck_movie_metadata_vote_count_not_negative")
        ),
        sa.ForeignKeyConstraint(
            ["movie_id"],
            ["recsys_store.movies.movie_id"],
            name=op.f("fk_movie_metadata_movie_id_movies"),
        ),
        sa.PrimaryKeyConstraint("movie_id", name=op.f("pk_movie_metadata")),
        schema="recsys_store",
        comment="What The Movie Database says of a movie",
    )
    op.create_table(
        "ratings",
        sa.Column("user_id", sa.Integer(), nullable=False, comment="Who rated"),
        sa.Column("movie_id", sa.Integer(), nullable=False, comment="What was rated"),
        sa.Column(
            "rating", sa.DOUBLE_PRECISION(), nullable=False, comment="On the edition's scale"
        ),
        sa.Column(
            "rated_at",
            sa.TIMESTAMP(timezone=True),
            nullable=True,
            comment="When, where the file says",
        ),
        sa.CheckConstraint(
            "rating > '-Infinity' AND rating < 'Infinity'", name=op.f("ck_ratings_rating_finite")
        ),
        sa.ForeignKeyConstraint(
            ["movie_id"], ["recsys_store.movies.movie_id"], name=op.f("fk_ratings_movie_id_movies")
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["recsys_store.users.user_id"], name=op.f("fk_ratings_user_id_users")
        ),
        sa.PrimaryKeyConstraint("user_id", "movie_id", name=op.f("pk_ratings")),
        schema="recsys_store",
        comment="What people gave; one rating for a user and movie",
    )
    op.create_index(
        op.f("ix_ratings_movie_id_user_id"),
        "ratings",
        ["movie_id", "user_id"],
        unique=False,
        schema="recsys_store",
        postgresql_include=["rating"],
    )
    op.create_table(
        "rejected_rows",
        sa.Column(
            "rejected_row_id",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="Number of the rejected row",
        ),
        sa.Column("ingest_id", sa.Integer(), nullable=False, comment="The ingest that met it"),
        sa.Column("file", sa.Text(), nullable=False, comment="File name"),
        sa.Column("line", sa.BigInteger(), nullable=False, comment="Line in the file, from 1"),
        sa.Column(
            "content",
            sa.Text(),
            nullable=False,
            comment="The row as it stood, cut to 500 characters",
        ),
        sa.Column("reason", sa.Text(), nullable=False, comment="Why it was not loaded"),
        sa.CheckConstraint("line > 0", name=op.f("ck_rejected_rows_line_positive")),
        sa.ForeignKeyConstraint(
            ["ingest_id"],
            ["recsys_store.ingests.ingest_id"],
            name=op.f("fk_rejected_rows_ingest_id_ingests"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("rejected_row_id", name=op.f("pk_rejected_rows")),
        schema="recsys_store",
        comment="Rows of files that were not loaded, and why",
    )
    op.create_index(
        op.f("ix_rejected_rows_ingest_id"),
        "rejected_rows",
        ["ingest_id"],
        unique=False,
        schema="recsys_store",
    )
    op.create_table(
        "runs",
        sa.Column(
            "run_id",
            sa.Integer(),
            sa.Identity(always=True),
            nullable=False,
            comment="Number of the run, ascending",
        ),
        sa.Column("state", sa.Text(), nullable=False, comment="running, complete or failed"),
        sa.Column(
            "started_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the refresh began",
        ),
        sa.Column(
            "finished_at",
            sa.TIMESTAMP(timezone=True),
            nullable=True,
            comment="When it completed or failed",
        ),
        sa.Column(
            "default_model_id",
            sa.SmallInteger(),
            nullable=True,
            comment="Model used when none is named",
        ),
        sa.Column("seed", sa.Integer(), nullable=False, comment="Seed of all randomness in it"),
        sa.Column(
            "parameters",
            postgresql.JSONB(),
            nullable=False,
            comment="Models with their parameters, lengths",
        ),
        sa.Column(
            "versions",
            postgresql.JSONB(),
            nullable=False,
            comment="Versions of the code and its libraries",
        ),
        sa.Column(
            "backend",
            sa.Text(),
            nullable=False,
            comment="The machine's name and the process id that computed it",
        ),
        sa.Column(
            "snapshot_at",
            sa.TIMESTAMP(timezone=True),
            nullable=True,
            comment="Time of the state of the database it read",
        ),
        sa.Column("ratings_count", sa.BigInteger(), nullable=True, comment="Ratings it read"),
        sa.Column("users_count", sa.Integer(), nullable=True, comment="Users it read"),
        sa.Column("movies_count", sa.Integer(), nullable=True, comment="Movies it read"),
        sa.Column("snapshot_checksum", sa.Text(), nullable=True, comment="sha256 over all it read"),
        sa.Column("output_checksum", sa.Text(), nullable=True, comment="sha256 over all it wrote"),
        sa.Column(
            "peak_memory_mb",
            sa.Integer(),
            nullable=True,
            comment="Highest resident memory of the process, MiB",
        ),
        sa.Column(
            "pruned_at",
            sa.TIMESTAMP(timezone=True),
            nullable=True,
            comment="When its results were dropped; NULL: they are here",
        ),
        sa.Column("error", sa.Text(), nullable=True, comment="Why it failed"),
        sa.CheckConstraint("(state = 'failed') = (error IS NOT NULL)", name=op.f("ck_runs_error")),
        sa.CheckConstraint(
            "(state = 'running') = (finished_at IS NULL)", name=op.f("ck_runs_finished")
        ),
        sa.CheckConstraint(
            "state IN ('running', 'complete', 'failed')", name=op.f("ck_runs_state")
        ),
        sa.ForeignKeyConstraint(
            ["default_model_id"],
            ["recsys_store.models.model_id"],
            name=op.f("fk_runs_default_model_id_models"),
        ),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_runs")),
        schema="recsys_store",
        comment="Every refresh: what it read, with which parameters, how it ended",
    )
    op.create_index(
        op.f("ix_runs_default_model_id"),
        "runs",
        ["default_model_id"],
        unique=False,
        schema="recsys_store",
    )
    op.create_table(
        "tags",
        sa.Column("user_id", sa.Integer(), nullable=False, comment="Who tagged"),
        sa.Column("movie_id", sa.Integer(), nullable=False, comment="What was tagged"),
        sa.Column("tag", sa.Text(), nullable=False, comment="Free text"),
        sa.Column(
            "tagged_at",
            sa.TIMESTAMP(timezone=True),
            nullable=True,
            comment="When, where the file says",
        ),
        sa.CheckConstraint(
            "tag <> '' AND octet_length(tag) <= 2000", name=op.f("ck_tags_tag_length")
        ),
        sa.ForeignKeyConstraint(
            ["movie_id"], ["recsys_store.movies.movie_id"], name=op.f("fk_tags_movie_id_movies")
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["recsys_store.users.user_id"], name=op.f("fk_tags_user_id_users")
        ),
        sa.PrimaryKeyConstraint("movie_id", "user_id", "tag", name=op.f("pk_tags")),
        schema="recsys_store",
        comment="Free-text tags people gave movies",
    )
    op.create_index(
        op.f("ix_tags_user_id"), "tags", ["user_id"], unique=False, schema="recsys_store"
    )
    op.create_table(
        "publications",
        sa.Column(
            "publication_id",
            sa.Integer(),
            sa.Identity(always=True),
            nullable=False,
            comment="Number of the entry, ascending",
        ),
        sa.Column(
            "run_id",
            sa.Integer(),
            nullable=True,
            comment="What is published from then on; NULL: nothing",
        ),
        sa.Column("action", sa.Text(), nullable=False, comment="publish, rollback or withdraw"),
        sa.Column(
            "published_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="From when",
        ),
        sa.Column("reason", sa.Text(), nullable=True, comment="Why, where somebody said"),
        sa.Column(
            "published_by",
            sa.Text(),
            server_default=sa.text("current_user"),
            nullable=False,
            comment="Database role that did it",
        ),
        sa.CheckConstraint(
            "(action = 'withdraw') = (run_id IS NULL)", name=op.f("ck_publications_run_id")
        ),
        sa.CheckConstraint(
            "action IN ('publish', 'rollback', 'withdraw')", name=op.f("ck_publications_action")
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["recsys_store.runs.run_id"], name=op.f("fk_publications_run_id_runs")
        ),
        sa.PrimaryKeyConstraint("publication_id", name=op.f("pk_publications")),
        schema="recsys_store",
        comment="Log of what was published when; rows are only ever added",
    )
    op.create_index(
        op.f("ix_publications_run_id"),
        "publications",
        ["run_id"],
        unique=False,
        schema="recsys_store",
    )
    op.create_table(
        "published",
        sa.Column(
            "only_row",
            sa.Boolean(),
            server_default=sa.text("true"),
            nullable=False,
            comment="Always true: there is one row",
        ),
        sa.Column("run_id", sa.Integer(), nullable=False, comment="The run readers see"),
        sa.CheckConstraint("only_row", name=op.f("ck_published_only_row")),
        sa.ForeignKeyConstraint(
            ["run_id"], ["recsys_store.runs.run_id"], name=op.f("fk_published_run_id_runs")
        ),
        sa.PrimaryKeyConstraint("only_row", name=op.f("pk_published")),
        schema="recsys_store",
        comment="The pointer that all contract views follow; no row: nothing is published",
    )
    op.create_index(
        op.f("ix_published_run_id"), "published", ["run_id"], unique=False, schema="recsys_store"
    )
    op.create_table(
        "run_metrics",
        sa.Column("run_id", sa.Integer(), nullable=False, comment="The run"),
        sa.Column("model_id", sa.SmallInteger(), nullable=False, comment="The model measured"),
        sa.Column("protocol", sa.Text(), nullable=False, comment="How it was measured"),
        sa.Column("metric", sa.Text(), nullable=False, comment="What was measured, as ndcg@10"),
        sa.Column(
            "segment", sa.Text(), nullable=False, comment="Which users or movies; all: every one"
        ),
        sa.Column("value", sa.DOUBLE_PRECISION(), nullable=False, comment="The figure"),
        sa.Column(
            "ci_low", sa.DOUBLE_PRECISION(), nullable=True, comment="Lower end of its 95 % interval"
        ),
        sa.Column(
            "ci_high",
            sa.DOUBLE_PRECISION(),
            nullable=True,
            comment="Upper end of its 95 % interval",
        ),
        sa.Column("n", sa.BigInteger(), nullable=False, comment="Over how many users or ratings"),
        sa.ForeignKeyConstraint(
            ["model_id"],
            ["recsys_store.models.model_id"],
            name=op.f("fk_run_metrics_model_id_models"),
        ),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["recsys_store.runs.run_id"],
            name=op.f("fk_run_metrics_run_id_runs"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "run_id", "model_id", "protocol", "metric", "segment", name=op.f("pk_run_metrics")
        ),
        schema="recsys_store",
        comment="Measured quality of the models of a run",
    )
    op.create_index(
        op.f("ix_run_metrics_model_id"),
        "run_metrics",
        ["model_id"],
        unique=False,
        schema="recsys_store",
    )
    op.create_table(
        "run_stages",
        sa.Column("run_id", sa.Integer(), nullable=False, comment="The run"),
        sa.Column(
            "position", sa.SmallInteger(), nullable=False, comment="Order within the run, from 1"
        ),
        sa.Column(
            "stage",
            sa.Text(),
            nullable=False,
            comment="read, the name of a model, write, index",
        ),
        sa.Column(
            "started_at",
            sa.TIMESTAMP(timezone=True),
            nullable=False,
            comment="When the stage began",
        ),
        sa.Column("seconds", sa.DOUBLE_PRECISION(), nullable=False, comment="How long it took"),
        sa.Column("rows", sa.BigInteger(), nullable=False, comment="Rows read or written"),
        sa.Column(
            "peak_memory_mb",
            sa.Integer(),
            nullable=False,
            comment="Highest resident memory of the process up to its end, MiB",
        ),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["recsys_store.runs.run_id"],
            name=op.f("fk_run_stages_run_id_runs"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", "position", name=op.f("pk_run_stages")),
        schema="recsys_store",
        comment="Stages of runs with timings and row counts",
    )
    for index, comment in INDEX_COMMENTS.items():
        op.execute(
            f"COMMENT ON INDEX recsys_store.{index} IS '{comment.replace(chr(39), chr(39) * 2)}'"
        )


def downgrade() -> None:
    # The contract stands on these tables; the next upgrade makes it again.
    op.execute("DROP SCHEMA IF EXISTS recsys CASCADE")
    for table in TABLES_IN_REVERSE:
        op.drop_table(table, schema="recsys_store")
