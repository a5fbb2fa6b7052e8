import base64
import hashlib
import hmac
import os
import pwd
import re
import subprocess

import pytest
import sqlalchemy as sa
from store import rows_of

from recsys.storage.server.embedded import EmbeddedServer

SECRET = "s3cr3tpassword"
CLOSED = "127.0.0.1:9"


def test_the_life_of_the_embedded_server(recsys, first_demo, demo_home):
    def run(*arguments):
        return recsys("db", *arguments, RECSYS_HOME=str(demo_home))

    server = EmbeddedServer(demo_home)
    where = {"data": str(server.paths.data), "log": str(server.paths.log)}
    stopped = {"server": "embedded", "running": False, "kept": False, "in_use": False, **where}
    assert first_demo.code == 0
    assert run("status", "--json").json == stopped

    started = run("start")
    assert (started.code, started.out) == (0, f"{server.url}\n")
    assert started.errors == [
        f"PostgreSQL started and stays until `recsys db stop`; its data is {server.paths.data}"
    ]
    again = run("start")
    assert (again.code, again.out) == (0, f"{server.url}\n")
    assert again.err.startswith("PostgreSQL was running already")

    status = run("status", "--json").json
    assert status.pop("bytes") > 10**7
    assert status.pop("version").startswith("18.")
    assert status.pop("url").startswith("postgresql://postgres@/recsys?host=")
    assert status == {**stopped, "running": True, "kept": True, "schema": "current"}
    shown = run("status")
    assert re.search(r"(?m)^ *running +yes *$", shown.out)

    url = run("url")
    assert (url.code, url.out, url.err) == (0, f"{server.url}\n", "")
    count = "SELECT count(*) FROM recsys.movies"
    asked = subprocess.run(
        [server.program("psql"), url.out.strip(), "-XAtc", count], capture_output=True, text=True
    )
    assert (asked.returncode, asked.stdout, asked.stderr) == (0, "1200\n", "")

    upgraded = run("upgrade")
    assert (upgraded.code, upgraded.out) == (0, "")
    assert re.fullmatch(r"The schema of \S+ is current\.\n", upgraded.err)

    with server.running():
        refused = run("stop")
        assert (refused.code, refused.errors) == (
            1,
            [
                "error: the embedded server is in use by another recsys command",
                "hint: wait for it to end; `recsys db stop --force` stops it anyway",
            ],
        )
    ended = run("stop")
    assert (ended.code, ended.out, ended.err) == (0, "", "PostgreSQL stopped.\n")
    assert run("stop").err == "PostgreSQL was not running.\n"
    assert run("status", "--json").json == stopped

    url = run("url")
    assert (url.code, url.out) == (0, f"{server.url}\n")
    assert url.err == "PostgreSQL started; it stays until `recsys db stop`.\n"
    assert run("stop").code == 0


PSQL = [
    (("-XAt", "-c", "SELECT 1, 'a'"), (0, "1|a\n")),
    (("--", "-XAt", "-c", "SELECT 2"), (0, "2\n")),
    (("-XAt", "-v", "x=3", "-c", "SELECT current_database()"), (0, "recsys\n")),
    (("-X", "-c", "SELECT 1/0"), (1, "")),
    (("--nosuch",), (1, "")),
]


@pytest.mark.parametrize(("arguments", "expected"), PSQL, ids=[p[0][-1] for p in PSQL])
def test_psql_takes_its_arguments_and_returns_its_code(
    recsys, first_demo, demo_home, arguments, expected
):
    done = recsys("db", "psql", *arguments, RECSYS_HOME=str(demo_home))
    assert (done.code, done.out) == expected
    assert bool(done.err) is (done.code != 0)


@pytest.mark.parametrize("command", ["start", "stop"])
def test_an_external_server_is_left_alone(recsys, command):
    url = f"postgresql://u:{SECRET}@{CLOSED}/db"
    done = recsys("db", command, RECSYS_DATABASE_URL=url)
    assert (done.code, done.out, done.errors) == (
        1,
        "",
        [
            "error: RECSYS_DATABASE_URL is set, so recsys does not start or stop the server",
            "hint: unset it to use the embedded PostgreSQL",
        ],
    )


def test_upgrade_of_an_empty_database(recsys, empty_database):
    settings = {"RECSYS_DATABASE_URL": empty_database.url}
    before = recsys("db", "status", "--json", **settings).json
    assert recsys("db", "upgrade", **settings).code == 0
    assert recsys("db", "upgrade", **settings).code == 0
    after = recsys("db", "status", "--json", **settings).json
    assert (before["schema"], after["schema"]) == ("none yet", "current")
    assert list(after) == ["url", "version", "schema", "bytes"]


