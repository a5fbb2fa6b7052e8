"""Files are written completely or not at all, and unwritable paths are invalid arguments."""

import os

import pytest

from recsys.errors import InvalidArgument
from recsys.files import check_writable, written_whole


def test_paths_that_cannot_be_written_are_refused(tmp_path, monkeypatch):
    check_writable(tmp_path / "new")
    with pytest.raises(InvalidArgument, match=r"cannot be written: it is a folder$"):
        check_writable(tmp_path)
    with pytest.raises(InvalidArgument, match=r"cannot be written: there is no folder .*/none$"):
        check_writable(tmp_path / "none" / "new")
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(InvalidArgument, match=r"cannot be written: no permission to write to "):
        check_writable(tmp_path / "new")


def test_a_file_is_replaced_at_the_end_and_keeps_its_mode(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")
    path.chmod(0o640)
    with written_whole(path) as file:
        file.write(b"after")
        assert path.read_text() == "before"
    assert path.read_text() == "after"
    assert path.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["a.txt"]


def test_an_error_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")

    def interrupted():
        with written_whole(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_missing_folder_is_an_invalid_argument(tmp_path):
    with (
        pytest.raises(InvalidArgument, match=r"a cannot be written: No such file"),
        written_whole(tmp_path / "none" / "a"),
    ):
        pass
