"""The rows of the SQL contract that the APIs return, selected in another way than they do."""

from __future__ import annotations


def recommended(source: str, *, label: bool = True) -> str:
    """Select recommendations from a function of the contract, with facts about their movies."""
    labels = ", recsys.label(r.model, r.score) AS label" if label else ""
    return f"""
        SELECT
            rank, movie_id, r.title, m.year, m.genres, m.poster_url, score, source, model, run_id
            {labels}, r.movie_key
        FROM {source} AS r JOIN recsys.movies AS m USING (movie_id)
        ORDER BY rank
    """
