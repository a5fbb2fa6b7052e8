"""Every question of the cookbook is answered, by a reader, as its file stands."""

import re
from collections import Counter
from pathlib import Path

import pytest
import sqlalchemy as sa

FOLDER = Path(__file__).resolve().parents[2] / "sql" / "cookbook"
FILES = sorted(FOLDER.glob("*/*.sql"))
PATHS = {file.stem: file for file in FILES}
EMPTY_HERE = {"rejected_rows", "drift_between_runs", "controversial_movies"}
"""Nothing was rejected of the made-up edition, it has one run, and no movie has 50 ratings."""
NOTHING_PUBLISHED = "55000"
CALLED = (
    "recommend recommend_for similar_users explain predict_rating top_movies search_movies "
    "user_status recommendations_as_of compare_runs rating_scale verify_lists rating_histogram "
    "user_taste"
)
READ = (
    "movies ratings similar_movies recommendations charts models runs run_stages run_metrics "
    "publications freshness ingests rejected_rows"
)


def query_of(file):
    return "\n".join(line for line in file.read_text().splitlines() if not line.startswith("--"))


def answer(connection, name):
    """Return the rows as dictionaries."""
    found = connection.execute(sa.text(query_of(PATHS[name]).replace(":", r"\:")))
    return [dict(row) for row in found.mappings()]


def one(connection, query):
    return connection.scalar(sa.text(query))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_says_its_question_and_what_to_read_off(file):
    lines = file.read_text().splitlines()
    assert lines[0].startswith("-- Question: ")
    assert any(line.startswith("-- Read off: ") for line in lines)
    query = query_of(file)
    assert query.count(";") == 1
    assert query.endswith(";")
    assert "recsys_store" not in query
    assert max(map(len, lines[: lines.index(query.splitlines()[0])])) <= 100


def test_there_are_enough_of_them_and_the_list_has_them_all():
    listed = re.findall(r"\(([a-z_/]+)\.sql\) \| (.+) \|", (FOLDER / "README.md").read_text())
    questions = {}
    for file in FILES:
        comment = re.split(r"\n-- Read off: ", file.read_text())[0]
        words = comment.removeprefix("-- Question: ").replace("\n--  ", "")
        questions[f"{file.parent.name}/{file.stem}"] = " ".join(words.split())
    assert dict(listed) == questions
    assert len(questions) >= 20


