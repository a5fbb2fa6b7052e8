"""A bad row is set aside under its line with a plain reason, and the rest is loaded."""

from pathlib import Path

import pytest

from recsys.domain import RejectedRow
from recsys.ingest import read_dataset

RATINGS = "userId,movieId,rating,timestamp\n"
MOVIES = "movieId,title,genres\n1,One (2001),Drama\n2,Two (2002),Drama\n"
GOOD = "1,1,4.0,1000\n"


def folder(tmp_path: Path, **files: str | bytes) -> Path:
    files = {"movies": MOVIES, "ratings": RATINGS + GOOD, **files}
    for name, content in files.items():
        data = content if isinstance(content, bytes) else content.encode()
        (tmp_path / f"{name.replace('_', '-')}.csv").write_bytes(data)
    return tmp_path


def rejected(path: Path, known: list[int] | None = None) -> list[tuple[str, int, str]]:
    dataset = read_dataset(path, known_movie_keys=list(map(str, known or [])))
    return [(row.file, row.line, row.reason) for row in dataset.rejected]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1,2,3.0", "3 columns where 4 are expected"),
        ("1,2,3.0,5,6", "5 columns where 4 are expected"),
        ("x,2,3.0,5", 'user id "x" is not a whole number'),
        (",2,3.0,5", "user id is empty"),
        ("-1,2,3.0,5", "user id -1 is negative"),
        ("2147483648,2,3.0,5", "user id 2147483648 is larger than 2147483647"),
        ("1.0,2,3.0,5", 'user id "1.0" is not a whole number'),
        ("1,3,3.0,5", "movie 3 is unknown"),
        ("1,-3,3.0,5", "movie id -3 is negative"),
        ("1,2,,5", "rating is empty"),
        ("1,2,good,5", 'rating "good" is not a number'),
        ("1,2,nan,5", 'rating "nan" is not a finite number'),
        ("1,2,1e999,5", 'rating "1e999" is not a finite number'),
        ("1,2,0,5", "rating 0 is outside 0.5 to 5"),
        ("1,2,5.5,5", "rating 5.5 is outside 0.5 to 5"),
        ("1,2,3.7,5", "rating 3.7 is not a step of 0.5"),
        ("1,2,3.0,", "timestamp is empty"),
        ("1,2,3.0,2020-01-01", 'timestamp "2020-01-01" is not a whole number'),
        ("1,2,3.0,-5", "timestamp -5 is negative, before 1970"),
        ("1,2,3.0,99999999999", "timestamp 99999999999 lies in the future"),
        ('1,"2,3.0,5', "a quoted field is not closed"),
        ('1,"2"x,3.0,5', "cannot be split into columns: ',' expected after '\"'"),
    ],
)
def test_bad_rating(tmp_path: Path, row: str, reason: str) -> None:
    path = folder(tmp_path, ratings=f"{RATINGS}{GOOD}\n{row}\n2,2,0.5,0\n")
    dataset = read_dataset(path)
    assert dataset.rejected == [RejectedRow("ratings.csv", 4, row, reason)]
    assert dataset.ratings.user_ids.tolist() == [1, 2]
    assert dataset.rows_read == 5


def test_undecodable_and_nul_bytes_are_shown_escaped(tmp_path: Path) -> None:
    bad = b"1,\xff,3.0,5\n1,2\0,3.0,5\n" + b"1,2,3.0,5" * 200 + b"\n"
    dataset = read_dataset(folder(tmp_path, ratings=RATINGS.encode() + bad + GOOD.encode()))
    first, second, third = dataset.rejected
    assert first == RejectedRow("ratings.csv", 2, "1,\\xff,3.0,5", "not valid UTF-8")
    reason = 'movie id "2\\x00" is not a whole number'
    assert second == RejectedRow("ratings.csv", 3, "1,2\\x00,3.0,5", reason)
    assert (third.line, third.content) == (4, ("1,2,3.0,5" * 200)[:500])


def test_whole_star_scale(tmp_path: Path) -> None:
    (tmp_path / "u.data").write_text("1\t1\t3\t5\n1\t2\t3.5\t5\n1\t3\t0.5\t5\n1\t4\t6\t5\n")
    assert rejected(tmp_path) == [
        ("u.data", 2, "rating 3.5 is not a step of 1"),
        ("u.data", 3, "rating 0.5 is outside 1 to 5"),
        ("u.data", 4, "rating 6 is outside 1 to 5"),
    ]


