from pathlib import Path

import pytest

from recsys.config import settings
from recsys.config.file import ConfigFile
from recsys.config.settings import (
    GateSettings,
    RefreshSettings,
    ScheduleSettings,
    Settings,
    load,
    read_refresh,
)
from recsys.errors import ConfigError
from recsys.storage.server.engine import Database

SEED = "seed must be a whole number from 0 to 2147483647"
BAD = {
    "not TOML": ("= nothing", "Invalid statement", None),
    "unknown table": (
        "[refesh]\n",
        "1: unknown table 'refesh'",
        "allowed tables: ingest, source, refresh, models, gate, schedule, engine",
    ),
    "key at the top": (
        "seed = 1\n",
        "1: unknown table 'seed'",
        "allowed tables: ingest, source, refresh, models, gate, schedule, engine",
    ),
    "unknown key": (
        "[gate]\nrule = 1\n",
        "2: [gate]: unknown key 'rule'",
        "allowed keys: enabled, max_rows_drop, min_served, metric, beat_popularity, no_fall",
    ),
    "not a table": ("refresh = 1\n", "1: refresh must be a table, [refresh]", None),
    "not a table of a model": (
        "[models]\nals = 3\n",
        "2: models.als must be a table, [models.als]",
        None,
    ),
    "text for a number": (
        '[refresh]\nseed = "1"\n',
        "2: [refresh]: seed = '1' has the wrong type",
        SEED,
    ),
    "fraction": ("[refresh]\nseed = 1.5\n", "2: [refresh]: seed = 1.5 has the wrong type", SEED),
    "truth": ("[refresh]\nseed = true\n", "2: [refresh]: seed = True has the wrong type", SEED),
    "models as text": (
        '[refresh]\nmodels = "als"\n',
        "2: [refresh]: models = 'als' has the wrong type",
        "models must be a list of model names",
    ),
    "models as numbers": (
        "[refresh]\nmodels = [1]\n",
        "2: [refresh]: models = [1] has the wrong type",
        "models must be a list of model names",
    ),
    "default as a list": (
        '[refresh]\ndefault_model = ["ease"]\n',
        "2: [refresh]: default_model = ['ease'] has the wrong type",
        "default_model must be a model name",
    ),
    "optional text as a number": (
        "[refresh]\ncold_start = 1\n",
        "2: [refresh]: cold_start = 1 has the wrong type",
        "cold_start must be a model name",
    ),
    "seed below": ("[refresh]\nseed = -1\n", "2: [refresh]: seed = -1 is out of range", SEED),
    "seed above": (
        "[refresh]\nseed = 2147483648\n",
        "2: [refresh]: seed = 2147483648 is out of range",
        SEED,
    ),
    "no neighbours": (
        "[refresh]\nneighbours = 0\n",
        "2: [refresh]: neighbours = 0 is out of range",
        "neighbours must be a whole number from 1 to 10000",
    ),
    "long lists": (
        "[refresh]\nlist_length = 10001\n",
        "2: [refresh]: list_length = 10001 is out of range",
        "list_length must be a whole number from 1 to 10000",
    ),
    "no runs": (
        "[refresh]\nkeep_runs = 0\n",
        "2: [refresh]: keep_runs = 0 is out of range",
        "keep_runs must be a whole number from 1 to 10000",
    ),
    "no age": (
        "[refresh]\nmax_age_hours = 0\n",
        "2: [refresh]: max_age_hours = 0 is out of range",
        "max_age_hours must be a whole number from 1 to 100000",
    ),
    "no memory": (
        "[refresh]\n\nmemory_mb = 63\n",
        "3: [refresh]: memory_mb = 63 is out of range",
        "memory_mb must be a whole number from 64 to 1048576",
    ),
    "threads": (
        "[refresh]\nthreads = -1\n",
        "2: [refresh]: threads = -1 is out of range",
        "threads must be a whole number from 0 to 1024",
    ),
    "gate as text": (
        '[gate]\nenabled = "no"\n',
        "2: [gate]: enabled = 'no' has the wrong type",
        "enabled must be true or false",
    ),
    "gate of a truth": (
        "[gate]\nmin_served = true\n",
        "2: [gate]: min_served = True has the wrong type",
        "min_served must be a number from 0 to 1",
    ),
    "gate above": (
        "[gate]\nmax_rows_drop = 2\n",
        "2: [gate]: max_rows_drop = 2 is out of range",
        "max_rows_drop must be a number from 0 to 1",
    ),
    "gate that is not a number": (
        "[gate]\nmin_served = nan\n",
        "2: [gate]: min_served = nan is out of range",
        "min_served must be a number from 0 to 1",
    ),
    "a model twice": (
        '[refresh]\nmodels = ["als", "als"]\n',
        "2: [refresh]: models names als twice",
        None,
    ),
}