def test_they_use_the_whole_contract():
    together = " ".join(query_of(file) for file in FILES)
    called = {name for name in CALLED.split() if f"recsys.{name}(" not in together}
    read = {name for name in READ.split() if not re.search(rf"recsys\.{name}\b(?!\()", together)}
    assert (called, read) == (set(), set())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_has_an_answer(everything, file):
    rows = answer(everything, file.stem)
    assert bool(rows) != (file.stem in EMPTY_HERE)
    if rows:
        unknown = {name for name in rows[0] if all(row[name] is None for row in rows)}
        assert unknown <= {"until", "reason", "last_error", "ci_low", "ci_high"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_none_fails_when_nothing_is_there(connection, file):
    try:
        rows = answer(connection, file.stem)
    except sa.exc.DBAPIError as exc:
        if exc.orig.sqlstate != NOTHING_PUBLISHED:
            raise
        rows = []
    assert isinstance(rows, list)


# --- what some of them say, counted otherwise ---


def test_the_tail_holds_all_movies_and_all_ratings(everything):
    rows = answer(everything, "long_tail")
    assert [row["part"] for row in rows] == list(range(1, 11))
    assert sum(row["movies"] for row in rows) == one(
        everything, "SELECT count(*) FROM recsys.movies"
    )
    assert float(sum(row["share_of_ratings"] for row in rows)) == pytest.approx(1, abs=1e-3)
    assert rows[0]["most_ratings"] == one(
        everything, "SELECT max(ratings_count) FROM recsys.movies"
    )


def test_people_are_counted_once(everything):
    rows = answer(everything, "user_activity")
    raters = "SELECT count(DISTINCT user_id) FROM recsys.ratings"
    assert sum(row["people"] for row in rows) == one(everything, raters)
    assert all(row["to_ratings"] == 2 * row["from_ratings"] - 1 for row in rows)


def test_genres_are_counted_with_each_movie_that_has_them(everything):
    rows = {row["genre"]: row for row in answer(everything, "rating_distribution")}
    ratings = [
        tuple(row)
        for row in everything.execute(
            sa.text(
                "SELECT unnest(m.genres), r.rating FROM recsys.ratings AS r "
                "JOIN recsys.movies AS m USING (movie_id)"
            )
        )
    ]
    for genre, row in rows.items():
        own = [rating for name, rating in ratings if name == genre]
        assert row["ratings"] == len(own)
        assert float(row["mean"]) == pytest.approx(sum(own) / len(own), abs=1e-3)
        assert float(row["best"]) == pytest.approx(
            sum(rating >= 4.1 for rating in own) / len(own), abs=1e-3
        )


def test_coverage_counts_movies_and_gini_their_places(everything):
    rows = {row["model"]: row for row in answer(everything, "catalogue_coverage")}
    lists = everything.execute(
        sa.text(
            "SELECT model, movie_id, count(*) FROM recsys.recommendations "
            "WHERE rank <= 10 GROUP BY 1, 2"
        )
    ).all()
    movies = one(everything, "SELECT count(*) FROM recsys.movies")
    for model, row in rows.items():
        places = sorted(count for name, _, count in lists if name == model)
        n = len(places)
        gini = sum((2 * i - n - 1) * x for i, x in enumerate(places, 1)) / (n * sum(places))
        assert row["movies"] == n
        assert float(row["coverage"]) == pytest.approx(n / movies, abs=1e-4)
        assert float(row["gini"]) == pytest.approx(gini, abs=1e-3)


def test_shares_of_genres_add_up(everything):
    rows = answer(everything, "genres_recommended_and_rated")
    for name in ("share_of_ratings", "share_of_places"):
        assert float(sum(row[name] for row in rows)) == pytest.approx(1, abs=1e-3)
    for row in rows:
        expected = float(row["share_of_places"]) / float(row["share_of_ratings"])
        assert float(row["lift"]) == pytest.approx(expected, abs=0.02)


def test_contributions_are_shares_of_the_score(everything):
    rows = answer(everything, "why_this_movie")
    for row in rows:
        expected = float(row["contribution"]) / float(row["score"])
        assert float(row["share"]) == pytest.approx(expected, abs=2e-3)


def test_past_recommendations_are_the_stored_list(everything):
    then = [row["movie_id"] for row in answer(everything, "what_was_shown_then")]
    stored = sa.text(
        "SELECT movie_id FROM recsys.recommendations "
        "WHERE user_id = 1 AND model = 'ease' AND rank <= 10 ORDER BY rank"
    )
    assert then == list(everything.scalars(stored))


def test_a_day_ago_is_the_run_of_then_or_else_the_next_that_is_kept(two_runs):
    move = "UPDATE recsys_store.publications SET published_at = now() - interval '{}'"
    for age, run_id in (("2 days", 1), ("1 hour", 2)):
        two_runs.execute(sa.text(f"{move.format(age)} WHERE run_id = {run_id}"))
    ago = two_runs.scalar(sa.text("SELECT date_trunc('second', now() - interval '1 day')"))
    published = two_runs.scalar(sa.text("SELECT date_trunc('second', now() - interval '1 hour')"))
    expected = {1: ago, 2: published}
    for run_id in (1, 2):
        rows = answer(two_runs, "what_was_shown_then")
        assert len(rows) == 10
        assert {(row["run_id"], row["at"]) for row in rows} == {(run_id, expected[run_id])}
        two_runs.execute(sa.text("UPDATE recsys_store.runs SET pruned_at = now() WHERE run_id = 1"))
    two_runs.execute(sa.text("UPDATE recsys_store.runs SET pruned_at = now()"))
    assert answer(two_runs, "what_was_shown_then") == []


def test_the_text_searched_is_found_first(everything):
    rows = answer(everything, "find_a_movie")
    most_rated = one(
        everything,
        "SELECT movie_id FROM recsys.movies ORDER BY ratings_count DESC, movie_id LIMIT 1",
    )
    [title] = everything.scalars(
        sa.text(f"SELECT title FROM recsys.movies WHERE movie_id = {most_rated}")
    )
    assert {row["searched"] for row in rows} == {title[:8].upper()}
    found = everything.execute(
        sa.text("SELECT movie_id FROM recsys.search_movies(:text, 10)"), {"text": title[:8]}
    )
    assert [row["movie_id"] for row in rows] == list(found.scalars())


def test_only_movies_outside_the_most_rated_half_are_little_known(everything):
    counts = dict(
        tuple(row)
        for row in everything.execute(sa.text("SELECT movie_id, ratings_count FROM recsys.movies"))
    )
    so_far, tail = 0, set()
    for movie in sorted(counts, key=lambda movie: (-counts[movie], movie)):
        so_far += counts[movie]
        if so_far > sum(counts.values()) / 2:
            tail.add(movie)
    lists = "SELECT movie_id FROM recsys.recommendations WHERE model = 'ease' AND rank <= 10"
    listed = Counter(movie for movie in everything.scalars(sa.text(lists)) if movie in tail)
    expected = sorted(listed.items(), key=lambda row: (-row[1], counts[row[0]], row[0]))
    rows = answer(everything, "recommended_most_rated_least")
    assert [(row["movie_id"], row["lists"]) for row in rows] == expected[:20]
    assert rows[0]["lists"] > 1


def test_people_without_user_knn_have_neighbours_too(everything, published):
    assert answer(everything, "taste_neighbours")
    rows = answer(published, "taste_neighbours")
    seen = set(published.scalars(sa.text("SELECT movie_id FROM recsys.ratings WHERE user_id = 1")))
    assert rows
    assert seen.isdisjoint(row["movie_id"] for row in rows)
    assert all(row["neighbours"] >= 2 and row["their_similarity"] > 0 for row in rows)


def test_the_best_model_comes_first(everything):
    figures = (
        "INSERT INTO recsys_store.run_metrics "
        "(run_id, model_id, protocol, metric, segment, value, n) "
        "SELECT 1, model_id, 'tried', x.metric, 'all', x.value, 9 FROM recsys_store.models "
        "JOIN (VALUES ('ease', 'ndcg@10', 0.3), ('als', 'ndcg@10', 0.4), ('mf', 'rmse', 0.8), "
        "('svd', 'rmse', 0.7), ('ease', 'disliked_share@10', 0.1), "
        "('als', 'disliked_share@10', 0.2)) AS x (name, metric, value) USING (name)"
    )
    everything.execute(sa.text(figures))
    rows = answer(everything, "which_model_is_best")
    tried = [(row["metric"], row["model"]) for row in rows if row["protocol"] == "tried"]
    assert tried == [
        ("disliked_share@10", "ease"), ("disliked_share@10", "als"),
        ("ndcg@10", "als"), ("ndcg@10", "ease"), ("rmse", "svd"), ("rmse", "mf"),
    ]  # fmt: skip
    assert "train" not in {row["protocol"] for row in rows}


def test_cold_movies_have_no_rating_and_stand_beside_known_ones(everything):
    rows = answer(everything, "cold_movies")
    assert [row["movie_id"] for row in rows] == [59, 60]
    assert all(row["they_are"] > 0 for row in rows)


def test_people_without_a_list_are_distinguished(everything):
    rows = answer(everything, "who_has_no_list")
    [only] = rows
    assert (only["status"], only["people"]) == ("personalised", 80)


def test_lists_are_what_they_claim(everything):
    rows = answer(everything, "lists_are_what_they_claim")
    assert {row["model"] for row in rows} == {
        "collective_ease", "ease", "item_knn", "next", "pearson_average", "slist", "slist_newest",
    }  # fmt: skip
    assert {(row["missing"], row["extra"]) for row in rows} == {(0, 0)}
    assert {row["users"] for row in rows} == {10}


def test_stages_take_the_whole_of_a_run(everything):
    rows = answer(everything, "where_time_goes")
    assert float(sum(row["share"] for row in rows)) == pytest.approx(1, abs=0.02)
