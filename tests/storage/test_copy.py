from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import psycopg
import pytest
import sqlalchemy as sa

from recsys.domain import NO_TIME
from recsys.errors import StorageError
from recsys.storage.load import copy
from recsys.storage.load.copy import Lists, Timestamps, copy_arrays, copy_rows

COLUMNS = {
    "small": ("smallint", np.array([-(2**15), 0, 2**15 - 1], np.int16)),
    "whole": ("integer", np.array([-(2**31), 7, 2**31 - 1], np.int32)),
    "large": ("bigint", np.array([-(2**63), -1, 2**63 - 1], np.int64)),
    "single": ("real", np.array([-1.5, 3.4028235e38, 1e-45], np.float32)),
    "double": ("double precision", np.array([0.1, -np.pi, 1.7976931348623157e308])),
}


def make_table(connection: sa.Connection, columns: str) -> None:
    connection.execute(sa.text(f"CREATE TABLE recsys_store.target ({columns})"))


def rows_of(connection: sa.Connection, order: str = "1") -> list[tuple[object, ...]]:
    found = connection.execute(sa.text(f"SELECT * FROM recsys_store.target ORDER BY {order}"))
    return [tuple(row) for row in found]


@pytest.mark.parametrize("name", COLUMNS)
def test_numbers_come_back_to_the_bit(connection, name):
    kind, values = COLUMNS[name]
    make_table(connection, f"position integer, value {kind}")
    columns = {"position": np.arange(3, dtype=np.int32), "value": values}
    assert copy_arrays(connection, "recsys_store.target", columns) == 3
    found = rows_of(connection)
    assert [position for position, _ in found] == [0, 1, 2]
    # By way of the type: the shortest text of a `real` is another float64.
    assert np.array([value for _, value in found], values.dtype).tobytes() == values.tobytes()


def test_values_that_are_no_numbers_come_back(connection):
    make_table(connection, "position integer, value double precision")
    values = np.array([np.inf, -np.inf, np.nan, -0.0])
    columns = {"position": np.arange(4, dtype=np.int32), "value": values}
    copy_arrays(connection, "recsys_store.target", columns)
    found = np.array([value for _, value in rows_of(connection)])
    assert found.tobytes() == values.tobytes()


def test_columns_are_written_by_name_not_by_order(connection):
    make_table(connection, "a integer, b double precision, c smallint DEFAULT 9")
    columns = {"b": np.array([0.5, 1.5]), "a": np.array([1, 2], np.int32)}
    copy_arrays(connection, "recsys_store.target", columns)
    assert rows_of(connection) == [(1, 0.5, 9), (2, 1.5, 9)]


def test_a_matrix_becomes_an_array_column(connection):
    make_table(connection, "position integer, factors real[]")
    matrix = np.array([[0.1, -2.5, 1e-30], [3.0, np.inf, 0.0]], np.float32)
    columns = {"position": np.arange(2, dtype=np.int32), "factors": matrix}
    copy_arrays(connection, "recsys_store.target", columns)
    assert [np.float32(factors).tolist() for _, factors in rows_of(connection)] == matrix.tolist()
    shape = sa.text("SELECT DISTINCT array_dims(factors) FROM recsys_store.target")
    assert connection.scalars(shape).all() == ["[1:3]"]


def test_views_that_are_not_contiguous_are_written_as_they_read(connection):
    make_table(connection, "a integer, b real[]")
    matrix = np.arange(12, dtype=np.float32).reshape(4, 3)
    columns = {"a": np.arange(8, dtype=np.int32)[::-2], "b": matrix[::-1, 1:]}
    copy_arrays(connection, "recsys_store.target", columns)
    assert rows_of(connection, "a DESC") == [
        (7, [10.0, 11.0]),
        (5, [7.0, 8.0]),
        (3, [4.0, 5.0]),
        (1, [1.0, 2.0]),
    ]


@pytest.mark.parametrize(
    "seconds",
    [[0, 946_684_800, 4_102_444_799], [NO_TIME, 5, NO_TIME], [NO_TIME, NO_TIME, NO_TIME], []],
    ids=["all known", "mixed", "all unknown", "no rows"],
)
def test_times_become_timestamptz_and_unknown_ones_null(connection, seconds):
    make_table(connection, "position integer, rated_at timestamptz, score double precision")
    columns = {
        "position": np.arange(len(seconds), dtype=np.int32),
        "rated_at": Timestamps(np.array(seconds, np.int64)),
        "score": np.arange(len(seconds)) / 4,
    }
    assert copy_arrays(connection, "recsys_store.target", columns) == len(seconds)
    assert rows_of(connection) == [
        (i, None if s == NO_TIME else datetime.fromtimestamp(s, UTC), i / 4)
        for i, s in enumerate(seconds)
    ]


def test_a_time_before_1970_is_kept(connection):
    make_table(connection, "rated_at timestamptz")
    copy_arrays(
        connection, "recsys_store.target", {"rated_at": Timestamps(np.array([-86_400], np.int64))}
    )
    assert rows_of(connection) == [(datetime(1969, 12, 31, tzinfo=UTC),)]


