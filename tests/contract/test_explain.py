"""Why a movie is shown: contributions that add up to the score, or an account marked as such."""

import pytest
import sqlalchemy as sa
from grades import counted_now

from recsys.models.registry import MODELS

SUMS = (
    "ease", "collective_ease", "item_knn", "pearson_average", "slist", "slist_newest", "next",
)  # fmt: skip
PERSONAL = [name for name, spec in MODELS.items() if spec.kind == "personal"]
EXPLAIN = sa.text(
    "SELECT * FROM recsys.explain(:user, :movie, CAST(:model AS text)) AS e "
    "ORDER BY contribution DESC, because_movie_id"
)
OF_USER = sa.text(
    "SELECT movie_id, rating FROM recsys.ratings WHERE user_id = :user ORDER BY movie_id"
)
RECOMMEND = sa.text("SELECT * FROM recsys.recommend(:user, :n, CAST(:model AS text))")


def explain(connection, user, movie, model=None):
    return connection.execute(EXPLAIN, {"user": user, "movie": movie, "model": model}).all()


def recommend(connection, user, n, model=None):
    return connection.execute(RECOMMEND, {"user": user, "n": n, "model": model}).all()


def scalar(connection, query, **values):
    return connection.scalar(sa.text(query), values)


@pytest.mark.parametrize("model", PERSONAL)
@pytest.mark.parametrize("user", [1, 2, 17])
def test_contributions_add_up_to_the_score_that_is_shown(everything, model, user):
    """Down the whole list, where live and content rows follow the stored ones."""
    rows = recommend(everything, user, 60, model)
    assert rows[0].source == "stored"
    assert rows[-1].source in ("content", "chart")
    for row in rows:
        found = explain(everything, user, row.movie_id, model)
        assert {(e.source, e.model, e.run_id) for e in found} == {(row.source, row.model, 1)}
        if found[0].exact and found[0].because_movie_id:
            assert len({e.because_movie_id for e in found}) == len(found)
            assert [e.contribution for e in found] == pytest.approx(
                [e.weight * e.similarity for e in found], rel=1e-12
            )
        assert found[0].score == pytest.approx(row.score, rel=1e-11, abs=1e-11)
        total = sum(e.contribution for e in found)
        assert total == pytest.approx(row.score, rel=1e-9, abs=1e-9)
        if row.score:
            assert sum(e.share for e in found) == pytest.approx(1, rel=1e-9)


@pytest.mark.parametrize("model", PERSONAL)
def test_only_sums_are_called_exact(everything, model):
    for row in recommend(everything, 1, 30, model):
        exact = {e.exact for e in explain(everything, 1, row.movie_id, model)}
        summed = row.source != "stored" or row.model in (*SUMS, "trending")
        assert exact == {summed} or not summed


def test_ease_by_hand(everything):
    [first] = recommend(everything, 1, 1, "ease")
    weights = everything.execute(
        sa.text(
            "SELECT r.movie_id, m.title, r.rating, s.score FROM recsys.ratings AS r "
            "JOIN recsys.similar_movies AS s ON s.movie_id = r.movie_id AND s.model = 'ease' "
            "JOIN recsys.movies AS m ON m.movie_id = r.movie_id "
            "WHERE r.user_id = 1 AND s.similar_movie_id = :movie "
            "ORDER BY r.movie_id"
        ),
        {"movie": first.movie_id},
    ).all()
    strongest_first = explain(everything, 1, first.movie_id, "ease")
    assert [e.contribution for e in strongest_first] == sorted(
        (e.contribution for e in strongest_first), reverse=True
    )
    found = sorted(strongest_first, key=lambda e: e.because_movie_id)
    assert [(e.because_movie_id, e.because_title, e.rating) for e in found] == [
        tuple(row[:3]) for row in weights
    ]
    assert [e.similarity for e in found] == [row.score for row in weights]
    assert [e.contribution for e in found] == [e.weight * e.similarity for e in found]
    assert first.score == pytest.approx(sum(e.contribution for e in found), rel=1e-12)
    of_user = dict(everything.execute(OF_USER, {"user": 1}).all())
    counts = counted_now(everything, of_user)
    assert [e.weight for e in found] == [counts[e.because_movie_id] for e in found]
    assert len({e.weight for e in found}) > 1