@pytest.fixture
def config(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "recsys.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_without_anything_all_is_default(tmp_path):
    found = load({"RECSYS_HOME": str(tmp_path)}, tmp_path)
    assert (found.home, found.database_url, found.movielens, found.config_file) == (
        tmp_path,
        None,
        None,
        None,
    )
    assert found.refresh == RefreshSettings()
    assert found.cache == tmp_path / "cache"


def test_the_environment_is_read(tmp_path):
    environ = {
        "RECSYS_HOME": "~/films",
        "RECSYS_DATABASE_URL": "postgresql://h/d",
        "RECSYS_MOVIELENS": "~/ml",
    }
    found = load(environ, tmp_path)
    assert found.home == Path("~/films").expanduser()
    assert found.database_url == "postgresql://h/d"
    assert found.movielens == Path("~/ml").expanduser()


@pytest.mark.parametrize("token", ["only-of-the-tests", "0123456789abcdef", "Ab._~+/-0123456789=="])
def test_the_token_of_writers_is_read_and_never_shown(tmp_path, token):
    found = load({"RECSYS_HOME": str(tmp_path), "RECSYS_API_TOKEN": token}, tmp_path)
    assert found.api_token == token
    assert token not in repr(found)
    assert load({"RECSYS_HOME": str(tmp_path)}, tmp_path).api_token is None


@pytest.mark.parametrize(
    "token",
    ["0123456789abcde", "0123456789 abcdef", "0123456789abcdé", "0123456789abcdef\n", "=" * 16],
)
def test_an_invalid_token_is_refused_and_not_shown(tmp_path, token):
    with pytest.raises(ConfigError, match="RECSYS_API_TOKEN must have 16 characters") as caught:
        load({"RECSYS_HOME": str(tmp_path), "RECSYS_API_TOKEN": token}, tmp_path)
    assert token not in str(caught.value)
    assert caught.value.hint == "make one with `openssl rand -hex 32`"


def test_empty_variables_count_as_unset(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "_default_home", lambda: tmp_path)
    names = ("HOME", "DATABASE_URL", "MOVIELENS", "CONFIG", "API_TOKEN")
    empty = {f"RECSYS_{name}": "" for name in names}
    assert load(empty, tmp_path) == load({}, tmp_path)


def test_a_relative_home_is_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load({"RECSYS_HOME": "here"}, tmp_path).home == tmp_path / "here"


def test_all_keys_of_a_config_are_read(config):
    path = config(
        '[refresh]\nmodels = ["most_rated", "als"]\ndefault_model = "als"\nneighbours = 7\n'
        'cold_start = "most_rated"\nrating_model = "mf"\n'
        "list_length = 8\nseed = 9\nmemory_mb = 64\nthreads = 2\n"
        "[models.als]\nfactors = 16\n[models.ease]\n"
    )
    found = read_refresh(ConfigFile.read(path))
    expected = RefreshSettings(
        models=("most_rated", "als"), default_model="als", cold_start="most_rated",
        rating_model="mf", neighbours=7, list_length=8, seed=9,
        memory_mb=64, threads=2, parameters={"als": {"factors": 16}, "ease": {}},
    )  # fmt: skip
    assert found == expected


def test_an_empty_config_is_all_default(config):
    assert read_refresh(ConfigFile.read(config(""))) == RefreshSettings()


@pytest.mark.parametrize("what", BAD)
def test_a_bad_config_is_refused_with_line_and_allowed_values(config, what):
    text, message, hint = BAD[what]
    path = config(text)
    with pytest.raises(ConfigError) as caught:
        read_refresh(ConfigFile.read(path))
    where = f"{path} line " if message[0].isdigit() else f"{path}: "
    assert str(caught.value).startswith(where + message)
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (RefreshSettings, {"keep_runs": 0}, "keep_runs = 0 is out of range"),
        (RefreshSettings, {"models": ("als", "als")}, "models names als twice"),
        (GateSettings, {"min_served": 1.5}, "min_served = 1.5 is out of range"),
        (GateSettings, {"metric": "ndcg"}, "metric = 'ndcg' is not known"),
        (ScheduleSettings, {"timezone": "Mars/Base"}, "timezone = 'Mars/Base' is not known"),
    ],
)
def test_settings_built_in_python_are_checked_too(kind, values, message):
    with pytest.raises(ConfigError) as caught:
        kind(**values)
    assert str(caught.value) == message
    assert caught.value.key == tuple(values)


