"""Each format is detected by its files, in any folder, and read correctly."""

import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from recsys.domain import NO_TIME, Dataset, RatingScale, SourceFile, SourceMovie, User
from recsys.errors import DataError
from recsys.ingest import read_dataset

Files = dict[str, str | bytes]

ML_100K: Files = {
    "u.data": "1\t2\t3\t881250949\n2\t1\t5\t881250950\n",
    "u1.base": "9\t9\t5\t881250949\n",
    "u.item": (
        "1|Matrix, The (1995)|01-Jan-1995||http://x|0|1" + "|0" * 16 + "|1\n"
        "2|Café|02-Feb-1996||http://x|1" + "|0" * 18 + "\n"
    ).encode("latin-1"),
    "u.user": "1|24|M|technician|85711\n2|53|F|other|T8H1N\n",
    "README": "SUMMARY & USAGE LICENSE",
}
ML_1M: Files = {
    "ratings.dat": "1::2::3::978300760\n2::1::5::978300761\n",
    "movies.dat": (
        "1::Toy Story (1995)::Animation|Children's\n2::Misérables, Les (1995)::Drama\n"
    ).encode("latin-1"),
    "users.dat": "1::F::1::10::48067\n2::M::56::16::70072-1234\n",
    "README": "SUMMARY",
}
ML_10M: Files = {
    "ratings.dat": "1::2::3.5::978300760\n2::1::5::978300761\n",
    "movies.dat": "1::Toy Story (1995)::Animation\n2::Misérables, Les (1995)::(no genres listed)\n",
    "tags.dat": "15::2::excellent!::1215184630\n15::2::excellent!::1215184630\n",
}
ML_CSV: Files = {
    "ratings.csv": "userId,movieId,rating,timestamp\n1,2,3.5,964982703\n2,1,5.0,964982704\n",
    "movies.csv": "movieId,title,genres\n1,Toy Story (1995),Animation|Comedy\n"
    '2,"American President, The (1995)",(no genres listed)\n',
    "links.csv": "movieId,imdbId,tmdbId\n1,0114709,862\n2,0112346,\n",
    "tags.csv": 'userId,movieId,tag,timestamp\n7,1,"so ""good"", so far",1445714994\n',
    "genome-tags.csv": "tagId,tag\n1,007\n2,18th century\n",
    "genome-scores.csv": "movieId,tagId,relevance\n1,1,0.025\n1,2,1\n2,1,0.0625\n",
    "README.txt": "Summary\n=======\nThis dataset (ml-25m) describes ...",
}
CSV: Files = {
    "scores.csv": "User ID;Item-ID;Score;When\n1;2;9.5;x\n2;1;-1;y\n",
    "catalogue.csv": 'item_id,name,genre,year\n1,"Matrix, The","sci-fi; action",1999\n2,Solo,,\n',
}


def write(folder: Path, files: Files) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        (folder / name).write_bytes(data)
    return folder


def rows(dataset: Dataset) -> list[tuple[int, int, float, int]]:
    ratings = dataset.ratings
    columns = (ratings.user_ids, ratings.movie_ids, ratings.values, ratings.rated_at)
    assert [column.dtype for column in columns] == [np.int32, np.int32, np.float64, np.int64]
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_ml_100k(tmp_path: Path) -> None:
    dataset = read_dataset(write(tmp_path / "anything", ML_100K))
    assert (dataset.dialect, dataset.edition) == ("ml-100k", "ml-100k")
    assert dataset.scale == RatingScale(1.0, 5.0, 1.0)
    assert rows(dataset) == [(1, 2, 3.0, 881250949), (2, 1, 5.0, 881250950)]
    assert dataset.movies == [
        SourceMovie(1, "The Matrix", "Matrix, The (1995)", 1995, ("Action", "Western")),
        SourceMovie(2, "Café", "Café", 1996, ()),
    ]
    assert dataset.users == [
        User(1, 24, "M", "technician", "85711"),
        User(2, 53, "F", "other", "T8H1N"),
    ]
    assert (dataset.rejected, dataset.rows_read, dataset.tags) == ([], 6, None)
    assert [file.name for file in dataset.files] == ["u.item", "u.user", "u.data"]


