"""The mean over many samples of a factorisation, in thin matrices of bounded size."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from threadpoolctl import threadpool_limits

from recsys.domain import Float64
from recsys.numerics.sparse import axis_signs


@dataclass(frozen=True, slots=True)
class Sample:
    """One draw: it predicts `user_bias + item_bias + users . items`."""

    user_bias: Float64
    item_bias: Float64
    users: Float64
    """Users x f."""
    items: Float64
    """Items x f."""


@dataclass(slots=True)
class PosteriorMean:
    """The mean prediction of samples, in the form of one sample.

    The mean of dot products is the dot product of all factors put side by side. Whenever these
    are wider than `room` they are replaced by those `kept` that come nearest to the products.
    """

    kept: int
    room: int
    count: int = 0
    _users: list[Float64] = field(default_factory=list)
    _items: list[Float64] = field(default_factory=list)
    _user_bias: Float64 | float = 0.0
    _item_bias: Float64 | float = 0.0

    def add(self, sample: Sample) -> None:
        # Centred factors compress better: the biases hold their common part.
        sample = centred(sample)
        self.count += 1
        self._user_bias = self._user_bias + sample.user_bias
        self._item_bias = self._item_bias + sample.item_bias
        self._users.append(sample.users)
        self._items.append(sample.items)
        if sum(part.shape[1] for part in self._users) > self.room:
            users, items = nearest(np.hstack(self._users), np.hstack(self._items), self.kept)
            self._users, self._items = [users], [items]

    def mean(self, factors: int) -> Sample:
        """Return the mean of the added samples (at least one), with a bounded number of factors."""
        users, items = nearest(np.hstack(self._users), np.hstack(self._items), factors)
        user_bias, item_bias = self._user_bias / self.count, self._item_bias / self.count
        return Sample(np.asarray(user_bias), np.asarray(item_bias), users, items / self.count)


def centred(sample: Sample) -> Sample:
    """Move the common part of all users or items into the biases; predictions do not change.

    Factors then average 0, and so do the biases of items.
    """
    user, item = sample.users.mean(axis=0), sample.items.mean(axis=0)
    users, items = sample.users - user, sample.items - item
    item_bias = sample.item_bias + items @ user
    level = item_bias.mean()
    user_bias = sample.user_bias + users @ item + user @ item + level
    return Sample(user_bias, item_bias - level, users, items)


def nearest(left: Float64, right: Float64, rank: int) -> tuple[Float64, Float64]:
    """Return the matrices of `rank` columns whose product is nearest to `left @ right.T`.

    The columns of the first are orthogonal and of mean square 1: cosines of the rows of the second
    are those of the columns of the product. There are fewer where that is all.
    """
    with threadpool_limits(1, "blas"):  # the same sums on any number of threads
        left_basis, left_rest = np.linalg.qr(left)
        right_basis, right_rest = np.linalg.qr(right)
        u, strengths, v = np.linalg.svd(left_rest @ right_rest.T, full_matrices=False)
        scale = np.sqrt(len(left))
        first = left_basis @ (u[:, :rank] * scale)
        second = right_basis @ (v[:rank].T * (strengths[:rank] / scale))
    sign = axis_signs(second)
    return first * sign, second * sign
