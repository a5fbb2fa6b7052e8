"""Which indexes the contract's queries use, on a table large enough to want one."""

import pytest
import sqlalchemy as sa

from recsys.jobs.refresh import refresh

RESULTS = ("movie_similarities", "user_recommendations", "movie_charts")


@pytest.fixture
def two_runs(refreshed_database, plan_all):
    """Run 1 in a partition of its own beside the published one, planned as if tables were big."""
    run_id = refresh(refreshed_database, plan_all).run_id
    with refreshed_database.transaction() as connection:
        connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
        yield connection, run_id


def nodes(plan):
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def scans(connection, query):
    """Return (relation, index, times carried out) of all scans of result tables."""
    answer = connection.scalar(sa.text(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}"))
    return [
        (node["Relation Name"], node.get("Index Name"), node["Actual Loops"])
        for node in nodes(answer[0]["Plan"])
        if str(node.get("Relation Name", "")).startswith(RESULTS)
    ]


@pytest.mark.parametrize(
    ("query", "table"),
    [
        (
            "SELECT * FROM recsys.similar_movies WHERE movie_id = 1 AND model = 'ease'",
            "movie_similarities",
        ),
        (
            "SELECT * FROM recsys.recommendations WHERE user_id = 1 AND model = 'ease'",
            "user_recommendations",
        ),
        ("SELECT * FROM recsys.similar(1, 10)", "movie_similarities"),
    ],
)
def test_only_the_published_partition_is_read_by_its_key(two_runs, query, table):
    connection, run_id = two_runs
    carried_out = {scan[:2] for scan in scans(connection, query) if scan[2]}
    assert carried_out == {(f"{table}_run_{run_id}", f"pk_{table}_run_{run_id}")}


def test_recommend_reads_its_list_by_the_key_of_the_published_partition(two_runs):
    connection, run_id = two_runs
    found = scans(connection, "SELECT * FROM recsys.recommend(1, 10)")
    carried_out = {scan[:2] for scan in found if scan[2] and scan[0].startswith("user_")}
    name = f"user_recommendations_run_{run_id}"
    assert carried_out == {(name, f"pk_{name}")}
    assert {scan[0].rpartition("_")[2] for scan in found if scan[2]} == {str(run_id)}


def test_search_uses_the_index_of_words(published):
    published.execute(sa.text("SET LOCAL enable_seqscan = off"))
    answer = published.scalar(
        sa.text("EXPLAIN (FORMAT JSON) SELECT * FROM recsys.search_movies('film', 10)")
    )
    names = {node.get("Index Name") for node in nodes(answer[0]["Plan"])}
    assert "ix_movies_title_words" in names


def test_the_count_of_a_movies_ratings_reads_the_index_only(filled_database):
    query = "SELECT ratings_count, ratings_mean FROM recsys.movies WHERE movie_id = 1"
    with filled_database.transaction() as connection:
        connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
        connection.execute(sa.text("SET LOCAL enable_bitmapscan = off"))
        answer = connection.scalar(sa.text(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}"))
    found = {
        (node["Node Type"], node["Heap Fetches"])
        for node in nodes(answer[0]["Plan"])
        if node.get("Index Name") == "ix_ratings_movie_id_user_id"
    }
    assert found == {("Index Only Scan", 0)}
