"""Small files in the form of published data sets, written by their descriptions."""

import gzip
import json
import re
import sys
import tarfile
import zipfile
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from recsys.domain import NO_TIME, Dataset, RatingScale
from recsys.errors import DataError, InvalidArgument, MissingDependency
from recsys.ingest import read_dataset
from recsys.ingest.options import ColumnNames, ReadOptions, columns_in_order, parse_scale
from recsys.ingest.reading.unpacking import zstd

Rated = tuple[str, str, float, int]
STARS = RatingScale(1.0, 5.0, 1.0)
SHA = "00000c289a1829a808ac09c00daf10bc3c4e223b"
ARTIST = "3bd73256-3905-4f3a-97e2-8b341527f805"

AMAZON = {"reviewerID": "A2SUAM1J3GNN3B", "asin": "0000013714", "reviewerName": "J", "helpful": [2]}
AMAZON |= {"overall": 5.0, "unixReviewTime": 1252800000, "reviewTime": "09 13, 2009"}
AMAZON_2023 = {"rating": 4.0, "title": "Good", "text": "a\nb", "images": [], "asin": "B01"}
AMAZON_2023 |= {"parent_asin": "B02", "user_id": "AGKH", "timestamp": 1588687728923}
GOODREADS = {"user_id": "8842281e", "book_id": "130580", "is_read": True, "rating": 3}
GOODREADS |= {"date_added": "Fri Aug 25 13:55:02 -0700 2017", "read_at": ""}
YELP = {"review_id": "x", "user_id": "u-1", "business_id": "b_1", "stars": 4.0, "useful": 0}
YELP |= {"text": "so, so", "date": "2018-07-07 22:09:11"}
STEAM = (
    "{u'username': u'Zo\\xeb', u'hours': 0.1, u'product_id': u'725280', u'date': u'2017-12-17'}\n"
)
KUAIREC = "user_id,video_id,play_duration,video_duration,time,date,timestamp,watch_ratio\n"

