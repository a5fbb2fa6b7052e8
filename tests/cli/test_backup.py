"""`recsys db dump` and `recsys db restore`: a restored database answers as the dumped one."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from recsys.storage.schema import roles

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def programs(server_program, monkeypatch):
    """The client programs of the server on PATH."""
    folder = str(Path(server_program("pg_dump")).parent)
    monkeypatch.setenv("PATH", os.pathsep.join([folder, os.environ["PATH"]]))


@pytest.fixture
def restored(recsys, make_database, tmp_path):
    """Dump a database and restore it into an empty one."""

    def restore(source):
        file, target = tmp_path / "all.dump", make_database(None)
        done = recsys("db", "dump", str(file), RECSYS_DATABASE_URL=source.url)
        assert (done.code, done.out, done.err.startswith(f"Written: {file}, ")) == (0, "", True)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert [path.name for path in tmp_path.glob("*all.dump*")] == ["all.dump"]
        done = recsys("db", "restore", str(file), RECSYS_DATABASE_URL=target.url)
        assert (done.code, done.out) == (0, "")
        assert done.err.startswith(f"Restored: {file} into {target.label}\n")
        return target, done

    return restore


@pytest.mark.slow
def test_a_restored_database_gives_the_same_answers(restored, refreshed_database, tmp_path):
    target, done = restored(refreshed_database)
    assert done.errors == [f"Restored: {tmp_path / 'all.dump'} into {target.label}"]
    before, after = str(tmp_path / "before.json"), str(tmp_path / "after.json")
    script = str(ROOT / "tests" / "benchmarks" / "contract_answers.py")
    for arguments in (
        ("dump", refreshed_database.url, before),
        ("dump", target.url, after),
        ("compare", before, after),
    ):
        run = subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True)
        assert run.returncode == 0, run.stdout + run.stderr
    for query in ("runs", "publications", "run_metrics", "run_stages", "ingests"):
        statement = sa.text(f"SELECT * FROM recsys.{query} ORDER BY 1, 2, 3")
        with refreshed_database.snapshot() as one, target.snapshot() as other:
            assert one.execute(statement).all() == other.execute(statement).all()


PRIVILEGES = sa.text(
    """
SELECT format('%s.%s', n.nspname, p.oid::regprocedure) AS object, a.grantee::regrole::text,
    a.privilege_type
FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace,
    aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
WHERE n.nspname IN ('recsys', 'recsys_store')
UNION ALL
SELECT format('%s.%s', n.nspname, c.relname), a.grantee::regrole::text, a.privilege_type
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace,
    aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS a
WHERE n.nspname IN ('recsys', 'recsys_store') AND c.relkind IN ('r', 'p', 'v')
ORDER BY 1, 2, 3
""".replace("::", "\\:\\:")
)


@pytest.mark.parametrize("given", [False, True], ids=["to no role", "to the roles"])
def test_owners_and_privileges_are_those_of_the_dumped_database(
    restored, refreshed_database, as_role, given
):
    if given:
        with refreshed_database.transaction() as connection:
            roles.apply(connection)
    target, done = restored(refreshed_database)
    assert ("The roles are set up again" in done.err) is given
    with refreshed_database.snapshot() as one, target.snapshot() as other:
        assert one.execute(PRIVILEGES).all() == other.execute(PRIVILEGES).all()
        assert roles.are_applied(other) is given


def test_a_database_that_is_not_empty_is_refused(recsys, refreshed_database, tmp_path):
    settings = {"RECSYS_DATABASE_URL": refreshed_database.url}
    file = tmp_path / "all.dump"
    assert recsys("db", "dump", str(file), **settings).code == 0
    done = recsys("db", "restore", str(file), **settings)
    assert (done.code, done.errors) == (
        1,
        [
            f"error: {refreshed_database.label} is not empty",
            "hint: restore into an empty database, or with RECSYS_HOME set to a new folder",
        ],
    )


def test_what_is_no_dump_is_refused_and_leaves_nothing(recsys, empty_database, tmp_path):
    settings = {"RECSYS_DATABASE_URL": empty_database.url}
    missing = recsys("db", "restore", str(tmp_path / "gone"), **settings)
    assert missing.errors[0] == f"error: {tmp_path / 'gone'} is not a file"
    broken = tmp_path / "broken.dump"
    broken.write_text("no dump")
    done = recsys("db", "restore", str(broken), **settings)
    assert (done.code, len(done.errors)) == (1, 1)
    assert done.errors[0].startswith("error: pg_restore: error: ")
    with empty_database.snapshot() as connection:
        assert connection.scalar(sa.text("SELECT to_regnamespace('recsys')")) is None
    folder = recsys("db", "dump", str(tmp_path), **settings)
    assert folder.errors == [f"error: {tmp_path} cannot be written: it is a folder"]
