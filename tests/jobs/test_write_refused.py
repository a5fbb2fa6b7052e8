"""Results that cannot be written, for the disk is full or it takes too long: nothing is left."""

import pytest
from store import rows_of

from recsys.errors import StorageError
from recsys.jobs.refresh import refresh
from recsys.jobs.refresh_users import refresh_users

# A partition gets the constraints of its table: its COPY stumbles over this one half-way.
STUMBLE = """
CREATE FUNCTION recsys_store.stumble(run_id integer, user_id integer) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    IF run_id > 1 AND user_id = 3 THEN {stumble}; END IF;
    RETURN true;
END
$$;
ALTER TABLE recsys_store.user_recommendations
    ADD CONSTRAINT stumble CHECK (recsys_store.stumble(run_id, user_id));
"""
FULL = "RAISE EXCEPTION 'could not extend file: No space left' USING ERRCODE = 'disk_full'"
SLOW = "PERFORM pg_sleep(60)"
TIME = "ALTER DATABASE {} SET statement_timeout = {}"
REFUSALS = {
    "the disk is full": (
        FULL,
        "PostgreSQL refused (53100): could not extend file: No space left",
        "the disk of the database is full; make room and try again",
    ),
    "it takes too long": (
        SLOW,
        "PostgreSQL refused (57014): canceling statement due to statement timeout",
        "statement_timeout or a cancel request stopped the statement; a role that runs jobs "
        "has no limit after ALTER ROLE ... SET statement_timeout = 0",
    ),
}
SEEN = "SELECT * FROM recsys.recommendations ORDER BY model, user_id, rank"
RUNS = "SELECT run_id, state, published, error, pruned_at IS NULL FROM recsys.runs ORDER BY run_id"
LEFT = r"""
SELECT count(*) FROM pg_class WHERE relnamespace = 'recsys_store'::regnamespace
  AND relname ~ '_run_2$'
"""


def change(database, *statements):
    with database.transaction() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


@pytest.mark.parametrize("job", [refresh, refresh_users])
@pytest.mark.parametrize("refusal", REFUSALS)
def test_refused_writes_change_nothing(refreshed_database, plan_all, refusal, job):
    stumble, message, hint = REFUSALS[refusal]
    [(name,)] = rows_of(refreshed_database, "SELECT current_database()")
    time = TIME.format(name, 500 if stumble == SLOW else 0)
    rated = "SELECT recsys.rate(3, 59, 4)"
    change(refreshed_database, rated, STUMBLE.format(stumble=stumble), time)
    before = rows_of(refreshed_database, SEEN)
    with pytest.raises(StorageError) as caught:
        job(refreshed_database, plan_all)
    assert (str(caught.value), caught.value.hint, caught.value.exit_code) == (message, hint, 1)
    assert rows_of(refreshed_database, RUNS) == [
        (1, "complete", True, None, True), (2, "failed", False, message, False),
    ]  # fmt: skip
    assert rows_of(refreshed_database, LEFT) == [(0,)]
    assert rows_of(refreshed_database, SEEN) == before
    # There is room again, and time.
    constraint = "ALTER TABLE recsys_store.user_recommendations DROP CONSTRAINT stumble"
    change(refreshed_database, constraint, TIME.format(name, 0))
    assert job(refreshed_database, plan_all).run_id == 3
    assert rows_of(refreshed_database, RUNS)[-1] == (3, "complete", True, None, True)