EXPLICIT: dict[str, tuple[str, str, str, list[Rated]]] = {
    # name: (file, content, dialect, ratings)
    "amazon 2014": (
        "ratings_Books.csv",
        "A2SUAM1J3GNN3B,0000013714,5.0,1252800000\nAO94DHGC771SJ,B00004TN,1.0,1252800001\n".replace(
            "B00004TN", "B000004TNX"
        ),
        "amazon-2014",
        [
            ("A2SUAM1J3GNN3B", "0000013714", 5.0, 1252800000),
            ("AO94DHGC771SJ", "B000004TNX", 1.0, 1252800001),
        ],
    ),
    "amazon 2014 and 2018, JSON": (
        "reviews.json",
        json.dumps(AMAZON) + "\n",
        "amazon-2018",
        [("A2SUAM1J3GNN3B", "0000013714", 5.0, 1252800000)],
    ),
    "amazon 2018": (
        "Books.csv",
        "0001713353,A1C6M8LCIX4M6M,5.0,1123804800\n",
        "amazon-2018",
        [("A1C6M8LCIX4M6M", "0001713353", 5.0, 1123804800)],
    ),
    "amazon 2023": (
        "Books.csv",
        "user_id,parent_asin,rating,timestamp\nAGKH,B02,4.0,1588687728923\n",
        "amazon-2023",
        [("AGKH", "B02", 4.0, 1588687728)],
    ),
    "amazon 2023, JSON": (
        "Books.jsonl",
        json.dumps(AMAZON_2023) + "\n",
        "amazon-2023",
        [("AGKH", "B02", 4.0, 1588687728)],
    ),
    "goodreads": (
        "goodreads_interactions.json",
        json.dumps(GOODREADS) + "\n" + json.dumps(GOODREADS | {"book_id": "1", "rating": 0}) + "\n",
        "goodreads",
        [("8842281e", "130580", 3.0, 1503694502)],
    ),
    "goodreads, CSV": (
        "goodreads_interactions.csv",
        "user_id,book_id,is_read,rating,is_reviewed\n0,948,1,5,0\n0,947,0,0,0\n",
        "goodreads",
        [("0", "948", 5.0, NO_TIME)],
    ),
    "goodbooks-10k": (
        "ratings.csv",
        "user_id,book_id,rating\n1,258,5\n",
        "csv",
        [("1", "258", 5.0, NO_TIME)],
    ),
    "netflix": (
        "combined_data_1.txt",
        "1:\n1488844,3,2005-09-06\n822109,5,2005-05-13\n2:\n885013,4,2005-10-19\n",
        "netflix-prize",
        [
            ("1488844", "1", 3.0, 1125964800),
            ("822109", "1", 5.0, 1115942400),
            ("885013", "2", 4.0, 1129680000),
        ],
    ),
    "yelp": (
        "yelp_academic_dataset_review.json",
        json.dumps(YELP) + "\n",
        "yelp",
        [("u-1", "b_1", 4.0, 1531001351)],
    ),
    "book-crossing": (
        "BX-Book-Ratings.csv",
        '"User-ID";"ISBN";"Book-Rating"\n"276725";"034545104X";"0"\n"276726";"0155061224";"5"\n',
        "book-crossing",
        [("276726", "0155061224", 5.0, NO_TIME)],
    ),
    "jester, second": (
        "jester_ratings.dat",
        "1\t\t5\t\t0.219\n1\t\t7\t\t-9.281\n",
        "jester",
        [("1", "5", 0.219, NO_TIME), ("1", "7", -9.281, NO_TIME)],
    ),
    "jester": (
        "jester-data-1.csv",
        "\n".join(",".join(["2", "-7.82", "8.79"] + ["99"] * 98) for _ in range(2)) + "\n",
        "jester",
        [
            ("1", "1", -7.82, NO_TIME),
            ("1", "2", 8.79, NO_TIME),
            ("2", "1", -7.82, NO_TIME),
            ("2", "2", 8.79, NO_TIME),
        ],
    ),
}
IMPLICIT: dict[str, tuple[str, str, str, list[Rated]]] = {
    "lastfm 360K": (
        "usersha1-artmbid-artname-plays.tsv",
        f'{SHA}\t{ARTIST}\tbetty blowtorch\t2137\n{SHA}\t\tdie "Ärzte"\t 1099\n',
        "lastfm-360k",
        [(SHA, "betty blowtorch", 2137.0, NO_TIME), (SHA, 'die "Ärzte"', 1099.0, NO_TIME)],
    ),
    "lastfm 1K": (
        "userid-timestamp-artid-artname-traid-traname.tsv",
        "user_000001\t2009-05-04T23:08:57Z\t\tDeep Dish\t\tA song\n"
        "user_000001\t2009-05-04T13:54:10Z\t\tDeep Dish\t\tAnother\n",
        "lastfm-1k",
        [("user_000001", "Deep Dish", 2.0, 1241478537)],
    ),
    "hetrec": (
        "user_artists.dat",
        "userID\tartistID\tweight\n2\t51\t13883\n",
        "csv",
        [("2", "51", 13883.0, NO_TIME)],
    ),
    "steam-200k": (
        "steam-200k.csv",
        '151603712,"The Elder Scrolls, V",purchase,1.0,0\n'
        '151603712,"The Elder Scrolls, V",play,273.0,0\n151603712,Fallout 4,purchase,1.0,0\n',
        "steam-200k",
        [
            ("151603712", "Fallout 4", 1.0, NO_TIME),
            ("151603712", "The Elder Scrolls, V", 2.0, NO_TIME),
        ],
    ),
    "steam of UCSD": (
        "steam_reviews.json",
        STEAM + STEAM,
        "json",
        [("Zoë", "725280", 2.0, 1513468800)],
    ),
    "kuairec": (
        "small_matrix.csv",
        KUAIREC
        + "14,148,4381,6067,2020-07-05 05:27:48.378,20200705,1593898068.378,0.72\n"
        + "14,183,11635,6100,,,,1.9\n",
        "csv",
        [("14", "148", 0.72, 1593898068), ("14", "183", 1.9, NO_TIME)],
    ),
}


