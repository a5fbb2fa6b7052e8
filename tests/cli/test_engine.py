"""Refreshes on a cluster are refused for what is known before anything starts."""

from __future__ import annotations

import subprocess
import sys
import tarfile

import pytest


def test_bad_settings_name_the_line(recsys, published_url, tmp_path):
    config = tmp_path / "recsys.toml"
    config.write_text('[refresh]\n[engine]\nkind = "sparc"\n')
    settings = {"RECSYS_DATABASE_URL": published_url, "RECSYS_CONFIG": str(config)}
    done = recsys("refresh", **settings)
    assert done.code == 1
    assert "recsys.toml line 3: [engine]: kind = 'sparc' is not known" in " ".join(done.err.split())
    assert "Traceback" not in done.err


def test_models_that_need_all_ratings_are_refused_by_name(recsys, published_url):
    """Also the parts of a model."""
    arguments = ("refresh", "--engine", "spark", "--models", "ease,bpr,collective_blend")
    done = recsys(*arguments, RECSYS_DATABASE_URL=published_url)
    assert done.code == 1
    assert "the engine spark cannot compute bpr, collective_als" in done.err
    assert "ease" in done.err.partition("hint:")[2]


def test_users_are_not_refreshed_on_a_cluster(recsys, published_url):
    arguments = ("refresh", "--users-only", "--engine", "spark")
    done = recsys(*arguments, RECSYS_DATABASE_URL=published_url)
    assert done.code == 2
    assert "--users-only works in this process" in done.err


def test_pyspark_is_imported_by_no_other_command(run_recsys, published_url):
    settings = {"RECSYS_DATABASE_URL": published_url, "PYTHONPROFILEIMPORTTIME": "1"}
    done = run_recsys("refresh", "--dry-run", **settings)
    assert done.code == 0
    assert "pyspark" not in done.err


@pytest.mark.slow
def test_a_package_has_all_that_an_executor_imports(tmp_path):
    """Python without the packages of this installation imports the code of tasks from it."""
    archive, folder = tmp_path / "packages.tar.gz", tmp_path / "packages"
    command = [sys.executable, "-m", "recsys", "engine", "package", str(archive)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    code = (
        f"import sys; sys.path[:] = [p for p in sys.path if 'site-packages' not in p and p];"
        f"sys.path.insert(0, {str(folder)!r});"
        "import recsys.jobs.cluster.tasks as t, recsys.engine.spark, recsys.models.registry;"
        "from recsys.engine.application import versions; print(t.__file__, versions())"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(folder))
    assert "not installed" not in done.stdout


def test_a_package_is_not_written_where_it_cannot_be(recsys, tmp_path):
    for path in (tmp_path / "file.zip", tmp_path / "nowhere" / "file.tar.gz"):
        done = recsys("engine", "package", str(path))
        assert done.code == 1
        assert str(path.name) in done.err
        assert list(tmp_path.glob(".*")) == []