def test_pearson_average_by_hand(everything):
    [first] = recommend(everything, 2, 1, "pearson_average")
    found = explain(everything, 2, first.movie_id, "pearson_average")
    for row in found:
        expected = row.similarity * row.rating / len(found)
        assert row.contribution == pytest.approx(expected, rel=1e-12)


def test_an_unexplained_movie_has_one_row_without_a_rated_movie(everything):
    for last in recommend(everything, 4711, 60):
        [row] = explain(everything, 4711, last.movie_id)
        assert (row.because_movie_id, row.because_title, row.rating) == (None, None, None)
        assert (row.source, row.contribution, row.exact) == ("chart", last.score, True)


def test_hybrids_name_the_model_a_row_came_from(everything):
    rows = recommend(everything, 1, 20, "hybrid_mixed")
    models = {row.model for row in rows}
    assert len(models) > 1
    for row in rows:
        assert {e.model for e in explain(everything, 1, row.movie_id, "hybrid_mixed")} == {
            row.model
        }


def test_explanations_use_current_ratings(everything):
    before = recommend(everything, 1, 1)[0]
    everything.execute(sa.text("SELECT recsys.rate(1, :movie, 4)"), {"movie": before.movie_id})
    for model in ("ease", "als", "mf", "hybrid_mixed"):
        for row in recommend(everything, 1, 10, model):
            found = explain(everything, 1, row.movie_id, model)
            source = "live" if model == "ease" else "substitute"
            assert {(e.source, e.model, e.exact) for e in found} == {(source, row.model, True)}
            assert (row.source, row.model) == (source, "ease")
            assert sum(e.contribution for e in found) == pytest.approx(row.score, rel=1e-9)
    assert any(
        e.because_movie_id == before.movie_id
        for row in recommend(everything, 1, 10)
        for e in explain(everything, 1, row.movie_id)
    )


def test_a_rated_movie_is_no_reason_for_itself(everything):
    rated = scalar(everything, "SELECT min(movie_id) FROM recsys.ratings WHERE user_id = 1")
    assert rated not in {row.because_movie_id for row in explain(everything, 1, rated)}


def test_shared_genres_and_tags(everything):
    everything.execute(
        sa.text(
            "INSERT INTO recsys_store.tags (user_id, movie_id, tag) "
            "SELECT 5, movie_id, upper(t) FROM recsys_store.movies "
            "CROSS JOIN unnest(CAST('{dark,slow}' AS text[])) AS t WHERE movie_id <> ("
            "SELECT min(movie_id) FROM recsys_store.ratings WHERE user_id = 1)"
        )
    )
    untagged = scalar(everything, "SELECT min(movie_id) FROM recsys.ratings WHERE user_id = 1")
    [first] = recommend(everything, 1, 1)
    genres = {
        row.movie_id: set(row.genres)
        for row in everything.execute(sa.text("SELECT movie_id, genres FROM recsys.movies"))
    }
    found = explain(everything, 1, first.movie_id)
    for row in found:
        shared = sorted(genres[row.because_movie_id] & genres[first.movie_id])
        assert row.shared_genres == shared
        assert row.shared_tags == ([] if row.because_movie_id == untagged else ["dark", "slow"])


@pytest.mark.parametrize(
    ("call", "state", "told"),
    [
        ("explain(1, 4711)", "P0002", "there is no movie 4711"),
        ("explain(NULL, 1)", "22004", "user_id must not be NULL"),
        ("explain(1, NULL)", "22004", "movie_id must not be NULL"),
        ("explain(1, 1, 'nix''; --')", "RS002", "run 1 has no model 'nix''; --'"),
    ],
)
def test_impossible_explanations(everything, call, state, told):
    with pytest.raises(sa.exc.DBAPIError) as caught:
        everything.execute(sa.text(f"SELECT * FROM recsys.{call}"))
    assert caught.value.orig.sqlstate == state
    assert caught.value.orig.diag.message_primary == told
