"""Reading and writing one `recsys.toml`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from recsys.config.file import ConfigFile, write_table
from recsys.errors import ConfigError
from recsys.models.params import Params

TEXT = """\
# what a refresh does
[refresh]
models = [
    "ease",   # the default
    "als",
]

default_model = "ease"
models_of_old = "models"
[models.ease]
regularization = 600

[models]
als.factors = 16
bpr = { factors = 8, iterations = 3 }

["models"."item_knn"]
"min_support" = 2
note = '''
shrinkage = 1
'''
shrinkage = 3
"""
LINES = {
    ("refresh",): 2,
    ("refresh", "models"): 3,
    ("refresh", "default_model"): 8,
    ("refresh", "models_of_old"): 9,
    ("models",): 10,
    ("models", "ease"): 10,
    ("models", "ease", "regularization"): 11,
    ("models", "als"): 14,
    ("models", "als", "factors"): 14,
    ("models", "bpr", "iterations"): 15,
    ("models", "item_knn"): 17,
    ("models", "item_knn", "min_support"): 18,
    ("models", "item_knn", "shrinkage"): 22,
    ("models", "ease", "weights"): None,
    ("refresh", "models", "ease"): None,
    ("nothing",): None,
}


@pytest.fixture
def file(tmp_path: Path) -> ConfigFile:
    path = tmp_path / "recsys.toml"
    path.write_text(TEXT, encoding="utf-8")
    return ConfigFile.read(path)


@pytest.mark.parametrize("key", LINES)
def test_line_of_a_key(file: ConfigFile, key: tuple[str, ...]) -> None:
    assert file.line(key) == LINES[key]


def test_an_error_names_file_and_line(file: ConfigFile) -> None:
    error = file.error(("models", "als", "factors"), "is odd", "take an even one")
    assert str(error) == f"{file.path} line 14: is odd"
    assert (error.hint, error.key) == ("take an even one", ("models", "als", "factors"))
    assert str(file.error(("models", "gone"), "is odd")) == f"{file.path}: is odd"


def test_a_table(file: ConfigFile) -> None:
    assert file.table("models", "bpr") == {"factors": 8, "iterations": 3}
    assert file.table("models", "svd") == {}
    with pytest.raises(ConfigError, match=r"line 8: refresh\.default_model must be a table"):
        file.table("refresh", "default_model")


def test_the_first_unknown_table_is_refused(file: ConfigFile) -> None:
    with pytest.raises(ConfigError) as caught:
        file.refuse_unknown_tables(("refresh", "gate"))
    assert str(caught.value) == f"{file.path} line 10: unknown table 'models'"
    assert caught.value.hint == "allowed tables: refresh, gate"
    file.refuse_unknown_tables(("refresh", "models"))


def test_a_table_is_read_into_its_dataclass(file: ConfigFile) -> None:
    @dataclass(frozen=True, slots=True)
    class Table(Params):
        models: tuple[str, ...] = ()
        default_model: str = ""
        models_of_old: str = ""

    read = file.params(Table, "refresh")
    assert read == Table(("ease", "als"), "ease", "models")
    assert file.params(Table, "gone") == Table()


def test_an_error_of_a_table_names_the_line_of_the_key(file: ConfigFile) -> None:
    @dataclass(frozen=True, slots=True)
    class Table(Params):
        models: tuple[str, ...] = ()
        default_model: Literal["als", "bpr"] = "als"
        models_of_old: str = ""

    with pytest.raises(ConfigError) as caught:
        file.params(Table, "refresh")
    assert str(caught.value) == (
        f"{file.path} line 8: [refresh]: default_model = 'ease' is not known"
    )
    assert caught.value.hint == "default_model must be one of: als, bpr"
    assert caught.value.key == ("refresh", "default_model")


# --- writing ---

KEPT = """\
# my notes
[refresh]
neighbours = 50  # few

[models.mf]
factors = 8  # small
"""


def test_values_are_set_and_all_else_stays(tmp_path):
    path = tmp_path / "recsys.toml"
    path.write_text(KEPT)
    write_table(path, ("models", "mf"), {"factors": 12, "regularization": 0.5})
    assert path.read_text() == KEPT.replace("factors = 8  #", "factors = 12  #") + (
        "regularization = 0.5\n"
    )
    write_table(path, ("models", "blend"), {"weights": (0.5, 1.0)})
    assert path.read_text().startswith(KEPT.replace("factors = 8  #", "factors = 12  #"))
    assert ConfigFile.read(path).document["models"] == {
        "mf": {"factors": 12, "regularization": 0.5},
        "blend": {"weights": [0.5, 1.0]},
    }


def test_a_missing_file_is_created(tmp_path):
    path = tmp_path / "recsys.toml"
    write_table(path, ("models", "item_knn"), {"similarity": "pearson"})
    assert path.read_text() == '[models.item_knn]\nsimilarity = "pearson"\n'
    assert path.stat().st_mode & 0o777 == 0o644


def test_mode_and_link_are_kept_and_nothing_else_is_left(tmp_path):
    real, link = tmp_path / "real.toml", tmp_path / "recsys.toml"
    real.write_text(KEPT)
    real.chmod(0o600)
    link.symlink_to(real)
    write_table(link, ("models", "mf"), {"factors": 3})
    assert link.is_symlink()
    assert "factors = 3" in real.read_text()
    assert real.stat().st_mode & 0o777 == 0o600
    assert sorted(each.name for each in tmp_path.iterdir()) == ["real.toml", "recsys.toml"]


def test_a_failed_write_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "recsys.toml"
    path.write_text(KEPT)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ConfigError, match=r"recsys\.toml cannot be written: No space left"):
        write_table(path, ("models", "mf"), {"factors": 3})
    assert path.read_text() == KEPT
    assert [each.name for each in tmp_path.iterdir()] == ["recsys.toml"]
    path.write_text("[models\n")
    with pytest.raises(ConfigError, match=r"recsys\.toml"):
        write_table(path, ("models", "mf"), {"factors": 3})
    assert path.read_text() == "[models\n"
