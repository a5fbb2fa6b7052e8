"""A short form of tests/torture/fuzz_files.py."""

from torture import script


def test_broken_files_are_refused_or_loaded_as_a_whole(database, tmp_path):
    torture = script("fuzz_files")
    found = torture.fuzz(database, seed=11, place=tmp_path, cases=24)
    assert sum(found.counts.values()) == 24
    assert set(found.counts) == {"refused", "loaded", "loaded in part"}