def test_ids_reach_from_zero_to_the_largest_integer(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("user,movie,rating\n0,2147483647,3\n2147483647,0,3\n")
    dataset = read_dataset(tmp_path / "r.csv")
    assert dataset.rejected == []
    assert dataset.ratings.user_ids.tolist() == [0, 2147483647]
    assert dataset.ratings.movie_ids.tolist() == [2147483647, 0]


def test_known_movies_may_be_rated(tmp_path: Path) -> None:
    path = folder(tmp_path, ratings=RATINGS + GOOD + "1,7,3.0,5\n1,8,3.0,5\n")
    assert rejected(path, [7]) == [("ratings.csv", 4, "movie 8 is unknown")]
    alone = tmp_path / "alone.csv"
    alone.write_text("user,movie,rating\n1,7,3\n1,8,3\n")
    dataset = read_dataset(alone, known_movie_keys=["9", "7"])
    assert (dataset.movies, dataset.ratings.movie_ids.tolist()) == ([], [7])
    assert [row.reason for row in dataset.rejected] == ["movie 8 is unknown"]


def test_bad_movies(tmp_path: Path) -> None:
    movies = (
        MOVIES + "1,One (2001),Drama\n1,Other (2001),Drama\nx,Three,Drama\n3,,Drama\n4,Four\n"
        '5,"Five\nover two lines, The",Drama\n6,Six\0,Drama\n'
    ).encode() + b"7,S\xe9ven,Drama\n"
    path = folder(tmp_path, movies=movies, ratings=RATINGS + GOOD + "1,3,3.0,5\n1,5,4.0,5\n")
    dataset = read_dataset(path)
    assert [(row.file, row.line, row.reason) for row in dataset.rejected] == [
        ("movies.csv", 5, "movie 1 is described differently on line 2"),
        ("movies.csv", 6, 'movie id "x" is not a whole number'),
        ("movies.csv", 7, "title is empty"),
        ("movies.csv", 8, "2 columns where 3 are expected"),
        ("movies.csv", 11, "a NUL character in the row"),
        ("movies.csv", 12, "not valid UTF-8"),
        ("ratings.csv", 3, "movie 3 is unknown"),
    ]
    titles = [(movie.movie_id, movie.title) for movie in dataset.movies]
    assert titles == [(1, "One"), (2, "Two"), (5, "The Five over two lines")]
    assert dataset.rows_read == 13


def test_bad_links(tmp_path: Path) -> None:
    links = "movieId,imdbId,tmdbId\n1,0000010,20\n1,0000010,20\n1,0000010,21\n3,4,5\n2,x,\n"
    path = folder(tmp_path, links=links)
    assert rejected(path) == [
        ("links.csv", 4, "movie 1 is described differently on line 2"),
        ("links.csv", 5, "movie 3 is unknown"),
        ("links.csv", 6, 'IMDb id "x" is not a whole number'),
    ]
    movie = read_dataset(path).movies[0]
    assert (movie.imdb_id, movie.tmdb_id) == (10, 20)


def test_bad_tags(tmp_path: Path) -> None:
    header = "userId,movieId,tag,timestamp\n"
    tags = header + "9,1,fun,5\n9,1,fun,5\n9,1,Fun,5\n9,3,fun,5\n9,1, ,5\n9,1,fun,-1\nx,1,fun,5\n"
    path = folder(tmp_path, tags=tags)
    assert rejected(path) == [
        ("tags.csv", 5, "movie 3 is unknown"),
        ("tags.csv", 6, "tag is empty"),
        ("tags.csv", 7, "timestamp -1 is negative, before 1970"),
        ("tags.csv", 8, 'user id "x" is not a whole number'),
    ]
    kept = read_dataset(path).tags
    assert kept is not None
    assert (kept.user_ids.tolist(), kept.tags) == ([9, 9], ["fun", "Fun"])


def test_bad_users(tmp_path: Path) -> None:
    (tmp_path / "ratings.dat").write_text("1::1::3::5\n")
    (tmp_path / "users.dat").write_text(
        "1::F::1::10::48067\n2::F::17::10::1\n3::F::18::21::1\n4::X::18::1::1\n1::M::1::10::48067\n"
    )
    assert rejected(tmp_path) == [
        ("users.dat", 2, "age group 17 is none of 1, 18, 25, 35, 45, 50, 56"),
        ("users.dat", 3, "occupation 21 is outside 0 to 20"),
        ("users.dat", 4, 'gender "X" is neither F nor M'),
        ("users.dat", 5, "user 1 is described differently on line 1"),
    ]


def test_bad_genome(tmp_path: Path) -> None:
    path = folder(
        tmp_path,
        genome_tags="tagId,tag\n1,noir\n2,\n1,other\n",
        genome_scores="movieId,tagId,relevance\n2,1,0.5\n1,1,0.25\n3,1,0.5\n1,2,0.5\n1,1,1.5\n"
        "1,1,0.25\n2,1,0.75\n1,1\n",
    )
    assert sorted(rejected(path)) == [
        ("genome-scores.csv", 4, "movie 3 is unknown"),
        ("genome-scores.csv", 5, "tag 2 is unknown"),
        ("genome-scores.csv", 6, "relevance 1.5 is outside 0 to 1"),
        ("genome-scores.csv", 8, "tag 1 of movie 2 has another relevance on line 2"),
        ("genome-scores.csv", 9, "2 columns where 3 are expected"),
        ("genome-tags.csv", 3, "tag is empty"),
        ("genome-tags.csv", 4, "tag 1 is described differently on line 2"),
    ]
    genome = read_dataset(path).genome
    assert genome is not None
    assert genome.score_movie_ids.tolist() == [1, 2]
    assert (genome.relevance.tolist(), genome.names) == ([0.25, 0.5], ["noir"])


def test_unknown_flags_and_years(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text("user,movie,rating\n1,1,3\n")
    (tmp_path / "movies.csv").write_text("id,title,year\n1,One,1999.0\n2,Two,99\n3,Three,soon\n")
    assert rejected(tmp_path) == [
        ("movies.csv", 3, "year 99 is outside 1800 to 2200"),
        ("movies.csv", 4, 'year "soon" is not a whole number'),
    ]
