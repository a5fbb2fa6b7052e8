import numpy as np
import pytest
import sqlalchemy as sa

from recsys.errors import StorageError
from recsys.storage.load.copy import Lists
from recsys.storage.runs import lifecycle, results
from recsys.storage.runs.results import partition_name

TABLES = [table.name for table in results.TABLES]
MODEL = [{"name": "m", "kind": "personal", "score_meaning": "s", "description": "d"}]
COUNT = "SELECT count(*) FROM recsys_store.{}"
LEFT_OVER = sa.text("SELECT relname FROM pg_class WHERE relname ~ '_run_[0-9]+' ORDER BY relname")
INHERITED = sa.text("""
SELECT child.relname AS child, parent.relname AS parent
FROM pg_inherits AS i
JOIN pg_class AS child ON child.oid = i.inhrelid
JOIN pg_class AS parent ON parent.oid = i.inhparent
WHERE child.relkind = CAST(:kind AS "char") AND child.relname LIKE '%run\\_' || :run_id
ORDER BY parent.relname
""")
CONSTRAINTS = sa.text("""
SELECT conname, contype, conparentid <> 0 AS inherited, pg_get_constraintdef(oid) AS definition
FROM pg_constraint WHERE conrelid = CAST(:table AS regclass) AND contype <> 'n' ORDER BY conname
""")
LOCKS = sa.text("""
SELECT relation::regclass::text AS relation, mode FROM pg_locks
WHERE pid = pg_backend_pid() AND relation IS NOT NULL
""")


def begin(connection):
    model_id = lifecycle.register_models(connection, MODEL)["m"]
    run_id = lifecycle.begin(
        connection, default_model_id=model_id, seed=1, parameters={}, versions={}
    )
    return run_id, model_id


def contents(run_id, model_id):
    """Columns for every result table, of three users and movies of the made-up edition."""
    one, three = (np.array(ids, np.int32) for ids in ([1, 2, 3], [1, 1, 1]))
    scores = np.array([0.5, 0.25, -1.0])
    ends = np.array([0, 2, 3, 4])
    others, near = Lists(ends, np.array([2, 3, 3, 1], np.int32)), np.array([0.5, 0.25, 0.25, -1.0])
    common = Lists(ends, np.array([1, 2, 3, 4], np.int32))
    listed = {"movie_ids": others, "scores": Lists(ends, near)}
    own = {"run_id": np.full(3, run_id, np.int32), "model_id": np.full(3, model_id, np.int16)}
    factors = {"factors": np.arange(6, dtype=np.float32).reshape(3, 2)}
    return {
        "movie_similarities": own
        | {"movie_id": one, "similar_movie_ids": others}
        | {"real_scores": Lists(ends, near.astype(np.float32))},
        "user_similarities": own
        | {"user_id": one, "similar_user_ids": others}
        | {"scores": Lists(ends, near), "common_ratings": common},
        "user_recommendations": own | {"user_id": one} | listed,
        "movie_charts": own
        | {"rank": one, "movie_id": one, "votes": np.array([9, 8, 7]), "score": scores}
        | {"mean_rating": scores},
        "user_factors": own | {"user_id": one} | factors,
        "movie_factors": own | {"movie_id": one} | factors,
        "networks": own
        | {"model_id": np.arange(model_id, model_id + 3, dtype=np.int16)}
        | {"network": np.array([b"abc", b"\0\0\0", b"xyz"], "V3")}
        | {"movie_ids": np.arange(6, dtype=np.int32).reshape(3, 2)},
        "run_users": {"run_id": own["run_id"], "user_id": one}
        | {"ratings_count": three, "ratings_hash": np.array([7, -8, 9])},
    }


def write(connection, run_id, model_id, tables=TABLES):
    for table in tables:
        results.create(connection, table, run_id)
        columns = contents(run_id, model_id)[table]
        assert results.append(connection, table, run_id, columns) == 3
        results.finish(connection, table, run_id)


def count(connection, table):
    return connection.scalar(sa.text(COUNT.format(table)))


def indexes_of(connection, table):
    query = sa.text("SELECT count(*) FROM pg_index WHERE indrelid = CAST(:table AS regclass)")
    return connection.scalar(query, {"table": f"recsys_store.{table}"})


def constraints_of(connection, table):
    return connection.execute(CONSTRAINTS, {"table": f"recsys_store.{table}"}).all()


@pytest.mark.parametrize("table", TABLES)
def test_a_partition_stands_alone_until_it_is_attached(published, table):
    before = count(published, table)
    run_id, model_id = begin(published)
    write(published, run_id, model_id, [table])
    assert count(published, table) == before
    assert count(published, partition_name(table, run_id)) == 3
    results.attach(published, run_id)
    assert count(published, table) == before + 3