def test_ml_1m(tmp_path: Path) -> None:
    dataset = read_dataset(write(tmp_path / "anything", ML_1M))
    assert (dataset.dialect, dataset.edition) == ("ml-1m", "ml-1m")
    assert dataset.scale == RatingScale(1.0, 5.0, 1.0)
    assert rows(dataset) == [(1, 2, 3.0, 978300760), (2, 1, 5.0, 978300761)]
    assert dataset.movies == [
        SourceMovie(1, "Toy Story", "Toy Story (1995)", 1995, ("Animation", "Children's")),
        SourceMovie(2, "Les Misérables", "Misérables, Les (1995)", 1995, ("Drama",)),
    ]
    assert dataset.users == [
        User(1, 1, "F", "K-12 student", "48067"),
        User(2, 56, "M", "self-employed", "70072-1234"),
    ]
    assert dataset.rejected == []


def test_ml_10m(tmp_path: Path) -> None:
    dataset = read_dataset(write(tmp_path / "anything", ML_10M))
    assert (dataset.dialect, dataset.edition) == ("ml-10m", "ml-10m")
    assert dataset.scale == RatingScale(0.5, 5.0, 0.5)
    assert rows(dataset) == [(1, 2, 3.5, 978300760), (2, 1, 5.0, 978300761)]
    assert dataset.movies[1] == SourceMovie(2, "Les Misérables", "Misérables, Les (1995)", 1995, ())
    assert dataset.tags is not None
    assert dataset.tags.user_ids.tolist() == [15]
    assert dataset.tags.tags == ["excellent!"]
    assert (dataset.rejected, dataset.rows_read) == ([], 6)


def test_half_stars_distinguish_lone_double_colon_files(tmp_path: Path) -> None:
    ten = write(tmp_path / "a", {"ratings.dat": ML_10M["ratings.dat"]})
    one = write(tmp_path / "b", {"ratings.dat": ML_1M["ratings.dat"]})
    assert [read_dataset(folder).dialect for folder in (ten, one)] == ["ml-10m", "ml-1m"]


def test_ml_csv_with_everything(tmp_path: Path) -> None:
    dataset = read_dataset(write(tmp_path / "anything", ML_CSV))
    assert (dataset.dialect, dataset.edition) == ("ml-csv", "ml-25m")
    assert dataset.scale == RatingScale(0.5, 5.0, 0.5)
    assert rows(dataset) == [(1, 2, 3.5, 964982703), (2, 1, 5.0, 964982704)]
    president = "American President"
    assert dataset.movies == [
        SourceMovie(1, "Toy Story", "Toy Story (1995)", 1995, ("Animation", "Comedy"), 114709, 862),
        SourceMovie(2, f"The {president}", f"{president}, The (1995)", 1995, (), 112346, None),
    ]
    tags, genome = dataset.tags, dataset.genome
    assert tags is not None
    assert genome is not None
    assert (tags.tags, tags.tagged_at.tolist()) == (['so "good", so far'], [1445714994])
    assert (genome.tag_ids.tolist(), genome.names) == ([1, 2], ["007", "18th century"])
    assert genome.score_movie_ids.tolist() == [1, 1, 2]
    assert genome.score_tag_ids.tolist() == [1, 2, 1]
    assert genome.relevance.tolist() == [np.float32(0.025), 1.0, 0.0625]
    assert (dataset.rejected, dataset.rows_read, dataset.duplicates) == ([], 12, 0)


def test_files_carry_size_and_checksum(tmp_path: Path) -> None:
    folder = write(tmp_path / "ml", ML_CSV)
    files = {file.name: file for file in read_dataset(folder).files}
    assert set(files) == set(ML_CSV)
    for name in ML_CSV:
        data = (folder / name).read_bytes()
        assert files[name] == SourceFile(name, len(data), hashlib.sha256(data).hexdigest())