def ratings_of(dataset: Dataset) -> list[Rated]:
    found = dataset.ratings
    users = [
        str(id_) if dataset.user_keys is None else dataset.user_keys[id_] for id_ in found.user_ids
    ]
    movies = [
        str(id_) if dataset.movie_keys is None else dataset.movie_keys[id_]
        for id_ in found.movie_ids
    ]
    return sorted(zip(users, movies, found.values.tolist(), found.rated_at.tolist(), strict=True))


@pytest.mark.parametrize("name", EXPLICIT)
def test_published_ratings_are_read(tmp_path: Path, name: str) -> None:
    file, content, dialect, ratings = EXPLICIT[name]
    (tmp_path / file).write_text(content, encoding="utf-8")
    dataset = read_dataset(tmp_path / file)
    assert (dataset.dialect, ratings_of(dataset)) == (dialect, ratings)
    assert (dataset.feedback, dataset.rejected, dataset.on_duplicate) == ("explicit", [], "latest")
    scales = {
        "csv": None,
        "jester": RatingScale(-10, 10, 0),
        "book-crossing": RatingScale(1, 10, 1),
    }
    assert dataset.scale == scales.get(dialect, STARS)
    assert dataset.edition == f"{dialect}:{(tmp_path / file).stem}"


@pytest.mark.parametrize("name", IMPLICIT)
def test_published_interactions_are_counted(tmp_path: Path, name: str) -> None:
    file, content, dialect, ratings = IMPLICIT[name]
    (tmp_path / file).write_text(content, encoding="utf-8")
    dataset = read_dataset(tmp_path / file)
    assert (dataset.dialect, ratings_of(dataset)) == (dialect, ratings)
    assert (dataset.feedback, dataset.rejected, dataset.scale) == ("implicit", [], None)
    assert dataset.on_duplicate == "count"
    titles = {movie.title for movie in dataset.movies}
    by_name = dialect in ("lastfm-360k", "lastfm-1k", "steam-200k")
    assert titles == {key if by_name else f"Movie {key}" for _, key, _, _ in ratings}


def test_rows_without_a_rating_are_counted_or_are_interactions(tmp_path: Path) -> None:
    file, content, _, _ = EXPLICIT["book-crossing"]
    (tmp_path / file).write_text(content)
    assert read_dataset(tmp_path / file).unrated == 1
    everything = read_dataset(tmp_path / file, options=ReadOptions(implicit=True))
    assert [value for _, _, value, _ in ratings_of(everything)] == [1.0, 1.0]
    assert everything.unrated == 0


def test_movies_of_published_data_sets_are_described_where_they_can_be(tmp_path: Path) -> None:
    (tmp_path / "BX-Book-Ratings.csv").write_text(EXPLICIT["book-crossing"][1] + '"1";"9";"8"\n')
    header = '"ISBN";"Book-Title";"Book-Author";"Year-Of-Publication";"Publisher"\n'
    book = '"0155061224";"Caf\xe9 &amp; Bar";"A";"0";"B"\n'
    (tmp_path / "BX-Books.csv").write_bytes((header + book).encode("latin-1"))
    dataset = read_dataset(tmp_path)
    assert dataset.movie_keys is not None
    described = {dataset.movie_keys[movie.movie_id]: movie for movie in dataset.movies}
    assert {key: movie.title for key, movie in described.items()} == {
        "0155061224": "Café &amp; Bar",
        "9": "Movie 9",
    }
    assert described["0155061224"].year is None


def test_ratings_go_before_interactions_in_one_folder(tmp_path: Path) -> None:
    """As in Yelp, where tips are no ratings, and as in HetRec, where tags are no interactions."""
    (tmp_path / "review.json").write_text(json.dumps(YELP) + "\n")
    (tmp_path / "tip.json").write_text('{"user_id": "u-2", "business_id": "b_1", "text": "so"}\n')
    business = {"business_id": "b_1", "name": "A Bar", "stars": 4.5, "categories": "x, y"}
    (tmp_path / "business.json").write_text(json.dumps(business) + "\n")
    dataset = read_dataset(tmp_path)
    assert (ratings_of(dataset), dataset.movies[0].title) == (EXPLICIT["yelp"][3], "A Bar")
    hetrec = tmp_path / "hetrec"
    hetrec.mkdir()
    (hetrec / "user_artists.dat").write_text(IMPLICIT["hetrec"][1])
    (hetrec / "user_taggedartists.dat").write_text("userID\tartistID\ttagID\tday\n2\t52\t13\t1\n")
    (hetrec / "artists.dat").write_text('id\tname\turl\tpictureURL\n51\tDuran "D" Duran\tx\ty\n')
    dataset = read_dataset(hetrec)
    assert ratings_of(dataset) == [("2", "51", 13883.0, NO_TIME)]
    assert [movie.title for movie in dataset.movies] == ['Duran "D" Duran']