@pytest.mark.parametrize("table", TABLES)
def test_attaching_finds_every_key_and_index_in_place(published, table):
    run_id, model_id = begin(published)
    write(published, run_id, model_id, [table])
    child = partition_name(table, run_id)
    before = (indexes_of(published, child), len(constraints_of(published, child)))
    results.attach(published, run_id)
    assert (indexes_of(published, child), len(constraints_of(published, child))) == before
    assert indexes_of(published, child) == indexes_of(published, table)
    found = published.execute(INHERITED, {"kind": "i", "run_id": str(run_id)}).all()
    suffix = f"_run_{run_id}"
    assert [row.child for row in found] == [
        row.parent[: 63 - len(suffix)] + suffix for row in found
    ]
    of_parent = sa.text("""
        SELECT c.relname FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
        WHERE i.indrelid = CAST(:table AS regclass) ORDER BY c.relname
    """)
    parents = published.scalars(of_parent, {"table": f"recsys_store.{table}"}).all()
    assert [row.parent for row in found] == parents


@pytest.mark.parametrize("table", TABLES)
def test_a_partition_has_the_constraints_of_its_parent_and_its_bound(published, table):
    run_id, model_id = begin(published)
    write(published, run_id, model_id, [table])
    results.attach(published, run_id)
    child = partition_name(table, run_id)
    ours = constraints_of(published, child)
    own = [row for row in ours if row.conname == f"ck_{child}"]
    assert [row.definition for row in own] == [f"CHECK ((run_id = {run_id}))"]
    inherited = sorted((r.contype, r.definition) for r in ours if r.conname != f"ck_{child}")
    parents = constraints_of(published, table)
    assert inherited == sorted((r.contype, r.definition) for r in parents)
    assert all(r.inherited for r in ours if r.contype in "pfu")


@pytest.mark.parametrize("table", TABLES)
def test_columns_keep_their_comments(published, table):
    run_id, _ = begin(published)
    results.create(published, table, run_id)
    query = sa.text("""
        SELECT attname, attnotnull, col_description(attrelid, attnum) FROM pg_attribute
        WHERE attrelid = CAST(:table AS regclass) AND attnum > 0 ORDER BY attnum
    """)
    read = [
        published.execute(query, {"table": f"recsys_store.{name}"}).all()
        for name in (table, partition_name(table, run_id))
    ]
    assert read[0] == read[1]


def test_results_read_back_equal_those_written(published):
    run_id, model_id = begin(published)
    write(published, run_id, model_id)
    results.attach(published, run_id)
    for table, columns in contents(run_id, model_id).items():
        names = ", ".join(columns)
        rows = published.execute(
            sa.text(f"SELECT {names} FROM recsys_store.{table} WHERE run_id = {run_id}")
        ).all()
        assert sorted(map(tuple, rows), key=repr) == sorted(
            zip(*map(plain, columns.values()), strict=True), key=repr
        )


def plain(column):
    """Return a column as a list of numbers or of lists."""
    if not isinstance(column, Lists):
        return column.tolist()
    ends = column.indptr.tolist()
    return [column.values[ends[i] : ends[i + 1]].tolist() for i in range(len(column))]


def test_attaching_locks_no_reader_out(refreshed_database):
    with refreshed_database.transaction() as connection:
        run_id, model_id = begin(connection)
        write(connection, run_id, model_id)
    with refreshed_database.transaction() as connection:
        results.attach(connection, run_id)
        held = {(row.relation, row.mode) for row in connection.execute(LOCKS)}
        modes = {
            name: {mode for lock, mode in held if lock.endswith(f".{name}")} for name in TABLES
        }
        assert all(locked == {"ShareUpdateExclusiveLock"} for locked in modes.values()), modes
        old = {f"recsys_store.{partition_name(table, 1)}" for table in TABLES}
        exclusive = {name for name, mode in held if mode == "AccessExclusiveLock"}
        assert not exclusive & old
        with refreshed_database.transaction() as reader:
            reader.execute(sa.text("SET LOCAL lock_timeout = '1s'"))
            for table in TABLES:
                reader.execute(sa.text(COUNT.format(table)))


def test_attaching_locks_no_reader_of_users_and_movies_out(refreshed_database):
    with refreshed_database.transaction() as connection:
        run_id, model_id = begin(connection)
        write(connection, run_id, model_id)
    with refreshed_database.transaction() as connection:
        results.attach(connection, run_id)
        held = connection.execute(LOCKS).all()
        exclusive = {row.relation for row in held if row.mode == "AccessExclusiveLock"}
    referenced = {"users", "movies", "models", "runs", "genres"}
    assert not exclusive & {f"recsys_store.{name}" for name in referenced}


def test_attaching_twice_changes_nothing(published):
    run_id, model_id = begin(published)
    write(published, run_id, model_id)
    results.attach(published, run_id)
    results.attach(published, run_id)
    # Those of als and of mf are there besides.
    assert count(published, "user_factors") == 2 * 80 + 3


def test_an_attached_run_leaves_the_others_alone(published):
    before = {table: count(published, table) for table in TABLES}
    run_id, model_id = begin(published)
    write(published, run_id, model_id)
    results.attach(published, run_id)
    results.drop(published, run_id)
    assert {table: count(published, table) for table in TABLES} == before


