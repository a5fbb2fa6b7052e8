"""Train a network: mini-batches, early stopping, the network of the best epoch."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import jax
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.domain import Epoch, Float32, Int64, Told
from recsys.errors import RunError
from recsys.models.neural.networks import keras
from recsys.models.neural.training import Precision, TrainingParams
from recsys.numerics.sparse import row_of_entries

USERS_AT_ONCE = 256
"""Users whose vectors are computed at a time."""
MetricName = Literal["rmse", "ndcg@10"]
Network = TypeVar("Network", bound=keras.Model)
Marks = NDArray[np.bool_]
"""Of entries of the ratings."""
Batch = tuple[Any, ...]
"""Inputs of the network, and targets if its loss takes them."""


class Batches(keras.utils.PyDataset):
    """The batches of an epoch, made one at a time: all batches have one shape."""

    def __init__(self, count: int, make: Callable[[int], Batch], shuffle: Callable[[], None]):
        """`make` returns the batch of a number; `shuffle` follows each epoch."""
        super().__init__()
        self._count, self._make, self._shuffle = count, make, shuffle

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> Batch:
        return self._make(number)

    def on_epoch_end(self) -> None:
        self._shuffle()


@dataclass(frozen=True, slots=True)
class Validation:
    """A figure of the held-out part."""

    metric: MetricName
    measure: Callable[[], float]

    @property
    def sign(self) -> int:
        """Return 1 where a higher figure is better, -1 where a lower one is."""
        return -1 if self.metric == "rmse" else 1


def train(
    network: keras.Model,
    batches: Batches,
    params: TrainingParams,
    told: Told,
    *,
    loss: Any = None,
    validation: Validation | None = None,
    epochs: int | None = None,
) -> tuple[Epoch, ...]:
    """Train the network in place, by Adam; return its epochs.

    With a validation it stops after `patience` epochs without a better figure, and takes the
    weights of the best one. `loss` is needed unless the network adds its own. Raises RunError if
    the loss is not finite.
    """
    watch = _Watch(network, params, validation, epochs or params.epochs, told)
    network.compile(optimizer=keras.optimizers.Adam(params.learning_rate), loss=loss)
    network.fit(batches, epochs=watch.most, callbacks=[watch], shuffle=False, verbose=0)
    if validation is not None:
        network.set_weights(watch.best_weights)
    return tuple(watch.epochs)


def train_on_all(
    network: Callable[[], Network],
    batches: Callable[[Marks], Batches],
    held: Marks,
    validation: Callable[[Network], Validation],
    params: TrainingParams,
    told: Told,
    *,
    warm: bool,
    loss: Any = None,
) -> tuple[Network, tuple[Epoch, ...]]:
    """Train on a part of the ratings to find the number of epochs, then on all of them.

    `network` builds one, `batches` makes those of the marked ratings, `held` marks the held-out
    ones, and `validation` measures a network on them. A `warm` start comes from a network that
    knows them: it goes on for `patience` epochs instead. Returns the network trained on all, and
    the epochs that were measured, or else its own.
    """
    epochs: tuple[Epoch, ...] = ()
    rounds = params.patience if warm else params.epochs
    if not warm and held.any() and not held.all():
        trial = network()
        measured = validation(trial)
        epochs = train(trial, batches(~held), params, told, loss=loss, validation=measured)
        rounds = best_epoch(epochs, measured.metric)
    final, every = network(), batches(np.ones_like(held))
    last = train(final, every, params, told, loss=loss, epochs=rounds)
    return final, epochs or last


def best_epoch(epochs: Sequence[Epoch], metric: MetricName) -> int:
    """Return the number of epochs up to the best one."""
    figures = [epoch.validation for epoch in epochs if epoch.validation is not None]
    best = (min if metric == "rmse" else max)(figures)
    return figures.index(best) + 1


class _Watch(keras.callbacks.Callback):
    """Records epochs, measures the held-out part after each, and stops the training."""

    def __init__(
        self,
        network: keras.Model,
        params: TrainingParams,
        validation: Validation | None,
        most: int,
        told: Told,
    ) -> None:
        super().__init__()
        self.most, self.epochs = most, list[Epoch]()
        self.best_weights = network.get_weights()
        self._network, self._validation, self._told = network, validation, told
        self._patience, self._best, self._best_at = params.patience, -math.inf, 0
        self._started = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        loss = float(logs["loss"])
        if not math.isfinite(loss):
            raise RunError(
                f"the loss of epoch {epoch + 1} is not finite", hint="lower learning_rate"
            )
        seconds = time.monotonic() - self._started
        note, figure = f"loss {loss:.4f}", None
        if self._validation is not None:
            figure = self._validation.measure()
            note += f", {self._validation.metric} {figure:.4f}"
            self._compare(epoch, self._validation.sign * figure)
        self.epochs.append(Epoch(loss, figure, seconds))
        self._told(epoch + 1, self.most, note)

    def _compare(self, epoch: int, figure: float) -> None:
        if figure > self._best:
            self._best, self._best_at = figure, epoch
            self.best_weights = self._network.get_weights()
        elif epoch - self._best_at >= self._patience:
            self._network.stop_training = True


@contextmanager
def computing(precision: Precision, threads: int) -> Iterator[None]:
    """Build and train networks in this precision, on so many threads; 0: one per processor.

    The number of threads is that of the first network of a process.
    """
    with _environment("NPROC", str(threads) if threads else None):
        on_gpu = jax.default_backend() == "gpu"  # starts JAX, which reads NPROC
    before = keras.config.dtype_policy()
    mixed = precision == "mixed" or (precision == "auto" and on_gpu)
    keras.config.set_dtype_policy("mixed_bfloat16" if mixed else "float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@contextmanager
def _environment(name: str, value: str | None) -> Iterator[None]:
    before = os.environ.get(name)
    if value is None:
        yield
        return
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def ndcg_at_10(scores: Float32, rated: csr_matrix, held: csr_matrix) -> float:
    """Return the mean nDCG@10 of the held-out items of each user, rated ones left out.

    Scores are users x items, changed in place; both matrices have the same users, and each user
    has an item held out.
    """
    scores[row_of_entries(rated), rated.indices] = -np.inf
    users = row_of_entries(held)
    # Rank 1 is the best; equal scores count as better, so that a constant network earns nothing.
    ranks = np.array(
        [
            np.count_nonzero(scores[user] >= scores[user, item])
            for user, item in zip(users, held.indices, strict=True)
        ]
    )
    gains = np.where(ranks <= 10, 1 / np.log2(ranks + 1), 0)
    counts = np.diff(held.indptr)
    best = np.concatenate(([0], np.cumsum(1 / np.log2(np.arange(10) + 2))))
    sums = np.bincount(users, gains, held.shape[0])
    return float(np.mean(sums / best[np.minimum(counts, 10)]))


def predict_block(network: keras.Model, inputs: Mapping[str, NDArray[Any]]) -> Float32:
    """Return the output for a block of at most `USERS_AT_ONCE` rows.

    Blocks are padded to a power of two, since JAX compiles a network for each shape.
    """
    rows = len(next(iter(inputs.values())))
    missing = (1 << max(0, rows - 1).bit_length()) - rows
    padded = {name: np.pad(each, [(0, missing), (0, 0)]) for name, each in inputs.items()}
    return np.asarray(network.predict_on_batch(padded), np.float32)[:rows]


def shuffled(seed: int, count: int) -> Iterator[Int64]:
    """Yield an order of the examples for each epoch."""
    random = np.random.default_rng(seed)
    while True:
        yield random.permutation(count)
