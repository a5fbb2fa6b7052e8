"""Tables that ingest fills: movies, metadata, people, ratings, tags and the tag genome."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import DOUBLE_PRECISION, JSONB

from recsys.storage.schema.tables.base import (
    finite,
    key_column,
    metadata,
    reference,
    text_column,
    timestamp,
    valid_key,
)

ingests = sa.Table(
    "ingests",
    metadata,
    sa.Column(
        "ingest_id",
        sa.Integer,
        sa.Identity(always=True),
        primary_key=True,
        comment="Number of the ingest, ascending",
    ),
    text_column("kind", "ratings: movies, users, ratings, tags; metadata: what describes movies"),
    text_column("edition", "The data set, as ml-latest-small; only one edition lives here"),
    text_column(
        "dialect",
        "File format: ml-100k, ml-1m, ml-10m, ml-csv, csv, the-movies-dataset; sql: queries",
    ),
    text_column("source", "Folder, archive or name that was ingested"),
    sa.Column("files", JSONB, nullable=False, comment="Name, bytes and sha256 of each file read"),
    text_column(
        "on_duplicate", "How ratings of one (user, movie) pair were resolved", nullable=True
    ),
    sa.Column("replaced", sa.Boolean, nullable=False, comment="Whether what was here was dropped"),
    sa.Column("rating_min", DOUBLE_PRECISION, comment="Lowest rating of the format, if it has one"),
    sa.Column("rating_max", DOUBLE_PRECISION, comment="Highest rating of the format, if any"),
    sa.Column("rating_step", DOUBLE_PRECISION, comment="Distance of two ratings, if fixed"),
    timestamp("started_at", "When reading began"),
    timestamp("finished_at", "When everything was written"),
    text_column(
        "feedback",
        "explicit: people rated; implicit: what they did was counted; NULL for metadata",
        nullable=True,
    ),
    sa.Column("rows_read", sa.BigInteger, nullable=False, comment="Data rows of all files"),
    sa.Column("inserted", sa.BigInteger, nullable=False, comment="Rows new to the database"),
    sa.Column("updated", sa.BigInteger, nullable=False, comment="Rows that changed"),
    sa.Column("unchanged", sa.BigInteger, nullable=False, comment="Rows already here as they are"),
    sa.Column(
        "removed",
        sa.BigInteger,
        nullable=False,
        server_default="0",
        comment="Rows that a sync deleted because the source has them no more",
    ),
    sa.Column("duplicates", sa.BigInteger, nullable=False, comment="Rows merged into another one"),
    sa.Column(
        "rejected",
        sa.BigInteger,
        nullable=False,
        comment="Rows not loaded; rejected_rows has the first",
    ),
    sa.CheckConstraint("kind IN ('ratings', 'metadata')", name="kind"),
    sa.CheckConstraint("feedback IN ('explicit', 'implicit')", name="feedback"),
    comment="Every finished ingest; a failed one leaves nothing behind",
)

rejected_rows = sa.Table(
    "rejected_rows",
    metadata,
    sa.Column(
        "rejected_row_id",
        sa.BigInteger,
        sa.Identity(always=True),
        primary_key=True,
        comment="Number of the rejected row",
    ),
    reference("ingest_id", "ingests.ingest_id", "The ingest that met it", ondelete="CASCADE"),
    text_column("file", "File name"),
    sa.Column("line", sa.BigInteger, nullable=False, comment="Line in the file, from 1"),
    text_column("content", "The row, cut to 500 characters, control characters escaped"),
    text_column("reason", "Why it was not loaded"),
    sa.CheckConstraint("line > 0", name="line_positive"),
    sa.Index(None, "ingest_id"),
    comment="Rows of files that were not loaded, and why: the first of each file",
)

movies = sa.Table(
    "movies",
    metadata,
    sa.Column(
        "movie_id",
        sa.Integer,
        primary_key=True,
        autoincrement=False,
        comment="Number of the movie inside: its key, if that is a free whole number",
    ),
    key_column("What the source calls the movie; for MovieLens the id as text"),
    text_column("title", "Title without the year, its article in front"),
    text_column("original_title", "Title as in the file"),
    sa.Column("year", sa.SmallInteger, comment="Year of release, where the title names it"),
    sa.Column("imdb_id", sa.Integer, comment="The number behind tt at IMDb"),
    sa.Column("tmdb_id", sa.Integer, comment="Id at The Movie Database"),
    sa.Column(
        "available",
        sa.Boolean,
        nullable=False,
        server_default=sa.true(),
        comment="Whether the movie may be recommended; false: it is withdrawn",
    ),
    sa.UniqueConstraint("key"),
    sa.CheckConstraint("movie_id >= 0", name="movie_id_not_negative"),
    valid_key(),
    sa.CheckConstraint("title <> ''", name="title_not_empty"),
    sa.CheckConstraint("year BETWEEN 1800 AND 2200", name="year_plausible"),
    sa.Index("ix_movies_withdrawn", "movie_id", postgresql_where=sa.text("NOT available")),
    sa.Index(None, "imdb_id"),
    sa.Index(None, "tmdb_id"),
    sa.Index(
        "ix_movies_search_terms",
        sa.text("recsys_store.search_terms(title, year)"),
        postgresql_using="gin",
        # Otherwise some searches would have to scan a list of pending entries.
        postgresql_with={"fastupdate": False},
    ),
    comment="The movies of the catalogue",
)

genres = sa.Table(
    "genres",
    metadata,
    sa.Column(
        "genre_id",
        sa.SmallInteger,
        primary_key=True,
        autoincrement=False,
        comment="Number of the genre, given by the ingest: the lowest that is free",
    ),
    text_column("name", "Name as in the file"),
    sa.UniqueConstraint("name"),
    sa.CheckConstraint("name <> ''", name="name_not_empty"),
    comment="Genres that occur",
)

movie_genres = sa.Table(
    "movie_genres",
    metadata,
    reference("movie_id", "movies.movie_id", "The movie"),
    reference("genre_id", "genres.genre_id", "One of its genres"),
    sa.PrimaryKeyConstraint("movie_id", "genre_id"),
    sa.Index(None, "genre_id", "movie_id"),
    comment="Which movie is of which genres",
)

movie_metadata = sa.Table(
    "movie_metadata",
    metadata,
    sa.Column(
        "movie_id",
        sa.ForeignKey("recsys_store.movies.movie_id"),
        primary_key=True,
        autoincrement=False,
        comment="The movie",
    ),
    text_column("overview", "Plot in a few sentences", nullable=True),
    text_column("tagline", "Advertising line", nullable=True),
    sa.Column("release_date", sa.Date, comment="Day of first release"),
    sa.Column("runtime", DOUBLE_PRECISION, comment="Minutes"),
    text_column("original_language", "ISO 639-1 code", nullable=True),
    sa.Column("vote_average", DOUBLE_PRECISION, comment="Mean vote at TMDB, 0 to 10"),
    sa.Column("vote_count", sa.Integer, comment="Votes at TMDB"),
    sa.Column("popularity", DOUBLE_PRECISION, comment="TMDB's own measure"),
    sa.Column("budget", sa.BigInteger, comment="US dollars"),
    sa.Column("revenue", sa.BigInteger, comment="US dollars"),
    text_column("poster_path", "Path of the poster at TMDB's image server", nullable=True),
    text_column("collection", "Series of films it belongs to", nullable=True),
    finite("vote_average"),
    finite("popularity"),
    sa.CheckConstraint("vote_count >= 0", name="vote_count_not_negative"),
    comment="What The Movie Database says of a movie",
)

keywords = sa.Table(
    "keywords",
    metadata,
    sa.Column(
        "keyword_id",
        sa.Integer,
        primary_key=True,
        autoincrement=False,
        comment="Id at The Movie Database",
    ),
    text_column("name", "The keyword"),
    comment="Keywords that describe movies",
)

movie_keywords = sa.Table(
    "movie_keywords",
    metadata,
    reference("movie_id", "movies.movie_id", "The movie"),
    reference("keyword_id", "keywords.keyword_id", "One of its keywords"),
    sa.PrimaryKeyConstraint("movie_id", "keyword_id"),
    sa.Index(None, "keyword_id"),
    comment="Which movie has which keywords",
)

people = sa.Table(
    "people",
    metadata,
    sa.Column(
        "person_id",
        sa.Integer,
        primary_key=True,
        autoincrement=False,
        comment="Id at The Movie Database",
    ),
    text_column("name", "Name of the actor or director"),
    comment="Actors and directors",
)

movie_credits = sa.Table(
    "movie_credits",
    metadata,
    reference("movie_id", "movies.movie_id", "The movie"),
    reference("person_id", "people.person_id", "Who took part"),
    text_column("role", "cast or director"),
    sa.Column("position", sa.SmallInteger, nullable=False, comment="Order of billing, from 0"),
    text_column("character", "Part played", nullable=True),
    sa.PrimaryKeyConstraint("movie_id", "role", "position", "person_id"),
    sa.CheckConstraint("role IN ('cast', 'director')", name="role"),
    sa.Index(None, "person_id"),
    comment="Leading cast and directors of movies",
)

users = sa.Table(
    "users",
    metadata,
    sa.Column(
        "user_id",
        sa.Integer,
        primary_key=True,
        autoincrement=False,
        comment="Number of the user inside: the key, if that is a free whole number",
    ),
    key_column("What the source calls the user; for MovieLens the id as text"),
    sa.Column("age", sa.SmallInteger, comment="Years; in ml-1m the lower bound of the age group"),
    text_column("gender", "As in the file: M or F", nullable=True),
    text_column("occupation", "As in the file", nullable=True),
    text_column("zip_code", "As in the file", nullable=True),
    sa.UniqueConstraint("key"),
    sa.CheckConstraint("user_id >= 0", name="user_id_not_negative"),
    valid_key(),
    sa.CheckConstraint("age BETWEEN 0 AND 150", name="age_plausible"),
    comment="People who rate or tag, with what the edition tells of them",
)

ratings = sa.Table(
    "ratings",
    metadata,
    reference("user_id", "users.user_id", "Who rated"),
    reference("movie_id", "movies.movie_id", "What was rated"),
    sa.Column("rating", DOUBLE_PRECISION, nullable=False, comment="On the edition's scale"),
    timestamp("rated_at", "When, where the file says", nullable=True),
    sa.PrimaryKeyConstraint("user_id", "movie_id"),
    finite("rating"),
    # Covering: counts and means of a movie come from an index-only scan.
    sa.Index(None, "movie_id", "user_id", postgresql_include=["rating"]),
    comment="What people gave; one rating for a user and movie",
)

source_users = sa.Table(
    "source_users",
    metadata,
    sa.Column(
        "user_id",
        sa.ForeignKey("recsys_store.users.user_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
        comment="The user",
    ),
    sa.Column(
        "rows_count", sa.BigInteger, nullable=False, comment="Rows of the user in the source"
    ),
    sa.Column("rows_hash", sa.Numeric, nullable=False, comment="Sum of the hashes of these rows"),
    sa.Column(
        "ratings_count", sa.BigInteger, nullable=False, comment="Ratings here after the sync"
    ),
    sa.Column("ratings_hash", sa.BigInteger, nullable=False, comment="Their hash"),
    comment="What the last sync read of each user: who has other rows now is compared again",
)

rating_changes = sa.Table(
    "rating_changes",
    metadata,
    sa.Column("user_id", sa.Integer, nullable=False, comment="Whose ratings changed"),
    sa.Column(
        "change_id",
        sa.BigInteger,
        sa.Identity(always=True),
        nullable=False,
        comment="Number of the change",
    ),
    sa.Column(
        "ratings_count",
        sa.Integer,
        nullable=False,
        comment="How many more they are; summed over a user's rows: how many there are",
    ),
    sa.Column(
        "ratings_hash",
        sa.BigInteger,
        nullable=False,
        comment="bit_xor of recsys.rating_hash over what came and went; over a user's rows: "
        "over all their ratings",
    ),
    sa.PrimaryKeyConstraint(
        "user_id", "change_id", postgresql_include=["ratings_count", "ratings_hash"]
    ),
    comment="What each user's ratings hash to, written by triggers on ratings: nobody waits for "
    "anybody, as rows are only added",
)

tags = sa.Table(
    "tags",
    metadata,
    reference("user_id", "users.user_id", "Who tagged"),
    reference("movie_id", "movies.movie_id", "What was tagged"),
    text_column("tag", "Free text"),
    timestamp("tagged_at", "When, where the file says", nullable=True),
    sa.PrimaryKeyConstraint("movie_id", "user_id", "tag"),
    # A key of the index must fit on a third of a page.
    sa.CheckConstraint("tag <> '' AND octet_length(tag) <= 2000", name="tag_length"),
    # PostgreSQL does not index foreign keys; deleting a user would scan the table.
    sa.Index(None, "user_id"),
    comment="Free-text tags people gave movies",
)

blocks = sa.Table(
    "blocks",
    metadata,
    reference("user_id", "users.user_id", "Who does not want it"),
    reference("movie_id", "movies.movie_id", "What not to recommend"),
    timestamp("until", "End of the block; NULL: for good", nullable=True),
    timestamp("created_at", "When the block was set", now=True),
    sa.PrimaryKeyConstraint("user_id", "movie_id"),
    sa.Index(None, "movie_id"),
    comment="Movies a person does not want recommended",
)

genome_tags = sa.Table(
    "genome_tags",
    metadata,
    sa.Column(
        "tag_id", sa.Integer, primary_key=True, autoincrement=False, comment="Id in the tag genome"
    ),
    text_column("tag", "The tag"),
    comment="Tags of the MovieLens tag genome",
)

genome_scores = sa.Table(
    "genome_scores",
    metadata,
    reference("movie_id", "movies.movie_id", "The movie"),
    reference("tag_id", "genome_tags.tag_id", "A tag of the genome"),
    sa.Column("relevance", sa.REAL, nullable=False, comment="How much it applies, 0 to 1"),
    sa.PrimaryKeyConstraint("movie_id", "tag_id"),
    sa.CheckConstraint("relevance BETWEEN 0 AND 1", name="relevance_range"),
    sa.Index(None, "tag_id"),
    comment="How much each tag of the genome applies to each movie",
)
