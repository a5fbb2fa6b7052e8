"""docker-compose.yml, as far as it can be checked without Docker."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer.main
import yaml

from recsys.cli.app import app
from recsys.config.settings import load
from recsys.storage.server.engine import sqlalchemy_url

ROOT = Path(__file__).resolve().parents[2]
SPARK = {"spark-master", "spark-worker", "spark-refresh"}
OURS = ("migrate", "roles", "ingest", "refresh", "schedule", "serve")
DONE = "service_completed_successfully"
ROLES = {
    "migrate": ("recsys", "recsys"), "roles": ("recsys", "recsys"),
    "ingest": ("recsys_job", "recsys_job"), "refresh": ("recsys_job", "recsys_job"),
    "schedule": ("recsys_job", "recsys_job"), "serve": ("recsys_app", "recsys_app"),
}  # fmt: skip


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
        "roles": {"migrate": DONE},
        "ingest": {"roles": DONE},
        "refresh": {"ingest": DONE},
        "schedule": {"roles": DONE},
        "serve": {"roles": DONE},
        "spark-master": {},
        "spark-worker": {"spark-master": "service_started", "roles": DONE},
        "spark-refresh": {"spark-worker": "service_started", "ingest": DONE},
    }
    assert {name for name, service in services.items() if "profiles" in service} == SPARK


def test_the_database(services):
    db = services["db"]
    image, _, major = db["image"].partition(":")
    assert image == "postgres"
    # Images from 18 on keep the data in a folder of the major version below this one.
    assert int(major) >= 18
    assert db["volumes"] == ["database:/var/lib/postgresql"]
    assert with_defaults(db["ports"][0]) == "127.0.0.1:5432:5432"


def test_the_database_is_healthy_when_it_answers_by_tcp(services):
    """The image sets the database up with a server that listens on a socket only."""
    test = services["db"]["healthcheck"]["test"]
    assert test == ["CMD", "pg_isready", "-h", "127.0.0.1", "-U", "recsys", "-d", "recsys"]


def test_one_service_builds_the_image_of_all_and_none_asks_a_registry(services):
    """If each service built the image, `up -d` would replace running containers."""
    built = {
        name: (s["image"], s.get("build"), s["pull_policy"])
        for name, s in services.items()
        if name in OURS
    }
    assert built.pop("migrate") == ("recsys", ".", "build")
    assert set(built.values()) == {("recsys", None, "never")}
    # All others start after that one.
    for name in built:
        after = name
        while after != "migrate":
            [after] = services[after]["depends_on"]


def test_pages_are_for_this_machine_and_writing_is_off_unless_a_token_is_given(services):
    serve = services["serve"]
    assert [with_defaults(port) for port in serve["ports"]] == ["127.0.0.1:8000:8000"]
    assert with_defaults(serve["environment"]["RECSYS_API_TOKEN"]) == ""


def test_volumes_are_declared_and_folders_exist(compose, services):
    used = {v.split(":")[0] for service in services.values() for v in service.get("volumes", [])}
    assert {name for name in used if not name.startswith(".")} == set(compose["volumes"])
    assert {name for name in used if name.startswith(".")} == {"./data", "./deploy"}
    assert (ROOT / "data" / "incoming").is_dir()


@pytest.mark.parametrize("name", OURS)
def test_each_service_reads_the_settings_beside_the_file(services, name):
    environment, volumes = services[name]["environment"], services[name]["volumes"]
    assert "./deploy:/etc/recsys:ro" in volumes
    assert environment["RECSYS_CONFIG"] == "/etc/recsys/recsys.toml"
    assert environment["RECSYS_HOME"] == "/cache"
    assert "cache:/cache" in volumes


def test_the_schedule_loads_what_comes_in_before_it_computes(services):
    path = ROOT / "deploy" / "recsys.toml"
    assert set(tomllib.loads(path.read_text())) == {"schedule"}
    schedule = load({"RECSYS_CONFIG": str(path)}).schedule
    assert (schedule.refresh, schedule.ingest_from) == ("30 3 * * *", "/data/incoming")
    assert "./data:/data:ro" in services["schedule"]["volumes"]


@pytest.mark.parametrize("name", OURS)
def test_the_url_leads_to_the_database_with_no_more_rights_than_needed(services, name):
    db = {key: with_defaults(text) for key, text in services["db"]["environment"].items()}
    environment = services[name]["environment"]
    url = sqlalchemy_url(with_defaults(environment["RECSYS_DATABASE_URL"]))
    assert (url.username, url.password) == ROLES[name]
    assert (url.host, url.port, url.database) == ("db", 5432, db["POSTGRES_DB"])
    assert ROLES["migrate"] == (db["POSTGRES_USER"], db["POSTGRES_PASSWORD"])


def test_the_roles_get_the_passwords_that_the_services_use(services):
    given = services["roles"]["environment"]
    for role, variable in (("schedule", "RECSYS_JOB_PASSWORD"), ("serve", "RECSYS_APP_PASSWORD")):
        assert with_defaults(given[variable]) == ROLES[role][1]
        assert given[variable] in services[role]["environment"]["RECSYS_DATABASE_URL"]


@pytest.mark.parametrize("name", OURS)
def test_commands_exist(services, name):
    command = typer.main.get_command(app)
    words = [with_defaults(word) for word in services[name]["command"]]
    if words[0] == "--log-format":
        words = words[2:]
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    context = command.make_context(name, words)
    assert context.args == []


def test_the_cluster_of_the_profile_spark_runs_one_image(services):
    built = {
        name: (services[name]["image"], services[name].get("build"), services[name]["pull_policy"])
        for name in SPARK
    }
    master = built.pop("spark-master")
    assert master == ("recsys-spark", {"context": ".", "target": "spark"}, "build")
    assert set(built.values()) == {("recsys-spark", None, "never")}
    assert (ROOT / "deploy" / "spark").stat().st_mode & 0o111
    # The local refresh runs with the cluster, so one on the cluster waits to be asked for.
    profiles = {name: services[name]["profiles"] for name in SPARK}
    assert profiles.pop("spark-refresh") == ["spark-refresh"]
    assert set(map(tuple, profiles.values())) == {("spark",)}
    for name in profiles:
        assert services[name]["restart"] == "unless-stopped"
    for name in ("spark-worker", "spark-refresh"):
        job = services["refresh"]["environment"]["RECSYS_DATABASE_URL"]
        assert services[name]["environment"]["RECSYS_DATABASE_URL"] == job
    settings = load({"RECSYS_CONFIG": str(ROOT / "deploy" / "spark.toml"), "RECSYS_HOME": "/cache"})
    assert settings.engine.kind == "spark"
    assert settings.engine.master == f"spark://{'spark-master'}:7077"


@pytest.mark.parametrize(("words", "status"), [(["executor"], 1), (["driver"], 2), ([], 2)])
def test_the_command_of_the_image_knows_its_roles(words, status, tmp_path):
    """Kubernetes starts executors by the name of their role, with all else in the environment."""
    java = tmp_path / "java"
    java.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\nexit 1\n')
    java.chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:{Path(sys.executable).parent}:/usr/bin:/bin",
        "SPARK_JAVA_OPT_0": "-Da=b c", "SPARK_JAVA_OPT_1": "-De=f", "SPARK_EXECUTOR_MEMORY": "4g",
        "SPARK_DRIVER_URL": "spark://here:1", "SPARK_EXECUTOR_ID": "1",
        "SPARK_EXECUTOR_CORES": "2", "SPARK_APPLICATION_ID": "app", "SPARK_EXECUTOR_POD_IP": "::1",
        "SPARK_EXECUTOR_POD_NAME": "pod", "SPARK_RESOURCE_PROFILE_ID": "0",
    }  # fmt: skip
    fake = tmp_path / "pyspark"
    fake.mkdir()
    (fake / "__init__.py").touch()
    done = subprocess.run(
        [ROOT / "deploy" / "spark", *words],
        env={**environment, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == status, done.stderr
    if words == ["executor"]:
        given = done.stdout.splitlines()
        assert given[:4] == ["-Da=b c", "-De=f", "-Xms4g", "-Xmx4g"]
        assert given[5] == f"{fake}/conf:{fake}/jars/*"
        assert "--hostname\n::1\n--podName\npod\n" in done.stdout


def test_the_example_for_kubernetes_is_whole(tmp_path):
    documents = list(
        yaml.safe_load_all((ROOT / "deploy" / "kubernetes-spark.yaml").read_text(encoding="utf-8"))
    )
    kinds = [document["kind"] for document in documents]
    assert kinds == ["ServiceAccount", "RoleBinding", "ConfigMap", "CronJob"]
    path = tmp_path / "recsys.toml"
    path.write_text(documents[2]["data"]["recsys.toml"])
    engine = load({"RECSYS_CONFIG": str(path)}).engine
    assert (engine.kind, engine.master[:8]) == ("spark", "k8s://ht")
    secret = engine.properties["spark.kubernetes.executor.secretKeyRef.RECSYS_DATABASE_URL"]
    assert secret == "recsys-db:url"
