"""Where in a `recsys.toml` a key stands."""

from pathlib import Path

import pytest

from recsys.config_file import ConfigFile
from recsys.errors import ConfigError

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


def test_the_first_unknown_key_is_refused(file: ConfigFile) -> None:
    with pytest.raises(ConfigError) as caught:
        file.refuse_unknown("parameter", ("models", "ease"), ("weights", "max_items"))
    assert str(caught.value) == f"{file.path} line 11: unknown parameter: regularization"
    assert caught.value.hint == "allowed: weights, max_items"
    file.refuse_unknown("parameter", ("models", "ease"), ("regularization",))
