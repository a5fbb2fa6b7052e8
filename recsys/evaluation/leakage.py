"""Checks that no test rating is trained on and that no train rating is measured.

Every split and every set of lists that an evaluation measures passes them.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from recsys.domain import Int64, TopN
from recsys.errors import EvaluationError
from recsys.evaluation.splits import Bool, Split, entries_of, rows_of


def check_split(split: Split) -> None:
    """Raise EvaluationError where a (user, item) pair is trained on and tested."""
    if split.train.shape != split.test.shape:
        raise EvaluationError(f"train is {split.train.shape}, test is {split.test.shape}")
    # By pair and by entry: entries select the times that models learn from.
    both = entries_of(split.test, rows_of(split.train), split.train.indices) >= 0
    shared = np.isin(split.test_entries, split.train_entries)
    if both.any() or shared.any():
        count = int(max(both.sum(), shared.sum()))
        raise EvaluationError(f"{count} ratings are in both train and test")


def check_unseen(lists: TopN, train: csr_matrix) -> None:
    """Raise EvaluationError where a list holds an item that its user has a train rating of.

    Nor may it hold an item twice, which would count as two hits, or one outside the catalogue.
    """
    users, items = train.shape
    if lists.rows != users:
        raise EvaluationError(f"there are {lists.rows} lists for {users} users")
    rows = np.repeat(np.arange(users), np.diff(lists.indptr))
    _refuse(
        "are outside the catalogue", rows, lists, (lists.indices < 0) | (lists.indices >= items)
    )
    _refuse("are train ratings", rows, lists, entries_of(train, rows, lists.indices) >= 0)
    # np.unique finds the first entry of each pair; every other one repeats it.
    again = np.ones(len(lists), bool)
    again[np.unique(rows * items + lists.indices, return_index=True)[1]] = False
    _refuse("repeat an item", rows, lists, again)


def _refuse(what: str, rows: Int64, lists: TopN, wrong: Bool) -> None:
    if wrong.any():
        first = int(np.argmax(wrong))
        raise EvaluationError(
            f"{int(wrong.sum())} entries of the lists {what}, "
            f"the first: user {rows[first]}, item {lists.indices[first]} (positions)"
        )
