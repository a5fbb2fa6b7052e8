"""Rows with values outside the columns of the store are rejected; all others are loaded."""

import pytest
import sqlalchemy as sa

from recsys.domain import RejectedRow
from recsys.jobs.ingest import RejectLimit, ingest

RATINGS = "userId,movieId,rating,timestamp\n1,1,4.0,5\n2,1,3.0,6\n"
FILES = {
    "movies.csv": 'movieId,title,genres\n1,"One (2001)",Drama\n',
    "links.csv": "movieId,imdbId,tmdbId\n1,11,12\n",
    "tags.csv": "userId,movieId,tag,timestamp\n1,1,calm,5\n",
    "genome-tags.csv": "tagId,tag\n1,loud\n",
    "genome-scores.csv": "movieId,tagId,relevance\n1,1,0.5\n",
    "ratings.csv": RATINGS,
}
TOO_BIG = 2**31
MODERN = [
    ("movies.csv", f"{TOO_BIG},Two,Drama", f"movie id {TOO_BIG} is larger than {TOO_BIG - 1}"),
    ("movies.csv", "-1,Two,Drama", "movie id -1 is negative"),
    ("movies.csv", "2,Tw\0o,Drama", "a NUL character in the row"),
    ("movies.csv", "2,Two,Dra\0ma", "a NUL character in the row"),
    ("movies.csv", "2,,Drama", "title is empty"),
    ("links.csv", f"1,{TOO_BIG},1", f"IMDb id {TOO_BIG} is larger than {TOO_BIG - 1}"),
    ("links.csv", f"1,1,{TOO_BIG}", f"TMDB id {TOO_BIG} is larger than {TOO_BIG - 1}"),
    ("tags.csv", f"1,1,{'x' * 2001},5", "tag is longer than 2000 bytes"),
    ("tags.csv", f"1,1,{'é' * 1001},5", "tag is longer than 2000 bytes"),
    ("tags.csv", "1,1,ca\0lm,5", "a NUL character in the row"),
    ("tags.csv", f"{TOO_BIG},1,x,5", f"user id {TOO_BIG} is larger than {TOO_BIG - 1}"),
    ("genome-tags.csv", f"{TOO_BIG},x", f"tag id {TOO_BIG} is larger than {TOO_BIG - 1}"),
    ("genome-tags.csv", "2,lo\0ud", "a NUL character in the row"),
    ("genome-scores.csv", "1,1,1.01", "relevance 1.01 is outside 0 to 1"),
    ("genome-scores.csv", "1,1,-0.01", "relevance -0.01 is outside 0 to 1"),
    ("ratings.csv", f"{TOO_BIG},1,4.0,5", f"user id {TOO_BIG} is larger than {TOO_BIG - 1}"),
]


@pytest.mark.parametrize(("file", "row", "reason"), MODERN, ids=range(len(MODERN)))
def test_one_bad_row_of_a_modern_edition(database, tmp_path, file, row, reason):
    folder = tmp_path / "ml-tiny"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text + (row + "\n" if name == file else ""), encoding="utf-8")
    report = ingest(database, folder, max_rejects=RejectLimit(rows=1))
    content = row.replace("\0", "\\x00")[:500]
    line = FILES[file].count("\n") + 1
    assert report.rejected == [RejectedRow(file, line, content, reason)]
    with database.transaction() as connection:
        tables = ("movies", "users", "ratings", "tags", "genome_tags", "genome_scores")
        counts = [
            connection.scalar(sa.text(f"SELECT count(*) FROM recsys_store.{table}"))
            for table in tables
        ]
        stored = connection.execute(
            sa.text("SELECT file, line, reason FROM recsys_store.rejected_rows")
        ).all()
    assert counts == [1, 2, 2, 1, 1, 1]
    assert [tuple(row) for row in stored] == [(file, line, reason)]


@pytest.mark.parametrize("tag", ["x" * 2000, "é" * 1000], ids=["ascii", "two bytes"])
def test_the_longest_tag_is_stored(database, tmp_path, tag):
    folder = tmp_path / "ml-tiny"
    folder.mkdir()
    for name, text in (FILES | {"tags.csv": FILES["tags.csv"] + f"2,1,{tag},5\n"}).items():
        (folder / name).write_text(text, encoding="utf-8")
    assert ingest(database, folder).rejected == []


OLD_USERS = [
    ("3|-1|M|other|1", "age -1 is outside 0 to 150"),
    ("3|151|M|other|1", "age 151 is outside 0 to 150"),
    ("3|20|M|other|1\0", "a NUL character in the row"),
]


def old_edition(folder, *, users="", items=""):
    folder.mkdir()
    flags = "|".join(["0"] * 18 + ["1"])
    (folder / "u.data").write_text("1\t1\t4\t5\n2\t1\t3\t6\n")
    (folder / "u.item").write_text(f"1|One (1995)|01-Jan-1995|||{flags}\n{items}")
    (folder / "u.user").write_text(f"1|24|M|technician|85711\n{users}")
    return folder


@pytest.mark.parametrize(("row", "reason"), OLD_USERS, ids=["young", "old", "NUL"])
def test_one_bad_user_of_the_oldest_edition(database, tmp_path, row, reason):
    folder = old_edition(tmp_path / "ml-100k", users=f"{row}\n")
    report = ingest(database, folder, max_rejects=RejectLimit(rows=1))
    assert [(r.file, r.line, r.reason) for r in report.rejected] == [("u.user", 2, reason)]


@pytest.mark.parametrize(
    ("date", "year"),
    [("01-Jan-0001", None), ("01-Jan-9999", None), ("01-Jan-1799", None), ("01-Jan-1800", 1800)],
)
def test_an_impossible_year_is_dropped(database, tmp_path, date, year):
    flags = "|".join(["0"] * 18 + ["1"])
    folder = old_edition(tmp_path / "ml-100k", items=f"2|Two|{date}|||{flags}\n")
    assert ingest(database, folder).rejected == []
    with database.transaction() as connection:
        query = "SELECT year FROM recsys_store.movies WHERE movie_id = 2"
        assert connection.scalar(sa.text(query)) == year