@pytest.mark.parametrize("rows", [0, 1, 3, 4, 5, 8, 9])
def test_no_row_is_lost_at_a_chunk_boundary(connection, rows):
    make_table(connection, "id integer, rated_at timestamptz, factors real[]")
    seconds = np.where(np.arange(rows) % 3 == 0, NO_TIME, np.arange(rows)).astype(np.int64)
    columns = {
        "id": np.arange(rows, dtype=np.int32),
        "rated_at": Timestamps(seconds),
        "factors": np.arange(2 * rows, dtype=np.float32).reshape(rows, 2),
    }
    calls: list[tuple[int, int]] = []
    written = copy_arrays(
        connection,
        "recsys_store.target",
        columns,
        progress=lambda *call: calls.append(call),
        chunk_rows=4,
    )
    assert written == rows
    assert calls == [(min(start + 4, rows), rows) for start in range(0, rows, 4)]
    assert rows_of(connection) == [
        (i, None if i % 3 == 0 else datetime.fromtimestamp(i, UTC), [2.0 * i, 2.0 * i + 1])
        for i in range(rows)
    ]


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [("i2", "smallint"), ("i4", "integer"), ("i8", "bigint"), ("f4", "real"), ("f8", "float8")],
)
@pytest.mark.parametrize("chunk_rows", [1, 3, 100])
def test_lists_of_any_length_become_arrays(connection, dtype, kind, chunk_rows):
    make_table(connection, f"id integer, items integer[], scores {kind}[]")
    lengths = [3, 1, 0, 3, 2, 1, 1]
    ends = np.cumsum([0, *lengths])
    items, scores = np.arange(11, dtype=np.int32), (np.arange(11) - 5).astype(dtype)
    columns = {
        "id": np.arange(7, dtype=np.int32),
        "items": Lists(ends, items),
        "scores": Lists(ends, scores),
    }
    copy_arrays(connection, "recsys_store.target", columns, chunk_rows=chunk_rows)
    assert rows_of(connection, "id") == [
        (i, items[a:b].tolist(), scores[a:b].tolist()) for i, (a, b) in enumerate(pairwise(ends))
    ]


def test_long_lists_are_written_in_smaller_chunks(connection, monkeypatch):
    monkeypatch.setattr(copy, "CHUNK_VALUES", 10)
    make_table(connection, "items integer[]")
    calls: list[tuple[int, int]] = []
    columns = {"items": Lists(np.arange(0, 30, 4), np.arange(28, dtype=np.int32))}
    copy_arrays(
        connection, "recsys_store.target", columns, progress=lambda *call: calls.append(call)
    )
    assert calls == [(2, 7), (4, 7), (6, 7), (7, 7)]


def test_frozen_rows_are_visible_without_a_vacuum(connection):
    make_table(connection, "id integer")
    columns = {"id": np.arange(5, dtype=np.int32)}
    copy_arrays(connection, "recsys_store.target", columns, freeze=True)
    connection.execute(sa.text("ANALYZE recsys_store.target"))
    pages = sa.text("SELECT relpages, relallvisible FROM pg_class WHERE relname = 'target'")
    assert tuple(connection.execute(pages).one()) == (1, 1)
    assert rows_of(connection) == [(i,) for i in range(5)]


def test_freezing_into_a_table_of_another_transaction_is_refused(database):
    with database.transaction() as connection:
        make_table(connection, "id integer")
    columns = {"id": np.arange(5, dtype=np.int32)}
    with database.engine.connect() as connection, pytest.raises(psycopg.Error, match="FREEZE"):
        copy_arrays(connection, "recsys_store.target", columns, freeze=True)


def test_a_value_out_of_bounds_writes_nothing(database):
    with database.transaction() as connection:
        make_table(connection, "id integer CHECK (id < 3)")
    columns = {"id": np.arange(5, dtype=np.int32)}
    with pytest.raises(StorageError, match="target_id_check"), database.transaction() as connection:
        copy_arrays(connection, "recsys_store.target", columns)
    with database.transaction() as connection:
        assert rows_of(connection) == []


def test_broadcast_columns_are_written_in_full(connection):
    make_table(connection, "run_id integer, id integer")
    columns = {"run_id": np.broadcast_to(np.int32(4), 3), "id": np.arange(3, dtype=np.int32)}
    copy_arrays(connection, "recsys_store.target", columns)
    assert rows_of(connection, "id") == [(4, 0), (4, 1), (4, 2)]


def test_text_rows_keep_every_character(connection):
    make_table(connection, "id integer, said text")
    texts = ["", "tab\there", "line\nbreak", "back\\slash", "\\N", "naïve 映画 🎬", "'; DROP", None]
    copy_rows(connection, "recsys_store.target", ("id", "said"), list(enumerate(texts)))
    assert rows_of(connection) == list(enumerate(texts))
