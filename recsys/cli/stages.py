"""The stages of jobs in words; the record of a run keeps the names."""

from __future__ import annotations

import re

WORDS = {
    "read": "reading ratings",
    "read files": "reading files",
    "read metadata": "reading metadata",
    "gate": "checking the quality",
    "lists": "recomputing lists",
    "cold_start": "comparing charts for new users",
    "take over": "taking over other results",
    "write": "writing results",
    "write movies, users": "writing movies and users",
    "write ratings": "writing ratings",
    "write tags": "writing tags",
    "write tag genome": "writing the tag genome",
    "write metadata": "writing metadata",
    "index": "indexing results",
}
SCORINGS = {
    "sum": "similar movies",
    "mean_product": "similar movies",
    "factors": "factors of taste",
    "profile": "similar contents",
    "neighbour_ratings": "similar users",
    "parts": "combined lists",
}


def in_words(stage: str) -> str:
    """Return what a stage does, for example `similar movies (item_knn)`."""
    # The registry is loaded already where a model is fitted.
    from recsys.models.registry import MODELS

    if stage in WORDS:
        return WORDS[stage]
    name, _, split = stage.partition(", ")
    if name not in MODELS:
        return re.sub("^download ", "downloading ", stage)
    spec = MODELS[name]
    kind = "chart" if spec.kind == "chart" else SCORINGS.get(spec.scoring or "", "model")
    if spec.family == "neural":
        kind = "network"
    return f"{kind} ({name})" + (f", {split}" if split else "")