def test_netflix_parts_and_titles_are_one_data_set(tmp_path: Path) -> None:
    (tmp_path / "mv_0000001.txt").write_text("1:\n7,3,2005-09-06\n")
    (tmp_path / "mv_0000002.txt").write_text("2:\n7,9,2005-09-06\n8,4,2005-09-06\n")
    (tmp_path / "movie_titles.csv").write_bytes(b"1,2003,Dinosaur Planet\n2,NULL,Se\xf1or, Go\n")
    dataset = read_dataset(tmp_path)
    assert ratings_of(dataset) == [("7", "1", 3.0, 1125964800), ("8", "2", 4.0, 1125964800)]
    assert [(movie.title, movie.year) for movie in dataset.movies] == [
        ("Dinosaur Planet", 2003),
        ("Señor, Go", None),
    ]
    assert [(row.file, row.line, row.reason) for row in dataset.rejected] == [
        ("mv_0000002.txt", 2, "rating 9 is outside 1 to 5")
    ]


def test_a_jester_line_is_named_where_it_is(tmp_path: Path) -> None:
    good = ",".join(["1", "4.5"] + ["99"] * 99)
    bad = ",".join(["1", "11.5"] + ["99"] * 99)
    (tmp_path / "jester.csv").write_text(f"{good}\n{bad}\n1,2,3\n{good}\n")
    dataset = read_dataset(tmp_path / "jester.csv")
    assert ratings_of(dataset) == [("1", "1", 4.5, NO_TIME), ("4", "1", 4.5, NO_TIME)]
    assert [(row.line, row.reason) for row in dataset.rejected] == [
        (2, "rating 11.5 is outside -10 to 10"),
        (3, "1 column where 3 are expected"),
    ]


def test_bad_lines_of_json_are_rejected_with_a_reason(tmp_path: Path) -> None:
    rows = [
        json.dumps({"user": "a", "item": 7, "rating": 4, "more": {"item": 8}}),
        '{"user": "b", "item": 7',
        "[1]",
        "",
        json.dumps({"user": ["b"], "item": 7, "rating": 4}),
        json.dumps({"user": "b\tc", "item": 7, "rating": 4}),
        json.dumps({"user": "b", "item": 7, "rating": True}),
        json.dumps({"user": "b", "item": 9, "rating": "5"}),
    ]
    (tmp_path / "r.jsonl").write_text("\n".join(rows))
    dataset = read_dataset(tmp_path / "r.jsonl")
    assert ratings_of(dataset) == [("a", "7", 4.0, NO_TIME), ("b", "9", 5.0, NO_TIME)]
    assert sorted((row.line, row.reason) for row in dataset.rejected) == [
        (2, "not a JSON object"),
        (3, "not a JSON object"),
        (5, "user id is empty"),
        (6, 'user id "b\\x0bc" has the character U+000B'),
        (7, "rating is empty"),
    ]
    assert dataset.rejected[0].content == '{"user": "b", "item": 7'


def test_json_is_read_in_slices_and_a_huge_line_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recsys.ingest.csv.json_lines._LINES_AT_ONCE", 3)
    lines = [f'{{"user": "u{n}", "item": {n % 3}, "rating": 4}}' for n in range(20)]
    lines[7] = '{"user": "u7", "item": 1, "rating": 4, "x": "' + "y" * (1 << 20) + '"}'
    lines[13] = "{"
    (tmp_path / "r.jsonl").write_text("\n".join(lines))
    dataset = read_dataset(tmp_path / "r.jsonl")
    assert len(dataset.ratings) == 18
    assert [(row.line, row.reason) for row in dataset.rejected] == [
        (8, "longer than 1 MB"),
        (14, "not a JSON object"),
    ]