def test_roles_are_set_up_as_often_as_one_likes(recsys, refreshed_database, as_role):
    settings = {"RECSYS_DATABASE_URL": refreshed_database.url}
    told = [
        f"The roles of {refreshed_database.label} are set up. Connect as",
        "  recsys_job    to load, refresh, evaluate, publish and prune",
        "  recsys_app    to read, rate and block",
        "  recsys_reader to read",
        "They have no password until you set one: recsys db psql -c '\\password recsys_reader'",
    ]
    for _ in range(2):
        done = recsys("db", "roles", **settings)
        assert (done.code, done.out, done.errors) == (0, "", told)
    assert recsys("db", "upgrade", **settings).code == 0
    wanted = recsys("recommend", "1", "--json", **settings)
    for role in ("recsys_reader", "recsys_app", "recsys_job"):
        settings = {"RECSYS_DATABASE_URL": as_role(refreshed_database, role).url}
        found = recsys("recommend", "1", "--json", **settings)
        assert (found.code, found.json) == (0, wanted.json)
        assert recsys("db", "status", "--json", **settings).json["schema"] == "current"


def test_roles_get_the_passwords_of_the_environment(recsys, database, as_role):
    given = {"RECSYS_DATABASE_URL": database.url, "RECSYS_APP_PASSWORD": "s3cret'%41"}
    done = recsys("db", "roles", **given, RECSYS_JOB_PASSWORD="another")
    assert (done.code, done.errors[-1]) == (
        0, "Passwords are set for recsys_job, recsys_app.",
    )  # fmt: skip
    stored = dict(
        rows_of(database, "SELECT rolname, rolpassword FROM pg_authid WHERE rolname ~ '^recsys_'")
    )
    assert matches(stored["recsys_app"], "s3cret'%41")
    assert matches(stored["recsys_job"], "another")
    assert not matches(stored["recsys_job"], "s3cret'%41")


def matches(stored, password):
    """Tell whether a SCRAM verifier of PostgreSQL is that of a password (RFC 5802)."""
    iterations, salt, keys = re.fullmatch(r"SCRAM-SHA-256\$(\d+):(.+)\$(.+):.+", stored).groups()
    salted = hashlib.pbkdf2_hmac(
        "sha256", password.encode(), base64.b64decode(salt), int(iterations)
    )
    client = hmac.digest(salted, b"Client Key", "sha256")
    return base64.b64decode(keys) == hashlib.sha256(client).digest()


def test_roles_of_an_empty_database(recsys, empty_database, as_role):
    settings = {"RECSYS_DATABASE_URL": empty_database.url}
    assert recsys("db", "roles", **settings).code == 0
    reader = {"RECSYS_DATABASE_URL": as_role(empty_database, "recsys_reader").url}
    assert recsys("status", "--json", **reader).json["movies"] == 0


@pytest.mark.parametrize("line", ["refresh", "db upgrade", "db roles"])
def test_a_reader_learns_of_missing_privileges(recsys, given_database, as_role, line):
    settings = {"RECSYS_DATABASE_URL": as_role(given_database, "recsys_reader").url}
    done = recsys(*line.split(), **settings)
    assert (done.code, done.out) == (1, "")
    assert done.errors == [
        "error: PostgreSQL refused (42501): permission denied for schema recsys_store",
        "hint: this role lacks the privilege; connect as a role that has it, "
        "as recsys_job for jobs",
    ]


def test_the_url_of_an_external_server(recsys, published_url):
    done = recsys("db", "url", RECSYS_DATABASE_URL=published_url)
    assert (done.code, done.out, done.err) == (0, f"{published_url}\n", "")


UNUSABLE = [
    f"postgresql://u:{SECRET}@{CLOSED}/db",
    f"postgres://u:{SECRET}@{CLOSED}/db",
    f"postgresql://{CLOSED}/db?user=u&password={SECRET}",
    f"postgresql://u:a/{SECRET}@{CLOSED}/db",
    f"postgresql://u:{SECRET}@127.0.0.1:notaport/db",
    f"postgresql://u:{SECRET}@[::1/db",
    f"mysql://u:{SECRET}@127.0.0.1/db",
    f"host=127.0.0.1 user=u password={SECRET} dbname=db",
]


@pytest.mark.parametrize("url", UNUSABLE)
@pytest.mark.parametrize("line", ["status", "-v recommend 1", "-v db status", "refresh"])
def test_a_password_is_never_shown(recsys, url, line):
    done = recsys(*line.split(), RECSYS_DATABASE_URL=url)
    assert (done.code, done.out) == (1, "")
    assert SECRET not in done.err
    assert [line for line in done.errors if line.startswith("error: ")]
    assert ("Traceback" in done.err) is ("-v" in line)


def test_a_refused_password_is_not_shown(recsys, server_url):
    wrong = sa.make_url(server_url).set(username="nosuchuser", password=SECRET)
    url = wrong.render_as_string(hide_password=False)
    done = recsys("-v", "status", RECSYS_DATABASE_URL=url)
    assert (done.code, done.out) == (1, "")
    assert SECRET not in done.err
    assert "nosuchuser" in done.errors[-2]


def test_a_home_that_cannot_be_made(recsys, tmp_path):
    (tmp_path / "file").touch()
    done = recsys("db", "upgrade", RECSYS_HOME=str(tmp_path / "file" / "home"))
    assert (done.code, done.out) == (1, "")
    assert done.errors[-2].startswith("error: cannot use ")
    assert done.errors[-1] == "hint: set RECSYS_HOME to a folder you may write to"


def test_the_server_does_not_run_as_root(first_demo, demo_home):
    owner = pwd.getpwuid(EmbeddedServer(demo_home).paths.data.stat().st_uid).pw_name
    assert owner == ("recsys" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name)