OF_ENGINE = {
    'kind = "sparc"': "kind = 'sparc' is not known",
    "connections = 0": "connections = 0 is out of range",
    'masters = "yarn"': "unknown key 'masters'",
    '[engine.properties]\nmaster = "yarn"': "'master' is no property of Spark",
    '[engine.properties]\n"spark.cores.max" = 4': "spark.cores.max = 4 is not a text in quotes",
    '[engine.properties]\n"spark.executorEnv.PGPASSWORD" = "x"': "would be shown by Spark",
    '[engine.properties]\n"spark.executorEnv.SECRET" = "x"': "would be shown by Spark",
}


@pytest.mark.parametrize("line", OF_ENGINE)
def test_a_bad_engine_is_refused_with_its_line(loaded, line):
    current = loaded(f"[engine]\n{line}\n")
    with pytest.raises(ConfigError) as caught:
        _ = current.engine
    assert f"recsys.toml line {1 + len(line.splitlines())}: " in str(caught.value)
    assert OF_ENGINE[line] in str(caught.value)


# --- the file is read once, and only if needed ---


@pytest.fixture
def loaded(config, tmp_path):
    def load_text(text: str) -> Settings:
        config(text)
        return load({"RECSYS_HOME": str(tmp_path)}, tmp_path)

    return load_text


def test_a_file_is_parsed_once_for_all_its_tables(loaded, monkeypatch):
    parsed = []
    read = ConfigFile.read
    monkeypatch.setattr(ConfigFile, "read", lambda path: parsed.append(path) or read(path))
    found = loaded('[refresh]\nseed = 9\n[schedule]\nrefresh = "0 4 * * *"\n')
    assert parsed == []
    assert (found.refresh.seed, found.schedule.refresh) == (9, "0 4 * * *")
    assert found.refresh is found.refresh
    assert len(parsed) == 1


def test_a_bad_refresh_table_fails_only_what_reads_it(loaded):
    found = loaded("[refresh]\nseed = -1\n")
    assert found.cache == found.home / "cache"
    for read in (lambda: found.refresh, lambda: found.schedule):
        with pytest.raises(ConfigError, match="seed = -1"):
            read()


def test_a_config_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "recsys.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"recsys\.toml"):
        ConfigFile.read(path)


def test_the_nearest_config_is_taken(tmp_path):
    home, folder = tmp_path / "home", tmp_path / "work"
    for place in (home, folder):
        place.mkdir()
        (place / "recsys.toml").write_text("[refresh]\nseed = 1\n")
    named = tmp_path / "other.toml"
    named.write_text("[refresh]\nseed = 2\n")
    environ = {"RECSYS_HOME": str(home)}
    assert load(environ, folder).config_file == folder / "recsys.toml"
    assert load(environ, tmp_path).config_file == home / "recsys.toml"
    found = load(environ | {"RECSYS_CONFIG": str(named)}, folder)
    assert (found.config_file, found.refresh.seed) == (named, 2)


def test_a_named_config_that_is_not_there_is_refused(tmp_path):
    environ = {"RECSYS_HOME": str(tmp_path), "RECSYS_CONFIG": str(tmp_path / "gone.toml")}
    with pytest.raises(ConfigError, match=r"gone\.toml"):
        load(environ, tmp_path)


def test_no_password_is_in_the_label_of_a_database():
    label = Database("postgresql://ann:s3cret@h:5/d").label
    assert label == "postgresql://ann:***@h:5/d"