@pytest.mark.parametrize("attached", [False, True])
def test_dropping_leaves_nothing_and_is_noted(published, attached):
    before = published.scalars(LEFT_OVER).all()
    run_id, model_id = begin(published)
    write(published, run_id, model_id)
    if attached:
        results.attach(published, run_id)
    results.drop(published, run_id)
    assert published.scalars(LEFT_OVER).all() == before
    pruned = sa.text(f"SELECT pruned_at = now() FROM recsys_store.runs WHERE run_id = {run_id}")
    assert published.scalar(pruned) is True


def test_dropping_a_run_without_results_is_no_error(published):
    run_id, _ = begin(published)
    results.drop(published, run_id)


BAD_ROWS = {
    "two lists of a user": ("user_recommendations", "user_id", 2),
    "a score that is no number": ("user_recommendations", "scores", np.nan),
    "an endless score": ("movie_similarities", "real_scores", np.inf),
    "itself as neighbour": ("movie_similarities", "similar_movie_ids", 1),
    "a user twice": ("user_factors", "user_id", 2),
    "a chart's rank twice": ("movie_charts", "rank", 2),
    "another run": ("user_factors", "run_id", 1),
}


@pytest.mark.parametrize("what", BAD_ROWS)
def test_a_partition_refuses(refreshed_database, what):
    table, column, value = BAD_ROWS[what]

    def write_it(connection):
        run_id, model_id = begin(connection)
        columns = contents(run_id, model_id)[table]
        changed = columns[column]
        (changed.values if isinstance(changed, Lists) else changed)[0] = value
        results.create(connection, table, run_id)
        results.append(connection, table, run_id, columns)
        results.finish(connection, table, run_id)

    with refreshed_database.transaction() as connection:
        before = connection.scalars(LEFT_OVER).all()
    with pytest.raises(StorageError), refreshed_database.transaction() as connection:
        write_it(connection)
    with refreshed_database.transaction() as connection:
        assert connection.scalars(LEFT_OVER).all() == before


def test_lists_of_other_lengths_than_their_scores_are_refused(published):
    run_id, model_id = begin(published)
    results.create(published, "user_recommendations", run_id)
    row = sa.text(
        f"INSERT INTO recsys_store.{partition_name('user_recommendations', run_id)} "
        f"(run_id, model_id, user_id, movie_ids, scores) "
        f"VALUES ({run_id}, {model_id}, 1, '{{1, 2}}', '{{0.5}}')"
    )
    with pytest.raises(sa.exc.IntegrityError, match="ck_user_recommendations_lengths"):
        published.execute(row)


def test_a_row_of_a_page_is_stored_in_line_and_uncompressed(published):
    run_id, model_id = begin(published)
    ids, ends = [*range(2, 902), 3, 1], np.array([0, 900, 901, 902])
    columns = contents(run_id, model_id)["movie_similarities"] | {
        "similar_movie_ids": Lists(ends, np.array(ids, np.int32)),
        "real_scores": Lists(ends, np.ones(902, np.float32)),
    }
    results.create(published, "movie_similarities", run_id)
    results.append(published, "movie_similarities", run_id, columns)
    results.finish(published, "movie_similarities", run_id)
    child = f"recsys_store.{partition_name('movie_similarities', run_id)}"
    query = sa.text(f"""
        SELECT max(pg_column_size(t.similar_movie_ids)), max(pg_column_size(t.real_scores)),
            (SELECT pg_relation_size(reltoastrelid) FROM pg_class WHERE oid = '{child}'::regclass)
        FROM {child} AS t
    """)
    # The header of an array takes 24 bytes.
    assert tuple(published.execute(query).one()) == (3624, 3624, 0)


def test_rows_of_several_models_are_appended_to_one_partition(published):
    run_id, model_id = begin(published)
    other = published.scalar(sa.text("SELECT model_id FROM recsys_store.models WHERE name = 'als'"))
    results.create(published, "user_factors", run_id)
    for number in (model_id, other):
        columns = contents(run_id, number)["user_factors"]
        results.append(published, "user_factors", run_id, columns)
    results.finish(published, "user_factors", run_id)
    results.attach(published, run_id)
    query = sa.text(
        f"SELECT model_id, count(*) FROM recsys_store.user_factors WHERE run_id = {run_id} "
        "GROUP BY 1 ORDER BY 1"
    )
    assert published.execute(query).all() == sorted([(model_id, 3), (other, 3)])


def test_no_index_name_is_longer_than_postgresql_allows():
    names = {results._of_run("x" * length, 2**31 - 1) for length in range(30, 80)}
    assert {len(name) for name in names} <= set(range(45, 64))
    assert all(name.endswith("_run_2147483647") for name in names)


def test_partitions_of_the_largest_run_id_can_be_made(published):
    run_id = 2**31 - 1
    model_id = lifecycle.register_models(published, MODEL)["m"]
    published.execute(
        sa.text(
            "INSERT INTO recsys_store.runs (run_id, state, seed, parameters, versions, backend) "
            "OVERRIDING SYSTEM VALUE VALUES (:run_id, 'running', 1, '{}', '{}', 'x')"
        ),
        {"run_id": run_id},
    )
    write(published, run_id, model_id)
    results.attach(published, run_id)
    assert count(published, partition_name("user_recommendations", run_id)) == 3
