"""Queries of the SQL contract about single people: why, how they are served, what they say."""

RECOMMEND_FOR = """
SELECT rank, movie_id, title, score, source, model, run_id, recsys.label(model, score) AS label
FROM recsys.recommend_for(
    CAST(:ratings AS jsonb), CAST(:n AS integer), CAST(:model AS text),
    CAST(:genres AS text[]), CAST(:year_from AS integer), CAST(:year_to AS integer)
)
"""
EXPLAIN = """
SELECT
    because_movie_id, because_title, rating, similarity, contribution, share, score, source, model,
    exact, shared_genres, shared_tags, run_id
FROM recsys.explain(
    CAST(:user_id AS integer), CAST(:movie_id AS integer), CAST(:model AS text)
)
"""
USER_STATUS = """
SELECT status, ratings, ratings_since_run, run_age, run_id, explanation
FROM recsys.user_status(CAST(:user_id AS integer))
"""
RATE = """
SELECT recsys.rate(
    CAST(:user_id AS integer), CAST(:movie_id AS integer), CAST(:rating AS double precision)
)
"""
BLOCK = """
SELECT recsys.block(
    CAST(:user_id AS integer), CAST(:movie_id AS integer), CAST(:until AS timestamptz)
)
"""
