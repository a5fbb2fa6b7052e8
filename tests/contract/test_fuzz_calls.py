"""A short form of tests/torture/fuzz_calls.py, and whether it would notice what it looks for."""

import random

import psycopg
import pytest
from torture import script

from recsys.storage.schema import roles

fuzzing = script("fuzz_calls")


@pytest.fixture
def given(make_database, everything_template, as_role):
    """The edition with every model, given to the roles, and a way to log in as one of them."""
    database = make_database(everything_template)
    with database.transaction() as connection:
        roles.apply(connection)
    return database, lambda role: psycopg.connect(as_role(database, role).url, autocommit=True)


@pytest.mark.slow
def test_hostile_arguments_are_errors_and_nothing_else(given):
    found = fuzzing.fuzz(*given, seed=7, seconds=3)
    assert found.keys() == {"recsys_reader", "recsys_app"}
    for seen in found.values():
        assert seen.calls > 100
        assert len(seen.by_function) > 30
        assert {"00000", "22004", "22023", "42501", "RS002"} <= seen.states.keys()
    assert found["recsys_app"].rated or found["recsys_app"].blocked


# Each defect is one that a change of the contract could bring.
DEFECTS = {
    "which is not documented": "RAISE 'x' USING ERRCODE = '2201W'",
    "an error of 5000 characters": "RAISE USING ERRCODE = '22023', MESSAGE = repeat('x', 5000)",
    "tables that changed: tags": "DELETE FROM recsys_store.tags",
    "an owner, a privilege, a role": "GRANT USAGE ON SCHEMA recsys_store TO recsys_reader",
    "the session was": "PERFORM pg_advisory_lock(1)",
    "ended with 57014": "PERFORM pg_sleep(60)",
}


@pytest.mark.parametrize("told", DEFECTS)
def test_it_notices(given, monkeypatch, told):
    database, open_as = given
    monkeypatch.setattr(fuzzing, "CALL_LIMIT_S", 1)
    with psycopg.connect(database.url) as owner:
        owner.execute("DELETE FROM recsys_store.blocks")
        owner.execute(f"""
            CREATE FUNCTION recsys.defect(user_id integer) RETURNS void
            LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN {DEFECTS[told]}; END $$
        """)
        owner.execute("ALTER FUNCTION recsys.defect OWNER TO recsys_owner")
        before = fuzzing.functions_of(owner)
    defect = next(each for each in before if each.name == "defect")
    monkeypatch.setattr(fuzzing, "functions_of", lambda session: [defect])
    monkeypatch.setattr(random.Random, "random", lambda self: 0.5)
    with pytest.raises(fuzzing.Violation, match=told):
        fuzzing.fuzz(database, open_as, seed=1, seconds=0.5)