def test_movies_may_be_json_lines_too(tmp_path: Path) -> None:
    (tmp_path / "Books.jsonl").write_text(json.dumps(AMAZON_2023) + "\n")
    meta = {"parent_asin": "B02", "title": "A Book", "genres": ["x", "y"], "price": None}
    lines = [meta, {"parent_asin": "B03", "title": None, "genres": "z"}]
    (tmp_path / "meta_Books.jsonl").write_text("\n".join(map(json.dumps, lines)))
    movies = read_dataset(tmp_path).movies
    assert [(movie.title, movie.genres) for movie in movies] == [
        ("A Book", ("x", "y")),
        ("Movie B03", ("z",)),
    ]


# --- files ---


CSV = "user_id,item_id,stars,when\nalice,B1,4,x\nbob,B1,2,y\n"
READ = [("alice", "B1", 4.0, NO_TIME), ("bob", "B1", 2.0, NO_TIME)]


@pytest.mark.parametrize("packing", ["gz", "zst"])
def test_packed_files_are_read_alone_in_folders_and_archives(tmp_path: Path, packing: str) -> None:
    pack = {"gz": gzip.compress, "zst": zstd.compress}[packing]
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / f"stars.csv.{packing}"
    # Both formats may consist of several parts.
    path.write_bytes(pack(CSV[:40].encode()) + pack(CSV[40:].encode()))
    for place in (path, path.parent):
        dataset = read_dataset(place)
        assert ratings_of(dataset) == READ
        assert [(file.name, file.bytes) for file in dataset.files] == [(path.name, len(CSV))]
    assert read_dataset(path).edition == "csv:stars"
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.write(path, path.name)
    assert ratings_of(read_dataset(tmp_path / "all.zip")) == READ
    (tmp_path / "in" / "stars.csv").write_text(CSV)
    with pytest.raises(DataError, match="are the same file, packed and unpacked"):
        read_dataset(path.parent)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(
        DataError, match=rf"stars\.csv\.{packing} cannot be read: Compressed file end"
    ):
        read_dataset(path)


@pytest.mark.parametrize("packing", ["gz", "zst"])
def test_packed_files_have_a_limit(tmp_path: Path, packing: str) -> None:
    pack = {"gz": gzip.compress, "zst": zstd.compress}[packing]
    path = tmp_path / f"r.csv.{packing}"
    path.write_bytes(pack(CSV.encode() + b"carol,B1,3,z\n" * 200_000))
    assert read_dataset(path, max_unpacked_mb=3).duplicates == 199_999
    with pytest.raises(DataError, match="unpacks to more than 1 MB, which are allowed"):
        read_dataset(path, max_unpacked_mb=1)


def test_a_tar_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(CSV)
    with tarfile.open(tmp_path / "r.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "r.csv", "r.csv")
    with pytest.raises(DataError, match=r"r\.tar\.gz is a tar archive"):
        read_dataset(tmp_path / "r.tar.gz")


def test_parquet_is_read_by_its_columns(tmp_path: Path) -> None:
    times = pyarrow.array([1588687728923, None, 5000], pyarrow.timestamp("ms"))
    table = pyarrow.table(
        {
            "user_id": pyarrow.array(["a\tb", 'c"d', "e"]).dictionary_encode(),
            "tags": [["x"], [], None],
            "item_id": pyarrow.array([7, 8, 8], pyarrow.int64()),
            "rating": pyarrow.array([4.5, 3, None], pyarrow.float32()),
            "created_at": times,
        }
    )
    parquet.write_table(table, tmp_path / "r.parquet", row_group_size=2)
    dataset = read_dataset(tmp_path / "r.parquet")
    assert ratings_of(dataset) == [('c"d', "8", 3.0, NO_TIME)]
    assert [(row.line, row.reason) for row in dataset.rejected] == [
        (1, 'user id "a\\tb" has the character U+0009'),
        (3, "rating is empty"),
    ]
    assert (dataset.dialect, dataset.edition) == ("parquet", "parquet:r")
    (tmp_path / "r.parquet").write_bytes(b"PAR1" + b"x" * 40)
    with pytest.raises(DataError, match=r"r\.parquet cannot be read as Parquet"):
        read_dataset(tmp_path / "r.parquet")


def test_parquet_without_its_extra_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "r.parquet").write_bytes(b"PAR1")
    with pytest.raises(MissingDependency, match="pyarrow is not installed") as caught:
        read_dataset(tmp_path / "r.parquet")
    assert "recsys[parquet]" in str(caught.value.hint)


