"""Every route that reads, compared with the SQL contract."""

from datetime import timedelta

import pytest
from contract import recommended

RUN_COLUMNS = """
    run_id, kind, scope, base_run_id, state, published, refused, started_at, seconds, ratings_count,
    ARRAY(SELECT jsonb_object_keys(parameters -> 'models') AS name ORDER BY name) AS models,
    recsys.run_size(run_id) AS run_size, pruned_at, edition
"""
RECORD_COLUMNS = """
    run_id, kind, scope, base_run_id, state, published, refused, error, started_at, finished_at,
    seconds, default_model, cold_start, rating_model, seed, parameters, versions, snapshot_at,
    ratings_count, users_count, movies_count, rating_min, rating_max, snapshot_checksum,
    output_checksum, peak_memory_mb, pruned_at, recsys.run_size(run_id) AS run_size, edition
"""
SAME = [
    ("/movies?query=film%2017&n=4", "SELECT * FROM recsys.search_movies('film 17', 4)"),
    ("/movies?query=film", "SELECT * FROM recsys.search_movies('film')"),
    ("/movies?query=fillm+17&n=2", "SELECT * FROM recsys.search_movies('fillm 17', 2)"),
    ("/movies/7/similar", "SELECT * FROM recsys.similar(7)"),
    ("/movies/7/similar?n=3&model=als", "SELECT * FROM recsys.similar(7, 3, 'als')"),
    ("/movies/60/similar?model=ease", "SELECT * FROM recsys.similar(60, 10, 'ease')"),
    ("/charts/top_rated", "SELECT * FROM recsys.top_movies()"),
    ("/charts/popular?n=3&genre=drama", "SELECT * FROM recsys.top_movies(3, 'Drama', 'popular')"),
    ("/users/2/recommendations", recommended("recsys.recommend(2)")),
    ("/users/2/recommendations?n=0", recommended("recsys.recommend(2, 0)")),
    ("/users/2/recommendations?n=1000", recommended("recsys.recommend(2, 1000)")),
    (
        "/users/2/recommendations?n=20&model=als&genres=Drama&genres=sci-fi&year_from=1955"
        "&year_to=2000",
        recommended("recsys.recommend(2, 20, 'als', '{Drama,Sci-Fi}', 1955, 2000)"),
    ),
    ("/users/999999/recommendations", recommended("recsys.recommend(999999)")),
    ("/users/2/recommendations/4/explanation", "SELECT * FROM recsys.explain(2, 4)"),
    (
        "/users/2/recommendations/4/explanation?model=als",
        "SELECT * FROM recsys.explain(2, 4, 'als')",
    ),
    ("/users/81/recommendations/4/explanation", "SELECT * FROM recsys.explain(81, 4)"),
    ("/runs", f"SELECT {RUN_COLUMNS} FROM recsys.runs ORDER BY run_id DESC LIMIT 20"),
    ("/runs?n=0", "SELECT * FROM recsys.runs LIMIT 0"),
]


@pytest.mark.parametrize(("path", "query"), SAME, ids=[path for path, _ in SAME])
def test_lists_are_those_of_the_contract(http, contract, path, query):
    response = http.get(path)
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    expected = contract(query)
    assert response.json() == expected
    assert [list(row) for row in response.json()[:1]] == [list(row) for row in expected[:1]]


def test_the_lists_are_not_all_empty(contract):
    empty = [path for path, query in SAME if not contract(query)]
    assert empty == ["/movies/60/similar?model=ease", "/users/2/recommendations?n=0", "/runs?n=0"]


def test_a_movie(http, contract):
    [expected] = contract("SELECT * FROM recsys.movies WHERE movie_id = 17")
    assert http.get("/movies/17").json() == expected


@pytest.mark.parametrize("user", [1, 81, 999_999])
def test_a_user(http, contract, user):
    [expected] = contract("SELECT * FROM recsys.user_status(:user)", user=user)
    found = http.get(f"/users/{user}").json()
    age = timedelta(seconds=found.pop("run_age"))
    assert timedelta(0) <= age - expected.pop("run_age") < timedelta(minutes=1)
    assert found == expected


def test_a_run(http, contract):
    [expected] = contract(f"SELECT {RECORD_COLUMNS} FROM recsys.runs WHERE run_id = 1")
    stages = "SELECT * FROM recsys.run_stages WHERE run_id = 1 ORDER BY position"
    metrics = "SELECT * FROM recsys.run_metrics WHERE run_id = 1 ORDER BY 2, 3, 4, 5"
    log = "SELECT * FROM recsys.publications WHERE run_id = 1"
    for name, query in (("stages", stages), ("metrics", metrics), ("publications", log)):
        expected[name] = [
            {key: value for key, value in row.items() if key != "run_id"} for row in contract(query)
        ]
    expected["epochs"] = []  # no network is published
    found = http.get("/runs/1").json()
    assert expected["stages"]
    assert expected["publications"]
    assert found == expected


@pytest.mark.parametrize(
    ("body", "query"),
    [
        ({"ratings": {"1": 4.5, "3": 5}}, 'recsys.recommend_for(\'{"1"\\: 4.5, "3"\\: 5}\')'),
        ({"ratings": {}, "n": 4}, "recsys.recommend_for('{}', 4)"),
        (
            {
                "ratings": {"1": 4.5},
                "n": 6,
                "model": "item_knn",
                "genres": ["Drama"],
                "year_from": 1955,
                "year_to": 2005,
            },
            "recsys.recommend_for('{\"1\"\\: 4.5}', 6, 'item_knn', '{Drama}', 1955, 2005)",
        ),
    ],
)
def test_recommendations_by_ratings(http, contract, body, query):
    expected = contract(recommended(query))
    assert http.post("/recommendations", json=body).json() == expected
    assert expected


def test_ratings_of_every_movie(http):
    ratings = {str(movie % 60 + 1): 4 for movie in range(60)}
    response = http.post("/recommendations", json={"ratings": ratings})
    assert (response.status_code, response.json()) == (200, [])


def test_titles_in_any_script_are_utf_8(writable, refreshed_database):
    import sqlalchemy as sa

    with refreshed_database.transaction() as connection:
        connection.execute(
            sa.text("UPDATE recsys_store.movies SET title = '七人の侍' WHERE movie_id = 17")
        )
    assert '"title":"七人の侍"'.encode() in writable.get("/movies/17").content
    assert writable.get("/movies", params={"query": "七人の侍"}).json() == [
        {"movie_id": 17, "title": "七人の侍", "year": 1967, "movie_key": "17"}
    ]
