from pathlib import Path

import pytest

from recsys.config import settings
from recsys.config.settings import RefreshSettings, load, read_config
from recsys.errors import ConfigError
from recsys.storage.server.engine import Database

BAD = {
    "no toml": ("= nothing", "Invalid statement"),
    "unknown table": ("[refesh]\n", "1: unknown table: refesh"),
    "key at the top": ("seed = 1\n", "1: unknown table: seed"),
    "unknown key": ("[refresh]\nsed = 1\n", "2: unknown key in [refresh]: sed"),
    "no table": ("refresh = 1\n", "1: refresh must be a table, [refresh]"),
    "no table of a model": ("[models]\nals = 3\n", "2: models.als must be a table, [models.als]"),
    "text for a number": ('[refresh]\nseed = "1"\n', "2: seed IN must be a whole number, not '1'"),
    "fraction": ("[refresh]\nseed = 1.5\n", "2: seed IN must be a whole number, not 1.5"),
    "truth": ("[refresh]\nseed = true\n", "2: seed IN must be a whole number, not True"),
    "models as text": ('[refresh]\nmodels = "als"\n', "2: models IN must be a list of model names"),
    "models as numbers": ("[refresh]\nmodels = [1]\n", "2: models IN must be a list of model"),
    "default as a list": (
        '[refresh]\ndefault_model = ["ease"]\n',
        "2: default_model IN must be a model name",
    ),
    "seed below": ("[refresh]\nseed = -1\n", "2: seed = -1 IN is out of range"),
    "seed above": ("[refresh]\nseed = 2147483648\n", "2: seed = 2147483648 IN is out of range"),
    "no neighbours": ("[refresh]\nneighbours = 0\n", "2: neighbours = 0 IN is out of range"),
    "long lists": ("[refresh]\nlist_length = 10001\n", "2: list_length = 10001 IN is out of range"),
    "no memory": ("[refresh]\n\nmemory_mb = 63\n", "3: memory_mb = 63 IN is out of range"),
    "threads": ("[refresh]\nthreads = -1\n", "2: threads = -1 IN is out of range"),
    "gate as text": ('[gate]\nenabled = "no"\n', "2: enabled in [gate] must be true or false"),
    "gate of a truth": ("[gate]\nmin_served = true\n", "2: min_served in [gate] must be a number"),
    "gate above": ("[gate]\nmax_rows_drop = 2\n", "2: max_rows_drop = 2 in [gate] is out of"),
    "gate unknown": ("[gate]\nrule = 1\n", "2: unknown key in [gate]: rule"),
    "a model twice": ('[refresh]\nmodels = ["als", "als"]\n', "2: model als is named twice IN"),
}  # fmt: skip


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
def test_a_token_that_is_none_is_refused_unshown(tmp_path, token):
    with pytest.raises(ConfigError, match="RECSYS_API_TOKEN must have 16 characters") as caught:
        load({"RECSYS_HOME": str(tmp_path), "RECSYS_API_TOKEN": token}, tmp_path)
    assert token not in str(caught.value)
    assert caught.value.hint == "make one with `openssl rand -hex 32`"


def test_empty_variables_are_as_good_as_none(tmp_path, monkeypatch):
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
    found = read_config(path)
    expected = RefreshSettings(
        models=("most_rated", "als"), default_model="als", cold_start="most_rated",
        rating_model="mf", neighbours=7, list_length=8, seed=9,
        memory_mb=64, threads=2, parameters={"als": {"factors": 16}, "ease": {}},
    )  # fmt: skip
    assert found == expected


def test_an_empty_config_is_all_default(config):
    assert read_config(config("")) == RefreshSettings()


@pytest.mark.parametrize("what", BAD)
def test_a_bad_config_is_refused_naming_the_file(config, what):
    text, message = BAD[what]
    path = config(text)
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    message = f"{message} ".replace(" IN ", " in [refresh] ").strip()
    where = f"{path} line " if message[0].isdigit() else f"{path}: "
    assert str(caught.value).startswith(where + message)


def test_what_is_allowed_is_in_the_hint(config):
    with pytest.raises(ConfigError) as caught:
        read_config(config("[refesh]\n"))
    assert caught.value.hint == "allowed: refresh, models, gate, schedule"
    with pytest.raises(ConfigError) as caught:
        read_config(config("[refresh]\nmemory_mb = 1\n"))
    assert caught.value.hint == "memory_mb must lie in 64..1048576"


def test_a_config_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "recsys.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"recsys\.toml"):
        read_config(path)


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