def test_any_csv_and_the_movies_beside_it(tmp_path: Path) -> None:
    dataset = read_dataset(write(tmp_path / "mine", CSV))
    assert (dataset.dialect, dataset.edition, dataset.scale) == ("csv", "csv:mine", None)
    assert rows(dataset) == [(1, 2, 9.5, NO_TIME), (2, 1, -1.0, NO_TIME)]
    assert dataset.movies == [
        SourceMovie(1, "The Matrix", "Matrix, The", 1999, ("sci-fi", "action")),
        SourceMovie(2, "Solo", "Solo", None, ()),
    ]
    assert dataset.rejected == []


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("user_id,movie_id,value", "1,2,3"),
        ("userId,movieId,rating,timestamp", "1,2,3,"),
        ("\ufeffUSER ; Item_Id ; Stars", "1;2;3"),
        ("ts\tuid\tiid\tscore", "\t1\t2\t3.0"),
        ("comment,customer_id,product_id,rating,date", '"a, ""b""",1,2,3,'),
        ("index,rating,user,movie", "77,3,1,2"),
        ('"user_id","movie_id","rating"', '"1","2","3"'),
    ],
)
def test_headers_are_recognised_in_any_spelling(tmp_path: Path, header: str, row: str) -> None:
    path = tmp_path / "some.data"
    path.write_text(f"{header}\r\n{row}")
    dataset = read_dataset(path)
    assert rows(dataset) == [(1, 2, 3.0, NO_TIME)]
    assert dataset.edition == "csv:some"
    assert dataset.movies == [SourceMovie(2, "Movie 2", "Movie 2")]


def test_one_ratings_file_is_preferred_by_its_name(tmp_path: Path) -> None:
    rating = "user,movie,rating\n1,2,{}\n"
    files: Files = {"ratings.csv": rating.format(1), "ratings_small.csv": rating.format(2)}
    assert rows(read_dataset(write(tmp_path / "a", files)))[0][2] == 1.0
    files = {"x.csv": rating.format(1), "y.csv": rating.format(2)}
    with pytest.raises(DataError, match=r"could be the ratings: x\.csv, y\.csv"):
        read_dataset(write(tmp_path / "b", files))


def test_foreign_ids_are_no_movie_ids(tmp_path: Path) -> None:
    files: Files = {
        "ratings.csv": "user,movie,rating\n1,2,3\n",
        "movies_metadata.csv": "adult,id,title\nFalse,862,Toy Story\n",
    }
    assert read_dataset(write(tmp_path, files)).movies == [SourceMovie(2, "Movie 2", "Movie 2")]


def test_movielens_header_without_movies_is_any_csv(tmp_path: Path) -> None:
    dataset = read_dataset(write(tmp_path / "x", {"ratings.csv": ML_CSV["ratings.csv"]}))
    assert (dataset.dialect, dataset.edition) == ("csv", "csv:x")


@pytest.mark.parametrize("inside", ["", "ml-25m/", "a/b/ml-25m/", "../../", "/etc/"])
def test_zip_is_read_without_unpacking_it(tmp_path: Path, inside: str) -> None:
    path = tmp_path / "download.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("__MACOSX/ml-25m/._ratings.csv", b"\0")
        for name, content in ML_CSV.items():
            archive.writestr(inside + name, content)
    before = sorted(tmp_path.rglob("*"))
    zipped = read_dataset(path)
    assert sorted(tmp_path.rglob("*")) == before
    plain = read_dataset(write(tmp_path / "folder", ML_CSV))
    assert rows(zipped) == rows(plain)
    assert (zipped.movies, zipped.files, zipped.edition) == (plain.movies, plain.files, "ml-25m")


@pytest.mark.parametrize(
    ("name", "edition"), [("ml-20m", "ml-20m"), ("ML-Latest", "ml-latest"), ("films", "ml-csv")]
)
def test_edition_without_readme_comes_from_the_name(
    tmp_path: Path, name: str, edition: str
) -> None:
    files = {key: value for key, value in ML_CSV.items() if key != "README.txt"}
    folder = write(tmp_path / name, files)
    assert read_dataset(folder).edition == edition
    assert read_dataset(folder, edition="mine").edition == "mine"


