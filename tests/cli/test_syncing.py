"""`recsys sync`, `recsys source` and `recsys export`, as a shop would use them."""

import pytest

SHOP = """
CREATE TABLE public.orders (customer text, sku text, at timestamptz);
INSERT INTO public.orders VALUES ('ann', 'A', now()), ('ann', 'A', now()), ('bob', 'B', now())
"""
CONFIG = """
[source]
name = "shop"
ratings = "SELECT customer AS user_id, sku AS movie_id, at AS rated_at FROM public.orders"
"""


@pytest.fixture
def at(database, tmp_path):
    with database.transaction() as connection:
        for statement in SHOP.split(";\n"):
            connection.exec_driver_sql(statement)
    (tmp_path / "recsys.toml").write_text(CONFIG)
    return {
        "RECSYS_DATABASE_URL": database.url,
        "RECSYS_CONFIG": str(tmp_path / "recsys.toml"),
    }


def test_a_shop_is_followed_and_exported(recsys, at, database, tmp_path):
    dry = recsys("sync", "--dry-run", **at)
    assert dry.code == 0
    assert dry.errors[-1].startswith(
        "Would change: shop: 2 interactions, 2 movies, 2 users added; 0 duplicates merged, "
    )
    done = recsys("sync", "--json", **at)
    assert done.code == 0
    assert done.json["counts"]["ratings"] == {
        "inserted": 2, "updated": 0, "unchanged": 0, "removed": 0,
    }  # fmt: skip
    watched = recsys("source", "watch", **at)
    assert watched.errors == [
        "Rows of public.orders now change ratings at once. `recsys source unwatch` ends it."
    ]
    with database.transaction() as connection:
        connection.exec_driver_sql("INSERT INTO public.orders VALUES ('cid', 'B', now())")
    assert recsys("export", str(tmp_path / "out"), **at).code == 0
    lines = (tmp_path / "out" / "ratings.csv").read_text().splitlines()
    assert [line.rpartition(",")[0] for line in lines] == [
        "user_id,movie_id,count", "ann,A,2", "bob,B,1", "cid,B,1",
    ]  # fmt: skip
    assert recsys("source", "unwatch", **at).errors == ["No longer watched: orders."]