def test_daily_files_are_one_edition_without_their_dates(tmp_path: Path) -> None:
    days = {"2024-01-01": "alice,B1,4", "2024-01-02": "bob,B1,2", "2024-01-03": "alice,B1,1"}
    for day, row in days.items():
        (tmp_path / f"ratings-{day}.csv").write_text(f"user,item,rating\n{row}\n")
    dataset = read_dataset(tmp_path)
    # Without times the row of the later file counts.
    assert ratings_of(dataset) == [("alice", "B1", 1.0, NO_TIME), ("bob", "B1", 2.0, NO_TIME)]
    assert dataset.edition == "csv:ratings"
    assert read_dataset(tmp_path / "ratings-*.csv").edition == "csv:ratings"
    assert read_dataset(tmp_path / "ratings-2024-01-02.csv").edition == "csv:ratings"
    with pytest.raises(DataError) as caught:
        read_dataset(tmp_path, on_duplicate="error")
    assert str(caught.value).startswith(
        'ratings-2024-01-01.csv: user "alice" rates movie "B1" on line 2 and again on line 2 of '
        "ratings-2024-01-03.csv"
    )
    with pytest.raises(DataError, match="no file matches"):
        read_dataset(tmp_path / "views-*.csv")
    (tmp_path / "ratings-old.csv").write_text("user,item,rating\nx,B1,4\n")
    with pytest.raises(DataError, match="several files that could be the ratings"):
        read_dataset(tmp_path)


# --- options ---


def test_columns_are_named_by_options(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("who;what;how much;x\nalice;B1;4;9\n")
    names = ColumnNames(user="Who", movie="what", rating="how_much")
    assert ratings_of(read_dataset(path, options=ReadOptions(columns=names))) == [
        ("alice", "B1", 4.0, NO_TIME)
    ]
    path.write_text("9;4;B1;alice\n8;3;B2;bob\n")
    columns = ColumnNames(order=columns_in_order("-,rating,movie,user"))
    assert ratings_of(read_dataset(path, options=ReadOptions(columns=columns))) == [
        ("alice", "B1", 4.0, NO_TIME),
        ("bob", "B2", 3.0, NO_TIME),
    ]
    with pytest.raises(InvalidArgument, match="do not name user and movie once"):
        columns_in_order("user,user,movie")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.csv",
            "kunde,artikel,sterne\n1,2,3\n",
            "a.csv has the columns kunde, artikel, sterne; none is recognized as "
            "user (--user-column) and movie (--movie-column)",
        ),
        (
            "a.jsonl",
            '{"user_id": 1, "thing": "x", "nested": {"item_id": 1}}\n',
            "a.jsonl has the columns user_id, thing; none is recognized as movie (--movie-column)",
        ),
        ("a.json", '[{"user": 1}]', "a.json is a JSON array: write one object per line"),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1", "a.xls is an Excel workbook: save it as CSV"),
    ],
)
def test_what_is_not_recognized_is_named_with_the_option(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    data = content.encode() if isinstance(content, str) else content
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError) as caught:
        read_dataset(tmp_path / name)
    assert str(caught.value) == (
        f"no ratings found in {tmp_path / name}; it holds {name}. {message}"
        + (", as jq -c '.[]' does" if name == "a.json" else "")
    )
    assert "--columns user,movie,rating,time" in str(caught.value.hint)