def test_nested_folder_is_found_and_two_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "in" / "deep", ML_1M)
    assert read_dataset(tmp_path / "in").dialect == "ml-1m"
    write(tmp_path / "in" / "other", ML_CSV)
    with pytest.raises(DataError, match="several data sets: deep, other"):
        read_dataset(tmp_path / "in")


def test_format_can_be_forced(tmp_path: Path) -> None:
    folder = write(tmp_path / "ml", ML_CSV)
    forced = read_dataset(folder, format="csv")
    assert (forced.dialect, forced.scale, len(forced.movies)) == ("csv", None, 2)
    with pytest.raises(DataError, match=r"is not of the format ml-1m; it holds README\.txt"):
        read_dataset(folder, format="ml-1m")
    with pytest.raises(DataError, match="no format 'parquet'"):
        read_dataset(folder, format="parquet")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "x.csv is empty"),
        (b"user,movie,rating", "x.csv holds no ratings"),
        (b"user,movie,rating\r\n\r\n", "x.csv holds no ratings"),
        (b"id,description\n1,2\n", "no ratings found in"),
        (b"\0\1\2\3", "no ratings found in"),
        (
            b"user,movie,rating\n,2,3\n1,2,x\n",
            "x.csv: none of 2 rows can be loaded; line 2: user id is empty",
        ),
    ],
)
def test_files_without_ratings_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_dataset(tmp_path / "x.csv")
    assert caught.value.hint


def test_missing_and_damaged_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere does not exist"):
        read_dataset(tmp_path / "nowhere")
    path = tmp_path / "cut.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ratings.csv", "user,movie,rating\n1,2,3\n")
    path.write_bytes(path.read_bytes().replace(b"1,2,3", b"1,2,4"))
    with pytest.raises(DataError, match=r"ratings\.csv cannot be read: Bad CRC-32"):
        read_dataset(path)


def test_wrong_header_beside_movielens_ratings_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, ML_CSV | {"links.csv": "movieId,imdbId\n1,2\n"})
    with pytest.raises(DataError, match=r"links\.csv, line 1: the header is 'movieId,imdbId'"):
        read_dataset(folder)


def test_duplicates_follow_the_policy(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("user,movie,rating,ts\n1,1,5,20\n1,1,2,30\n1,1,3,10\n")
    latest = read_dataset(path)
    assert (rows(latest), latest.duplicates) == ([(1, 1, 2.0, 30)], 2)
    assert rows(read_dataset(path, on_duplicate="max")) == [(1, 1, 5.0, 20)]
    assert rows(read_dataset(path, on_duplicate="mean")) == [(1, 1, 10 / 3, 30)]
    with pytest.raises(DataError, match=r"r\.csv: user 1 rates movie 1 on line 2 and again on"):
        read_dataset(path, on_duplicate="error")


def test_progress_reaches_the_end_of_every_file(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    folder = write(tmp_path, ML_CSV)
    dataset = read_dataset(folder, progress=lambda *call: calls.append(call))
    assert {file.name for file in dataset.files} == {
        "README.txt",
        "movies.csv",
        "links.csv",
        "ratings.csv",
        "tags.csv",
        "genome-tags.csv",
        "genome-scores.csv",
    }
    assert sorted(calls) == sorted((file.bytes, file.bytes) for file in dataset.files)


@pytest.mark.parametrize("alter", [str.strip, lambda text: text.replace("\n", "\r\n\r\n")])
def test_line_endings_do_not_matter(tmp_path: Path, alter: Callable[[str], str]) -> None:
    altered = {name: "\ufeff" + alter(str(text)) for name, text in ML_CSV.items()}
    one = read_dataset(write(tmp_path / "a", ML_CSV))
    other = read_dataset(write(tmp_path / "b", altered))
    assert rows(other) == rows(one)
    assert (other.movies, other.rows_read, other.rejected) == (one.movies, one.rows_read, [])
