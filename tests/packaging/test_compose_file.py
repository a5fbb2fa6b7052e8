"""docker-compose.yml, as far as it can be checked without Docker."""

import re
from pathlib import Path

import pytest
import typer.main
import yaml

from recsys.cli.app import app
from recsys.storage.server.engine import sqlalchemy_url

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def services(compose):
    return compose["services"]


def with_defaults(text):
    """Substitute the defaults of Compose for variables that are not set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def test_services_and_their_order(services):
    conditions = {
        name: {on: how["condition"] for on, how in service.get("depends_on", {}).items()}
        for name, service in services.items()
    }
    assert conditions == {
        "db": {},
        "migrate": {"db": "service_healthy"},
        "ingest": {"migrate": "service_completed_successfully"},
        "refresh": {"ingest": "service_completed_successfully"},
        "schedule": {"migrate": "service_completed_successfully"},
        "serve": {"migrate": "service_completed_successfully"},
    }


def test_the_database(services):
    db = services["db"]
    image, _, major = db["image"].partition(":")
    assert image == "postgres"
    # Images from 18 on keep the data in a folder of the major version below this one.
    assert int(major) >= 18
    assert db["volumes"] == ["database:/var/lib/postgresql"]
    assert with_defaults(db["ports"][0]) == "127.0.0.1:5432:5432"
    assert db["healthcheck"]["test"] == ["CMD-SHELL", "pg_isready -U recsys -d recsys"]


def test_all_services_run_the_image_of_the_dockerfile(services):
    images = {(s["image"], s.get("build")) for name, s in services.items() if name != "db"}
    assert images == {("recsys", ".")}


def test_pages_are_for_this_machine_and_writing_is_off_unless_a_token_is_given(services):
    serve = services["serve"]
    assert [with_defaults(port) for port in serve["ports"]] == ["127.0.0.1:8000:8000"]
    assert with_defaults(serve["environment"]["RECSYS_API_TOKEN"]) == ""


def test_volumes_are_declared(compose, services):
    used = {v.split(":")[0] for service in services.values() for v in service.get("volumes", [])}
    assert {name for name in used if not name.startswith(".")} == set(compose["volumes"])


def test_the_url_leads_to_the_database(services):
    db = {name: with_defaults(text) for name, text in services["db"]["environment"].items()}
    for name in ("migrate", "ingest", "refresh", "schedule", "serve"):
        environment = services[name]["environment"]
        url = sqlalchemy_url(with_defaults(environment["RECSYS_DATABASE_URL"]))
        found = (url.username, url.password, url.host, url.port, url.database)
        expected = (db["POSTGRES_USER"], db["POSTGRES_PASSWORD"], "db", 5432, db["POSTGRES_DB"])
        assert found == expected
        assert environment["RECSYS_HOME"] == "/cache"


@pytest.mark.parametrize("name", ["migrate", "ingest", "refresh", "schedule", "serve"])
def test_commands_exist(services, name):
    command = typer.main.get_command(app)
    words = [with_defaults(word) for word in services[name]["command"]]
    if words[0] == "--log-format":
        words = words[2:]
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    context = command.make_context(name, words)
    assert context.args == []