def test_several_formats_in_one_folder_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "u.data").write_text("1\t2\t3\t881250949\n")
    (tmp_path / "ratings.csv").write_text("user,movie,rating\n1,2,3\n")
    with pytest.raises(DataError) as caught:
        read_dataset(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path.name} holds ratings in several formats: u.data (ml-100k) and ratings.csv (csv)"
    )
    assert read_dataset(tmp_path, format="ml-100k").dialect == "ml-100k"
    (tmp_path / "ratings.csv").write_text("user,movie\n1,2\n")
    assert read_dataset(tmp_path).dialect == "ml-100k"


@pytest.mark.parametrize(
    ("values", "apart"),
    [
        ("1 2 3 4 5", ""),
        ("1 2 3 4 5 99", "99"),
        ("1 2 3 4 5 -7", "-7"),
        ("1 2 3 4 5 -7 99 100", "-7 99 100"),
        ("1 5", ""),
        ("0 1", ""),
        ("1 1 1 99", ""),
        ("10 20 30 100", "100"),
        ("1 2 3 4 5 6 8 10", ""),
        ("-10 -3.5 0 7 10 99 99 99", "99"),
    ],
)
def test_values_far_from_all_others_need_a_scale(tmp_path: Path, values: str, apart: str) -> None:
    path = tmp_path / "r.csv"
    rows = "".join(f"{user},7,{value}\n" for user, value in enumerate(values.split()))
    path.write_text("user,movie,rating\n" + rows)
    if not apart:
        assert read_dataset(path).scale is None
        return
    with pytest.raises(DataError, match="are far from all others") as caught:
        read_dataset(path)
    assert f": {apart.replace(' ', ', ')}; the first is on line " in str(caught.value)
    low, high = re.findall(r"go from (\S+) to (\S+):", str(caught.value))[0]
    dataset = read_dataset(path, options=ReadOptions(scale=parse_scale(f"{low}..{high}")))
    assert len(dataset.rejected) == len([x for x in values.split() if x in apart.split()])
    assert len(read_dataset(path, options=ReadOptions(scale=parse_scale("-10..100"))).ratings) > 3


def test_scales_are_parsed() -> None:
    assert parse_scale("0.5..5:0.5") == RatingScale(0.5, 5.0, 0.5)
    assert parse_scale(" -10..10 ") == RatingScale(-10.0, 10.0, 0.0)
    for wrong in ("5..1", "1-5", "1..x", "", "1..5:9", "1..1", "..", "1...5..2", "nan..5"):
        with pytest.raises(InvalidArgument, match="is not a scale of ratings"):
            parse_scale(wrong)


def test_rows_are_counted_only_where_they_are_interactions(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("user,movie,rating\n1,2,5\n1,2,3\n")
    with pytest.raises(InvalidArgument, match="rows are counted only where they are interactions"):
        read_dataset(path, on_duplicate="count")
    implicit = ReadOptions(implicit=True)
    assert ratings_of(read_dataset(path, on_duplicate="count", options=implicit)) == [
        ("1", "2", 2.0, NO_TIME)
    ]
    assert ratings_of(read_dataset(path, on_duplicate="latest", options=implicit)) == [
        ("1", "2", 1.0, NO_TIME)
    ]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.csv.gz", gzip.compress(b"", mtime=0), "a.csv.gz is empty"),
        ("a.jsonl", b"", "a.jsonl is empty"),
        ("a.parquet.gz", gzip.compress(b"PAR1", mtime=0), "a Parquet file in another packing"),
    ],
)
def test_files_without_rows_are_refused(
    tmp_path: Path, name: str, data: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=message):
        read_dataset(tmp_path / name)


def test_strengths_are_bounded_and_nothing_happened_no_times(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_text("user,item,quantity\na,1,2.5\na,1,1\nb,1,0\nc,1,-1\nc,1,1e308\nc,1,inf\n")
    dataset = read_dataset(path)
    assert ratings_of(dataset) == [("a", "1", 3.5, NO_TIME)]
    assert (dataset.unrated, len(dataset.rejected)) == (1, 3)


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    table = pyarrow.table([["a"], ["b"], [1]], names=["user_id", "user_id", "item_id"])
    parquet.write_table(table, tmp_path / "r.parquet")
    with pytest.raises(DataError, match=r"r\.parquet has two columns user_id"):
        read_dataset(tmp_path / "r.parquet")
